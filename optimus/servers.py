"""The database servers: where they are, how to connect, and what their failures mean.

Whatever goes wrong between us and a server becomes ``OutputUnavailableError``: the item waits
and is tried again. No sentence holds a password.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql
from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.uri_parser import parse_uri
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from optimus.errors import OutputUnavailableError, SettingsError

CONNECT_SECONDS = 10
SELECT_SECONDS = 5
"""How long MongoDB's driver looks for a server that does not answer at once."""
READ_SECONDS = 6 * 3600
"""An index over a billion documents takes hours; a worker that hangs is replaced long before."""
SQL_MODE = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)
PREPARE_SESSION = f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00'"
"""What the results depend on is set by every connection, whatever the server's own defaults."""

BY_NAME_SERVICE = "mongodb+srv://"
"""Such a URI is understood by asking the network's name service, which may be away."""

Document = dict[str, Any]


@dataclass(frozen=True)
class SqlServer:
    """A MySQL or MariaDB server, and the account on it.

    Attributes:
        host: name or address.
        port: TCP port.
        username: the account.
        password: its password; never shown.
        socket: path of a Unix socket; it is used instead of host and port.
        certificates: file of the authorities that vouch for the server; TLS is used with it.
    """

    host: str
    port: int = 3306
    username: str = ""
    password: str = field(default="", repr=False)
    socket: Path | None = None
    certificates: Path | None = None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"MySQL at {self.socket or f'{self.host}:{self.port}'}"

    def arguments(self, database: str | None = None) -> dict[str, Any]:
        """What any connection to the server is made with."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.username,
            "password": self.password,
            "unix_socket": str(self.socket) if self.socket else None,
            "ssl_ca": str(self.certificates) if self.certificates else None,
            "ssl_verify_identity": True if self.certificates else None,
            "database": database,
            "charset": "utf8mb4",
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "write_timeout": READ_SECONDS,
            "init_command": PREPARE_SESSION,
        }

    def connect(self, database: str | None = None) -> "pymysql.Connection[Cursor]":
        """Open a connection; statements commit by themselves.

        Raises:
            OutputUnavailableError: the server cannot be reached or does not let us in.
        """
        with self.errors():
            return pymysql.connect(autocommit=True, **self.arguments(database))

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into sentences with a remedy.

        Raises:
            OutputUnavailableError: whatever the server or the way to it did not allow.
        """
        try:
            yield
        except (pymysql.MySQLError, RuntimeError) as error:
            raise OutputUnavailableError(self.sentence(error)) from error
        except OSError as error:
            raise OutputUnavailableError(
                f"{self.place}: no secure connection with {self.certificates} "
                f"({error.strerror or error}). Mend SQL_TLS_CA."
            ) from error

    def sentence(self, error: Exception) -> str:
        """Say what a driver's error means and what to do; values never get into it."""
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if remedy := _REMEDIES.get(code):
            return f"{self.place}: {remedy} (error {code})."
        return f"{self.place} does not take what is written now ({type(error).__name__} {code})."


_GONE = "it cannot be reached. Start it or mend the setting; work goes on by itself when it is back"
_DENIED = (
    "the account lacks a right. Grant it CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, "
    "DELETE, CREATE VIEW on the databases of the courses, api and Person_Course; 'check' tells "
    "the statement"
)
_FULL = "its disk is full. Free space there; work goes on by itself"
_STORAGE = "its storage failed, most often because its disk is full. Free space there"
_READ_ONLY = "it takes no writes. Switch read_only off there, or name the server that takes them"
_NO_CONNECTION = "it has no free connection. Raise max_connections or lower WORKERS"
_KEYLESS = (
    "it takes no tables without a primary key. Set sql_require_primary_key (MariaDB: "
    "innodb_force_primary_key) to OFF there"
)
_REMEDIES: dict[int, str] = {
    CR.CR_CONNECTION_ERROR: _GONE,
    CR.CR_CONN_HOST_ERROR: _GONE,
    CR.CR_SERVER_GONE_ERROR: _GONE,
    CR.CR_SERVER_LOST: _GONE,
    ER.SERVER_SHUTDOWN: _GONE,
    ER.CON_COUNT_ERROR: _NO_CONNECTION,
    ER.ACCESS_DENIED_ERROR: "user name or password is wrong. Mend SQL_USERNAME and SQL_PASSWORD",
    ER.DBACCESS_DENIED_ERROR: _DENIED,
    ER.TABLEACCESS_DENIED_ERROR: _DENIED,
    ER.SPECIFIC_ACCESS_DENIED_ERROR: _DENIED,
    ER.DISK_FULL: _FULL,
    ER.RECORD_FILE_FULL: _FULL,
    ER.ERROR_ON_WRITE: _FULL,
    ER.GET_ERRNO: _STORAGE,
    ER.ERROR_DURING_COMMIT: _STORAGE,
    ER.OPTION_PREVENTS_STATEMENT: _READ_ONLY,
    1836: _READ_ONLY,
    1792: _READ_ONLY,
    ER.NET_PACKET_TOO_LARGE: "a row is larger than a packet may be. Raise max_allowed_packet there",
    ER.BAD_DB_ERROR: "the database is not there any more; it is tried again",
    ER.NO_SUCH_TABLE: "a table that is needed is not there any more; it is tried again",
    ER.QUERY_INTERRUPTED: "somebody stopped the statement; it is tried again",
    1927: _GONE,
    4031: _GONE,
    1698: "it wants another way to log in. Give the account a "
    "password, and mend SQL_USERNAME and SQL_PASSWORD",
    ER.HOST_NOT_PRIVILEGED: "the account may not come from this machine. Create it for this host",
    ER.HOST_IS_BLOCKED: "it blocks this machine after failed connections. Run FLUSH HOSTS there",
    ER.TOO_MANY_USER_CONNECTIONS: _NO_CONNECTION,
    ER.USER_LIMIT_REACHED: _NO_CONNECTION,
    ER.REQUIRES_PRIMARY_KEY: _KEYLESS,
    3750: _KEYLESS,
    ER.LOCK_WAIT_TIMEOUT: "another statement holds a lock for too long; it is tried again",
    ER.LOCK_DEADLOCK: "two statements waited for each other; it is tried again",
}


@dataclass(frozen=True)
class MongoServer:
    """A MongoDB server or replica set.

    Attributes:
        uri: ``mongodb://…``; it may hold a password and is never shown.
    """

    uri: str = field(repr=False)

    @classmethod
    def at(cls, host: str) -> "MongoServer":
        """Understand ``MONGO_HOST``: a host, a host:port, or a whole URI.

        Raises:
            SettingsError: it is none of these.
        """
        uri = host if "://" in host else f"mongodb://{host}"
        if uri.startswith(BY_NAME_SERVICE):
            return cls(uri)
        try:
            parse_uri(uri, validate=True, warn=False)
        except OSError as error:
            raise SettingsError(
                f"MONGO_HOST names the file {error.filename}: {error.strerror}."
            ) from error
        except (PyMongoError, ValueError) as error:
            raise SettingsError(
                "MONGO_HOST is no host, host:port or mongodb:// URI "
                f"({type(error).__name__}); special characters in a password are written as %40."
            ) from error
        return cls(uri)

    @property
    def place(self) -> str:
        """Where it is, for people."""
        if self.uri.startswith(BY_NAME_SERVICE):
            return f"MongoDB at {self.uri.rpartition('@')[2].partition('/')[0].split('//')[-1]}"
        nodes = parse_uri(self.uri)["nodelist"]
        return "MongoDB at " + ", ".join(f"{host}:{port}" for host, port in nodes)

    def connect(self) -> "MongoClient[Document]":
        """Make a client; it connects when it is first used. Writes reach the disk first."""
        with self.errors():
            return MongoClient(
                self.uri,
                tz_aware=True,
                serverSelectionTimeoutMS=SELECT_SECONDS * 1000,
                connectTimeoutMS=CONNECT_SECONDS * 1000,
                socketTimeoutMS=READ_SECONDS * 1000,
                appname="optimus_ingestor",
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn the driver's errors into sentences with a remedy.

        Raises:
            OutputUnavailableError: whatever the server or the way to it did not allow.
        """
        try:
            yield
        except PyMongoError as error:
            raise OutputUnavailableError(self.sentence(error)) from error
        except OSError as error:
            raise OutputUnavailableError(
                f"{self.place}: no secure connection ({error}). Mend MONGO_HOST."
            ) from error

    def sentence(self, error: PyMongoError) -> str:
        """Say what a driver's error means and what to do; values never get into it."""
        if isinstance(error, ConfigurationError):
            return (
                f"{self.place}: MONGO_HOST is not usable, or the server is older than 5.0 "
                f"({type(error).__name__})."
            )
        if isinstance(error, OperationFailure):
            remedy = _MONGO_REMEDIES.get(error.code or 0)
            code = f"error {error.code}"
            return (
                f"{self.place}: {remedy} ({code})."
                if remedy
                else f"{self.place} does not take what is written now ({code})."
            )
        if isinstance(error, ServerSelectionTimeoutError):
            return f"{self.place}: {_GONE}."
        return f"{self.place}: {_GONE} ({type(error).__name__})."


_MONGO_REMEDIES = {
    13: "the account lacks a right. Grant it readWrite on logs and discussion_forum",
    18: "user name or password is wrong. Mend MONGO_HOST",
    85: "an index exists with another definition. Drop it; the next run makes it anew",
    86: "an index exists with another definition. Drop it; the next run makes it anew",
    8000: "user name or password is wrong. Mend MONGO_HOST",
    14031: _FULL,
}
