"""The rows of table files and the documents of forum files."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Row = dict[str, str | None]

WHOLE = re.compile(r"[+-]?\d{1,19}")
LITERAL = re.compile(rb"b'.*'|b\".*\"", re.DOTALL)
NO_VALUE = (None, "", "None", "none", "null")


def is_number(text: str) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def is_whole(text: str) -> bool:
    return WHOLE.fullmatch(text) is not None


KINDS: dict[str, Callable[[str], bool]] = {
    "user_id": is_whole,
    "student_id": is_whole,
    "year_of_birth": is_whole,
    "is_active": lambda text: text in ("0", "1", "true", "false"),
    "is_staff": lambda text: text in ("0", "1", "true", "false"),
    "grade": is_number,
    "max_grade": is_number,
}
"""Columns with a kind; grade has one among the module states and is text among certificates."""
ESCAPES = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"0": b"\0",
    b"\\": b"\\",
    b"\t": b"\t",
}


def read_table(path: Path | None) -> list[Row]:
    """The rows that can be typed, in the order of the file; none when there is no file."""
    if path is None:
        return []
    lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    if not lines:
        return []
    header = [cell.decode().strip().lower() for cell in lines[0].split(b"\t")]
    rows = [split_cells(line) for line in lines[1:]]
    if rows and all(LITERAL.fullmatch(cell) for row in rows for cell in row):
        rows = [[ast.literal_eval(cell.decode()) for cell in row] for row in rows]
    typed = (
        dict(zip(header, map(cell_text, row), strict=True))
        for row in rows
        if len(row) == len(header)
    )
    return [row for row in typed if can_be_typed(row)]


def can_be_typed(row: Row) -> bool:
    """A row with a cell that is not of its column's kind is set aside, and so is one without id."""
    if "id" in row and whole_number(row["id"]) is None:
        return False
    return all(
        text in NO_VALUE or kind(text)
        for column, kind in KINDS.items()
        for text in [row.get(column)]
        if "state" in row or column != "grade"
    )


def split_cells(line: bytes) -> list[bytes]:
    """Split at every TAB without a backslash before it; a backslash keeps the next byte."""
    cells = [b""]
    place = 0
    while place < len(line):
        if line[place : place + 1] == b"\\":
            cells[-1] += line[place : place + 2]
            place += 2
        elif line[place : place + 1] == b"\t":
            cells.append(b"")
            place += 1
        else:
            # Everything up to the next TAB or backslash at once: some cells are long.
            found = re.compile(rb"[^\t\\]+").match(line, place)
            assert found is not None
            cells[-1] += found[0]
            place = found.end()
    return cells


def cell_text(cell: bytes) -> str | None:
    if cell == b"NULL":
        return None
    parts = re.split(rb"(\\.)", cell, flags=re.DOTALL)
    plain = [
        ESCAPES.get(part[1:], part) if len(part) == 2 and part.startswith(b"\\") else part
        for part in parts
    ]
    return b"".join(plain).decode("utf-8", "replace")


def whole_number(text: str | None) -> int | None:
    if text is None or not WHOLE.fullmatch(text.strip()):
        return None
    return int(text)


def read_posts(path: Path | None) -> dict[str, dict[str, Any]]:
    """The documents of a forum file by their id, the last version of each."""
    found = {}
    for line in path.read_bytes().split(b"\n") if path else []:
        try:
            document = json.loads(line.decode("utf-8", "replace"))
        except ValueError:
            continue
        for oid in object_ids(document):
            found[oid] = document
    return found


def object_ids(document: object) -> Iterator[str]:
    """The id of a document, or nothing when it has none."""
    value = document.get("_id") if isinstance(document, dict) else None
    if isinstance(value, dict):
        value = value.get("$oid")
    if isinstance(value, str):
        yield value


def post_author(document: dict[str, Any]) -> int | None:
    author = document.get("author_id")
    if isinstance(author, int) and not isinstance(author, bool):
        return author
    return whole_number(author) if isinstance(author, str) else None
