"""The contract between a service and the world.

A service is a class in ``services/<name>/service.py``. It says what it is called, what it
needs, which files it wants, and how it ingests one of them (``FileService``) or what it
makes of the outputs of others (``DerivedService``). All that it sees of the world is its
``Run``: reading, writing, setting aside, counting.
"""

import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

import duckdb
import pyarrow as pa

from optimus.errors import BadFileError, LedgerError, StopRequested
from optimus.outputs.catalog import Catalog, LakeTables, Table
from optimus.outputs.courses import Course, find_courses
from optimus.outputs.lake import LakeWriter
from optimus.outputs.mongo import CollectionOfDelivery, SourceDocuments
from optimus.outputs.mysql import MySqlTables, SqlTable
from optimus.outputs.rejects import Reject, RejectsWriter
from optimus.outputs.staging import Staging
from optimus.outputs.table import TableOutput
from optimus.package.edits import Edits
from optimus.package.files import KEPT_OF_TOO_LONG, LONGEST_LINE, Chunk, DeliveredFile
from optimus.package.inventory import CourseOnSite
from optimus.package.layout import Package, PackageFile
from optimus.package.tsv import Line
from optimus.servers import MongoServer

REJECTS_ALWAYS_ALLOWED = 100
ROWS_PER_BATCH = 20_000
SECONDS_BETWEEN_CHECKS = 1.0
MYSQL, MONGODB = "MySQL", "MongoDB"


class Hold(Protocol):
    """The exclusive right to a source, as long as the try lasts."""

    def check(self) -> None:
        """See that it still holds.

        Raises:
            OutputUnavailableError: it does not, or nobody knows.
        """


class Documents(Protocol):
    """What a try is about to write to MongoDB; there is nothing of it before ``publish``."""

    notes: list[str]

    def publish(self, origin: Mapping[str, str], guard: Callable[[], None]) -> None:
        """Write all of it, in place of what the source gave before."""

    def remove(self) -> None:
        """Take away what the source gave before."""

    def discard(self) -> None:
        """Forget what was prepared."""


class Service(ABC):
    """What every service declares."""

    name: ClassVar[str]
    """Its one name: the folder's."""
    spelled: ClassVar[str]
    """The original's spelling, for the queue's old readers and ``/status``."""
    title: ClassVar[str]
    """What people read."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Names of the services whose work it builds on."""
    options: ClassVar[tuple[str, ...]] = ()
    """Names of the settings that it is shown."""
    servers: ClassVar[tuple[str, ...]] = ()
    """What it writes to beside the lake, where it is in use: ``MYSQL``, ``MONGODB``."""
    in_the_lake: ClassVar[bool] = True
    """Whether it has anything to do when none of its servers is in use."""
    lake_tables: ClassVar[tuple[LakeTables, ...]] = ()
    """The tables that its lake files make."""
    feeds_the_package: ClassVar[bool] = False
    """Whether what it does lets other services find more files: then a scan follows."""

    def is_used(self, options: Mapping[str, Any]) -> bool:
        """Whether its settings leave it anything to do; when not, it does not run."""
        del options
        return True

    def check(self, options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """What the operator should know of what the service depends on.

        Returns:
            Pairs of a verdict (``good``, ``look`` or ``bad``) and a sentence.
        """
        del options
        return ()


class FileService(Service):
    """A service that takes files of the package, one at a time."""

    equal_content_counts_once: ClassVar[bool] = False
    """Two sources of the same content are one; the second only names the first."""

    @abstractmethod
    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Choose files from the package."""

    @abstractmethod
    def ingest(self, run: "FileRun") -> None:
        """Ingest ``run.file``. Everything written becomes visible after this returns.

        Raises:
            BadFileError: the file cannot be ingested as it is.
        """


class InspectingService(FileService):
    """A service that looks at packages before any other is given their files."""

    feeds_the_package = True

    @abstractmethod
    def held_back(
        self, lake: Path, file: PackageFile, options: Mapping[str, Any]
    ) -> Mapping[CourseOnSite, str]:
        """Which course runs no other service may have yet, and a sentence why.

        Args:
            lake: the lake, where its own looks have left word.
            file: a package it has looked at.
            options: the settings that it has declared.
        """


class PeriodicService(Service):
    """A service that looks at something outside from time to time."""

    interval: ClassVar[str]
    """Name of the setting that holds the seconds between two looks; one of ``options``."""

    @abstractmethod
    def look(self, run: "Run") -> None:
        """Look, and do what there is to do."""


class DerivedService(Service):
    """A service that works on what other services have written."""

    def stamp(self, options: Mapping[str, Any]) -> str:
        """What else the result depends on; when it changes, everything is done again."""
        del options
        return ""

    @abstractmethod
    def derive(self, run: "DerivedRun") -> None:
        """Bring the results up to date with ``run.touched``."""


@dataclass(frozen=True)
class Place:
    """Where a run may write.

    Attributes:
        lake: the lake's folder.
        exports: folder of the CSV files.
        www: folder of the files for the web.
        rejects: the rejects file of the source.
        spill: folder for temporary files of queries.
        spool: temporary file of what is on its way to a server.
        package: the data folder that deliveries are unpacked to.
        fetched: folder of deliveries from elsewhere.
    """

    lake: Path
    exports: Path
    www: Path
    rejects: Path
    spill: Path
    spool: Path
    package: Path
    fetched: Path


@dataclass
class Progress:
    """How far a run has come.

    Attributes:
        done: of ``total``, in the unit of the input (bytes, courses).
        total: all there is to do.
        rows: rows made so far.
        messages: messages that the servers have taken.
    """

    done: int = 0
    total: int = 0
    rows: int = 0
    messages: int = 0


@dataclass
class Run:
    """One try of a service, and its whole view of the world.

    Attributes:
        options: the settings that the service has declared.
        started: when the try began (UTC).
        place: where it may write.
        staging: what becomes visible when the try succeeds.
        lake: writes Parquet files.
        identity: hash that names the source in all outputs.
        hold: sees that no other host has taken the source over.
        mysql: the tables of this try in MySQL; None where it is not in use.
        mongodb: the server of events and forums; None where there is none.
        counts: the ledger: lines, rows and whatever else the service counts.
        notes: sentences for the operator.
        touches: keys of the courses whose data changed.
        progress: reported by ``tick``.
    """

    options: Mapping[str, Any]
    started: datetime
    place: Place
    staging: Staging
    lake: LakeWriter
    rejects: RejectsWriter
    report: Callable[[Progress], bool]
    identity: str
    hold: Hold
    mysql: MySqlTables | None = None
    mongodb: MongoServer | None = None
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    touches: set[str] = field(default_factory=set)
    progress: Progress = field(default_factory=Progress)
    _held_at: float = 0.0

    def tick(self, done: int | None = None, rows: int = 0) -> None:
        """Say how far the work has come. Call it at least once a second.

        Raises:
            StopRequested: the daemon wants to stop; let it pass.
        """
        if done is not None:
            self.progress.done = done
        self.progress.rows += rows
        if not self.report(self.progress):
            raise StopRequested

    def guard(self) -> None:
        """Between two messages to a server: the work is still wanted, and still ours.

        Raises:
            StopRequested: the daemon wants to stop; let it pass.
            OutputUnavailableError: another host may have taken the source over.
        """
        self.progress.messages += 1
        self.tick()
        now = time.monotonic()
        if now - self._held_at >= SECONDS_BETWEEN_CHECKS:
            self._held_at = now
            self.hold.check()

    def patiently(self, action: Callable[[], None]) -> None:
        """Do something that keeps a server busy for long, such as building an index.

        Progress is told all the while, so that nobody takes the wait for a hang.

        Raises:
            StopRequested: the daemon wants to stop; the server may go on.
        """
        thread = ThreadPoolExecutor(1)
        try:
            done = thread.submit(action)
            while not wait([done], SECONDS_BETWEEN_CHECKS).done:
                self.guard()
            done.result()
        finally:
            thread.shutdown(wait=False)

    def note(self, sentence: str) -> None:
        """Tell the operator something about this try; never any learner's data."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def write_www(self, relative: str, content: bytes) -> None:
        """Stage a file below the web folder."""
        self.staging.write_bytes(self.place.www / relative, content)


@dataclass
class FileRun(Run):
    """One try at one file of the package (or one course folder).

    Attributes:
        file: what is ingested.
        delivered: the open file; None for a folder.
        documents: what MongoDB is about to be given.
        edits: lines that an operator has edited; ``chunks`` puts them in place.
    """

    file: PackageFile = field(kw_only=True)
    delivered: DeliveredFile | None = None
    documents: list[Documents] = field(default_factory=list)
    edits: Edits = field(default_factory=Edits)

    def open_table(
        self, relative: str, table: SqlTable, *, in_the_lake_alone: bool = False
    ) -> TableOutput:
        """Begin a table in the lake and, where it is in use, in MySQL.

        Args:
            relative: path of the lake file, below the lake.
            table: its columns, and its place in MySQL.
            in_the_lake_alone: leave MySQL out.

        Raises:
            BadFileError: MySQL can hold no table like this.
            OutputUnavailableError: the server cannot take it now.
        """
        staged = None
        if self.mysql is not None and not in_the_lake_alone:
            staged = self.mysql.open(table)

        def refused(line: Line, detail: str) -> None:
            number, offset, raw = line
            self.reject(number, offset, "does_not_fit", detail, raw)

        file = self.lake.open(relative, table.schema)
        return TableOutput(file, staged, refused, self.patiently)

    def open_documents(self, database: str, collection: str) -> SourceDocuments | None:
        """The documents that this source gives to a collection; None without MongoDB."""
        if self.mongodb is None:
            return None
        found = SourceDocuments(self.mongodb, database, collection, self.identity, self.place.spool)
        self.documents.append(found)
        return found

    def open_delivery(self, database: str, collection: str) -> CollectionOfDelivery | None:
        """A collection that holds what this delivery says; None without MongoDB."""
        if self.mongodb is None:
            return None
        found = CollectionOfDelivery(self.mongodb, database, collection, self.place.spool)
        self.documents.append(found)
        return found

    def chunks(self, longest: int = LONGEST_LINE) -> Iterator[Chunk]:
        """The file's lines. Progress, and the wish to stop, are seen to in between."""
        delivered = self._open()
        for chunk in delivered.chunks(longest):
            yield from self.edits.apply(chunk)
            self.tick(delivered.bytes_read)

    def chunks_again(self, longest: int = LONGEST_LINE) -> Iterator[Chunk]:
        """The file's lines once more, for what is known at its end only."""
        again = DeliveredFile(self.file.path)
        try:
            for chunk in again.chunks(longest):
                yield from self.edits.apply(chunk)
                self.tick()
        finally:
            again.close()

    def read(self, limit: int) -> bytes:
        """The whole content of a small file.

        Raises:
            BadFileError: it has more than ``limit`` bytes.
        """
        content = bytearray()
        for block in self._open().blocks():
            content += block
            if len(content) > limit:
                raise BadFileError(f"{self.file.path.name} has more than {limit:,} bytes.")
        return bytes(content)

    def _open(self) -> DeliveredFile:
        if self.delivered is None:
            raise BadFileError(f"{self.file.path.name} is a folder where a file was expected.")
        return self.delivered

    def reject(self, line: int, offset: int, reason: str, detail: str, raw: bytes) -> None:
        """Set one record aside, with its place, its reason and its bytes."""
        self._note_down(Reject(line, offset, reason, detail, raw))

    def repair(self, line: int, offset: int, reason: str, raw: bytes) -> None:
        """Note a record that was kept although a part of it could not be used."""
        self._note_down(Reject(line, offset, reason, "", raw, kept=True))

    def _note_down(self, record: Reject) -> None:
        self.rejects.add(
            replace(
                record,
                raw=record.raw[:KEPT_OF_TOO_LONG],
                delivered_sha256=self.edits.delivered_sha256(record.line),
            )
        )

    def check_ledger(self, max_reject_share: float, accepted: Mapping[str, int]) -> None:
        """Every line is a row or a reject, and the rejects are not too many.

        Args:
            max_reject_share: how many of the lines may be rejects.
            accepted: how many rejects of each reason an operator has agreed to.

        Raises:
            BadFileError: too many rejects that nobody has agreed to.
            LedgerError: the counts do not add up: a defect of the service.
        """
        self.counts["rejects"] = self.rejects.count
        lines, rows, rejects = (self.counts[name] for name in ("lines", "rows", "rejects"))
        if lines != rows + rejects:
            raise LedgerError(
                f"{self.file.path.name}: {lines:,} lines are not {rows:,} rows + "
                f"{rejects:,} rejects. Nothing is published; please report this."
            )
        unaccepted = self.rejects.reasons - Counter(accepted)
        if unaccepted.total() > max(REJECTS_ALWAYS_ALLOWED, max_reject_share * lines):
            often = [f"{reason} {n:,}" for reason, n in unaccepted.most_common(3)]
            raise BadFileError(
                f"{self.file.path.name}: {unaccepted.total():,} of {lines:,} lines would be set "
                f"aside ({', '.join(often)}). Look at them with 'rejects show'; 'rejects accept' "
                "takes the rest of the file."
            )

    def tell_edits(self) -> None:
        """After the last line: say how many lines were edited, and which edits are void."""
        if self.edits.count:
            self.counts["edited"] = self.edits.count
        if self.edits.stale:
            self.note(
                f"Edited lines that are no longer what was edited: {len(self.edits.stale):,}. They "
                "were taken as delivered; their edits are gone."
            )


@dataclass
class DerivedRun(Run):
    """One try to bring derived results up to date.

    Attributes:
        catalog: the tables of the lake.
        touched: keys of the courses that changed since the last success; None for all.
        fresh: lake files that are new since then; None when all count as new.
        obsolete: lake files to be taken away, below the lake.
    """

    catalog: Catalog = field(kw_only=True)
    touched: frozenset[str] | None = None
    fresh: tuple[Path, ...] | None = None

    obsolete: set[str] = field(default_factory=set)

    def connect(self, tables: Iterable[Table] | None = None) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with these tables of the lake as views; all when None."""
        return self.catalog.connect(self.place.spill, tables=tables)

    def touched_courses(self, connection: duckdb.DuckDBPyConnection) -> list[Course]:
        """The course runs of the lake that changed since the last success.

        Args:
            connection: one that has ``course_structure.courses`` as a view.
        """
        found = find_courses(self.catalog, connection)
        return [course for course in found if self.is_touched(*course.touches)]

    def write_table(
        self, relative: str, table: SqlTable, batches: Iterable[pa.RecordBatch]
    ) -> None:
        """Write a table to the lake and, where it is in use, to MySQL, some rows at a time.

        A row that MySQL cannot hold stays in the lake alone, and a note says so.

        Args:
            relative: path of the lake file, below the lake.
            table: its columns, and its place in MySQL.
            batches: its rows.

        Raises:
            OutputUnavailableError: the server cannot take it now.
        """
        with self.lake.open(relative, table.schema) as file:
            for batch in self._mirrored(table, batches):
                file.write(batch)

    def mirror(self, table: SqlTable, rows: pa.Table) -> None:
        """Write a table to MySQL alone, where it is in use; else as ``write_table`` does.

        Raises:
            OutputUnavailableError: the server cannot take it now.
        """
        for _ in self._mirrored(table, rows.to_batches(max_chunksize=ROWS_PER_BATCH)):
            pass

    def _mirrored(
        self, table: SqlTable, batches: Iterable[pa.RecordBatch]
    ) -> Iterator[pa.RecordBatch]:
        """The batches, each after MySQL has taken it, where it is in use."""
        refused = 0
        with self.mysql.open(table) if self.mysql else nullcontext() as staged:
            for batch in batches:
                refused += len(staged.load(batch)) if staged else 0
                yield batch
                self.tick()
        if refused:
            self.note(f"MySQL {table.name}: {refused:,} rows do not fit; the lake has them.")

    def remove(self, relative: str) -> None:
        """Take a lake file away when the try succeeds."""
        self.obsolete.add(relative)

    def is_touched(self, *keys: str) -> bool:
        """Whether any of these keys changed."""
        return self.touched is None or not self.touched.isdisjoint(keys)


def described_schema(*columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    """A lake schema from (name, type, sentence); the sentences go into the documentation."""
    return pa.schema(
        [pa.field(name, kind, metadata={"description": about}) for name, kind, about in columns]
    )
