"""One item in a child process: outputs opened, service called, result recorded.

The order of every try is the design: claim, fence, open, check, write unseen, check the
end, reserve, publish, record. The queue may lag behind the outputs and never leads them,
so whatever happens in between costs a repetition and nothing else.
"""

import fcntl
import gc
import logging
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pyarrow as pa

from optimus.errors import (
    BadFileError,
    LostClaimError,
    OptimusError,
    OutputUnavailableError,
    StopRequested,
)
from optimus.log import log_to_files
from optimus.outputs.catalog import Catalog
from optimus.outputs.lake import LakeWriter, footer
from optimus.outputs.rejects import RejectsWriter
from optimus.outputs.staging import Staging, make_folder
from optimus.package.files import DeliveredFile, hash_file
from optimus.package.layout import PackageFile
from optimus.queue.records import SENDERS_OWN, Changes, Claim, Result
from optimus.queue.store import Queue
from optimus.registry import Registry, load_registry
from optimus.service import DerivedRun, DerivedService, FileRun, FileService, Place, Progress, Run
from optimus.settings import Settings
from optimus.touches import EVERYTHING

log = logging.getLogger(__name__)

OUTAGE_DELAY = 15.0
SECONDS_BETWEEN_REPORTS = 0.2
OBJECTS_BETWEEN_COLLECTIONS = 100_000


class Worker:
    """Does one item after another, as the process that owns it says."""

    def __init__(self, settings: Settings, registry: Registry, queue: Queue) -> None:
        self._settings = settings
        self._registry = registry
        self._queue = queue

    def do(self, claim: Claim, report: Callable[[Progress], bool]) -> None:
        """Bring one claimed item to an end, whatever that is; nothing is raised.

        Args:
            claim: the item.
            report: takes the progress; says False when the work is to stop.
        """
        staging = Staging(f"{claim.identity[:12]}.{claim.epoch}")
        try:
            with self._fence(claim):
                self._try(claim, staging, report)
        except StopRequested:
            self._queue.release(claim, "stopped", "Stopped by the operator.", delay=0)
        except LostClaimError:
            log.warning("%s was taken over by another worker; nothing was published", claim.name)
        except OSError as error:
            reason = OutputUnavailableError.reason
            self._queue.release(claim, reason, _os_sentence(claim, error), OUTAGE_DELAY)
        except OptimusError as error:
            name = Path(claim.path).name
            sentence = str(error) if name in str(error) else f"{name}: {error}"
            if error.retryable:
                self._queue.release(claim, error.reason, sentence, OUTAGE_DELAY)
            else:
                self._queue.reject(claim, error.reason, sentence)
        except Exception as error:  # noqa: BLE001 - the daemon outlives every defect of a service
            self._record_defect(claim, error)
        finally:
            staging.discard()

    def _record_defect(self, claim: Claim, error: Exception) -> None:
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
        self._queue.fail(
            claim,
            "defect",
            f"{kind} at {Path(where.filename).name}:{where.lineno}: a defect of the program. "
            "The log says more; please report it.",
            self._settings.max_attempts,
        )

    @contextmanager
    def _fence(self, claim: Claim) -> Iterator[None]:
        """Hold the source: a stalled predecessor that wakes up cannot interfere.

        Raises:
            OutputUnavailableError: somebody else holds it.
        """
        try:
            with self._lock(claim.identity, fcntl.LOCK_NB):
                yield
        except BlockingIOError as error:
            raise OutputUnavailableError(
                f"{claim.name} is still held by a stalled worker; it is tried again soon."
            ) from error

    @contextmanager
    def _lock(self, name: str, how: int = 0) -> Iterator[None]:
        """Hold a lock that the kernel frees when this process dies."""
        folder = self._settings.state_path / "locks"
        make_folder(folder)
        with (folder / name).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | how)
            yield

    def _try(self, claim: Claim, staging: Staging, report: Callable[[Progress], bool]) -> None:
        service = self._registry[claim.service]
        if isinstance(service, FileService):
            self._try_file(claim, service, staging, report)
        elif isinstance(service, DerivedService):
            self._try_derived(claim, service, staging, report)

    # -- files -------------------------------------------------------------------------------

    def _try_file(
        self,
        claim: Claim,
        service: FileService,
        staging: Staging,
        report: Callable[[Progress], bool],
    ) -> None:
        file = PackageFile.from_facts(claim.facts)
        if file.failed:
            sentence = (
                f"{file.path.name}: edX could not make this file; it holds a notice, not data."
            )
            self._queue.reject(claim, SENDERS_OWN, f"{sentence} Wait for the next delivery.")
            return
        if claim.done_sha256 and file.path.is_file() and hash_file(file.path) == claim.done_sha256:
            self._queue.commit(claim, Result("unchanged", sha256=claim.done_sha256))
            return
        delivered = None if file.path.is_dir() else DeliveredFile(file.path)
        try:
            run = FileRun(
                **self._common(claim, service, staging, report, delivered),
                file=file,
                delivered=delivered,
            )
            run.progress.total = delivered.bytes_total if delivered else 0
            service.ingest(run)
            if delivered is not None:
                delivered.finish()
            self._end_file(claim, service, run)
        finally:
            if delivered is not None:
                delivered.close()

    def _end_file(self, claim: Claim, service: FileService, run: FileRun) -> None:
        run.rejects.close()
        delivered = run.delivered
        try:
            run.check_ledger(self._settings.max_reject_share)
        except BadFileError as error:
            self._publish_rejects_alone(claim, run)
            self._queue.reject(claim, "too_many_rejects", str(error), self._counts(claim, run))
            return
        content = self._content(claim, service, run)
        with self._lock(service.name) if service.equal_content_counts_once else nullcontext():
            twin = self._queue.reserve(claim, content, run.lake.relative_paths, self._content_of)
            if twin is None:
                self._publish(claim, run)
            else:
                self._withdraw(claim, run)
            self._queue.commit(
                claim,
                Result(
                    outcome="done" if twin is None else "copy",
                    sha256=delivered.sha256 if delivered else None,
                    counts=self._counts(claim, run),
                    notes=run.notes,
                    touches=sorted(run.touches),
                    published=run.lake.relative_paths,
                    message=None if twin is None else f"The same content as {twin}, which counts.",
                ),
            )

    def _content(self, claim: Claim, service: FileService, run: FileRun) -> str | None:
        """What makes a file equal to another; one without any line is equal to none."""
        if not service.equal_content_counts_once or run.delivered is None:
            return None
        empty = f"empty {claim.identity[:32]}"
        return run.delivered.content_sha256 if run.counts["lines"] else empty

    def _content_of(self, published: Sequence[str]) -> str | None:
        """Which content the lake files of a source hold now, whatever the queue believes."""
        for relative in published:
            try:
                return footer(self._settings.lake_path / relative).get("content_sha256")
            except (FileNotFoundError, pa.ArrowInvalid):
                continue
        return None

    def _withdraw(self, claim: Claim, run: FileRun) -> None:
        """Publish nothing, and take away what an earlier content of the source gave."""
        run.staging.discard()
        run.lake.relative_paths.clear()
        run.rejects.final.unlink(missing_ok=True)
        self._remove(claim.published)
        run.touches.clear()

    def _publish(self, claim: Claim, run: FileRun) -> None:
        stale = set(claim.published) - set(run.lake.relative_paths)
        if not run.rejects.reasons and not run.rejects.repairs:
            run.rejects.final.unlink(missing_ok=True)
        run.staging.publish()
        self._remove(sorted(stale))

    def _publish_rejects_alone(self, claim: Claim, run: FileRun) -> None:
        self._queue.still_mine(claim)
        run.staging.keep_only(run.rejects.final)
        run.staging.publish()

    def _remove(self, relative_paths: Iterable[str]) -> None:
        """Take away what an earlier content of the source gave and this one does not."""
        for relative in relative_paths:
            (self._settings.lake_path / relative).unlink(missing_ok=True)

    # -- derived -----------------------------------------------------------------------------

    def _try_derived(
        self,
        claim: Claim,
        service: DerivedService,
        staging: Staging,
        report: Callable[[Progress], bool],
    ) -> None:
        options = self._options(service)
        stamp = service.stamp(options)
        changes = self._queue.changes(service.name, service.needs, stamp)
        run = DerivedRun(
            **self._common(claim, service, staging, report),
            catalog=Catalog(self._settings.lake_path, self._registry.lake_tables),
            touched=changes.touches,
            fresh=self._fresh(changes),
        )
        service.derive(run)
        self._queue.reserve(claim, None)
        run.staging.publish()
        self._remove(sorted(run.obsolete))
        touches = run.touches | ({EVERYTHING} if changes.touches is None else changes.touches)
        self._queue.commit(
            claim,
            Result(
                counts=self._counts(claim, run),
                notes=run.notes,
                touches=[EVERYTHING] if EVERYTHING in touches else sorted(touches),
                published=run.lake.relative_paths,
                upto=changes.upto,
                stamp=stamp,
            ),
        )

    def _fresh(self, changes: Changes) -> tuple[Path, ...] | None:
        if changes.published is None:
            return None
        paths = [self._settings.lake_path / path for path in dict.fromkeys(changes.published)]
        return tuple(path for path in paths if path.is_file())

    # -- both --------------------------------------------------------------------------------

    def _options(self, service: FileService | DerivedService) -> dict[str, Any]:
        return {name: getattr(self._settings, name.lower()) for name in service.options}

    def _common(
        self,
        claim: Claim,
        service: FileService | DerivedService,
        staging: Staging,
        report: Callable[[Progress], bool],
        delivered: DeliveredFile | None = None,
    ) -> dict[str, Any]:
        settings = self._settings
        place = Place(
            lake=settings.lake_path,
            exports=settings.export_path,
            www=settings.www_path,
            rejects=rejects_path(settings, claim.service, claim.identity),
            spill=settings.state_path / "spill",
        )
        origin = {"source": claim.name, "gen": str(claim.gen), "epoch": str(claim.epoch)}
        origin |= claim.facts.get("course") or {}

        def origin_of_file() -> dict[str, str]:
            if delivered is None:
                return origin
            return origin | {"content_sha256": delivered.content_sha256}

        return {
            "options": self._options(service),
            "started": datetime.fromtimestamp(claim.started, UTC),
            "place": place,
            "staging": staging,
            "lake": LakeWriter(settings.lake_path, staging, origin_of_file),
            "rejects": RejectsWriter(place.rejects, staging),
            "report": report,
        }

    def _counts(self, claim: Claim, run: Run) -> dict[str, Any]:
        """The ledger of the try, as the queue keeps it."""
        counts: dict[str, Any] = dict(run.counts)
        delivered = getattr(run, "delivered", None)
        if delivered is not None:
            counts |= {"bytes": delivered.bytes_total, "content_bytes": delivered.content_bytes}
        if run.rejects.reasons:
            counts["reasons"] = dict(run.rejects.reasons)
        if run.rejects.repairs:
            counts["repairs"] = dict(run.rejects.repairs)
        counts["seconds"] = round(time.time() - claim.started, 3)
        counts["worker"] = claim.owner
        return counts


def rejects_path(settings: Settings, service: str, identity: str) -> Path:
    """Where the rejects of one source lie."""
    return settings.state_path / "rejects" / service / f"{identity}.jsonl"


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
        worker.do(claim, _reporter(connection, stopping))
        connection.send(None)
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
