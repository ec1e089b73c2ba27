"""The copy of rejects that an operator edits: JSON lines, of which ``text`` is to be changed.

Bytes that are no UTF-8 are in the text as the characters U+DC80 to U+DCFF.
"""

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from optimus.errors import UsageError
from optimus.outputs.rejects import Reject
from optimus.outputs.staging import FILE_MODE
from optimus.package.edits import Edit
from optimus.package.files import KEPT_OF_TOO_LONG


@dataclass(frozen=True)
class CopiedLine:
    """One line of a copy.

    Attributes:
        place: where in the copy it is, for people.
        service: what set it aside.
        file: logical name of the source.
        edit: the line, and what is to be read in its place.
    """

    place: str
    service: str
    file: str
    edit: Edit


def write_copy(path: Path, rejects: Iterable[tuple[str, str, Reject]]) -> tuple[int, int]:
    """Write rejects into a new file, each line once, for the owner and the group.

    Args:
        path: where nothing is yet.
        rejects: service, source and reject.

    Returns:
        How many lines were written, and how many left out: what is kept in part, or is of
        several lines, cannot be edited.

    Raises:
        UsageError: the file is there already, or cannot be written.
    """
    seen: set[tuple[str, str, int]] = set()
    left_out = 0
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            for service, name, reject in rejects:
                if len(reject.raw) >= KEPT_OF_TOO_LONG or b"\n" in reject.raw:
                    left_out += 1
                elif (service, name, reject.line) not in seen:
                    seen.add((service, name, reject.line))
                    file.write(_record(service, name, reject) + "\n")
    except FileExistsError as error:
        raise UsageError(f"{path} is already there. Name a new file, or remove it.") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}).") from error
    return len(seen), left_out


def _record(service: str, name: str, reject: Reject) -> str:
    text = reject.raw.decode("utf-8", "surrogateescape")
    record = {
        "service": service,
        "file": name,
        "line": reject.line,
        "offset": reject.offset,
        "reason": reject.reason,
        "detail": reject.detail,
        "sha256": reject.sha256,
        "text": text,
    }
    is_utf8 = not any("\udc80" <= character <= "\udcff" for character in text)
    return json.dumps(record, ensure_ascii=not is_utf8)


def read_copy(path: Path) -> Iterator[CopiedLine]:
    """The lines of a copy.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, start=1):
                if not raw.isspace():
                    yield _copied_line(f"{path}, line {number}", raw)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}).") from error


def _copied_line(place: str, raw: bytes) -> CopiedLine:
    try:
        record = json.loads(raw)
        text = record["text"].encode("utf-8", "surrogateescape")
        edit = Edit(int(record["line"]), str(record["sha256"]), text)
        return CopiedLine(place, str(record["service"]), str(record["file"]), edit)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # The error itself may quote a learner.
        raise UsageError(
            f"{place}: this is no JSON object with service, file, line, sha256 and text, as "
            "'rejects show NAME --save FILE' writes it."
        ) from error
