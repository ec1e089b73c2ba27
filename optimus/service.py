"""The contract between a service and the world.

A service is a class in ``services/<name>/service.py``. It says what it is called, what it
needs, which files it wants, and how it ingests one of them (``FileService``) or what it
makes of the outputs of others (``DerivedService``). All that it sees of the world is its
``Run``: reading, writing, setting aside, counting.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from optimus.errors import BadFileError, LedgerError, StopRequested
from optimus.outputs.catalog import Catalog, LakeTables, Table
from optimus.outputs.lake import LakeWriter
from optimus.outputs.rejects import Reject, RejectsWriter
from optimus.outputs.staging import Staging
from optimus.package.files import KEPT_OF_TOO_LONG, LONGEST_LINE, Chunk, DeliveredFile
from optimus.package.layout import Package, PackageFile

REJECTS_ALWAYS_ALLOWED = 100


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
    lake_tables: ClassVar[tuple[LakeTables, ...]] = ()
    """The tables that its lake files make."""

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
    """

    lake: Path
    exports: Path
    www: Path
    rejects: Path
    spill: Path


@dataclass
class Progress:
    """How far a run has come, in the unit of its input (bytes, courses)."""

    done: int = 0
    total: int = 0
    rows: int = 0


@dataclass
class Run:
    """One try of a service, and its whole view of the world.

    Attributes:
        options: the settings that the service has declared.
        started: when the try began (UTC).
        place: where it may write.
        staging: what becomes visible when the try succeeds.
        lake: writes Parquet files.
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
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    touches: set[str] = field(default_factory=set)
    progress: Progress = field(default_factory=Progress)

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
    """

    file: PackageFile = field(kw_only=True)
    delivered: DeliveredFile | None = None

    def chunks(self, longest: int = LONGEST_LINE) -> Iterator[Chunk]:
        """The file's lines. Progress, and the wish to stop, are seen to in between."""
        delivered = self._open()
        for chunk in delivered.chunks(longest):
            yield chunk
            self.tick(delivered.bytes_read)

    def chunks_again(self, longest: int = LONGEST_LINE) -> Iterator[Chunk]:
        """The file's lines once more, for what is known at its end only."""
        again = DeliveredFile(self.file.path)
        try:
            for chunk in again.chunks(longest):
                yield chunk
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
        self.rejects.add(Reject(line, offset, reason, detail, raw[:KEPT_OF_TOO_LONG]))

    def repair(self, line: int, offset: int, reason: str, raw: bytes) -> None:
        """Note a record that was kept although a part of it could not be used."""
        self.rejects.add(Reject(line, offset, reason, "", raw[:KEPT_OF_TOO_LONG], kept=True))

    def check_ledger(self, max_reject_share: float) -> None:
        """Every line is a row or a reject, and the rejects are not too many.

        Raises:
            BadFileError: too many rejects.
            LedgerError: the counts do not add up: a defect of the service.
        """
        self.counts["rejects"] = self.rejects.count
        lines, rows, rejects = (self.counts[name] for name in ("lines", "rows", "rejects"))
        if lines != rows + rejects:
            raise LedgerError(
                f"{self.file.path.name}: {lines:,} lines are not {rows:,} rows + "
                f"{rejects:,} rejects. Nothing is published; please report this."
            )
        if rejects > max(REJECTS_ALWAYS_ALLOWED, max_reject_share * lines):
            often = [f"{reason} {n:,}" for reason, n in self.rejects.reasons.most_common(3)]
            raise BadFileError(
                f"{self.file.path.name}: {rejects:,} of {lines:,} lines would be set aside "
                f"({', '.join(often)}). Look at them with 'rejects show'; raise "
                "MAX_REJECT_SHARE and 'retry' to take the rest of the file."
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
