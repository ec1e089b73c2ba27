"""Clickstream: every line of the tracking logs, as a row of the lake and a document.

In     clickstream_logs/**/*.log, plain or gzip
Out    lake/clickstream/year=…/month=…/<source>.parquet: logs.clickstream
       MongoDB logs.clickstream: the events as delivered, and time_date
Waits  for nothing; ip_to_country and time_finder wait for us
"""

from collections.abc import Iterable
from datetime import datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from optimus.errors import BadRecordError
from optimus.outputs.bson_documents import document_id, encode_event
from optimus.outputs.catalog import LakeTables
from optimus.outputs.lake import LakeFile
from optimus.outputs.mongo import SourceDocuments
from optimus.package.events import Event, read_document, read_event
from optimus.package.files import Chunk, TooLong
from optimus.package.layout import Package, PackageFile
from optimus.package.names import FROM_MONGODB, safe_file_name
from optimus.service import MONGODB, FileRun, FileService
from optimus.touches import events_touch
from services.clickstream.columns import EVENT_SCHEMA, event_rows

ROWS_PER_BATCH = 10_000
PAYLOAD = """*, CASE WHEN json_type(event) = 'VARCHAR' AND json_valid(event ->> '$')
     THEN event ->> '$' ELSE event END AS payload"""


class Clickstream(FileService):
    """Tracking logs. A log of the same content as another counts once."""

    name = "clickstream"
    spelled = "Clickstream"
    title = "Tracking logs"
    equal_content_counts_once = True
    servers = (MONGODB,)
    lake_tables = (
        LakeTables(
            pattern="clickstream/year={year}/month={month}/{source}.parquet",
            schema="logs",
            table="clickstream",
            columns=PAYLOAD,
            empty=EVENT_SCHEMA,
            about="One row per event. payload is event, with JSON inside a text unpacked.",
        ),
    )

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take every tracking log."""
        return package.logs

    def ingest(self, run: FileRun) -> None:
        """Read a log line by line; what is no event goes to the rejects."""
        documents = None
        # What came from there is there already.
        if not run.file.path.name.startswith(FROM_MONGODB):
            documents = run.open_documents("logs", "clickstream")
        with run.lake.open(lake_path(run.file), EVENT_SCHEMA) as file:
            batch = _Batch(run, file, documents)
            for chunk in run.chunks():
                batch.take(chunk)
            batch.write()
        if run.counts["lines"] == 0:
            run.note("The log holds no line.")


def lake_path(file: PackageFile) -> str:
    """Where the rows of a log lie below the lake; logs without a date lie in year 0."""
    year, month = (file.day.year, file.day.month) if file.day else (0, 0)
    return f"clickstream/year={year:04}/month={month:02}/{safe_file_name(file.source)}.parquet"


class _Batch:
    """Events on their way into the lake."""

    def __init__(self, run: FileRun, file: LakeFile, documents: SourceDocuments | None) -> None:
        self._run = run
        self._file = file
        self._documents = documents
        self._lines: list[int] = []
        self._events: list[Event] = []
        self._hashes: list[int] = []
        self._seen = Seen()

    def take(self, chunk: Chunk) -> None:
        """Read the lines of a chunk."""
        for number, offset, line in chunk.numbered():
            if isinstance(line, TooLong):
                detail = f"{line.length:,} bytes; only the beginning is kept here"
                self._reject(number, offset, BadRecordError("line_too_long", detail), line.head)
            elif line.isspace() or not line:
                self._run.counts["blank"] += 1
            else:
                try:
                    event = read_event(line)
                    if self._documents is not None:
                        self._documents.add(self._document(number, line, event))
                except BadRecordError as error:
                    self._reject(number, offset, error, line)
                    continue
                self._lines.append(number)
                self._events.append(event)
                self._hashes.append(hash(line))
        if len(self._lines) >= ROWS_PER_BATCH:
            self.write()

    def write(self) -> None:
        """Hand the events over to the lake."""
        run = self._run
        repeats = self._seen.add(np.array(self._hashes, dtype=np.int64))
        rows = event_rows(
            run.file.source, run.file.site, self._lines, self._events, pa.array(repeats)
        )
        self._file.write(rows)
        run.counts["lines"] += len(self._lines)
        run.counts["rows"] += len(self._lines)
        run.counts["repeats"] += int(repeats.sum())
        for event in self._events:
            if event.repaired:
                run.counts["repaired"] += 1
        courses = {event.course_id for event in self._events if event.course_id}
        run.touches.update(events_touch(run.file.site, course_id) for course_id in courses)
        run.tick(rows=len(self._lines))
        self._lines, self._events, self._hashes = [], [], []

    def _document(self, number: int, line: bytes, event: Event) -> bytes:
        """The event as MongoDB holds it.

        Raises:
            BadRecordError: MongoDB cannot hold it.
        """
        time = event.fields.time
        return encode_event(
            read_document(line),
            document_id(self._run.identity, number),
            None if time is None else datetime.fromisoformat(time),
        )

    def _reject(self, number: int, offset: int, error: BadRecordError, raw: bytes) -> None:
        self._run.counts["lines"] += 1
        self._run.reject(number, offset, error.reason, error.detail, raw)


class Seen:
    """Which lines came before, by their hashes: eight bytes a line.

    The hashes lie in sorted runs, each at least twice as long as the next, so that a file
    of n lines costs n log n and not n squared.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.int64]] = []

    def add(self, hashes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Take in the next lines.

        Returns:
            For each of them whether an equal one came before.
        """
        ordered, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        known = np.zeros(len(ordered), dtype=np.bool_)
        for run in self._runs:
            at = np.searchsorted(run, ordered)
            at[at == len(run)] = 0
            known |= run[at] == ordered
        repeats: NDArray[np.bool_] = known[inverse] | (np.arange(len(hashes)) != first[inverse])
        self._runs.append(ordered[~known])
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate([self._runs[-1], last]))
        self._runs = [run for run in self._runs if len(run)]
        return repeats
