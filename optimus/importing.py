"""The command import-legacy: events that only the original's MongoDB holds become logs again."""

import fcntl
import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from optimus.daemon import stop_on_signals
from optimus.errors import AlreadyRunningError, OutputUnavailableError, SettingsError
from optimus.outputs.legacy_logs import Parts, counted
from optimus.outputs.mongo_export import (
    BRACKETS,
    COLLECTION,
    DATABASE,
    ForeignDocuments,
    foreign_documents,
)
from optimus.outputs.staging import make_folder
from optimus.scheduler import Wishes
from optimus.settings import Settings

DOCUMENTS_PER_PART = 200_000
SECONDS_BETWEEN_LINES = 5.0
EVENTS = f"{DATABASE}.{COLLECTION}"
WHAT_NOW = "A running daemon takes them up; without one, run 'once'."


def import_legacy(
    settings: Settings,
    out: Console,
    *,
    dry_run: bool,
    documents_per_part: int = DOCUMENTS_PER_PART,
) -> int:
    """Write the documents of ``logs.clickstream`` that are not in logs yet into logs.

    Args:
        settings: where MongoDB and the state folder are.
        out: where to tell how it goes.
        dry_run: only say how much there is.
        documents_per_part: the most that one log holds.

    Returns:
        The exit code: 1 when a signal ended it before everything was written.

    Raises:
        SettingsError: MONGO_HOST is not set.
        UsageError: the ledger of an earlier import is lost.
        AlreadyRunningError: another import goes on in the same state folder.
        OutputUnavailableError: the server is away, or the logs cannot be written.
    """
    server = settings.mongo_server
    if server is None:
        raise SettingsError(
            f"MONGO_HOST is not set. Name the server that holds {EVENTS} in config.py, and call "
            "the command again."
        )
    if dry_run:
        parts = Parts(settings.legacy_path, documents_per_part)
        with foreign_documents(server) as documents:
            _tell_what_there_is(documents, parts, f"{EVENTS} on {server.place}", out)
        return 0
    with _only_import(settings.state_path), _stopped_by_signals() as stop:
        parts = Parts(settings.legacy_path, documents_per_part)
        parts.recover()
        try:
            with foreign_documents(server) as documents:
                return _write(documents, parts, stop, out)
        except OutputUnavailableError as error:
            raise OutputUnavailableError(
                f"{error} {parts.standing} The same command goes on from there."
            ) from error
        finally:
            parts.discard()


def _write(documents: ForeignDocuments, parts: Parts, stop: threading.Event, out: Console) -> int:
    before, there = parts.ledger.documents, documents.estimate().others
    with _Story(out, before, there) as story:
        for bracket in BRACKETS:
            for batch in documents.batches(bracket, parts.last(bracket)):
                parts.add(bracket, batch)
                story.tell(parts.documents)
                if stop.is_set():
                    break
            parts.finish()
            if stop.is_set():
                break
    new = parts.ledger.documents - before
    _tell_what_was_done(new, documents.nulls, parts, out)
    if stop.is_set():
        _say(out, "Stopped before the end. The same command goes on from there.")
        return 1
    if (missed := there - parts.ledger.documents) > 0:
        _say(
            out,
            f"{EVENTS} held about {counted(missed, 'document')} more. Those that came with a "
            "smaller _id than the last one taken are not looked for: was the original still "
            "running?",
        )
    return 0


class _Story:
    """How the import goes on: a line that moves, or where none can, a line now and then."""

    def __init__(self, out: Console, before: int, there: int) -> None:
        self._out = out
        self._before = before
        self._there = there
        self._began = self._told = time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[story]}"),
            console=out,
            disable=not out.is_terminal,
        )
        self._task = self._progress.add_task(EVENTS, total=max(there, 1), story="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, documents: int) -> None:
        """Show how many documents are written; what was said a moment ago is not repeated."""
        now = time.monotonic()
        there = max(self._there, documents, 1)
        each_second = (documents - self._before) / max(now - self._began, 0.001)
        story = f"{documents:,} of about {there:,} documents, {each_second:,.0f} a second"
        if self._out.is_terminal:
            self._progress.update(self._task, completed=documents, total=there, story=story)
        elif now - self._told >= SECONDS_BETWEEN_LINES:
            self._told = now
            _say(self._out, f"{documents / there:.0%}: {story}")


def _tell_what_there_is(
    documents: ForeignDocuments, parts: Parts, place: str, out: Console
) -> None:
    there = documents.estimate()
    new = max(there.others - parts.ledger.documents, 0)
    _say(
        out,
        f"{place} holds about {counted(there.documents, 'document')}; this program did not write "
        f"about {there.others:,} of them. {parts.ledger.documents:,} are in logs already.",
    )
    if new:
        logs = counted(math.ceil(new / parts.most), "log")
        _say(out, f"About {new:,} would go into about {logs} below {parts.logs}.")


def _tell_what_was_done(new: int, nulls: int, parts: Parts, out: Console) -> None:
    if not new:
        _say(out, f"Nothing new. {parts.standing}")
        return
    _say(out, f"{counted(new, 'document')} of {EVENTS} written. {parts.standing}")
    if nulls:
        _say(out, f"{counted(nulls, 'number')} that JSON does not know (NaN, Infinity): now null.")
    _say(out, WHAT_NOW)


def _say(out: Console, sentence: str) -> None:
    out.print(sentence, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _only_import(state_path: Path) -> Iterator[None]:
    make_folder(state_path)
    path = state_path / "import.lock"
    try:
        lock = path.open("a")
    except OSError as error:
        raise OutputUnavailableError(
            f"{path} cannot be used ({error.strerror}). Give your user the right to write there."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"Another import-legacy works in {state_path}. Wait for its end, or stop it first."
            ) from error
        yield


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """SIGTERM and SIGINT set the event; a second one ends the process at once."""
    wishes = Wishes()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    stop_on_signals(wishes)
    try:
        yield wishes.stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
