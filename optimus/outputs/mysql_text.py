"""Arrow's values as the text that MySQL loads.

All is done by Arrow, a column at a time: a loop over rows would cost more than the server does.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from optimus.outputs.mysql_columns import Column

PIECE_BYTES = 4 << 20

_ESCAPES = (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r"), ("\0", r"\0"))
"""What stands for what; the backslash comes first, for the others bring one with them."""

_TEXT = pa.large_string()
_TAB, _LINE_END, _NOTHING = (pa.scalar(text, _TEXT) for text in ("\t", "\n", ""))
_joined: Callable[..., "pa.Array[Any]"] = pc.binary_join_element_wise
_MICROSECONDS = pa.timestamp("us")
VARCHAR_CHARACTERS = 255
TEXT_BYTES = 65_535
_INT_LIMITS = (-(2**31), 2**31 - 1)


def pieces(columns: Sequence[Column], batch: pa.RecordBatch) -> Iterator[memoryview]:
    """Write a batch as lines of TAB separated cells, some megabytes at a time."""
    rows = max(1, PIECE_BYTES * batch.num_rows // max(1, batch.nbytes))
    for start in range(0, batch.num_rows, rows):
        yield memoryview(_lines(columns, batch.slice(start, rows)))


def texts(column: Column, values: "pa.Array[Any]") -> "pa.Array[Any]":
    """Write a column's values as text, without any escape; what is null stays it."""
    values = _plain(values)
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    elif pa.types.is_timestamp(values.type):
        return _moments(values, only_the_day=column.type.casefold().split()[0] == "date")
    elif pa.types.is_date64(values.type):
        values = values.cast(pa.date32())
    return values.cast(_TEXT)


def wider_type(kind: str, values: "pa.Array[Any]") -> str | None:
    """Give the type that a column needs for these values, or None when its own will do.

    Only the usual types get wider. What a table wants to be special (``year``) is left.
    """
    base, _, rest = kind.partition(" ")
    needs = _WIDER.get(base.casefold())
    wider = needs(_plain(values)) if needs and len(values) > values.null_count else None
    required = " NOT NULL" if "not null" in rest.casefold() else ""
    return f"{wider}{required}" if wider else None


def _lines(columns: Sequence[Column], batch: pa.RecordBatch) -> pa.Buffer:
    cells = [_cells(column, batch.column(column.source)) for column in columns]
    cells[-1] = _joined(cells[-1], _LINE_END, _NOTHING)
    if len(cells) == 1:
        return _bytes_of(cells[0])
    return _bytes_of(_joined(*cells, _TAB))


def _cells(column: Column, values: "pa.Array[Any]") -> "pa.Array[Any]":
    text = texts(column, values)
    if _is_text(_plain(values).type):
        held = _bytes_of(text).to_pybytes()
        for plain, escaped in _ESCAPES:
            if plain.encode() in held:
                text = pc.replace_substring(text, plain, escaped)
    return text.fill_null(column.null) if text.null_count else text


def _plain(values: "pa.Array[Any]") -> "pa.Array[Any]":
    """The same values, laid out as most functions of Arrow want them."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.cast(_TEXT) if pa.types.is_string_view(values.type) else values


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _bytes_of(text: "pa.Array[Any]") -> pa.Buffer:
    """The bytes of all texts in a row, which is what lies in an Arrow array already."""
    _, offsets, data = text.buffers()
    if not len(text) or offsets is None or data is None:
        return pa.py_buffer(b"")
    places = memoryview(offsets).cast("q")
    first, end = places[text.offset], places[text.offset + len(text)]
    return data.slice(first, end - first)


def _moments(values: "pa.Array[Any]", *, only_the_day: bool) -> "pa.Array[Any]":
    """Write moments in UTC, with a fraction of the second only where there is one."""
    moments = values.cast(pa.timestamp("us", values.type.tz), safe=False).cast(_MICROSECONDS)
    if only_the_day:
        return moments.cast(pa.date32()).cast(_TEXT)
    if not _has_fractions(moments):
        return moments.cast(pa.timestamp("s"), safe=False).cast(_TEXT)
    return pc.replace_substring_regex(moments.cast(_TEXT), r"\.0{6}$", "")


def _has_fractions(moments: "pa.Array[Any]") -> bool:
    whole = moments.cast(pa.timestamp("s", moments.type.tz), safe=False).cast(moments.type)
    return not whole.equals(moments)


def _largest(values: "pa.Array[Any]", measure: Callable[..., Any]) -> int:
    return int(pc.max(measure(values)).as_py() or 0)


def _wider_varchar(values: "pa.Array[Any]") -> str | None:
    # How many bytes is known without looking at the text; characters have to be counted.
    if not _is_text(values.type) or _largest(values, pc.binary_length) <= VARCHAR_CHARACTERS:
        return None
    return "longtext" if _largest(values, pc.utf8_length) > VARCHAR_CHARACTERS else None


def _wider_text(values: "pa.Array[Any]") -> str | None:
    if not _is_text(values.type) or _largest(values, pc.binary_length) <= TEXT_BYTES:
        return None
    return "longtext"


def _wider_int(values: "pa.Array[Any]") -> str | None:
    if not pa.types.is_integer(values.type):
        return None
    limits: dict[str, int] = pc.min_max(values).as_py()  # type: ignore[assignment] # a struct
    fits = _INT_LIMITS[0] <= limits["min"] and limits["max"] <= _INT_LIMITS[1]
    return None if fits else "bigint"


def _wider_datetime(values: "pa.Array[Any]") -> str | None:
    """Servers cut a fraction off without a word."""
    if pa.types.is_timestamp(values.type):
        return "datetime(6)" if _has_fractions(values) else None
    if not _is_text(values.type):
        return None
    return (
        "datetime(6)" if pc.any(pc.match_substring_regex(values, r"\.\d*[1-9]")).as_py() else None
    )


_WIDER: dict[str, Callable[["pa.Array[Any]"], str | None]] = {
    "varchar(255)": _wider_varchar,
    "text": _wider_text,
    "int": _wider_int,
    "int(11)": _wider_int,
    "datetime": _wider_datetime,
}
