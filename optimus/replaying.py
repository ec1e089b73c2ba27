"""The commands ``rejects replay`` and ``rejects show --save``: each line gets another chance."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from optimus.asking import WHAT_NOW, existing_queue
from optimus.errors import UsageError
from optimus.outputs.rejects_copy import CopiedLine, read_copy, write_copy
from optimus.package.edits import Edit
from optimus.package.files import KEPT_OF_TOO_LONG
from optimus.queue.reading import QueueReader
from optimus.queue.store import Queue
from optimus.rejecting import Choice, found_rejects, rejects_of, set_aside
from optimus.settings import Settings

MOST_EDITS = 10_000
MOST_EDITED_BYTES = 32 << 20
"""Of one file: they are in the memory while it is ingested."""


def save_rejects(settings: Settings, choice: Choice, out: Console, copy: Path) -> None:
    """Write rejects into a file, to be edited and given to ``replay``.

    Raises:
        UsageError: there are none, or the file cannot be written.
    """
    found = found_rejects(settings, choice)
    written, left_out = write_copy(copy, ((row.service, row.name, one) for row, one in found))
    out.print(
        f'{copy}: {written:,} lines, with learners\' data. Edit what is after "text", then: '
        f"rejects replay {choice.name} --lines {copy}",
        markup=False,
        highlight=False,
    )
    if left_out:
        out.print(f"{left_out:,} left out: over 1 MB, or a record of several lines.")


def replay_rejects(settings: Settings, choice: Choice, out: Console, copy: Path | None) -> None:
    """Queue files with rejects again, so that each of their lines gets another chance.

    Args:
        settings: where the queue is.
        choice: which.
        out: the terminal.
        copy: rejects that were edited, to be read in place of the delivered lines; only
            their files are queued again.

    Raises:
        UsageError: there are none, they cannot be ingested now, or the copy does not fit.
    """
    queue = existing_queue(settings)
    if copy is None:
        wishes = [(one.row, list[Edit]()) for one in set_aside(queue, choice)]
    else:
        wishes = list(_edited(settings, queue, choice, copy))
    if not wishes:
        raise choice.nothing_found() if copy is None else UsageError(f"{copy}: nothing is edited.")
    obstacles = [what for row, edits in wishes if (what := _replay(queue, row, edits))]
    if len(obstacles) == len(wishes):
        raise UsageError("\n".join(obstacles))
    out.print(f"Queued again: {len(wishes) - len(obstacles)}. {WHAT_NOW}")
    for obstacle in obstacles:
        out.print(obstacle, markup=False, highlight=False)


def _replay(queue: Queue, row: Any, edits: Iterable[Edit]) -> str | None:
    """Queue a source again; if that cannot be, why."""
    if not Path(row.path).exists():
        return (
            f"{row.name} is no longer in the data folders. Put it back ({row.path}), then ask "
            "again; what it gave before stays as it is."
        )
    if not queue.replay(row.id, edits):
        return f"{row.name} is being ingested now. Ask again when that is done."
    return None


def _edited(
    settings: Settings, queue: QueueReader, choice: Choice, copy: Path
) -> Iterator[tuple[Any, list[Edit]]]:
    """The sources of which lines were edited, with these lines."""
    if choice.reason:
        raise UsageError("--reason does not go with --lines: the lines say which are meant.")
    rows = {(row.service, row.name): row for row in choice.sources(queue)}
    given: dict[tuple[str, str], list[CopiedLine]] = {}
    for line in read_copy(copy):
        if (line.service, line.file) not in rows:
            raise UsageError(f"{line.place}: {line.file} is not among the files that are meant.")
        given.setdefault((line.service, line.file), []).append(line)
    for name, lines in given.items():
        edits = _changes(settings, queue, rows[name], lines)
        if edits:
            yield rows[name], edits


def _changes(
    settings: Settings, queue: QueueReader, row: Any, given: Iterable[CopiedLine]
) -> list[Edit]:
    """Of the given lines those that differ from what was read in their place.

    Raises:
        UsageError: one of them cannot be edited like this.
    """
    before = queue.edits(row.id)
    read = {(one.line, one.sha256): one.raw for _, one in rejects_of(settings, [row])}
    read |= {(edit.line, edit.sha256): edit.text for edit in before}
    changes: dict[int, Edit] = {}
    for line in given:
        edit = line.edit
        key = edit.line, edit.sha256
        if read.get(key) == edit.text or (key not in read and edit.changes_nothing):
            continue
        if key not in read:
            raise UsageError(
                f"{line.place}: line {edit.line:,} of {row.name} is not set aside with these "
                "bytes any more. 'rejects show' with --save writes a new copy."
            )
        if edit.line in changes:
            raise UsageError(f"{line.place}: line {edit.line:,} of {row.name} is there twice.")
        _check_text(line)
        changes[edit.line] = edit
    _check_size(row, {edit.line: edit for edit in before} | changes)
    return list(changes.values())


def _check_text(line: CopiedLine) -> None:
    text = line.edit.text
    if b"\n" in text:
        raise UsageError(f"{line.place}: the text has a line end: one line cannot become several.")
    if not text.strip():
        raise UsageError(
            f"{line.place}: the text is blank. To leave the line out, use 'rejects accept'."
        )
    if len(text) > KEPT_OF_TOO_LONG:
        raise UsageError(f"{line.place}: the text has more than {KEPT_OF_TOO_LONG:,} bytes.")


def _check_size(row: Any, edits: dict[int, Edit]) -> None:
    size = sum(len(edit.text) for edit in edits.values())
    if len(edits) > MOST_EDITS or size > MOST_EDITED_BYTES:
        raise UsageError(
            f"{row.name}: more than {MOST_EDITS:,} lines or {MOST_EDITED_BYTES >> 20} MB are "
            "edited. Mend the file itself and deliver it again."
        )
