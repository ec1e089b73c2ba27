"""What may be a name in MySQL, and what type a column gets there."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from optimus.errors import BadFileError

LONGEST_NAME = 64
LONGEST_FILE_NAME = 240
"""Bytes: servers keep a table in files of its name, a letter outside ASCII taking five."""
MOST_COLUMNS = 1017
LARGEST_ROW = 65_535
INDEXED_CHARACTERS = 191
LAST_OF_THREE_BYTES = 0xFFFF
SYSTEM_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
LEAVE_OUT = "Name the table in the setting MYSQL_LEAVE_OUT; then it stays in the lake alone."

SQL_NULL = r"\N"
TEXT_NULL = "NULL"

_LEGACY_TYPES = {
    **dict.fromkeys(("state", "content", "meta"), "longtext"),
    **dict.fromkeys(
        ("created", "modified", "created_date", "modified_date", "last_login", "date_joined"),
        "datetime",
    ),
    **dict.fromkeys(
        ("bio", "feedback", "feedback_text", "raw_answer", "explanation", "goals"), "text"
    ),
    "mailing_address": "text",
}
_TEXT_TYPE = re.compile(r"(?i)(?:var)?char\b|(?:tiny|medium|long)?text\b")
_BLOB_TYPE = re.compile(r"(?i)(?:tiny|medium|long)?(?:text|blob)\b|json\b")
_SIZED_TEXT = re.compile(r"(?i)(?:var)?char\((\d+)\)")
_BYTES_OF_OTHERS = 12


@dataclass(frozen=True)
class SqlTable:
    """A table in MySQL.

    Attributes:
        database: the database it is in.
        name: its name there.
        schema: what its batches look like.
        unique: columns that together are different in every row; where the rows break that,
            the key becomes a plain one and a note says so.
        indexes: columns of further keys.
        types: exact MySQL types of some columns (``{"YoB": "year"}``); the others get theirs
            from the schema.
        serial_id: the table gets a first column ``id`` that numbers its rows.
        legacy_text: the types and spellings of the original, on which old readers rely:
            nearly all is text, and nothing is the text ``NULL``.
    """

    database: str
    name: str
    schema: pa.Schema
    unique: tuple[str, ...] = ()
    indexes: tuple[tuple[str, ...], ...] = ()
    types: Mapping[str, str] = field(default_factory=dict)
    serial_id: bool = False
    legacy_text: bool = False

    def __str__(self) -> str:
        return f"{self.database}.{self.name}"


@dataclass
class Column:
    """A column in the making.

    Attributes:
        source: its name in the batches.
        name: its name in MySQL.
        type: its MySQL type; it changes when wider values come.
        null: what is loaded for a null.
    """

    source: str
    name: str
    type: str
    null: str

    @property
    def definition(self) -> str:
        """How it is written in CREATE and ALTER TABLE."""
        return f"{quoted(self.name)} {self.type}"

    @property
    def is_required(self) -> bool:
        """Whether a null has no place in it."""
        return self.null == SQL_NULL and "not null" in self.type.casefold()

    @property
    def key_part(self) -> str:
        """How it is written in a key; of long text the beginning counts."""
        length = f"({INDEXED_CHARACTERS})" if _BLOB_TYPE.match(self.type) else ""
        return f"{quoted(self.name)}{length}"

    @property
    def key_value(self) -> str:
        """What two rows must not share when it is in a unique key."""
        if _BLOB_TYPE.match(self.type):
            return f"LEFT({quoted(self.name)}, {INDEXED_CHARACTERS})"
        return quoted(self.name)


def quoted(name: str) -> str:
    """Write a name so that MySQL takes it for nothing else; the only place that does."""
    return "`" + name.replace("`", "``") + "`"


def path_of(database: str, table: str) -> str:
    """Write the full name of a table."""
    return f"{quoted(database)}.{quoted(table)}"


def check_names(table: SqlTable) -> None:
    """See that a server can have this table.

    Raises:
        BadFileError: it cannot, or must not.
    """
    _check_name("database", table.database)
    if table.database.casefold() in SYSTEM_DATABASES:
        raise _unusable("database", table.database, "it belongs to the server itself")
    if any(character in table.database for character in "/\\."):
        raise _unusable("database", table.database, "it has one of / \\ . in it")
    _check_name("table", table.name)
    if len(table.schema) > MOST_COLUMNS - table.serial_id:
        raise _unusable("table", table.name, f"it has more than {MOST_COLUMNS:,} columns")


def columns_of(table: SqlTable) -> list[Column]:
    """Decide the names and types of a table's columns.

    Raises:
        BadFileError: a column's name cannot be one in MySQL, or two are the same there.
    """
    columns = [_column(table, part) for part in table.schema]
    taken = {"id"} if table.serial_id else set()
    for column in columns:
        _check_name("column", column.name)
        if column.name.casefold() in taken:
            raise _unusable("column", column.name, f"{table.name} has it twice, to MySQL's mind")
        taken.add(column.name.casefold())
    _fit_into_row(columns)
    return columns


def _column(table: SqlTable, part: "pa.Field[Any]") -> Column:
    name = "_key" if table.legacy_text and part.name == "key" else part.name
    default = _legacy_type(part) if table.legacy_text else _true_type(part.type)
    kind = table.types.get(part.name) or table.types.get(name) or default
    as_text = table.legacy_text and _TEXT_TYPE.match(kind)
    return Column(part.name, name, kind, TEXT_NULL if as_text else SQL_NULL)


def _legacy_type(part: "pa.Field[Any]") -> str:
    if part.name == "id" and pa.types.is_integer(part.type):
        return "int NOT NULL"
    kind = _LEGACY_TYPES.get(part.name, "varchar(255)")
    # In a table that nobody knows a column of that name may hold anything.
    is_text_after_all = kind == "datetime" and not pa.types.is_timestamp(part.type)
    return "varchar(255)" if is_text_after_all else kind


def _true_type(kind: pa.DataType) -> str:
    rules = (
        (pa.types.is_boolean, "tinyint(1)"),
        (pa.types.is_uint64, "bigint unsigned"),
        (pa.types.is_integer, "bigint"),
        (pa.types.is_floating, "double"),
        (pa.types.is_timestamp, "datetime(6)"),
        (pa.types.is_date, "date"),
    )
    return next((name for is_one, name in rules if is_one(kind)), "varchar(255)")


def _fit_into_row(columns: Iterable[Column]) -> None:
    """Where the columns are too many for one row, keep their text beside the rows."""
    columns = list(columns)
    if len(columns) // 8 + sum(_row_bytes(column.type) for column in columns) < LARGEST_ROW:
        return
    for column in columns:
        if column.type == "varchar(255)":
            column.type = "text"


def _row_bytes(kind: str) -> int:
    sized = _SIZED_TEXT.match(kind)
    return 4 * int(sized[1]) + 2 if sized else _BYTES_OF_OTHERS


def _check_name(thing: str, name: str) -> None:
    if not name.strip():
        raise _unusable(thing, name, "it is blank")
    if len(name) > LONGEST_NAME:
        raise _unusable(thing, name, f"it has {len(name)} characters, {LONGEST_NAME} are allowed")
    if name.endswith(" ") or "\0" in name or any(not _is_plain(letter) for letter in name):
        raise _unusable(thing, name, "a character in it is not allowed there")
    if thing != "column" and sum(map(_file_bytes, name)) > LONGEST_FILE_NAME:
        raise _unusable(thing, name, "with so many letters outside ASCII it is too long")


def _is_plain(letter: str) -> bool:
    """Whether MySQL's three-byte UTF-8 has the letter."""
    return ord(letter) <= LAST_OF_THREE_BYTES and unicodedata.category(letter) != "Cs"


def _file_bytes(letter: str) -> int:
    return 1 if letter.isascii() and (letter.isalnum() or letter in "_$") else 5


def _unusable(thing: str, name: str, why: str) -> BadFileError:
    return BadFileError(f"MySQL cannot have the {thing} {name!r}: {why}. {LEAVE_OUT}")
