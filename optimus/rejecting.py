"""The commands ``rejects list``, ``by-reason``, ``show`` and ``accept``."""

import base64
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape

from optimus.asking import WHAT_NOW, existing_queue, print_json
from optimus.attempt import rejects_path
from optimus.display import table_of_rows
from optimus.errors import UsageError
from optimus.outputs.rejects import Reject, read_rejects
from optimus.queue.reading import QueueReader, counted_sha256
from optimus.settings import Settings

SHOWN_OF_A_LINE = 500
MASKS = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "<e-mail>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<ip>"),
    (
        re.compile(r'("[^"]*(?:name|email|body|title|address|ip|text)"\s*:\s*)"(?:[^"\\]|\\.)*"?'),
        r"\1<masked>",
    ),
)
"""What is hidden of a JSON line unless ``--raw`` is given."""
LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Choice:
    """Which rejects a command is about.

    Attributes:
        name: a part of the names of their files.
        service: what set them aside; None for any.
        reason: why they were set aside; None for any.
    """

    name: str = ""
    service: str | None = None
    reason: str | None = None

    def sources(self, queue: QueueReader) -> list[Any]:
        """The rows of the files of this name."""
        return [row for row in queue.sources(self.service) if self.name in row.name]

    def counted(self, row: Any, kind: str) -> Counter[str]:
        """How many such records a source has: the ``reasons`` of rejects, or the ``repairs``."""
        counts: dict[str, int] = row.counts.get(kind, {})
        return Counter({name: n for name, n in counts.items() if self.reason in (None, name)})

    def nothing_found(self, what: str = "rejects") -> UsageError:
        """What to say when there is nothing of the kind."""
        reason = f" of the reason {self.reason!r}" if self.reason else ""
        return UsageError(
            f"No {what}{reason} in a file called {self.name!r}; 'rejects list' names the files."
        )


@dataclass(frozen=True)
class SetAside:
    """How many records were set aside of one source, by reason.

    Attributes:
        row: the source.
        rejects: those that are in no output, and nobody has agreed to.
        repairs: those that were kept after a repair, and nobody has agreed to.
        accepted: those that an operator has agreed to.
    """

    row: Any
    rejects: Counter[str]
    repairs: Counter[str]
    accepted: Counter[str]

    @property
    def open(self) -> Counter[str]:
        """All that nobody has agreed to."""
        return self.rejects + self.repairs


def set_aside(queue: QueueReader, choice: Choice) -> list[SetAside]:
    """What was set aside, of each source that has anything of the kind."""
    agreed = queue.acceptances()
    found = []
    for row in choice.sources(queue):
        rejects, repairs = (choice.counted(row, kind) for kind in ("reasons", "repairs"))
        if rejects or repairs:
            acceptance = agreed.get((row.id, counted_sha256(row)))
            accepted = (rejects + repairs) & Counter(acceptance.reasons if acceptance else {})
            found.append(SetAside(row, rejects - accepted, repairs - accepted, accepted))
    return found


def list_rejects(
    settings: Settings, choice: Choice, out: Console, *, with_accepted: bool, as_json: bool
) -> None:
    """Print every file that has rejects or repaired records.

    Args:
        settings: where the queue is.
        choice: of which service.
        out: the terminal.
        with_accepted: also what was accepted, apart.
        as_json: print JSON.
    """
    found = set_aside(existing_queue(settings), choice)
    shown = [one for one in found if one.open or with_accepted]
    if as_json:
        print_json([_listed(one, with_accepted=with_accepted) for one in shown])
        return
    if not shown:
        out.print("All that was set aside is accepted." if found else "Nothing was set aside.")
        return
    names = ["service", "file", "lines", "rejects", "reasons", "accepted"]
    rows = [
        (
            one.row.service,
            escape(one.row.name),
            f"{one.row.counts.get('lines', 0):,}",
            f"{one.rejects.total():,}",
            _in_words(one.open),
            _in_words(one.accepted),
        )
        for one in shown
    ]
    columns = len(names) if with_accepted else len(names) - 1
    out.print(table_of_rows(names[:columns], [row[:columns] for row in rows]))


def _listed(one: SetAside, *, with_accepted: bool) -> dict[str, Any]:
    kinds = {"reasons": one.rejects, "repairs": one.repairs}
    if with_accepted:
        kinds["accepted"] = one.accepted
    counted = {kind: counts for kind, counts in kinds.items() if counts}
    return {"service": one.row.service, "file": one.row.name, **counted}


def _in_words(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(counted.items()))


def rejects_by_reason(
    settings: Settings, choice: Choice, out: Console, *, with_accepted: bool, as_json: bool
) -> None:
    """Print how many records were set aside for each reason, over all files.

    Args:
        settings: where the queue is.
        choice: of which service.
        out: the terminal.
        with_accepted: also what was accepted, apart.
        as_json: print JSON.
    """
    rejects: Counter[tuple[str, str]] = Counter()
    accepted: Counter[tuple[str, str]] = Counter()
    for one in set_aside(existing_queue(settings), choice):
        for reason in choice.counted(one.row, "reasons"):
            rejects[one.row.service, reason] += one.rejects[reason]
            accepted[one.row.service, reason] += one.accepted[reason]
    names = ["service", "reason", "rejects", "accepted"]
    rows = [
        (service, reason, count, accepted[service, reason])
        for (service, reason), count in rejects.most_common()
        if count or with_accepted
    ]
    columns = len(names) if with_accepted else len(names) - 1
    if as_json:
        print_json([dict(zip(names[:columns], row, strict=False)) for row in rows])
        return
    shown = [
        (service, reason, f"{open_:,}", f"{closed:,}") for service, reason, open_, closed in rows
    ]
    out.print(table_of_rows(names[:columns], [row[:columns] for row in shown]))


def rejects_of(
    settings: Settings, rows: Iterable[Any], reason: str | None = None
) -> Iterator[tuple[Any, Reject]]:
    """What lies in the rejects files of these sources, each record with its source."""
    for row in rows:
        for reject in read_rejects(rejects_path(settings, row.service, row.identity)):
            if reason in (None, reject.reason):
                yield row, reject


def found_rejects(settings: Settings, choice: Choice) -> Iterator[tuple[Any, Reject]]:
    """The rejects of a choice, each with its source.

    Raises:
        UsageError: there are none.
    """
    rows = choice.sources(existing_queue(settings))
    found = rejects_of(settings, rows, choice.reason)
    first = next(found, None)
    if first is None:
        raise choice.nothing_found()
    return itertools.chain([first], found)


def show_rejects(
    settings: Settings,
    choice: Choice,
    out: Console,
    *,
    limit: int,
    masked: bool,
    as_json: bool,
) -> None:
    """Print rejects, with their places and reasons.

    Args:
        settings: where the rejects are.
        choice: which.
        out: the terminal.
        limit: at most so many.
        masked: hide what may be a learner's data.
        as_json: print JSON.

    Raises:
        UsageError: no file with such rejects has such a name.
    """
    found = found_rejects(settings, choice)
    shown = itertools.islice(found, limit)
    if as_json:
        print_json([_as_record(row.name, reject, masked=masked) for row, reject in shown])
        return
    for row, reject in shown:
        kept = "kept after a repair: " if reject.kept else ""
        edited = "as edited: " if reject.delivered_sha256 else ""
        out.print(
            f"{row.name}, line {reject.line:,}, byte {reject.offset:,}: {edited}{kept}"
            f"{reject.reason}{': ' + reject.detail if reject.detail else ''}",
            style="bold",
            markup=False,
            highlight=False,
        )
        out.print(f"    {_text(reject, masked=masked)}", markup=False, highlight=False)
    more = sum(1 for _ in found)
    if more:
        out.print(f"{more:,} more; --limit shows them.")


def accept_rejects(settings: Settings, choice: Choice, out: Console) -> None:
    """Agree that rejects stay out: from now on they are no news.

    Raises:
        UsageError: there are none that nobody has agreed to.
    """
    queue = existing_queue(settings)
    found = [one for one in set_aside(queue, choice) if one.open]
    if not found:
        raise choice.nothing_found("open rejects")
    queued = sum(queue.accept_rejects(one.row, one.open + one.accepted) for one in found)
    records = sum(one.open.total() for one in found)
    out.print(f"Accepted: {records:,} (files: {len(found):,}).")
    if queued:
        out.print(f"Queued again: {queued:,}. {WHAT_NOW}")


def _as_record(file: str, reject: Reject, *, masked: bool) -> dict[str, Any]:
    record = {
        "file": file,
        "line": reject.line,
        "offset": reject.offset,
        "reason": reject.reason,
        "detail": reject.detail,
        "kept": reject.kept,
        "text": _text(reject, masked=masked),
    }
    if not masked:
        record["raw_base64"] = base64.b64encode(reject.raw).decode()
    return record


def _masked(text: str) -> str:
    """Hide learners' data: by key in JSON; in a table row nobody knows which cell is a name."""
    if "{" not in text:
        return LETTER.sub("x", text)
    for expression, mask in MASKS:
        text = expression.sub(mask, text)
    return text


def _text(reject: Reject, *, masked: bool) -> str:
    text = reject.raw[: 4 * SHOWN_OF_A_LINE].decode("utf-8", "replace")
    if masked:
        text = _masked(text)
    cut = " …" if len(text) > SHOWN_OF_A_LINE or len(reject.raw) > 4 * SHOWN_OF_A_LINE else ""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:SHOWN_OF_A_LINE]) + cut
