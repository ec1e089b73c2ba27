"""What every delivery needs on its way: a place aside, the rights it is published with, records."""

import grp
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from optimus.errors import OutputUnavailableError
from optimus.outputs.staging import INCOMING, Rights, Shelf
from optimus.package.deliveries import parse_delivery
from optimus.package.files import DeliveredFile
from optimus.package.names import FileKind, safe_file_name
from optimus.service import FileRun, described_schema
from services.extract.gpg import Gpg
from services.extract.unpacking import Content, Unpacking

ROWS_PER_BATCH = 5_000
READ, OWNER = 0o444, 0o700
TEXT = pa.string()
SCHEMA = described_schema(
    ("delivery", TEXT, "Path of the delivery below its folder."),
    ("delivered", pa.date32(), "Date in its name."),
    ("kind", TEXT, "table, forum, course_archive, events and so on; null for what is unknown."),
    ("path", TEXT, "What was published; below the data folder, unless a link leads out of it."),
    ("bytes", pa.int64(), "Its size; of a course archive that of its files."),
    ("sha256", TEXT, "Hash of its bytes; of a course archive those of the archive."),
    ("failed", pa.bool_(), "edX could not make the file: it holds a notice."),
)
Row = dict[str, Any]


class Desk:
    """Where one delivery is worked on.

    Attributes:
        run: the try.
        delivered: the open delivery.
        filename: its name.
        name: what that says.
        package: the data folder to publish to, every link followed.
        shelf: where things lie until they are published, and what rights they get.
    """

    def __init__(self, run: FileRun, delivered: DeliveredFile) -> None:
        """Prepare the desk.

        Raises:
            OutputUnavailableError: there is no group of the name in PUBLISH_GROUP.
        """
        self.run = run
        self.delivered = delivered
        self.filename = run.file.path.name
        name = parse_delivery(self.filename)
        assert name  # noqa: S101 - for the types: it was found by its name
        self.name = name
        self.package = run.place.package.resolve()
        self.shelf = Shelf(self.package / INCOMING, rights_of(run.options))

    def unpacking(self, done: Callable[[], int]) -> Unpacking:
        """What does the work, and counts.

        Args:
            done: tells how far the reading has come.
        """
        options, size = self.run.options, self.delivered.bytes_total
        gpg = Gpg(options["GPG_HOME"], options["GPG_PASSPHRASE_FILE"])
        return Unpacking(self.filename, size, gpg, lambda: self.run.tick(done()))

    def file_for(self, final: Path) -> Path:
        """The hidden path of a file that is going to be published."""
        hidden = self.run.staging.path_for(final, self.shelf)
        self._want_room(final.parent, self.delivered.bytes_total)
        return hidden

    def folder_for(self, final: Path, size: int) -> Path:
        """The hidden path of a folder that is going to be published.

        Args:
            final: where it belongs.
            size: bytes that it holds at least.
        """
        hidden = self.run.staging.folder_for(final, self.shelf)
        self._want_room(final.parent, size)
        return hidden

    def _want_room(self, folder: Path, size: int) -> None:
        """Do not begin what cannot end well."""
        if folder.stat().st_dev != self.shelf.folder.stat().st_dev:
            raise OutputUnavailableError(
                f"{folder} is on another file system than {self.package}: nothing can be moved "
                "there in one step. Set PUBLISH_PATH to a data folder that is on one alone."
            )
        free = shutil.disk_usage(folder).free
        if free < size:
            raise OutputUnavailableError(
                f"{self.filename} needs more than {size:,} bytes in {folder}, and {free:,} are "
                "free. Make room there."
            )

    def row(
        self, kind: FileKind | None, final: Path, content: Content, *, failed: bool = False
    ) -> Row:
        """What is written down of one published file or course folder."""
        is_inside = final.is_relative_to(self.package)
        return {
            "delivery": self.run.file.source,
            "delivered": self.run.file.day,
            "kind": kind,
            "path": str(final.relative_to(self.package) if is_inside else final),
            "bytes": content.size,
            "sha256": content.sha256,
            "failed": failed,
        }

    def write_down(self, rows: Iterable[Row]) -> None:
        """Write the rows of the delivery; it must have been read to its end."""
        path = f"deliveries/{safe_file_name(self.run.file.source)}.parquet"
        waiting: Iterator[Row] = iter(rows)
        with self.run.lake.open(path, SCHEMA) as output:
            while batch := list(islice(waiting, ROWS_PER_BATCH)):
                output.write(pa.RecordBatch.from_pylist(batch, SCHEMA))
                self.run.counts["rows"] += len(batch)
                self.run.tick(rows=len(batch))


def rights_of(options: Mapping[str, Any]) -> Rights:
    """Who may use what is published; whoever may read a file may look into its folder.

    Raises:
        OutputUnavailableError: there is no such group.
    """
    mode = int(options["PUBLISH_MODE"], 8)
    name = options["PUBLISH_GROUP"]
    try:
        group = grp.getgrnam(name).gr_gid if name else None
    except KeyError as error:
        raise OutputUnavailableError(
            f"PUBLISH_GROUP: there is no group {name}. Make it, or mend the setting."
        ) from error
    return Rights(mode, mode | (mode & READ) >> 2 | OWNER, group)
