"""Bringing rows into a MySQL table so that none is changed on the way.

With ``LOAD DATA LOCAL`` a server mends what does not fit (``abc`` becomes 0) and merely warns.
Here a batch goes in without a single warning; the rows that were warned of stay out.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pymysql
from pymysql.constants import ER

from optimus.errors import BadFileError, OutputUnavailableError
from optimus.outputs.mysql_columns import LEAVE_OUT, TEXT_NULL, Column, quoted
from optimus.outputs.mysql_connection import FILE_NAME, PACKET_BYTES, RowsConnection, code_of
from optimus.outputs.mysql_text import pieces, texts

_ROW = re.compile(r"^Row ([0-9]+) |at row ([0-9]+)$")
_FILES_FORBIDDEN = (ER.NOT_ALLOWED_COMMAND, 3948, 4166)
_KINDS = {
    ER.WARN_DATA_OUT_OF_RANGE: "is out of range",
    ER.WARN_DATA_TRUNCATED: "does not fit",
    ER.TRUNCATED_WRONG_VALUE: "is no value of its type",
    ER.TRUNCATED_WRONG_VALUE_FOR_FIELD: "is no value of its type",
    ER.DATA_TOO_LONG: "is too long",
}


class Refused(NamedTuple):
    """A row that the server does not take as it is.

    Attributes:
        row: its position in the batch, from 0.
        detail: which column and why; never the value.
    """

    row: int
    detail: str


def load(
    connection: RowsConnection, target: str, columns: Sequence[Column], batch: pa.RecordBatch
) -> list[Refused]:
    """Bring a batch into a table, in one transaction.

    Args:
        connection: a connection.
        target: the table, quoted.
        columns: its columns that are loaded.
        batch: the rows.

    Returns:
        The rows that the server would have changed; they are not in the table.

    Raises:
        BadFileError: it would change something, and does not say in which row.
        OutputUnavailableError: it does not take all rows, and does not say why.
        pymysql.MySQLError: it does not take any.
    """
    refused = _missing_values(columns, batch)
    while len(refused) < batch.num_rows:
        kept: Sequence[int] = range(batch.num_rows)
        rest = batch
        if refused:
            kept = [row for row in kept if row not in refused]
            rest = batch.take(pa.array(kept))
        with connection.transaction():
            complaints = _send(connection, target, columns, rest)
            if not complaints:
                connection.commit()
                break
        for position, detail in complaints:
            refused.setdefault(kept[position], detail)
    return [Refused(row, detail) for row, detail in sorted(refused.items())]


def _missing_values(columns: Sequence[Column], batch: pa.RecordBatch) -> dict[int, str]:
    """Find the rows without a value that they must have; not every server names them."""
    found: dict[int, str] = {}
    for column in columns:
        values = batch.column(column.source)
        if column.is_required and values.null_count:
            rows: list[Any] = pc.indices_nonzero(values.is_null()).to_pylist()
            for row in rows:
                found.setdefault(row, f"column {column.name} has no value (MySQL 1048)")
    return found


def _send(
    connection: RowsConnection, target: str, columns: Sequence[Column], batch: pa.RecordBatch
) -> list[Refused]:
    if connection.takes_files:
        try:
            return _send_file(connection, target, columns, batch)
        except pymysql.MySQLError as error:
            if code_of(error) not in _FILES_FORBIDDEN:
                raise
            connection.takes_files = False
    return _insert(connection, target, columns, batch)


def _send_file(
    connection: RowsConnection, target: str, columns: Sequence[Column], batch: pa.RecordBatch
) -> list[Refused]:
    taken = connection.send_rows(
        f"LOAD DATA LOCAL INFILE '{FILE_NAME}' INTO TABLE {target} CHARACTER SET utf8mb4 "
        r"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
        f"({_names(columns)})",
        pieces(columns, batch),
    )
    return _complaints(connection, columns) or _all_taken(taken, batch.num_rows)


def _insert(
    connection: RowsConnection, target: str, columns: Sequence[Column], batch: pa.RecordBatch
) -> list[Refused]:
    """Do the same by statements. IGNORE makes the server name all rows, not just the first."""
    head = f"INSERT IGNORE INTO {target} ({_names(columns)}) VALUES ".encode()  # noqa: S608 - quoted
    complaints: list[Refused] = []
    done = taken = 0
    for rows in _packets(_values(connection, columns, batch), connection.packet_bytes - len(head)):
        if len(head) + len(rows[0]) >= connection.largest_packet:
            # The server would say so too, and hang up before it can be heard.
            raise pymysql.OperationalError(ER.NET_PACKET_TOO_LARGE, "a row is too large")
        taken += connection.query(head + b",".join(rows))
        found = _complaints(connection, columns)
        complaints += [Refused(done + row, detail) for row, detail in found]
        done += len(rows)
    return complaints or _all_taken(taken, batch.num_rows)


def _names(columns: Sequence[Column]) -> str:
    return ", ".join(quoted(column.name) for column in columns)


def _values(
    connection: RowsConnection, columns: Sequence[Column], batch: pa.RecordBatch
) -> Iterator[bytes]:
    """Write each row as the driver writes values."""
    size = max(1, PACKET_BYTES * batch.num_rows // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, size):
        part = batch.slice(start, size)
        cells = [_literals(connection, column, part.column(column.source)) for column in columns]
        for row in zip(*cells, strict=True):
            yield f"({','.join(row)})".encode()


def _literals(connection: RowsConnection, column: Column, values: "pa.Array[Any]") -> Iterator[str]:
    text = texts(column, values)
    if text.null_count and column.null == TEXT_NULL:
        text = text.fill_null(column.null)
    return map(connection.escape, text.to_pylist())


def _packets(rows: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    waiting: list[bytes] = []
    size = 0
    for row in rows:
        if waiting and size + len(row) >= most:
            yield waiting
            waiting, size = [], 0
        waiting.append(row)
        size += len(row) + 1
    if waiting:
        yield waiting


def _all_taken(taken: int, rows: int) -> list[Refused]:
    if taken != rows:
        raise OutputUnavailableError(
            f"MySQL took {taken:,} of {rows:,} rows without a warning; they are sent again."
        )
    return []


def _complaints(connection: RowsConnection, columns: Sequence[Column]) -> list[Refused]:
    """What the last statement would have changed, by the position of the row in it."""
    return [_complaint(int(code), text, columns) for _, code, text in connection.last_warnings()]


def _complaint(code: int, text: str, columns: Sequence[Column]) -> Refused:
    """Read a warning. It quotes the value, so nothing of it is passed on.

    Raises:
        BadFileError: it does not say which row it is about.
    """
    found = _ROW.search(text)
    if found is None:
        raise BadFileError(
            f"MySQL does not take the rows as they are and names none (warning {code}). {LEAVE_OUT}"
        )
    row = int(found[1] or found[2])
    names = (column.name for column in columns)
    name = next((name for name in names if _is_about(text, name, row)), None)
    subject = f"column {name}" if name else "a value"
    return Refused(row - 1, f"{subject} {_KINDS.get(code, 'is refused')} (MySQL {code})")


def _is_about(text: str, column: str, row: int) -> bool:
    return text.endswith((f"'{column}' at row {row}", f"`{column}` at row {row}"))
