"""A worker process: one item after another, each brought to an end, whatever that is."""

import fcntl
import gc
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from optimus.attempt import Attempts, World, file_lock, mark_of
from optimus.errors import (
    LostClaimError,
    OptimusError,
    OutputUnavailableError,
    StopRequested,
)
from optimus.log import log_to_files
from optimus.outputs.staging import Staging
from optimus.queue.databases import Hold
from optimus.queue.records import Claim
from optimus.queue.store import Queue
from optimus.registry import Registry, load_registry
from optimus.service import Progress
from optimus.settings import Settings

log = logging.getLogger(__name__)

TRIES_TO_TELL = 60
SECONDS_BETWEEN_TRIES_TO_TELL = 5.0
SECONDS_BETWEEN_REPORTS = 0.2
OBJECTS_BETWEEN_COLLECTIONS = 100_000


@dataclass(frozen=True)
class Ended:
    """What a worker says when it is done with an item.

    Attributes:
        claim: the item.
        reason: why it did not come to a good end; None when it did.
    """

    claim: Claim
    reason: str | None


class Worker:
    """Does one item after another, as the process that owns it says."""

    def __init__(self, settings: Settings, registry: Registry, queue: Queue) -> None:
        self._settings = settings
        self._queue = queue
        self._attempts = Attempts(settings, registry, queue)

    def do(self, claim: Claim, report: Callable[[Progress], bool]) -> str | None:
        """Bring one claimed item to an end, whatever that is; nothing is raised.

        Args:
            claim: the item.
            report: takes the progress; says False when the work is to stop.

        Returns:
            Why it did not come to a good end, in the queue's word; None when it did.
        """
        staging = Staging(mark_of(claim.identity, claim.epoch))
        try:
            with self._fence(claim) as hold:
                self._attempts.make(claim, World(staging, hold, report))
        except LostClaimError:
            log.warning("%s was taken over by another worker; nothing was published", claim.name)
            return "lost"
        except (Exception, StopRequested) as error:  # noqa: BLE001 - the daemon outlives every defect of a service
            reason, ending = self._ending(claim, error)
            self._tell(ending, report)
            return reason
        finally:
            staging.discard()
        return None

    def _ending(self, claim: Claim, error: BaseException) -> tuple[str, Callable[[], None]]:
        """What an error means for the item: the queue's word for it, and how it is recorded."""
        queue, name = self._queue, Path(claim.path).name
        match error:
            case StopRequested():
                reason, sentence, delay = "stopped", "Stopped by the operator.", 0.0
            case OSError():
                reason, delay = OutputUnavailableError.reason, OutputUnavailableError.retry_after
                sentence = _os_sentence(claim, error)
            case OptimusError():
                sentence = str(error) if name in str(error) else f"{name}: {error}"
                reason, delay = error.reason, error.retry_after
                if not error.retryable:
                    return reason, lambda: queue.reject(claim, reason, sentence)
            case _:
                return "defect", self._defect(claim, error)
        return reason, lambda: queue.release(claim, reason, sentence, delay)

    def _tell(self, ending: Callable[[], None], report: Callable[[Progress], bool]) -> None:
        """Record an end; while the queue itself is out of reach, again and again.

        In the end the lease says it: it runs out, and the item is tried again.
        """
        for _ in range(TRIES_TO_TELL):
            try:
                ending()
            except OutputUnavailableError as error:
                log.warning("%s", error)
                if not report(Progress()):
                    return
                time.sleep(SECONDS_BETWEEN_TRIES_TO_TELL)
            else:
                return

    def _defect(self, claim: Claim, error: BaseException) -> Callable[[], None]:
        """Tell where it happened; what a foreign error says may quote a learner's data."""
        frames = traceback.extract_tb(error.__traceback__)
        kind, where = type(error).__name__, frames[-1]
        log.error(
            "%s failed on %s: %s\n%s",
            claim.service,
            claim.name,
            kind,
            "".join(traceback.format_list(frames)),
        )
        sentence = (
            f"{kind} at {Path(where.filename).name}:{where.lineno}: a defect of the program. "
            "The log says more; please report it."
        )
        attempts = self._settings.max_attempts
        return lambda: self._queue.fail(claim, "defect", sentence, attempts)

    @contextmanager
    def _fence(self, claim: Claim) -> Iterator[Hold]:
        """Hold the source: a stalled predecessor that wakes up cannot interfere.

        Raises:
            OutputUnavailableError: somebody else holds it.
        """
        try:
            with (
                file_lock(self._settings, claim.identity, fcntl.LOCK_NB),
                self._queue.hold(claim) as hold,
            ):
                yield hold
        except BlockingIOError as error:
            raise OutputUnavailableError(
                f"{claim.name} is still held by a stalled worker; it is tried again soon."
            ) from error


def _os_sentence(claim: Claim, error: OSError) -> str:
    thing = error.filename or claim.path or claim.name
    return f"{thing}: {error.strerror or error}. It is tried again until this is mended."


def work_for_parent(connection: Connection, settings: Settings) -> None:
    """Main function of a worker process: take claims from the parent until it says None."""
    stopping = threading.Event()
    # Ctrl-C reaches the whole group; whether to stop is the parent's decision alone.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    threading.Thread(target=_die_with_parent, daemon=True).start()
    os.umask(0o027)
    log_to_files(settings.state_path, rotate=False)
    # Reading makes millions of objects that live for a moment and never point at each other.
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)
    queue = Queue(settings.queue_place)
    worker = Worker(settings, load_registry(settings), queue)
    while (claim := connection.recv()) is not None:
        reason = worker.do(claim, _reporter(connection, stopping))
        connection.send(Ended(claim, reason))
    queue.close()
    logging.shutdown()
    # The thread below never ends, and some libraries complain of it when the interpreter does.
    os._exit(0)


def _reporter(connection: Connection, stopping: threading.Event) -> Callable[[Progress], bool]:
    last = 0.0

    def report(progress: Progress) -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_REPORTS:
            last = now
            connection.send(progress)
        return not stopping.is_set()

    return report


def _die_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
