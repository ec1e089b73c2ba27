"""Where a queue can live: a SQLite file, or the database ``api`` of a MySQL server.

Both give the same promises: a transaction that begins with ``serialised`` is alone, a claim
sees no row that another claim holds, and what a transaction has read stays true to its end.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor
from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from optimus.errors import OutputUnavailableError
from optimus.queue.tables import schema_version
from optimus.server_versions import TOO_OLD, parse_version
from optimus.servers import SqlServer

DATABASE = "api"
"""The original's name; old readers look there."""
SECONDS_BETWEEN_CLOCK_LOOKS = 60.0
SECONDS_FOR_A_LOCK = 300
LOCK_PREFIX = "optimus:"
LONGEST_LOCK_NAME = 64


class Hold(Protocol):
    """Locks that the server keeps for one try; they are free when its connection ends."""

    def lock(self, name: str) -> AbstractContextManager[None]:
        """Hold one more lock, waiting for it."""

    def check(self) -> None:
        """See that the locks are still held.

        Raises:
            OutputUnavailableError: they are not, or nobody knows.
        """


class Database(Protocol):
    """A place for a queue."""

    writing: Engine
    reading: Engine
    is_shared: bool
    """Whether daemons of other hosts may work from it."""

    def exists(self) -> bool:
        """Whether there is anything at the place."""

    def make(self) -> None:
        """Make an empty place for a queue when there is none.

        Raises:
            OutputUnavailableError: it cannot be made.
        """

    def now(self) -> float:
        """The time that all daemons of the queue agree on, as Unix seconds."""

    def sentence(self, error: DBAPIError) -> str:
        """What the operator reads when the queue cannot be used."""

    def hold(self, name: str, seconds: int = 0) -> AbstractContextManager[Hold]:
        """Keep other hosts away from a source during a try.

        Args:
            name: what to hold.
            seconds: how long to wait for another host that holds it.

        Raises:
            OutputUnavailableError: another try holds it.
        """


def database_at(place: Path | SqlServer) -> Database:
    """Name the place of a queue; nothing is opened yet."""
    return MySqlDatabase(place) if isinstance(place, SqlServer) else SqliteDatabase(place)


@contextmanager
def transaction(
    database: Database, engine: Engine, *, serialised: bool = False
) -> Iterator[Connection]:
    """One transaction; an error of the database becomes a sentence.

    Args:
        database: where.
        engine: one of its engines.
        serialised: wait until no other transaction of this kind is under way.

    Raises:
        OutputUnavailableError: the database cannot be used now.
    """
    try:
        with engine.begin() as connection:
            if serialised:
                connection.execute(select(schema_version).with_for_update())
            yield connection
    except IntegrityError:
        raise
    except DBAPIError as error:
        raise OutputUnavailableError(database.sentence(error)) from error


class SqliteDatabase:
    """A file of this host. Whatever writes is alone."""

    is_shared = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self.writing = self._engine("BEGIN IMMEDIATE")
        self.reading = self._engine("BEGIN")

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def make(self) -> None:
        """Make the folder; the file comes by itself."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputUnavailableError(
                f"STATE_PATH: {self._path.parent} cannot be made ({error.strerror}). "
                "Give the daemon's user the right to write there."
            ) from error

    def now(self) -> float:
        """This host's clock."""
        return time.time()

    def sentence(self, error: DBAPIError) -> str:
        """Name the file, and what can be done about it."""
        return (
            f"{self._path} cannot be used as the queue ({error.orig}). If the file is damaged, put "
            "its back-up there; without one, remove it: everything is ingested again."
        )

    @contextmanager
    def hold(self, name: str, seconds: int = 0) -> Iterator[Hold]:
        """Nothing to do: the worker's file locks reach all processes of this host."""
        del name, seconds
        yield _NothingToHold()

    def _engine(self, begin: str) -> Engine:
        engine = create_engine(f"sqlite:///{self._path}", connect_args={"timeout": 30})

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            # The driver's own transaction handling would start every write as a read.
            connection.isolation_level = None
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        return engine


class _NothingToHold:
    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        del name
        yield

    def check(self) -> None:
        return


class MySqlDatabase:
    """The database ``api`` of a server, which daemons of several hosts may share."""

    is_shared = True

    def __init__(self, server: SqlServer) -> None:
        self._server = server
        self.writing = self.reading = create_engine(
            "mysql+pymysql://",
            creator=self._connect,
            # Every statement sees what others have committed; rows that matter are locked.
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,
        )
        self._offset = 0.0
        self._looked_at = float("-inf")

    def exists(self) -> bool:
        """Whether the server has the database.

        Raises:
            OutputUnavailableError: it is out of reach, or too old to hold a queue.
        """
        with self._server.errors(), self._server.connect() as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT @@version, @@version_comment")
            version = parse_version(*(cursor.fetchone() or ("", "")))
            if version.is_too_old:
                raise OutputUnavailableError(f"{self._server.place}: {version} {TOO_OLD}")
            cursor.execute(
                "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (DATABASE,)
            )
            return cursor.fetchone() is not None

    def make(self) -> None:
        """Create the database."""
        if not self.exists():
            with self._server.errors(), self._server.connect() as connection:
                connection.cursor().execute(
                    f"CREATE DATABASE IF NOT EXISTS {DATABASE} "
                    "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
                )

    def now(self) -> float:
        """The server's clock: the hosts' own may differ by more than a lease."""
        if time.monotonic() - self._looked_at >= SECONDS_BETWEEN_CLOCK_LOOKS:
            with transaction(self, self.reading) as connection:
                told = connection.exec_driver_sql("SELECT UNIX_TIMESTAMP(NOW(6))").scalar_one()
            self._offset = float(told) - time.time()
            self._looked_at = time.monotonic()
        return time.time() + self._offset

    def sentence(self, error: DBAPIError) -> str:
        """Name the server, and what can be done about it."""
        orig = error.orig
        return self._server.sentence(orig if isinstance(orig, Exception) else error)

    @contextmanager
    def hold(self, name: str, seconds: int = 0) -> Iterator[Hold]:
        """Hold the source by a lock that ends with its connection, as file locks do."""
        connection = self._server.connect(DATABASE)
        try:
            hold = _ServerHold(self._server, connection)
            if not hold.take(name, seconds):
                raise OutputUnavailableError(
                    "It is still held by a worker of another host; it is tried again soon."
                )
            yield hold
        finally:
            connection.close()

    def _connect(self) -> "pymysql.Connection[Cursor]":
        # Guarded updates count the rows that they found, not those that look different after.
        return pymysql.connect(**self._server.arguments(DATABASE), client_flag=CLIENT.FOUND_ROWS)


class _ServerHold:
    """Named locks on one connection."""

    def __init__(self, server: SqlServer, connection: "pymysql.Connection[Cursor]") -> None:
        self._server = server
        self._connection = connection
        self._names: list[str] = []

    def take(self, name: str, seconds: int) -> bool:
        """Take a lock; False when somebody else has it all the time."""
        name = f"{LOCK_PREFIX}{name}"[:LONGEST_LOCK_NAME]
        taken = self._ask("SELECT GET_LOCK(%s, %s)", name, seconds) == 1
        if taken:
            self._names.append(name)
        return taken

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold one more lock, waiting for it."""
        if not self.take(name, SECONDS_FOR_A_LOCK):
            raise OutputUnavailableError(
                f"Another worker publishes for {name} since {SECONDS_FOR_A_LOCK} s; it is tried "
                "again soon."
            )
        try:
            yield
        finally:
            name = self._names.pop()
            # When the connection is gone, so is the lock.
            _ignoring_lost_connection(lambda: self._ask("SELECT RELEASE_LOCK(%s)", name))

    def check(self) -> None:
        """See that the server still knows us as the holder."""
        for name in self._names:
            if self._ask("SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", name) != 1:
                raise OutputUnavailableError("The lock on the source was lost; it is tried again.")

    def _ask(self, sql: str, *values: object) -> object:
        with self._server.errors(), self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            row = cursor.fetchone()
        return row[0] if row else None


def _ignoring_lost_connection(action: Callable[[], object]) -> None:
    try:
        action()
    except OutputUnavailableError:
        return
