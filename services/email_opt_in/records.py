"""The records of a CSV file, each with its place.

A quoted cell may hold line ends, so a record may have several lines. A quote that nobody closes
would take the learners below it into its cell: then the first line alone is unusable, and
reading goes on with the next one.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from optimus.package.cells import decode_text
from optimus.package.tsv import Line

LONGEST_RECORD = 8 << 10
"""Bytes; edX gives a name 255 characters, and an address and a course id not more."""


@dataclass(frozen=True)
class Record:
    """One record.

    Attributes:
        line: where it begins: line number, byte offset, and its bytes without the last line feed.
        cells: its cells; None when its quotes do not belong together.
        replaced_utf8: replacement characters put where bytes were not UTF-8.
    """

    line: Line
    cells: list[str] | None
    replaced_utf8: int = 0


def read_records(lines: Iterable[Line]) -> Iterator[Record]:
    """Cut lines into records, blank lines left out.

    Args:
        lines: the lines of the file, none over ``LONGEST_RECORD`` bytes. The first is the
            header, which says how many cells a record of several lines must have.
    """
    source = _Lines(lines)
    reader = csv.reader(source, strict=True)
    width = 0
    while True:
        cells = _next_cells(reader)
        taken = source.take()
        if not taken:
            return
        if cells is None or (len(taken) > 1 and width and len(cells) != width):
            source.give_back(taken[1:])
            yield Record(taken[0], None)
        elif cells:
            width = width or len(cells)
            yield _whole(taken, cells)


def _next_cells(reader: Iterator[list[str]]) -> list[str] | None:
    """The cells of the next record; none for a blank line or the end."""
    try:
        return next(reader, [])
    except csv.Error:
        return None


def _whole(taken: list[Line], cells: list[str]) -> Record:
    number, offset, _ = taken[0]
    raw = b"\n".join(line for _, _, line in taken)
    return Record((number, offset, raw), cells, decode_text(raw)[1])


class _Lines:
    """Lines on their way into the reader; remembers those of the record that is being read."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._size = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > LONGEST_RECORD:
            raise StopIteration  # the end of a record that would never end
        line = self._again.popleft() if self._again else next(self._lines)
        self._taken.append(line)
        self._size += len(line[2])
        return decode_text(line[2])[0] + "\n"

    def take(self) -> list[Line]:
        """The lines of the record, which is over."""
        taken, self._taken, self._size = self._taken, [], 0
        return taken

    def give_back(self, lines: list[Line]) -> None:
        """Let these come again."""
        self._again.extendleft(reversed(lines))
