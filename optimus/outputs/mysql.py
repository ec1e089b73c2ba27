"""Writing tables in MySQL that appear whole or not at all.

What is written goes into staged tables under names of their own until ``publish``; there one
RENAME TABLE swaps them all with what readers see. The comment of a table says where it comes
from, so that this is swapped with it.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import pymysql
from pymysql.cursors import Cursor

from optimus.errors import BadFileError, OutputUnavailableError
from optimus.outputs.mysql_columns import SqlTable, check_names, quoted
from optimus.outputs.mysql_connection import RowsConnection, Session, code_of
from optimus.outputs.mysql_load import Refused
from optimus.outputs.mysql_staged import COMMENT_PREFIX, DEFAULTS, Origin, StagedTable, digest_of
from optimus.servers import SqlServer

__all__ = ["MySqlTables", "Origin", "Refused", "SqlTable", "StagedTable", "origin_of"]

log = logging.getLogger(__name__)

LOCK_SECONDS = 60
PATIENCE_SECONDS = 10


class MySqlTables:
    """The staged tables of one try.

    Attributes:
        notes: sentences for the operator, each said once.
    """

    def __init__(self, server: SqlServer, mark: str, origin: Origin) -> None:
        """Start with nothing staged; the server is asked when the first table is opened.

        Args:
            server: where the tables are.
            mark: ``<identity of the source>.<epoch>``, different for every try.
            origin: asked when a table ends, for what its comment says of where it is from.
        """
        identity, _, epoch = mark.partition(".")
        self.notes: list[str] = []
        self._session = Session(server)
        self._origin = origin
        self._source = _short(identity)
        self._try = f"{self._source}_{_short(epoch)}"
        self._staged: dict[str, StagedTable] = {}
        self._prepared: set[str] = set()

    def open(self, table: SqlTable) -> StagedTable:
        """Begin a table; what earlier tries of the source left in its database is removed.

        Raises:
            BadFileError: MySQL cannot have such a table.
            OutputUnavailableError: the server cannot be reached, or lacks a right or space.
        """
        check_names(table)
        staged = StagedTable(self._session, table, self._try, self._origin, self.notes)
        with self._session.errors(table):
            self._prepare(table.database)
            _is_there(self._session.connection, table)
            self._staged[staged.live] = staged
            staged.create()
        return staged

    def holds_newer(self, table: SqlTable, delivered: str) -> bool:
        """Whether readers see a later delivery already.

        Args:
            table: the table.
            delivered: ISO date of the delivery that would replace it.

        Raises:
            OutputUnavailableError: the server cannot be asked.
        """
        with self._session.errors(table):
            held = origin_of(self._session.connection, table.database, table.name)
        return _is_later(held, {**self._origin(), "delivered": delivered})

    def publish(self) -> None:
        """Let readers see all tables that were closed, in one step; the replaced ones go.

        A table stays as it is, with a note, where readers see a later delivery already.

        Raises:
            BadFileError: a view has the name of a table.
            OutputUnavailableError: the server does not do it; readers see the old tables.
        """
        ready = [staged for staged in self._staged.values() if staged.is_complete]
        if not ready:
            return
        with self._session.errors(), self._locks(ready):
            late = [staged for staged in ready if self._is_late(staged.table)]
            self._swap([staged for staged in ready if staged not in late])
            self._clear(ready, late)
        for staged in ready:
            del self._staged[staged.live]

    def discard(self) -> None:
        """Drop all that is staged and hang up; what a lost server keeps goes at the next try."""
        names = [staged.target for staged in self._staged.values()]
        try:
            with self._session.errors():
                self._drop_staged(names)
        except OutputUnavailableError as error:
            log.warning("Staged tables stay until the next try: %s", error)
        finally:
            self._staged.clear()
            self._session.hang_up()

    def _prepare(self, database: str) -> None:
        """Make a database, and remove what earlier tries of this source left there."""
        if database in self._prepared:
            return
        connection = self._session.connection
        connection.rows_of(f"CREATE DATABASE IF NOT EXISTS {quoted(database)} {DEFAULTS}")
        for kind in ("stg", "old"):
            connection.drop(connection.tables_like(database, f"{kind}_{self._source}_"))
        self._prepared.add(database)

    @contextmanager
    def _locks(self, ready: Iterable[StagedTable]) -> Iterator[None]:
        """Be the only one who publishes these tables; a lost connection frees them."""
        connection = self._session.connection
        # In one order for all, so that two who want the same tables do not wait for each other.
        names = sorted(f"optimus:{digest_of(staged.live)}" for staged in ready)
        try:
            for name in names:
                [[got]] = connection.rows_of("SELECT GET_LOCK(%s, %s)", (name, LOCK_SECONDS))
                if not got:
                    raise OutputUnavailableError(
                        f"{self._session.server.place}: another load publishes the same table; "
                        "it is tried again."
                    )
            yield
        finally:
            with suppress(pymysql.MySQLError):  # with a lost connection they are free already
                for name in names:
                    connection.rows_of("SELECT RELEASE_LOCK(%s)", (name,))

    def _is_late(self, table: SqlTable) -> bool:
        is_late = self.holds_newer(table, self._origin().get("delivered", ""))
        if is_late:
            self.notes.append(f"{table} stays as it is: it holds a later delivery.")
        return is_late

    def _swap(self, fresh: Iterable[StagedTable]) -> None:
        connection = self._session.connection
        renames: list[str] = []
        for staged in fresh:
            if _is_there(connection, staged.table):
                renames.append(f"{staged.live} TO {staged.replaced}")
            renames.append(f"{staged.target} TO {staged.live}")
        if renames:
            connection.rows_of(f"RENAME TABLE {', '.join(renames)}")

    def _clear(self, ready: Iterable[StagedTable], late: Iterable[StagedTable]) -> None:
        """Drop what no reader sees; under the locks nobody else is about to."""
        connection = self._session.connection
        try:
            connection.drop([staged.target for staged in late])
            for staged in ready:
                database = staged.table.database
                connection.drop(connection.tables_like(database, "old_", staged.digest))
        except pymysql.MySQLError as error:
            # The tables are published: to say that they are not would only load them again.
            self.notes.append(
                f"A table that was replaced could not be dropped (error {code_of(error)}); "
                "the next delivery does it."
            )

    def _drop_staged(self, names: Sequence[str]) -> None:
        """Drop over the connection at hand, or over a new one where it is lost."""
        if names and self._session.is_open:
            with suppress(pymysql.MySQLError):  # the new connection tells what is wrong
                self._drop_soon(names)
                return
        if names:
            self._session.hang_up()
            self._drop_soon(names)

    def _drop_soon(self, names: Sequence[str]) -> None:
        """Drop, but do not wait long for anybody: what stays goes at the next try."""
        connection = self._session.connection
        connection.be_patient(2 * PATIENCE_SECONDS)
        connection.rows_of(f"SET SESSION lock_wait_timeout = {PATIENCE_SECONDS}")
        connection.drop(names)


def origin_of(
    where: "SqlServer | pymysql.Connection[Cursor]", database: str, table: str
) -> dict[str, str] | None:
    """What a table says of where it is from; None for a foreign table, or none.

    Raises:
        OutputUnavailableError: the server cannot be asked.
        pymysql.MySQLError: the same, when it was given as a connection.
    """
    if isinstance(where, SqlServer):
        with where.errors(), where.connect() as connection:
            return origin_of(connection, database, table)
    _, comment = _entry(where, database, table)
    try:
        origin = (
            json.loads(comment.removeprefix(COMMENT_PREFIX))
            if comment.startswith(COMMENT_PREFIX)
            else None
        )
    except ValueError:
        return None
    return origin if isinstance(origin, dict) else None


def _entry(connection: "pymysql.Connection[Cursor]", database: str, table: str) -> tuple[str, str]:
    """The kind and the comment of a table; empty texts if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT TABLE_TYPE, TABLE_COMMENT FROM information_schema.TABLES "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
            (database, table),
        )
        found = cursor.fetchone()
    return (str(found[0]), str(found[1] or "")) if found else ("", "")


def _is_there(connection: RowsConnection, table: SqlTable) -> bool:
    """Whether readers see a table under this name.

    Raises:
        BadFileError: they see a view.
    """
    kind, _ = _entry(connection, table.database, table.name)
    if "VIEW" in kind:
        raise BadFileError(
            f"{table} is a view in MySQL, and a table is to take its place. Drop the view, or name "
            "the table in the setting MYSQL_LEAVE_OUT; then it stays in the lake alone."
        )
    return bool(kind)


def _is_later(held: Mapping[str, str] | None, ours: Mapping[str, str]) -> bool:
    """Whether a table is of a later delivery of the same course."""
    if not held or held.get("database", "") != ours.get("database", ""):
        return False
    delivered = ours.get("delivered")
    return bool(delivered) and held.get("delivered", "") > str(delivered)


def _short(text: str) -> str:
    """A word of at most twelve plain letters for a part of a mark."""
    return text if re.fullmatch("[0-9A-Za-z]{1,12}", text) else digest_of(text)[:12]
