"""Real servers for the tests: private ones, in temporary folders, on free ports.

mongod comes with a wheel of the workshop's requirements, MariaDB from the system
(``make servers`` installs it where it can).
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Protocol

import pymysql
import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from optimus.errors import OutputUnavailableError
from optimus.servers import MongoServer, SqlServer

START_SECONDS = 60
SYSTEM_SCHEMAS = ("mysql", "information_schema", "performance_schema", "sys")


class Program(Protocol):
    """A server that the tests may stop and start."""

    def start(self) -> None: ...

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None: ...


class _Process:
    """A server process with a folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def answers(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "output.txt").open("ab") as output:
            self._process = subprocess.Popen(self.command(), stdout=output, stderr=output)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "output.txt").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{self.command()[0]} does not start:\n{said}")
            time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it; with SIGKILL as if the power failed."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


class MariaDb(_Process):
    """A MariaDB server with the account root and no password."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options
        self._data = folder / "data"
        if not self._data.exists():
            subprocess.run(
                [
                    program("mariadb-install-db"),
                    "--no-defaults",
                    f"--datadir={self._data}",
                    f"--user={getpass.getuser()}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ],
                check=True,
                capture_output=True,
            )

    @property
    def server(self) -> SqlServer:
        return SqlServer("127.0.0.1", self.port, "root")

    def command(self) -> list[str]:
        return [
            program("mariadbd"),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.folder / 'mysql.sock'}",
            f"--pid-file={self.folder / 'mysql.pid'}",
            f"--user={getpass.getuser()}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--innodb-flush-log-at-trx-commit=1",
            "--local-infile=1",
            *self._options,
        ]

    def answers(self) -> bool:
        try:
            self.server.connect().close()
        except OutputUnavailableError:
            return False
        return True

    def execute(self, sql: str) -> list[tuple[object, ...]]:
        """Run one statement as root."""
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", autocommit=True, charset="utf8mb4"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def empty(self) -> None:
        """Drop every database and every account but root."""
        for (name,) in self.execute("SHOW DATABASES"):
            if str(name).casefold() not in SYSTEM_SCHEMAS:
                self.execute(f"DROP DATABASE `{name}`")
        for user, host in self.execute(
            "SELECT user, host FROM mysql.user WHERE user NOT IN ('root', 'mariadb.sys', 'mysql')"
        ):
            self.execute(f"DROP USER '{user}'@'{host}'")


class MongoDb(_Process):
    """A mongod without access control."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self._options = options
        self._data = folder / "data"
        self._data.mkdir(exist_ok=True)

    @property
    def server(self) -> MongoServer:
        return MongoServer.at(f"127.0.0.1:{self.port}")

    def command(self) -> list[str]:
        return [
            mongod(),
            f"--dbpath={self._data}",
            f"--port={self.port}",
            "--bind_ip=127.0.0.1",
            "--wiredTigerCacheSizeGB=0.5",
            "--quiet",
            f"--unixSocketPrefix={self.folder}",
            "--setParameter=diagnosticDataCollectionEnabled=false",
            *self._options,
        ]

    def answers(self) -> bool:
        client: MongoClient[dict[str, object]] = MongoClient(
            "127.0.0.1", self.port, serverSelectionTimeoutMS=500
        )
        with client:
            try:
                client.admin.command("ping")
            except PyMongoError:
                return False
        return True

    def empty(self) -> None:
        """Drop every database."""
        with self.server.connect() as client:
            for name in client.list_database_names():
                if name not in ("admin", "config", "local"):
                    client.drop_database(name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    """Path of a program of MariaDB; without it the test fails in CI and is named elsewhere."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    remedy = "'make servers' or: apt-get install mariadb-server"
    return found or _missing(f"{name} is not installed; {remedy}")


def mongod() -> str:
    """Path of mongod; without it the test fails in CI and is named elsewhere."""
    of_wheel = Path(sysconfig.get_path("purelib")) / "fiftyone" / "db" / "bin" / "mongod"
    if of_wheel.is_file():
        of_wheel.chmod(0o755)
        return str(of_wheel)
    return shutil.which("mongod") or _missing("mongod is not installed; 'make setup-dev' does it")


def _missing(sentence: str) -> str:
    if os.environ.get("CI"):
        pytest.fail(sentence)
    pytest.skip(sentence)
