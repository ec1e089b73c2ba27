"""What a database package holds, file by file, and how two packages differ."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from optimus.errors import OptimusError
from optimus.package.files import DeliveredFile
from optimus.package.layout import files_below
from optimus.package.names import FileKind, PackageName, parse_name
from optimus.package.tables import canonical_table
from optimus.package.tsv import parse_header

LINE_END = b"\n"
LONGEST_HEADER = 1 << 16
WITH_LINES = (FileKind.table, FileKind.forum)

CourseOnSite = tuple[str, str]
"""Stem and site: what tells a course run from all others."""
Place = tuple[str, str, str]
"""Stem, site and table."""


@dataclass(frozen=True)
class Held:
    """One file of a package.

    Attributes:
        stem: org, course and run joined by dashes; the org alone for org-wide files.
        site: ``prod`` or ``edge``.
        table: the table; ``forum``, ``course_structure`` and so on for other kinds.
        file: its logical name.
        rows: table rows or forum posts; None where lines mean nothing, or it cannot be read.
        columns: names of a table's columns, in their order.
        content_bytes: unpacked.
        sha256: of the unpacked content; empty when it cannot be read.
        failed: edX could not make it: it holds a notice.
    """

    stem: str
    site: str
    table: str
    file: str
    rows: int | None
    columns: tuple[str, ...]
    content_bytes: int
    sha256: str
    failed: bool

    @property
    def course(self) -> CourseOnSite:
        """The course run it is about."""
        return self.stem, self.site

    @property
    def place(self) -> Place:
        """What it is compared by."""
        return self.stem, self.site, self.table


@dataclass(frozen=True)
class Change:
    """How one table of one course run differs between two packages.

    Attributes:
        stem: of the course run.
        site: of the course run.
        table: the table, or the kind of file.
        before: the file of the earlier package; None when there was none.
        after: the file of the later package; None when there is none.
    """

    stem: str
    site: str
    table: str
    before: Held | None
    after: Held | None

    @property
    def course(self) -> CourseOnSite:
        """The course run it is about."""
        return self.stem, self.site

    @property
    def place(self) -> Place:
        """What was compared."""
        return self.stem, self.site, self.table

    @property
    def columns_new(self) -> tuple[str, ...]:
        """Columns that came."""
        return _missing(self.after, self.before)

    @property
    def columns_gone(self) -> tuple[str, ...]:
        """Columns that went."""
        return _missing(self.before, self.after)

    @property
    def drop(self) -> float:
        """Share of its rows that the table has lost: 0 to 1; 0 where nobody can tell."""
        if not (self.before and self.after and self.before.rows and self.after.rows is not None):
            return 0.0
        return max(0.0, 1 - self.after.rows / self.before.rows)

    @property
    def is_same(self) -> bool:
        """Whether both packages hold the very same bytes."""
        return bool(self.before and self.after and self.before.sha256 == self.after.sha256 != "")


def take_inventory(
    folder: Path, tick: Callable[[int], object] = lambda _bytes: None
) -> Iterator[Held]:
    """Count what lies in a package folder, course folders left out.

    Args:
        folder: ``database_state/<date>``.
        tick: told often how many bytes have been read.
    """
    read = 0
    for path in files_below(folder, []):
        name = parse_name(path.name)
        if name is None or name.kind is FileKind.events:
            continue

        def seen(count: int) -> None:
            nonlocal read
            read += count
            tick(read)

        yield _count(path, name, seen)


def content_of(files: Iterable[Held]) -> dict[CourseOnSite, str]:
    """A hash of all that a package says of each course run."""
    digests: dict[CourseOnSite, hashlib._Hash] = {}
    for held in sorted(files, key=lambda held: (held.course, held.file)):
        digest = digests.setdefault(held.course, hashlib.sha256())
        digest.update(f"{held.file}\0{held.sha256}\n".encode())
    return {course: digest.hexdigest() for course, digest in digests.items()}


def compare(before: Iterable[Held], after: Iterable[Held]) -> list[Change]:
    """Every table of either package, by course run and table."""
    earlier, later = _by_place(before), _by_place(after)
    return [
        Change(*place, earlier.get(place), later.get(place)) for place in sorted({*earlier, *later})
    ]


def _by_place(files: Iterable[Held]) -> dict[Place, Held]:
    # A notice of failure stands for nothing when the file itself is there as well.
    ordered = sorted(files, key=lambda held: (not held.failed, held.file))
    return {held.place: held for held in ordered}


def _missing(of: Held | None, other: Held | None) -> tuple[str, ...]:
    if not (of and other and of.columns and other.columns):
        return ()
    return tuple(name for name in of.columns if name not in other.columns)


def _count(path: Path, name: PackageName, seen: Callable[[int], None]) -> Held:
    table = canonical_table(name.table) if name.table else name.kind.value
    reader = _Counter()
    try:
        reader.read(path, seen)
        columns = tuple(parse_header(reader.head)) if name.table and not name.failed else ()
    except (OptimusError, OSError):
        # The service that ingests it says what is wrong; here it only cannot be compared.
        reader, columns = _Counter(), ()
    has_rows = name.kind in WITH_LINES and not name.failed and reader.sha256
    return Held(
        stem=name.stem,
        site=name.site,
        table=table,
        file=name.logical,
        rows=reader.lines - bool(columns) if has_rows else None,
        columns=columns,
        content_bytes=reader.content_bytes,
        sha256=reader.sha256,
        failed=name.failed,
    )


class _Counter:
    """Lines, first line and hash of one file."""

    def __init__(self) -> None:
        self.lines = 0
        self.head = b""
        self.content_bytes = 0
        self.sha256 = ""

    def read(self, path: Path, seen: Callable[[int], None]) -> None:
        delivered = DeliveredFile(path)
        last = LINE_END
        try:
            for block in delivered.blocks():
                if not self.content_bytes:
                    self.head = block[:LONGEST_HEADER].partition(LINE_END)[0]
                self.lines += block.count(LINE_END)
                self.content_bytes += len(block)
                last = block[-1:]
                seen(len(block))
        finally:
            delivered.close()
        self.lines += last != LINE_END
        self.sha256 = delivered.content_sha256
