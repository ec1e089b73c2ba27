"""The worker processes: spawned, one item each, replaced when they die or hang."""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from optimus.errors import OutputUnavailableError
from optimus.queue.records import Claim
from optimus.queue.store import Queue
from optimus.service import Progress
from optimus.settings import Settings
from optimus.worker import Ended, work_for_parent

log = logging.getLogger(__name__)

ITEMS_PER_PROCESS = 500
SECONDS_BETWEEN_RENEWALS = 1.0


@dataclass
class _Child:
    """One worker process and what it is doing."""

    process: SpawnProcess
    connection: Connection
    claim: Claim | None = None
    progress: Progress = field(default_factory=Progress)
    moved_at: float = 0.0
    items: int = 0


class Pool:
    """Up to ``workers`` processes that ingest items and record their end in the queue."""

    def __init__(self, settings: Settings, queue: Queue) -> None:
        self._settings = settings
        self._queue = queue
        self._context = multiprocessing.get_context("spawn")
        self._children: list[_Child] = []
        self._renewed_at = 0.0
        self._stopping = False

    @property
    def has_room(self) -> bool:
        """Whether another item may be started now.

        What looks at something outside may take days over it, and takes no place from others.
        """
        busy = sum(claim.kind != "periodic" for claim, _ in self.running)
        return busy < self._settings.workers

    @property
    def running(self) -> list[tuple[Claim, Progress]]:
        """What is being ingested now, and how far it is."""
        return [(child.claim, child.progress) for child in self._children if child.claim]

    def start(self, claim: Claim) -> None:
        """Give a claimed item to an idle process, or to a new one."""
        idle = next((child for child in self._children if child.claim is None), None)
        child = idle or self._spawn()
        child.claim, child.progress, child.moved_at = claim, Progress(), time.monotonic()
        child.items += 1
        try:
            child.connection.send(claim)
        except OSError:
            self._bury(child)

    def poll(self, seconds: float) -> list[Ended]:
        """Take in what the processes say, waiting up to ``seconds`` for the first word.

        Returns:
            The items that have come to an end.
        """
        ended = []
        ready = wait([child.connection for child in self._children], seconds)
        for child in [child for child in self._children if child.connection in ready]:
            word = self._listen(child)
            if word is not None:
                ended.append(word)
        self._replace_stalled()
        if time.monotonic() - self._renewed_at >= SECONDS_BETWEEN_RENEWALS:
            self._renew()
        return ended

    def stop(self, timeout: float) -> None:
        """Ask every process to put its item back, and end those that do not."""
        self._stopping = True
        for child in self._children:
            _signal(child, signal.SIGTERM)
        deadline = time.monotonic() + timeout
        while self.running and time.monotonic() < deadline:
            self.poll(0.1)
        for child in self._children:
            if child.claim is not None:
                _signal(child, signal.SIGKILL)
                child.process.join()
                self._put_back(child.claim)
            else:
                self._dismiss(child)
        self._children.clear()

    def _spawn(self) -> _Child:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work_for_parent, args=(theirs, self._settings), daemon=True
        )
        process.start()
        theirs.close()
        child = _Child(process, ours)
        self._children.append(child)
        return child

    def _listen(self, child: _Child) -> Ended | None:
        """Read everything one process has said; its last word when its item has ended."""
        try:
            while child.connection.poll():
                message = child.connection.recv()
                if isinstance(message, Ended):
                    child.claim = None
                    if child.items >= ITEMS_PER_PROCESS:
                        self._dismiss(child)
                        self._children.remove(child)
                    return message
                if message != child.progress:
                    child.progress, child.moved_at = message, time.monotonic()
        except (EOFError, OSError):
            return self._bury(child)
        return None

    def _bury(self, child: _Child) -> Ended | None:
        """A process is dead: its item is charged with it."""
        child.process.join(timeout=5)
        self._children.remove(child)
        child.connection.close()
        if child.claim is not None and self._stopping:
            # The signal came before the process was ready to take it.
            self._put_back(child.claim)
        elif child.claim is not None:
            log.error("the worker of %s died (%s)", child.claim.name, child.process.exitcode)
            sentence = (
                f"The worker process died on this file (exit code {child.process.exitcode}); "
                "too little memory is the usual reason."
            )
            claim = child.claim
            _or_leave_it_to_the_lease(lambda: self._queue.died(claim, sentence))
        return None if child.claim is None else Ended(child.claim, "worker_died")

    def _put_back(self, claim: Claim) -> None:
        _or_leave_it_to_the_lease(
            lambda: self._queue.release(claim, "stopped", "Stopped by the operator.", delay=0)
        )

    def _replace_stalled(self) -> None:
        for child in self._children:
            still_for = time.monotonic() - child.moved_at
            if child.claim is not None and still_for > self._settings.stall_seconds:
                log.error("%s made no progress for %d s", child.claim.name, still_for)
                _signal(child, signal.SIGKILL)

    def _renew(self) -> None:
        self._renewed_at = time.monotonic()
        if self.running:
            renewed = [
                (claim, {"done": p.done, "total": p.total, "rows": p.rows})
                for claim, p in self.running
            ]
            _or_leave_it_to_the_lease(lambda: self._queue.renew(renewed))

    @staticmethod
    def _dismiss(child: _Child) -> None:
        try:
            child.connection.send(None)
        except OSError:
            log.debug("worker %s had already ended", child.process.pid)
        child.process.join(timeout=5)
        if child.process.is_alive():
            child.process.kill()
        child.connection.close()


def _or_leave_it_to_the_lease(word: Callable[[], None]) -> None:
    """Tell the queue something; while it is out of reach, a lease that ends says the rest."""
    try:
        word()
    except OutputUnavailableError as error:
        # The scheduler meets the same, and says it where the operator looks.
        log.debug("%s", error)


def _signal(child: _Child, number: int) -> None:
    if child.process.pid is not None and child.process.is_alive():
        os.kill(child.process.pid, number)
