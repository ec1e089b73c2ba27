"""The logs that ``import-legacy`` writes, and the ledger of what is in them.

A part is complete on the disk before the ledger counts it, and gets its name only after that.
A kill before the ledger is written leaves a part that was never there; a kill after it, a
part that the next run gives its name. So no document is written twice, and none left out.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from optimus.errors import OutputUnavailableError, UsageError
from optimus.outputs.mongo_export import (
    NOTHING_YET,
    OBJECT_IDS,
    Bracket,
    Exported,
    id_from_json,
    id_to_json,
    spelled_id,
)
from optimus.outputs.staging import FILE_MODE, make_folder, to_disk
from optimus.package.files import GzipFile
from optimus.package.layout import LOGS_FOLDER
from optimus.package.names import FROM_MONGODB

COMPRESSION = 2
LEDGER = "import.json"
# Not .tmp: a daemon that starts meanwhile removes hidden files of that name.
UNFINISHED = ".unfinished"

_NUMBERED = re.compile(rf"{FROM_MONGODB}(\d{{6,}})-.+")


@dataclass
class Ledger:
    """What is in the parts, as the next run must know it.

    Attributes:
        parts: how many there are.
        documents: how many documents they hold.
        newest: the name of the last one.
        last: the greatest ``_id`` of each bracket in them, as JSON.
    """

    parts: int = 0
    documents: int = 0
    newest: str = ""
    last: dict[str, Any] = field(default_factory=dict)


class _Part:
    """A log that is being written."""

    def __init__(self, path: Path, number: int, bracket: Bracket) -> None:
        self.path = path
        self.number = number
        self.bracket = bracket
        self.documents = 0
        self.last: Any = None
        self._first: Any = None
        self._file = path.open("wb")
        # Without name and time in it, the same documents always give the same bytes.
        self._packed = GzipFile(
            filename="", mode="wb", compresslevel=COMPRESSION, fileobj=self._file, mtime=0
        )

    @property
    def name(self) -> str:
        """What it will be called: by its number, its first and its last document."""
        kind = "" if self.bracket is OBJECT_IDS else f"{self.bracket.name}-"
        ids = f"{spelled_id(self._first)}-{spelled_id(self.last)}"
        return f"{FROM_MONGODB}{self.number:06}-{kind}{ids}.log.gz"

    def add(self, documents: list[Exported]) -> None:
        self._packed.write(b"".join(document.line for document in documents))
        if not self.documents:
            self._first = documents[0].id
        self.last = documents[-1].id
        self.documents += len(documents)

    def complete(self) -> None:
        self._packed.close()
        self._file.flush()
        os.fchmod(self._file.fileno(), FILE_MODE)
        os.fsync(self._file.fileno())
        self._file.close()

    def discard(self) -> None:
        for close in (self._packed.close, self._file.close, self.path.unlink):
            with suppress(OSError, ValueError):
                close()


class Parts:
    """The logs that an import has written and writes, and the ledger of them.

    Attributes:
        logs: the folder they lie in.
        most: documents that one log holds at the most.
        ledger: what is in them.
    """

    def __init__(self, folder: Path, documents_per_part: int) -> None:
        """Read how far earlier runs got.

        Args:
            folder: where the ledger lies, and the folder of the logs.
            documents_per_part: the most that one log holds.

        Raises:
            UsageError: there are logs that the ledger does not know, or it cannot be read.
        """
        self.logs = folder / LOGS_FOLDER
        self.most = documents_per_part
        self._path = folder / LEDGER
        self._draft = folder / f".{LEDGER}{UNFINISHED}"
        self._part: _Part | None = None
        self.ledger = self._read_ledger()

    @property
    def documents(self) -> int:
        """How many documents are written, in the unfinished part too."""
        return self.ledger.documents + (self._part.documents if self._part else 0)

    @property
    def standing(self) -> str:
        """How far the import got, for people."""
        if not self.ledger.parts:
            return "No log is written yet."
        return (
            f"{counted(self.ledger.documents, 'document')} in "
            f"{counted(self.ledger.parts, 'log')} are safe below {self.logs}."
        )

    def last(self, bracket: Bracket) -> Any:
        """The greatest ``_id`` of a bracket that is in a part, or ``NOTHING_YET``."""
        if bracket.name not in self.ledger.last:
            return NOTHING_YET
        return id_from_json(self.ledger.last[bracket.name])

    def recover(self) -> None:
        """Give a part that the ledger counts its name, and remove what was never complete.

        Raises:
            OutputUnavailableError: the folder cannot be written to.
        """
        make_folder(self.logs)
        with self._errors():
            complete = self._hidden(self.ledger.parts)
            if complete.exists():
                self._name(complete)
            for left in (*self.logs.glob(f".{FROM_MONGODB}*{UNFINISHED}"), self._draft):
                left.unlink(missing_ok=True)

    def add(self, bracket: Bracket, documents: list[Exported]) -> None:
        """Write the next documents; call ``finish`` before those of another bracket.

        Raises:
            OutputUnavailableError: they cannot be written.
        """
        with self._errors():
            while documents:
                if self._part is None:
                    number = self.ledger.parts + 1
                    self._part = _Part(self._hidden(number), number, bracket)
                room = self.most - self._part.documents
                self._part.add(documents[:room])
                documents = documents[room:]
                if self._part.documents == self.most:
                    self._publish(self._part)

    def finish(self) -> None:
        """Publish what is in the unfinished part, if there is one.

        Raises:
            OutputUnavailableError: it cannot be written.
        """
        if self._part is not None:
            with self._errors():
                self._publish(self._part)

    def discard(self) -> None:
        """Remove the unfinished part; never raises."""
        if self._part is not None:
            self._part.discard()
            self._part = None
            with suppress(OSError):
                self._draft.unlink()

    def _publish(self, part: _Part) -> None:
        part.complete()
        to_disk(self.logs)
        ledger = Ledger(
            part.number,
            self.ledger.documents + part.documents,
            part.name,
            self.ledger.last | {part.bracket.name: id_to_json(part.last)},
        )
        self._draft_ledger(ledger)
        # From here on nothing removes the part but the next run, which asks the ledger.
        self._part = None
        self._draft.replace(self._path)
        self.ledger = ledger
        to_disk(self._path.parent)
        self._name(part.path)

    def _name(self, complete: Path) -> None:
        complete.replace(self.logs / self.ledger.newest)
        to_disk(self.logs)

    def _hidden(self, number: int) -> Path:
        return self.logs / f".{FROM_MONGODB}{number}{UNFINISHED}"

    def _draft_ledger(self, ledger: Ledger) -> None:
        with self._draft.open("w", encoding="utf-8") as file:
            json.dump(asdict(ledger), file, indent=2)
            file.flush()
            os.fchmod(file.fileno(), FILE_MODE)
            os.fsync(file.fileno())

    def _read_ledger(self) -> Ledger:
        ledger = Ledger()
        try:
            with self._errors():
                if self._path.exists():
                    ledger = Ledger(**json.loads(self._path.read_text(encoding="utf-8")))
                named = [_NUMBERED.fullmatch(path.name) for path in self.logs.glob("*")]
            for _id in ledger.last.values():
                id_from_json(_id)
            usable = all(int(name[1]) <= ledger.parts for name in named if name)
        except (ValueError, TypeError, AttributeError):
            usable = False
        if not usable:
            raise UsageError(
                f"{self._path} says which documents are in the logs beside it. It is lost, damaged "
                "or older than they are. Put its newest back-up there."
            )
        return ledger

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputUnavailableError(
                f"{self._path.parent} cannot be used ({error.strerror}). Free space there, or give "
                "your user the right to write."
            ) from error


def counted(number: int, thing: str) -> str:
    """How many there are of something, for people."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
