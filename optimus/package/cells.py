r"""The bytes of one row of a ``.sql`` file, taken apart into cells; and cells, written as text.

A backslash belongs to the byte after it. So a TAB after a backslash is data, and ``\\n`` is a
backslash and an n, never a line end.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from optimus.errors import BadRecordError

NULL = b"NULL"

Value = str | int | float | datetime | None
"""What a cell can mean; moments are aware."""

_WRITTEN_AS = str.maketrans({"\\": r"\\", "\r": r"\r", "\t": r"\t", "\n": r"\n", "\0": r"\0"})
_ESCAPES: tuple[tuple[bytes, bytes], ...] = (
    (rb"\n", b"\n"),
    (rb"\t", b"\t"),
    (rb"\r", b"\r"),
    (rb"\0", b"\0"),
    (b"\\\t", b"\t"),
)

# Only what Python itself writes for bytes: printable ASCII and these escapes.
_WRITTEN = rb"""(?:[^\x00-\x1f\x7f-\xff\\%s]++|\\(?:[\\'"ntr]|x[0-9a-f]{2}))*+"""
_BYTES_LITERAL = re.compile(
    rb"b'(" + _WRITTEN.replace(b"%s", b"'") + rb")'"
    rb'|b"(' + _WRITTEN.replace(b"%s", b'"') + rb')"'
)
_LITERAL_ESCAPE = re.compile(rb"\\(?:x(..)|(.))")
_LITERAL_MEANING = {b"n": b"\n", b"t": b"\t", b"r": b"\r"}


class Cell(NamedTuple):
    """A cell that is not NULL.

    Attributes:
        text: what was meant.
        odd_escapes: backslashes before a byte that means nothing; both bytes are kept.
        replaced_utf8: replacement characters put where bytes were not UTF-8.
    """

    text: str
    odd_escapes: int
    replaced_utf8: int


def ends_in_backslash(raw: bytes) -> bool:
    """Say whether the last backslash has no byte to belong to."""
    return raw.endswith(b"\\") and (len(raw) - len(raw.rstrip(b"\\"))) % 2 == 1


def split_row(line: bytes) -> list[bytes]:
    """Split a row at its unescaped TABs; the cells keep their escapes."""
    parts = line.split(b"\t")
    if b"\\\t" not in line:
        return parts
    cells: list[bytes] = []
    open_parts: list[bytes] = []
    for part in parts:
        open_parts.append(part)
        if not ends_in_backslash(part):
            cells.append(b"\t".join(open_parts))
            open_parts = []
    if open_parts:
        cells.append(b"\t".join(open_parts))
    return cells


def unescape(raw: bytes) -> tuple[bytes, int]:
    """Undo the escapes of a cell in one pass, and count those that mean nothing.

    Returns:
        What was meant, and the number of odd escapes, which are kept as they are.
    """
    # Taking the double backslashes out first leaves single ones that cannot touch each other,
    # so within a part the order of the replacements does not matter.
    parts = raw.split(b"\\\\")
    odd_escapes = 0
    for index, part in enumerate(parts):
        if b"\\" in part:
            meant = part
            for written, byte in _ESCAPES:
                meant = meant.replace(written, byte)
            odd_escapes += meant.count(b"\\")
            parts[index] = meant
    return b"\\".join(parts), odd_escapes


def decode_text(raw: bytes) -> tuple[str, int]:
    """Decode UTF-8; what is not UTF-8 becomes U+FFFD.

    Returns:
        The text, and the number of replacements.
    """
    text = raw.decode("utf-8", "replace")
    return text, text.count("\ufffd") - raw.count("\ufffd".encode())


def decode_cell(raw: bytes) -> Cell | None:
    """Give what a cell of a row means; None for NULL, which is not the same as blank."""
    if raw == NULL:
        return None
    meant, odd_escapes = unescape(raw)
    text, replaced = decode_text(meant)
    return Cell(text, odd_escapes, replaced)


def is_bytes_literal(raw: bytes) -> bool:
    """Say whether a cell is written as the ``b'...'`` of the producer's faulty month."""
    return _BYTES_LITERAL.fullmatch(raw) is not None


def read_bytes_literal(raw: bytes) -> bytes:
    """Evaluate a ``b'...'`` cell, without Python's own evaluation.

    Raises:
        BadRecordError: the cell is not such a literal.
    """
    match = _BYTES_LITERAL.fullmatch(raw)
    if match is None:
        raise BadRecordError("bytes_literal", "a cell is not b'...' as in the file's first row")
    body = raw[2:-1]
    return _LITERAL_ESCAPE.sub(_literal_byte, body) if b"\\" in body else body


def _literal_byte(match: re.Match[bytes]) -> bytes:
    code, letter = match.groups()
    return bytes.fromhex(code.decode()) if code else _LITERAL_MEANING.get(letter, letter)


def escape(text: str) -> str:
    """Spell a text as the cell of most tables."""
    return text.translate(_WRITTEN_AS)


def write_cell(value: Value, escape: Callable[[str], str] = escape) -> str:
    """Spell a value as a cell."""
    if value is None:
        return NULL.decode()
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return str(int(value)) if isinstance(value, bool) else str(value)
