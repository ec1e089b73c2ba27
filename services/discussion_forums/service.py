"""Discussion Forums: every forum post of a course run, once.

In     database_state/latest/<course>-<site>.mongo
Out    lake/forums/<course>-<site>/delivered=<date>.parquet, one a delivery
       MongoDB discussion_forum.<course>-<site>, from the newest delivery
Waits  for nothing; person_course waits for us
"""

from collections.abc import Iterable
from typing import Any, cast

import pyarrow as pa

from optimus.errors import BadRecordError
from optimus.outputs.bson_documents import encode_document, forum_document
from optimus.outputs.catalog import LakeTables
from optimus.outputs.lake import LakeFile
from optimus.package.files import Chunk, TooLong
from optimus.package.forum import FORUM_SCHEMA, check_forum_format, parse_post, post_row
from optimus.package.layout import Package, PackageFile
from optimus.package.names import FileKind, safe_file_name
from optimus.service import MONGODB, FileRun, FileService
from optimus.touches import course_touch

LONGEST_POST = 16 << 20
ROWS_PER_BATCH = 5_000


class DiscussionForums(FileService):
    """Forum dumps. Of several versions of one post in a dump the last counts."""

    name = "discussion_forums"
    spelled = "DiscussionForums"
    title = "Discussion forums"
    servers = (MONGODB,)
    lake_tables = (
        LakeTables(
            pattern="forums/{forum}/delivered={day}.parquet",
            schema="discussion_forum",
            table="{forum}",
            newest=True,
            empty=FORUM_SCHEMA,
            about="One row per thread, response or comment, from the newest delivery.",
        ),
    )

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take the forum dump of every course run."""
        return (file for file in package.of_kind(FileKind.forum) if file.course)

    def ingest(self, run: FileRun) -> None:
        """Read the posts; unusable lines and older versions go to the rejects."""
        course = run.file.course
        if course is None:
            raise AssertionError("only forums of a course run are wanted")
        forum = safe_file_name(course.discussion_table)
        path = f"forums/{forum}/delivered={run.file.delivered}.parquet"
        with run.lake.open(path, FORUM_SCHEMA) as output:
            posts = _Posts(run, output)
            for chunk in run.chunks(LONGEST_POST):
                if chunk.first_line == 1:
                    check_forum_format(b"\n".join(_head(chunk)))
                posts.take(chunk)
            posts.write()
        if posts.superseded:
            run.lake.rewrite(path, posts.without_superseded)
            posts.set_superseded_aside()
        _write_documents(run, course.discussion_table, path)
        run.touches.add(course_touch(course.database))


def _write_documents(run: FileRun, forum: str, path: str) -> None:
    """Give MongoDB the posts that the lake has got: each once, in its last version."""
    documents = run.open_delivery("discussion_forum", forum)
    if documents is None:
        return
    for batch in run.lake.staged_batches(path, ["document"]):
        documents.write(forum_document(parse_post(text).values) for text in _texts(batch))
        run.tick()


def _texts(batch: pa.RecordBatch) -> list[str]:
    return cast(list[str], batch["document"].to_pylist())


def _head(chunk: Chunk) -> list[bytes]:
    return [line.head if isinstance(line, TooLong) else line for line in chunk.lines[:3]]


class _Posts:
    """The posts of one dump on their way into the lake; in memory are only their ids.

    Attributes:
        superseded: line of each post that has a later version -> line of that version.
    """

    def __init__(self, run: FileRun, output: LakeFile) -> None:
        self._run = run
        self._output = output
        self._rows: list[dict[str, Any]] = []
        self._lines: dict[bytes, int] = {}
        self.superseded: dict[int, int] = {}

    def take(self, chunk: Chunk) -> None:
        """Read the lines of a chunk."""
        for number, offset, line in chunk.numbered():
            if isinstance(line, TooLong):
                error = BadRecordError("line_too_long", f"{line.length:,} bytes")
                self._reject(number, offset, error, line.head)
            elif line.strip():
                self._parse(number, offset, line)
            else:
                self._run.counts["blank"] += 1
        if len(self._rows) >= ROWS_PER_BATCH:
            self.write()

    def write(self) -> None:
        """Hand the posts over to the lake."""
        self._output.write(pa.RecordBatch.from_pylist(self._rows, FORUM_SCHEMA))
        self._run.counts["rows"] += len(self._rows)
        self._run.tick(rows=len(self._rows))
        self._rows = []

    def without_superseded(self, posts: pa.RecordBatch) -> pa.RecordBatch:
        """Leave out the older versions."""
        lines = cast(list[int], posts["line"].to_pylist())
        return posts.filter(pa.array([line not in self.superseded for line in lines], pa.bool_()))

    def set_superseded_aside(self) -> None:
        """Read the older versions once more, for their bytes, and set them aside."""
        self._run.counts["rows"] -= len(self.superseded)
        for chunk in self._run.chunks_again(LONGEST_POST):
            for number, offset, line in chunk.numbered():
                later = self.superseded.get(number)
                if later is not None and isinstance(line, bytes):
                    detail = f"line {later:,} is a later version of the post"
                    self._run.reject(number, offset, "superseded", detail, line)

    def _parse(self, number: int, offset: int, line: bytes) -> None:
        try:
            post = parse_post(line)
            if self._run.mongodb is not None:
                # What MongoDB cannot hold is a reject, and fails nobody else's post.
                encode_document(forum_document(post.values))
        except BadRecordError as error:
            self._reject(number, offset, error, line)
            return
        self._run.counts["lines"] += 1
        self._run.counts["replaced_utf8"] += post.replaced_utf8
        if post.unusable_dates:
            self._run.repair(number, offset, "unusable_date", line)
        row = post_row(post, number)
        key = bytes.fromhex(row["_id"])
        if key in self._lines:
            self.superseded[self._lines[key]] = number
        self._lines[key] = number
        self._rows.append(row)

    def _reject(self, number: int, offset: int, error: BadRecordError, raw: bytes) -> None:
        self._run.counts["lines"] += 1
        self._run.reject(number, offset, error.reason, error.detail, raw)
