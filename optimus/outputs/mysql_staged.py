"""One table of MySQL while it is written: its rows, its keys, and where it comes from."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import numpy as np
import pyarrow as pa
import pymysql
from pymysql.constants import ER

from optimus.outputs.mysql_columns import Column, SqlTable, columns_of, path_of, quoted
from optimus.outputs.mysql_connection import Session, code_of
from optimus.outputs.mysql_load import Refused, load
from optimus.outputs.mysql_text import wider_type

Origin = Callable[[], Mapping[str, str]]
"""Names and values for the comment of a table: source, gen, epoch, delivered and so on."""

DEFAULTS = "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"
LONGEST_COMMENT = 2048
COMMENT_PREFIX = "optimus "
_KEPT_LONGEST = ("source", "gen", "epoch", "delivered")
_SERIAL_ID = "`id` int NOT NULL AUTO_INCREMENT PRIMARY KEY"


class StagedTable:
    """A table that readers do not see yet; usable in a ``with`` block.

    Attributes:
        table: what it will be.
        rows: how many are in it.
        is_complete: it was closed, and may be published.
        live: where readers will find it, quoted, like ``target`` and ``replaced``.
        target: where it is now.
        replaced: where the table that it replaces goes.
        digest: what its names and those of its other tries end with.
    """

    def __init__(
        self, session: Session, table: SqlTable, mark: str, origin: Origin, notes: list[str]
    ) -> None:
        """Decide names and types; nothing is asked of the server.

        Raises:
            BadFileError: MySQL cannot have such columns.
        """
        self.table = table
        self.rows = 0
        self.is_complete = False
        self.live = path_of(table.database, table.name)
        self.digest = digest_of(self.live)[:16]
        self.target = path_of(table.database, f"stg_{mark}_{self.digest}")
        self.replaced = path_of(table.database, f"old_{mark}_{self.digest}")
        self._session = session
        self._origin = origin
        self._notes = notes
        self._columns = columns_of(table)
        self._last_key: int | None = None
        self._is_keyed = self._has_plain_key()

    def _has_plain_key(self) -> bool:
        """Whether the unique key is one number that every row has.

        Most dumps are in its order. Then the table has the key from the start, and the server
        need not write it all a second time to build the key at the end.
        """
        parts = self._parts(self.table.unique)
        is_number = pa.types.is_integer
        return len(parts) == 1 and all(
            part.is_required and is_number(self.table.schema.field(part.source).type)
            for part in parts
        )

    def create(self) -> None:
        """Make the empty table."""
        serial = [_SERIAL_ID] if self.table.serial_id else []
        parts = serial + [column.definition for column in self._columns]
        if self._is_keyed:
            parts.append(f"UNIQUE {self._key(self.table.unique, 0)}")
        self._session.connection.drop([self.target])
        self._session.connection.rows_of(
            f"CREATE TABLE {self.target} ({', '.join(parts)}) "
            f"ENGINE=InnoDB {DEFAULTS} ROW_FORMAT=DYNAMIC"
        )

    def load(self, batch: pa.RecordBatch) -> list[Refused]:
        """Add rows.

        Returns:
            The rows that do not fit the types; they are not in the table.

        Raises:
            BadFileError: MySQL cannot have such rows.
            OutputUnavailableError: the server does not take them now.
        """
        if not batch.schema.equals(self.table.schema):
            batch = batch.cast(self.table.schema)
        with self._session.errors(self.table):
            self._widen(batch)
            self._follow_order(batch)
            refused = load(self._session.connection, self.target, self._columns, batch)
            if not self._session.connection.takes_files:
                self._note(
                    f"{self._session.server.place}: the server forbids LOAD DATA LOCAL INFILE: "
                    "rows go in by statements, about 3 times slower; set local_infile=1 on the "
                    "server."
                )
        self.rows += batch.num_rows - len(refused)
        return refused

    def close(self) -> None:
        """Build the keys, and write down where the rows come from.

        Raises:
            BadFileError: MySQL cannot have such keys.
            OutputUnavailableError: the server does not do it now.
        """
        if self.is_complete:
            return
        with self._session.errors(self.table):
            try:
                self._finish(is_unique=True)
            except pymysql.MySQLError as error:
                if code_of(error) != ER.DUP_ENTRY:
                    raise
                self._tell_doubles()
                self._finish(is_unique=False)
        self.is_complete = True

    def _note(self, sentence: str) -> None:
        if sentence not in self._notes:
            self._notes.append(sentence)

    def _widen(self, batch: pa.RecordBatch) -> None:
        """Change the types that are too narrow for what comes, before it comes."""
        changes: list[str] = []
        for column in self._columns:
            wider = wider_type(column.type, batch.column(column.source))
            if wider:
                column.type = wider
                changes.append(f"MODIFY {column.definition}")
        if changes:
            statement = f"ALTER TABLE {self.target} {', '.join(changes)}"
            self._session.connection.rows_of(statement)

    def _follow_order(self, batch: pa.RecordBatch) -> None:
        """Give up the key for now when rows come out of its order: they may repeat one."""
        if not self._is_keyed:
            return
        [name] = self.table.unique
        keys = np.asarray(batch.column(name).drop_null())
        if not len(keys):
            return
        before = keys[:1] - 1 if self._last_key is None else [self._last_key]
        self._last_key = int(keys[-1])
        if np.any(np.diff(keys, prepend=before) <= 0):
            self._is_keyed = False
            key = _key_name(self.table.unique, 0)
            self._session.connection.rows_of(f"ALTER TABLE {self.target} DROP KEY {key}")

    def _finish(self, *, is_unique: bool) -> None:
        """Add the keys and the comment in one go, for each go may copy the table."""
        keys = [self.table.unique] if self.table.unique else []
        keys += self.table.indexes
        changes = [
            f"ADD {'UNIQUE ' if is_unique and key is self.table.unique else ''}"
            f"{self._key(key, number)}"
            for number, key in enumerate(keys)
            if not (self._is_keyed and key is self.table.unique)
        ]
        connection = self._session.connection
        changes.append(f"COMMENT = {connection.escape(_comment(self._origin()))}")
        connection.rows_of(f"ALTER TABLE {self.target} {', '.join(changes)}")

    def _key(self, columns: Sequence[str], number: int) -> str:
        parts = ", ".join(part.key_part for part in self._parts(columns))
        return f"KEY {_key_name(columns, number)} ({parts})"

    def _parts(self, key: Sequence[str]) -> list[Column]:
        by_name = {column.source: column for column in self._columns}
        return [by_name[name] for name in key]

    def _tell_doubles(self) -> None:
        values = [part.key_value for part in self._parts(self.table.unique)]
        [[doubled]] = self._session.connection.rows_of(
            f"SELECT COUNT(*) FROM (SELECT 1 FROM {self.target} "  # noqa: S608 - names are quoted
            f"WHERE {' AND '.join(f'{value} IS NOT NULL' for value in values)} "
            f"GROUP BY {', '.join(values)} HAVING COUNT(*) > 1) doubled"
        )
        names = ", ".join(self.table.unique)
        self._note(
            f"{self.table}: some rows share an {names}: {doubled:,} of its values occur more than "
            "once, so the key is a plain one."
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()


def digest_of(text: str) -> str:
    """A short word for a text, as part of a name."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _comment(origin: Mapping[str, str]) -> str:
    """Write the origin into as much room as a comment has; the longest values go first."""
    kept = dict(origin)
    spare = sorted(set(kept) - set(_KEPT_LONGEST), key=lambda name: (len(str(kept[name])), name))
    while len(text := COMMENT_PREFIX + json.dumps(kept, separators=(",", ":"))) > LONGEST_COMMENT:
        if spare:
            del kept[spare.pop()]
        else:
            longest = max(kept, key=lambda name: len(str(kept[name])))
            kept[longest] = str(kept[longest])[: len(str(kept[longest])) // 2]
    return text


def _key_name(columns: Sequence[str], number: int) -> str:
    return quoted(f"{'_'.join(columns)[:60]}_{number}")
