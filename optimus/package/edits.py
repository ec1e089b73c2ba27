"""Lines that an operator has edited: what is read in place of what was delivered."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from optimus.package.files import Chunk


@dataclass(frozen=True, slots=True)
class Edit:
    """What is to be read in place of one line.

    Attributes:
        line: its number in the unpacked file, from 1.
        sha256: of the line as delivered, without its line feed.
        text: the bytes to read in its place.
    """

    line: int
    sha256: str
    text: bytes

    @property
    def changes_nothing(self) -> bool:
        """Whether the text is the delivered line itself."""
        return sha256_of(self.text) == self.sha256


class Edits:
    """The edits of one file, put in place while it is read."""

    def __init__(self, edits: Iterable[Edit] = ()) -> None:
        self._edits = {edit.line: edit for edit in edits}
        self._applied: set[int] = set()

    @property
    def count(self) -> int:
        """How many lines were edited so far."""
        return len(self._applied)

    @property
    def stale(self) -> list[int]:
        """After the last line: the lines that are not what they were when they were edited."""
        return sorted(self._edits.keys() - self._applied)

    def apply(self, chunk: Chunk) -> list[Chunk]:
        """Put the edits of a chunk in place.

        An edited line becomes a chunk of its own, so that the offset of every line stays the
        one it has in the delivered file.
        """
        numbers = range(chunk.first_line, chunk.first_line + len(chunk.lines))
        if not any(line in numbers for line in self._edits):
            return [chunk]
        pieces = [Chunk(chunk.first_line, chunk.offset, [])]
        for number, offset, line in chunk.numbered():
            edit = self._edits.get(number)
            if edit is not None and isinstance(line, bytes) and sha256_of(line) == edit.sha256:
                self._applied.add(number)
                pieces.append(Chunk(number, offset, [edit.text]))
                pieces.append(Chunk(number + 1, offset + len(line) + 1, []))
            else:
                pieces[-1].lines.append(line)
        return [piece for piece in pieces if piece.lines]

    def delivered_sha256(self, line: int) -> str | None:
        """Hash of a line as it was delivered, if an edit was read in its place."""
        return self._edits[line].sha256 if line in self._applied else None


def sha256_of(line: bytes) -> str:
    """By which a line is known again."""
    return hashlib.sha256(line).hexdigest()
