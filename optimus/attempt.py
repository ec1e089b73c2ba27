"""One try at one item: its outputs are opened, its service called, its result published.

The order of every try is the design: open, check, write unseen, check the end, send what is
the source's own, reserve, publish, record. The queue may lag behind the outputs and never
leads them, so whatever happens in between costs a repetition and nothing else.
"""

import fcntl
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from optimus.errors import BadFileError
from optimus.outputs.catalog import Catalog
from optimus.outputs.lake import LakeWriter, footer
from optimus.outputs.mysql import MySqlTables
from optimus.outputs.rejects import RejectsWriter
from optimus.outputs.staging import SUFFIX, Staging, make_folder
from optimus.package.edits import Edits
from optimus.package.files import DeliveredFile, hash_file
from optimus.package.layout import PackageFile
from optimus.queue.databases import Hold
from optimus.queue.records import SENDERS_OWN, TOO_MANY_REJECTS, Changes, Claim, Result
from optimus.queue.store import Queue
from optimus.registry import LAKE, Registry, options_of, outputs_of, stamp_of
from optimus.service import (
    MONGODB,
    MYSQL,
    DerivedRun,
    DerivedService,
    FileRun,
    FileService,
    PeriodicService,
    Place,
    Progress,
    Run,
    Service,
)
from optimus.settings import Settings
from optimus.touches import EVERYTHING


@contextmanager
def file_lock(settings: Settings, name: str, how: int = 0) -> Iterator[None]:
    """Hold a lock that the kernel frees when this process dies."""
    folder = settings.state_path / "locks"
    make_folder(folder)
    with (folder / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | how)
        yield


def mark_of(identity: str, epoch: int) -> str:
    """What tells the temporary names of a try from those of any other."""
    return f"{identity[:12]}.{epoch}"


@dataclass(frozen=True)
class World:
    """What is made anew for every try."""

    staging: Staging
    hold: Hold
    report: Callable[[Progress], bool]


class Attempts:
    """How an item is tried, whatever its kind."""

    def __init__(self, settings: Settings, registry: Registry, queue: Queue) -> None:
        self._settings = settings
        self._registry = registry
        self._queue = queue

    def make(self, claim: Claim, world: World) -> None:
        """Ingest a claimed item, and record that it is done.

        Raises:
            OptimusError: the item cannot be ingested, or not now.
            LostClaimError: another worker has taken it over.
            StopRequested: the daemon wants to stop.
        """
        service = self._registry[claim.service]
        if isinstance(service, FileService):
            self._try_file(claim, service, world)
        elif isinstance(service, DerivedService):
            self._try_derived(claim, service, world)
        elif isinstance(service, PeriodicService):
            self._try_periodic(claim, service, world)

    # -- files -------------------------------------------------------------------------------

    def _try_file(self, claim: Claim, service: FileService, world: World) -> None:
        file = PackageFile.from_facts(claim.facts)
        if file.failed:
            sentence = (
                f"{file.path.name}: edX could not make this file; it holds a notice, not data."
            )
            self._queue.reject(claim, SENDERS_OWN, f"{sentence} Wait for the next delivery.")
            return
        if self._is_in_the_outputs(claim, service, file):
            self._queue.commit(claim, Result("unchanged", sha256=claim.done_sha256))
            return
        delivered = None if file.path.is_dir() else DeliveredFile(file.path)
        tables = self._tables(claim, service)
        run = FileRun(
            **self._common(claim, service, world, delivered),
            file=file,
            delivered=delivered,
            mysql=tables,
            edits=Edits(self._queue.edits(claim.source_id)),
        )
        try:
            run.progress.total = delivered.bytes_total if delivered else 0
            service.ingest(run)
            if delivered is not None:
                delivered.finish()
            self._end_file(claim, service, run, world.hold)
        finally:
            if delivered is not None:
                delivered.close()
            for documents in run.documents:
                documents.discard()
            if tables is not None:
                tables.discard()

    def _is_in_the_outputs(self, claim: Claim, service: Service, file: PackageFile) -> bool:
        """Whether these bytes were ingested before, into all outputs that are in use now."""
        return (
            claim.done_sha256 is not None
            and (claim.outputs or LAKE) == outputs_of(service, self._settings)
            and file.path.is_file()
            and hash_file(file.path) == claim.done_sha256
        )

    def _end_file(self, claim: Claim, service: FileService, run: FileRun, hold: Hold) -> None:
        run.rejects.close()
        run.tell_edits()
        delivered = run.delivered
        try:
            run.check_ledger(self._settings.max_reject_share, self._accepted(claim, run))
        except BadFileError as error:
            self._publish_rejects_alone(claim, run)
            self._queue.reject(claim, TOO_MANY_REJECTS, str(error), self._counts(claim, run))
            return
        content = self._content(claim, service, run)
        # This may take long, and hurts nobody: each source has documents of its own.
        is_sent = self._send_documents(claim, run, content)
        with self._only_one_publishes(service, hold):
            twin = self._queue.reserve(claim, content, run.lake.relative_paths, self._content_of)
            if twin is None:
                self._publish(claim, run, is_sent=is_sent)
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
                    stale_edits=run.edits.stale,
                ),
            )

    def _accepted(self, claim: Claim, run: FileRun) -> dict[str, int]:
        """How many rejects of each reason an operator has agreed to, of exactly these bytes."""
        if run.delivered is None or not run.rejects.count:
            return {}
        key = claim.source_id, run.delivered.sha256
        found = self._queue.acceptances(claim.source_id).get(key)
        return dict(found.reasons) if found else {}

    @contextmanager
    def _only_one_publishes(self, service: FileService, hold: Hold) -> Iterator[None]:
        """Where equal content counts once, one try at a time may decide what counts."""
        if not service.equal_content_counts_once:
            yield
            return
        with file_lock(self._settings, service.name), hold.lock(service.name):
            yield

    def _send_documents(self, claim: Claim, run: FileRun, content: str | None) -> bool:
        """Give MongoDB its documents, but not those of what seems to be a copy."""
        if not run.documents:
            return True
        self._queue.still_mine(claim)
        if content is not None and self._queue.has_twin(claim, content, self._content_of):
            return False
        self._send_now(claim, run)
        return True

    def _send_now(self, claim: Claim, run: FileRun) -> None:
        for documents in run.documents:
            documents.publish(self._origin(claim, run.delivered), run.guard)
            for note in documents.notes:
                run.note(note)

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
        for documents in run.documents:
            documents.remove()

    def _publish(self, claim: Claim, run: FileRun, *, is_sent: bool) -> None:
        if not is_sent:
            self._send_now(claim, run)
        self._publish_tables(run)
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

    def _try_derived(self, claim: Claim, service: DerivedService, world: World) -> None:
        stamp = stamp_of(service, self._settings)
        changes = self._queue.changes(service.name, service.needs, stamp)
        tables = self._tables(claim, service)
        run = DerivedRun(
            **self._common(claim, service, world),
            catalog=Catalog(self._settings.lake_path, self._registry.lake_tables),
            touched=changes.touches,
            fresh=self._fresh(changes),
            mysql=tables,
        )
        try:
            service.derive(run)
            self._queue.reserve(claim, None)
            self._publish_tables(run)
        finally:
            if tables is not None:
                tables.discard()
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

    # -- periodic ----------------------------------------------------------------------------

    def _try_periodic(self, claim: Claim, service: PeriodicService, world: World) -> None:
        run = Run(**self._common(claim, service, world))
        service.look(run)
        self._queue.reserve(claim, None)
        run.staging.publish()
        counts = self._counts(claim, run)
        self._queue.commit(claim, Result(counts=counts, notes=run.notes))

    # -- all ---------------------------------------------------------------------------------

    def _common(
        self,
        claim: Claim,
        service: Service,
        world: World,
        delivered: DeliveredFile | None = None,
    ) -> dict[str, Any]:
        settings = self._settings
        mark = mark_of(claim.identity, claim.epoch)
        place = Place(
            lake=settings.lake_path,
            exports=settings.export_path,
            www=settings.www_path,
            rejects=rejects_path(settings, claim.service, claim.identity),
            spill=settings.state_path / "spill",
            spool=settings.state_path / "spill" / f".{mark}.bson{SUFFIX}",
            package=settings.publish_folder,
            fetched=settings.fetched_path,
        )
        return {
            "options": options_of(service, settings),
            "started": datetime.fromtimestamp(claim.started, UTC),
            "place": place,
            "staging": world.staging,
            "lake": LakeWriter(
                settings.lake_path, world.staging, lambda: self._origin(claim, delivered)
            ),
            "rejects": RejectsWriter(place.rejects, world.staging),
            "report": world.report,
            "identity": claim.identity,
            "hold": world.hold,
            "mongodb": settings.mongo_server if MONGODB in service.servers else None,
        }

    def _origin(self, claim: Claim, delivered: DeliveredFile | None) -> dict[str, str]:
        """What every output says of where its content is from."""
        origin = {
            "source": claim.name,
            "identity": claim.identity,
            "gen": str(claim.gen),
            "epoch": str(claim.epoch),
        }
        origin |= claim.facts.get("course") or {}
        if claim.facts.get("delivered"):
            origin["delivered"] = claim.facts["delivered"]
        if delivered is not None:
            origin["content_sha256"] = delivered.content_sha256
        return origin

    def _tables(self, claim: Claim, service: Service) -> MySqlTables | None:
        """The tables of this try in MySQL, where the service writes there."""
        server = self._settings.sql_server
        if server is None or MYSQL not in service.servers:
            return None
        return MySqlTables(
            server, mark_of(claim.identity, claim.epoch), lambda: self._origin(claim, None)
        )

    @staticmethod
    def _publish_tables(run: Run) -> None:
        if run.mysql is not None:
            run.mysql.publish()
            for note in run.mysql.notes:
                run.note(note)

    def _counts(self, claim: Claim, run: Run) -> dict[str, Any]:
        """The ledger of the try, as the queue keeps it."""
        counts: dict[str, Any] = dict(run.counts)
        delivered = getattr(run, "delivered", None)
        if delivered is not None:
            counts |= {"bytes": delivered.bytes_total, "content_bytes": delivered.content_bytes}
            counts["sha256"] = delivered.sha256
        if run.rejects.reasons:
            counts["reasons"] = dict(run.rejects.reasons)
        if run.rejects.repairs:
            counts["repairs"] = dict(run.rejects.repairs)
        counts["outputs"] = outputs_of(self._registry[claim.service], self._settings)
        counts["seconds"] = round(time.time() - claim.started, 3)
        counts["worker"] = claim.owner
        return counts


def rejects_path(settings: Settings, service: str, identity: str) -> Path:
    """Where the rejects of one source lie."""
    return settings.state_path / "rejects" / service / f"{identity}.jsonl"
