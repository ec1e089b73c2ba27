"""The cells of many rows, one column at a time, as typed Arrow arrays.

Arrow converts a whole column at once when every cell has the plain form of its type. Otherwise
each cell goes through the Python function that defines the type, and what cannot be kept is
noted for its row.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from optimus.package.cells import NULL, decode_text
from optimus.package.tables import ColumnType

_SMALLEST_INTEGER = -(2**63)
_LARGEST_INTEGER = 2**63 - 1

_NULL_WORDS = (NULL, b"", b"None", b"none", b"null")
_NULL_WORDS_ARRAY = pa.array(_NULL_WORDS, pa.binary())
_NULL_SCALAR = pa.scalar(NULL, pa.binary())
_NO_BYTES = pa.scalar(None, pa.binary())

_INTEGER = re.compile(rb"[+-]?[0-9]{1,40}")
_REAL = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DATETIME = re.compile(
    rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|\+00:?00)?"
)
_BOOLEANS = {b"0": False, b"1": True, b"false": False, b"true": True}


@dataclass
class Findings:
    """What is to be said of the rows of one batch, by their position in it.

    Attributes:
        rejects: rows that cannot be kept, and why; the first reason counts.
        remarks: (row, kind, how many) for rows that are kept with a change.
    """

    rejects: dict[int, tuple[str, str]] = field(default_factory=dict)
    remarks: list[tuple[int, str, int]] = field(default_factory=list)


def parse_integer(raw: bytes) -> int:
    """Read a 64-bit integer.

    Raises:
        ValueError: it is not one.
    """
    number = int(raw) if _INTEGER.fullmatch(raw) else None
    if number is None or not _SMALLEST_INTEGER <= number <= _LARGEST_INTEGER:
        raise ValueError
    return number


def parse_real(raw: bytes) -> float:
    """Read a finite number.

    Raises:
        ValueError: it is not one.
    """
    number = float(raw) if _REAL.fullmatch(raw) else math.inf
    if not math.isfinite(number):
        raise ValueError
    return number


def parse_boolean(raw: bytes) -> bool:
    """Read ``0`` or ``1``, or the words.

    Raises:
        ValueError: it is neither.
    """
    value = _BOOLEANS.get(raw.lower())
    if value is None:
        raise ValueError
    return value


def parse_datetime(raw: bytes) -> datetime:
    """Read ``YYYY-MM-DD HH:MM:SS[.ffffff]``, in UTC.

    Raises:
        ValueError: it is not written so, or no calendar has it.
    """
    if not _DATETIME.fullmatch(raw):
        raise ValueError
    return datetime.fromisoformat(raw.decode("ascii")).replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Rule:
    """How the cells of one type are read.

    Attributes:
        arrow_type: what a column of them becomes.
        plain: the form that Arrow reads exactly as ``parse`` does.
        parse: the definition of the type, raising ValueError.
        noun: what a cell should have been, for people.
    """

    arrow_type: pa.DataType
    plain: str
    parse: Callable[[bytes], object]
    noun: str


_RULES: dict[ColumnType, _Rule] = {
    ColumnType.INTEGER: _Rule(pa.int64(), "^-?[0-9]{1,18}$", parse_integer, "a 64-bit integer"),
    ColumnType.REAL: _Rule(
        pa.float64(), r"^-?[0-9]{1,17}(\.[0-9]{1,25})?$", parse_real, "a finite number"
    ),
    ColumnType.BOOLEAN: _Rule(pa.bool_(), "^[01]$", parse_boolean, "a boolean"),
    ColumnType.DATETIME: _Rule(
        pa.timestamp("us", "UTC"),
        r"^[1-9][0-9]{3}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?$",
        parse_datetime,
        "a datetime",
    ),
}


def arrow_type(kind: ColumnType) -> pa.DataType:
    """Give the Arrow type of a column of this kind."""
    return _RULES[kind].arrow_type if kind in _RULES else pa.string()


def convert_column(
    name: str, kind: ColumnType, cells: Sequence[bytes], findings: Findings
) -> "pa.Array[Any]":
    """Turn the unescaped cells of a column into an array of the same length.

    Args:
        name: the column, for the findings.
        kind: what its cells should hold.
        cells: one cell for each row of the batch.
        findings: where rows are noted that cannot be kept, or only with a change.
    """
    if kind in _RULES:
        return _typed_column(name, kind, cells, findings)
    return _text_column(cells, findings)


def blank_column(cells: Sequence[bytes], findings: Findings) -> "pa.Array[Any]":
    """Keep a column without its values, and note the rows that had one."""
    findings.remarks += [
        (row, "blanked", 1) for row, cell in enumerate(cells) if cell not in _NULL_WORDS
    ]
    return pa.nulls(len(cells), pa.string())


def _text_column(cells: Sequence[bytes], findings: Findings) -> "pa.Array[Any]":
    raw = pa.array(cells, pa.binary())
    is_null = pc.equal(raw, _NULL_SCALAR)
    if pc.any(is_null).as_py():
        raw = pc.if_else(is_null, _NO_BYTES, raw)
    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return _repaired_text(cells, findings)


def _repaired_text(cells: Sequence[bytes], findings: Findings) -> "pa.Array[Any]":
    texts: list[str | None] = []
    for row, cell in enumerate(cells):
        text, replaced = decode_text(cell)
        texts.append(None if cell == NULL else text)
        if replaced:
            findings.remarks.append((row, "replaced_utf8", replaced))
    return pa.array(texts, pa.string())


def _typed_column(
    name: str, kind: ColumnType, cells: Sequence[bytes], findings: Findings
) -> "pa.Array[Any]":
    rule = _RULES[kind]
    raw = pa.array(cells, pa.binary())
    is_null = pc.is_in(raw, value_set=_NULL_WORDS_ARRAY)
    if pc.any(is_null).as_py():
        raw = pc.if_else(is_null, _NO_BYTES, raw)
    if pc.all(pc.match_substring_regex(raw, rule.plain), min_count=0).as_py():
        try:
            return _cast(raw.cast(pa.string()), rule.arrow_type)
        except pa.ArrowInvalid:
            pass  # 2015-02-30 has the plain form too: the cells below tell which row it is
    return _cell_by_cell(name, kind, cells, findings)


def _cast(text: "pa.Array[Any]", target: pa.DataType) -> "pa.Array[Any]":
    if pa.types.is_timestamp(target):
        # Text without a zone only becomes a time without one; naming UTC afterwards is free.
        return text.cast(pa.timestamp("us")).cast(target)
    return text.cast(target)


def _cell_by_cell(
    name: str, kind: ColumnType, cells: Sequence[bytes], findings: Findings
) -> "pa.Array[Any]":
    rule = _RULES[kind]
    values: list[object] = []
    for row, cell in enumerate(cells):
        value: object = None
        if cell not in _NULL_WORDS:
            try:
                value = rule.parse(cell)
            except ValueError:
                if kind is ColumnType.DATETIME:
                    findings.remarks.append((row, "unusable_datetime", 1))
                else:
                    detail = f"column {name} is not {rule.noun}"
                    findings.rejects.setdefault(row, ("type", detail))
        values.append(value)
    return pa.array(values, rule.arrow_type)
