"""The connection over which rows reach MySQL, and what its errors mean.

``LOAD DATA LOCAL`` is the fastest way in, with a trap: the server may ask for any file of ours.
This connection answers with rows out of memory, and with nothing else.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import RLock
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import CLIENT, CR, ER
from pymysql.cursors import Cursor

from optimus.errors import BadFileError, OutputUnavailableError
from optimus.outputs.mysql_columns import LEAVE_OUT, SqlTable, path_of
from optimus.servers import SqlServer

FILE_NAME = "optimus"
PACKET_BYTES = 1 << 20
ANSWER_SECONDS = 3600
"""Adding a key to a large table takes its time, and the server says nothing meanwhile."""

_PREPARE = (
    "SET SESSION max_error_count = 65535, wait_timeout = 28800, net_read_timeout = 600, "
    "net_write_timeout = 600, lock_wait_timeout = 120, lc_messages = 'en_US'"
)
_UNFIT = {
    ER.TOO_BIG_ROWSIZE: "its rows are too wide",
    ER.TOO_MANY_FIELDS: "it has too many columns",
    ER.TOO_LONG_IDENT: "a name in it is too long",
    ER.TOO_LONG_KEY: "a key of it is too long",
    ER.DUP_FIELDNAME: "two of its columns have the same name, to MySQL's mind",
    ER.WRONG_DB_NAME: "its database cannot have this name",
    ER.WRONG_TABLE_NAME: "it cannot have this name",
    ER.WRONG_COLUMN_NAME: "a column of it cannot have this name",
    ER.INVALID_CHARACTER_STRING: "a name in it has a character that is not allowed there",
}


def code_of(error: Exception) -> int:
    """The number by which the server or the driver knows an error; 0 without one."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


if TYPE_CHECKING:
    _Connection = pymysql.Connection[Cursor]
else:
    _Connection = pymysql.Connection  # only the stubs know of its cursors


class RowsConnection(_Connection):
    """A connection that answers a request for a file with rows out of memory.

    PyMySQL's own option ``local_infile`` stays off, so that nothing of it ever opens a file;
    the server is only told that we could send one.
    """

    takes_files = True

    def __init__(self, server: SqlServer) -> None:
        """Connect; statements commit by themselves.

        Raises:
            pymysql.MySQLError: the server cannot be reached or does not let us in.
        """
        self._offered: Iterator[memoryview] | None = None
        self._place = server.place
        super().__init__(**server.arguments(), autocommit=True, client_flag=CLIENT.LOCAL_FILES)
        self.be_patient(ANSWER_SECONDS)
        self.rows_of(_PREPARE)
        [[most]] = self.rows_of("SELECT @@max_allowed_packet")
        self.largest_packet = int(most)
        self.packet_bytes = min(PACKET_BYTES, self.largest_packet // 2)

    def be_patient(self, seconds: int) -> None:
        """Wait so long for an answer from now on."""
        self._read_timeout = seconds

    def rows_of(self, statement: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
        """Run one statement, and give the rows that it answers with."""
        with self.cursor() as cursor:
            cursor.execute(statement, values or None)
            return tuple(cursor.fetchall())

    def send_rows(self, statement: str, rows: Iterator[memoryview]) -> int:
        """Run a LOAD DATA LOCAL INFILE of ``FILE_NAME``.

        Returns:
            How many rows the server took.

        Raises:
            OutputUnavailableError: the server asked for anything else; nothing left us.
        """
        self._offered = rows
        try:
            return self.query(statement)
        finally:
            self._offered = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Take everything back that was not committed, whatever happens."""
        self.begin()
        try:
            yield
        finally:
            with suppress(pymysql.MySQLError):  # a lost server takes it back by itself
                self.rollback()

    def tables_like(self, database: str, start: str, end: str = "") -> list[str]:
        """Give the full names of the tables of a database that begin and end so."""
        pattern = start.replace("_", r"\_") + "%" + end
        found = self.rows_of(
            "SELECT TABLE_NAME FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME LIKE %s",
            (database, pattern),
        )
        return [path_of(database, name) for (name,) in found]

    def drop(self, tables: Sequence[str]) -> None:
        """Drop the tables of these full names, those that exist."""
        if tables:
            self.rows_of(f"DROP TABLE IF EXISTS {', '.join(tables)}")

    def last_warnings(self) -> tuple[Any, ...]:
        """What the last statement was warned of: level, code, message."""
        result: MySQLResult | None = self._result
        return self.rows_of("SHOW WARNINGS") if result and result.warning_count else ()

    def answer_request(self, name: bytes) -> None:
        """Send the rows of the statement under way, if they are what the server asks for.

        A connection that breaks off in the middle is closed: to the server the end of the
        data is the end of the table, and it would keep a part as if it were all.
        """
        is_complete = False
        try:
            if self._offered is None or name != FILE_NAME.encode():
                raise OutputUnavailableError(
                    f"{self._place} asked for a file of this machine and got nothing. Whoever "
                    "answers there is not to be trusted: check SQL_HOST, and use TLS."
                )
            for rows in self._offered:
                for start in range(0, len(rows), self.packet_bytes):
                    self.write_packet(rows[start : start + self.packet_bytes])
            self.write_packet(b"")
            is_complete = True
        finally:
            if not is_complete:
                self.cut()

    def cut(self) -> None:
        """Close without a word to the server; it takes back what is not committed."""
        self._force_close()  # type: ignore[attr-defined] # not in the stubs

    def _read_query_result(
        self,
        unbuffered: bool = False,  # noqa: ARG002, FBT001, FBT002 - the driver's signature
    ) -> int | None:
        self._result = None
        result = _Result(self)
        result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return result.affected_rows


class _Result(MySQLResult):
    """An answer of the server, which may be a request for a file."""

    def _read_load_local_packet(self, first_packet: Any) -> None:
        connection = self.connection
        if not isinstance(connection, RowsConnection):
            raise pymysql.OperationalError(CR.CR_COMMANDS_OUT_OF_SYNC, "no such connection")
        connection.answer_request(first_packet.get_all_data()[1:])
        packet = connection._read_packet()  # type: ignore[no-untyped-call] # noqa: SLF001 - as the driver does
        self._read_ok_packet(packet)  # type: ignore[attr-defined] # not in the stubs


class Session:
    """The connection of one try, made when it is first used; threads take turns with it.

    Attributes:
        server: where it leads.
    """

    def __init__(self, server: SqlServer) -> None:
        self.server = server
        self._connection: RowsConnection | None = None
        self._turn = RLock()

    @property
    def connection(self) -> RowsConnection:
        """The connection; use it inside ``errors``."""
        if self._connection is None:
            self._connection = RowsConnection(self.server)
        return self._connection

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that was not lost yet."""
        return self._connection is not None and self._connection.open

    def hang_up(self) -> None:
        """Close the connection; the next use makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(pymysql.MySQLError):  # it may be closed already, from either side
                connection.close()

    @contextmanager
    def errors(self, table: SqlTable | None = None) -> Iterator[None]:
        """Tell what the server can never do from what it cannot do now; others wait meanwhile.

        Args:
            table: the one that is worked on.

        Raises:
            BadFileError: MySQL cannot have such a table.
            OutputUnavailableError: anything else that the server does not do.
        """
        with self._turn, self.server.errors():
            try:
                yield
            except pymysql.MySQLError as error:
                why = _UNFIT.get(code_of(error))
                if table is None or why is None:
                    raise
                raise BadFileError(
                    f"MySQL cannot have the table {table}: {why} (error {code_of(error)}). "
                    f"{LEAVE_OUT}"
                ) from error
