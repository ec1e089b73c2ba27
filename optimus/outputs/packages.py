"""What the lake remembers of packages: what each held, how it differed, what was accepted.

packages/inventory/<base>/delivered=<date>.parquet   a row per file
packages/changes/<base>/delivered=<date>.parquet     a row per table of either package
packages/accepted/<course>~<date>.parquet            a row: an operator has agreed
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from optimus.outputs.catalog import LakeTables
from optimus.outputs.lake import LakeWriter
from optimus.outputs.staging import Staging
from optimus.package.inventory import Change, CourseOnSite, Held
from optimus.package.names import FileKind, safe_file_name

FOLDER = "packages"
NAMED = 5
"""Things that a sentence names before it only says how many more there are."""
TEXT, WHOLE, DATE, MOMENT = pa.string(), pa.int64(), pa.date32(), pa.timestamp("us", "UTC")


def _schema(*columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    return pa.schema(
        [pa.field(name, kind, metadata={"description": about}) for name, kind, about in columns]
    )


Row = dict[str, Any]
"""One row of a table of the lake."""

_WHICH = (
    ("base", TEXT, "Data folder that the package lies in."),
    ("delivered", DATE, "Date of the delivery."),
    ("stem", TEXT, "Org, course and run joined by dashes; the org alone for org-wide files."),
    ("site", TEXT, "prod or edge."),
    ("table", TEXT, "The table; or forum, course_structure and so on."),
)
INVENTORY = _schema(
    *_WHICH,
    ("file", TEXT, "Name of the file, unwrapped."),
    ("rows", WHOLE, "Rows or posts; null where lines mean nothing."),
    ("columns", pa.list_(TEXT), "Columns of a table."),
    ("content_bytes", WHOLE, "Size, unpacked."),
    ("sha256", TEXT, "Hash of the unpacked content; blank when it could not be read."),
    ("failed", pa.bool_(), "edX could not make the file."),
)
CHANGES = _schema(
    *_WHICH,
    ("compared_with", DATE, "Date of the earlier delivery."),
    ("file_before", TEXT, "Name of the file there; null without one."),
    ("file_after", TEXT, "Name of the file now; null without one."),
    ("rows_before", WHOLE, "Rows there; null where lines mean nothing."),
    ("rows_after", WHOLE, "Rows now; null where lines mean nothing."),
    ("columns_new", pa.list_(TEXT), "Columns that came."),
    ("columns_gone", pa.list_(TEXT), "Columns that went."),
    ("same_bytes", pa.bool_(), "The very same bytes."),
    ("lost", pa.float64(), "Share of its rows that the table has lost, from 0 to 1."),
    ("content", TEXT, "Hash of all that the package says of the course run."),
)
ACCEPTED = _schema(
    ("delivered", DATE, "Date of the delivery."),
    ("stem", TEXT, "Course run that was held back."),
    ("site", TEXT, "prod or edge."),
    ("content", TEXT, "Hash of what the package said of it."),
    ("accepted", MOMENT, "When an operator let it in."),
)
TABLES = tuple(
    LakeTables(
        pattern=f"{FOLDER}/{name}/{pattern}",
        schema="packages",
        table=name,
        empty=schema,
        about=about,
    )
    for name, pattern, schema, about in (
        ("inventory", "*/*.parquet", INVENTORY, "One row per file of every database package."),
        (
            "changes",
            "*/*.parquet",
            CHANGES,
            "One row per table that a package or its forerunner has.",
        ),
        ("accepted", "*.parquet", ACCEPTED, "One row per course run that was let in all the same."),
    )
)


@dataclass(frozen=True)
class Delivery:
    """One database package, as the lake names it.

    Attributes:
        base: the data folder that it lies in.
        day: its date.
    """

    base: Path
    day: date

    @property
    def inventory(self) -> str:
        """Path of what it holds, below the lake."""
        return f"{_folder('inventory', self.base)}/delivered={self.day}.parquet"

    @property
    def changes(self) -> str:
        """Path of how it differs from the one before, below the lake."""
        return f"{_folder('changes', self.base)}/delivered={self.day}.parquet"


class PackageLog:
    """Reads what the lake remembers, and notes what an operator accepts."""

    def __init__(self, lake: Path, max_drop: float) -> None:
        """Look into a lake.

        Args:
            lake: its folder.
            max_drop: the share of its rows that a table may lose.
        """
        self._lake = lake
        self._max_drop = max_drop

    def deliveries(self, base: Path | None = None) -> list[Delivery]:
        """Every package it has an inventory of, oldest first; of one data folder, or of all."""
        pattern = _folder("inventory", base) if base else f"{FOLDER}/inventory/*"
        found = []
        for path in self._lake.glob(f"{pattern}/delivered=*.parquet"):
            rows = pq.read_table(path, columns=["base", "delivered"]).slice(0, 1).to_pylist()
            found += [Delivery(Path(row["base"]), row["delivered"]) for row in rows]
        return sorted(found, key=lambda delivery: (delivery.day, delivery.base))

    def inventory(self, delivery: Delivery) -> list[Held]:
        """What a package held; nothing when nobody has looked."""
        path = self._lake / delivery.inventory
        if not path.is_file():
            return []
        rows = pq.read_table(path, columns=list(Held.__dataclass_fields__)).to_pylist()
        return [Held(**row | {"columns": tuple(row["columns"])}) for row in rows]

    def held(self, delivery: Delivery) -> dict[CourseOnSite, list[Row]]:
        """The course runs that are held back, each with the rows of ``CHANGES`` that say why."""
        path = self._lake / delivery.changes
        if not path.is_file():
            return {}
        # Every scan asks this: most often nothing has shrunk, and there is no more to read.
        shrunk = pq.read_table(path, filters=[("lost", ">", self._max_drop)]).to_pylist()
        accepted = self._accepted() if shrunk else set()
        found: dict[CourseOnSite, list[Row]] = {}
        for row in shrunk:
            course = row["stem"], row["site"]
            if (delivery.day, *course, row["content"]) not in accepted:
                found.setdefault(course, []).append(row)
        return found

    def accept(self, delivery: Delivery, course: CourseOnSite, content: str) -> None:
        """Note that an operator lets a course run in, as this package has it."""
        stem, site = course
        row = {
            "delivered": delivery.day,
            "stem": stem,
            "site": site,
            "content": content,
            "accepted": datetime.now(UTC),
        }
        name = safe_file_name(f"{stem}-{site}~{delivery.day}~{content[:8]}")
        path = f"{FOLDER}/accepted/{name}.parquet"
        self._write(path, pa.Table.from_pylist([row], schema=ACCEPTED))

    def remember(self, delivery: Delivery, files: Iterable[Held]) -> None:
        """Note what a package held that nobody has looked at while it was the newest."""
        self._write(delivery.inventory, inventory_table(delivery, files))

    def _write(self, path: str, rows: pa.Table) -> None:
        staging = Staging("packages")
        LakeWriter(self._lake, staging, dict).write(path, rows)
        staging.publish()

    def _accepted(self) -> set[tuple[date, str, str, str]]:
        found = set()
        for path in (self._lake / FOLDER / "accepted").glob("[!.]*.parquet"):
            for row in pq.read_table(path).to_pylist():
                found.add((row["delivered"], row["stem"], row["site"], row["content"]))
        return found


def inventory_table(delivery: Delivery, files: Iterable[Held]) -> pa.Table:
    """Files of a package as rows of ``INVENTORY``."""
    which = {"base": str(delivery.base), "delivered": delivery.day}
    return pa.Table.from_pylist([which | vars(held) for held in files], schema=INVENTORY)


def change_row(delivery: Delivery, change: Change, compared_with: date, content: str) -> Row:
    """A difference as a row of ``CHANGES``."""
    before, after = change.before, change.after
    return {
        "base": str(delivery.base),
        "delivered": delivery.day,
        "stem": change.stem,
        "site": change.site,
        "table": change.table,
        "compared_with": compared_with,
        "file_before": before and before.file,
        "file_after": after and after.file,
        "rows_before": before and before.rows,
        "rows_after": after and after.rows,
        "columns_new": change.columns_new,
        "columns_gone": change.columns_gone,
        "same_bytes": change.is_same,
        "lost": change.drop,
        "content": content,
    }


def summary(rows: Sequence[Row], before: str) -> list[str]:
    """What has changed, in a few sentences for the operator.

    Args:
        rows: of ``CHANGES``.
        before: how the earlier package is called.
    """
    of_courses = [row for row in rows if row["table"] != FileKind.email_opt_in]
    there = {(row["stem"], row["site"]) for row in of_courses if row["file_after"]}
    earlier = {(row["stem"], row["site"]) for row in of_courses if row["file_before"]}
    both, new, gone = there & earlier, there - earlier, earlier - there
    tables = [row for row in rows if (row["stem"], row["site"]) in both]
    found = [f"{_counted(both)} as in {before}, {len(new):,} new, {len(gone):,} gone."]
    lists = {
        "New": [_course(course) for course in sorted(new)],
        "Gone, and kept as they were": [_course(course) for course in sorted(gone)],
        "Tables that came": [_place(row) for row in tables if not row["file_before"]],
        "Tables that went": [_place(row) for row in tables if not row["file_after"]],
        "Columns that came": [
            f"{_place(row)}: {', '.join(row['columns_new'])}" for row in rows if row["columns_new"]
        ],
        "Columns that went": [
            f"{_place(row)}: {', '.join(row['columns_gone'])}"
            for row in rows
            if row["columns_gone"]
        ],
    }
    found += [f"{what}: {_some(names)}." for what, names in lists.items() if names]
    if tables and all(row["same_bytes"] for row in rows):
        found.append(
            f"These are the very bytes of {before}: the export stands still. Ask edX if it goes on."
        )
    return found


def why_held(rows: Sequence[Row]) -> str:
    """Why a course run is held back, as a sentence.

    Args:
        rows: its rows of ``CHANGES`` that say so.
    """
    first = rows[0]
    losses = [
        f"{row['table']} fell from {row['rows_before']:,} to {row['rows_after']:,} rows "
        f"({1 - row['rows_after'] / row['rows_before']:.0%} less)"
        for row in rows
    ]
    course = _course((first["stem"], first["site"]))
    return (
        f"{course} of {first['delivered']} is held back: {_some(losses)} since "
        f"{first['compared_with']}. Ask edX, or let it in: packages accept --course {first['stem']}"
    )


def _counted(courses: Collection[CourseOnSite]) -> str:
    return "1 course run" if len(courses) == 1 else f"{len(courses):,} course runs"


def _course(course: CourseOnSite) -> str:
    stem, site = course
    return stem if site == "prod" else f"{stem} ({site})"


def _place(row: Row) -> str:
    return f"{_course((row['stem'], row['site']))} {row['table']}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _folder(what: str, base: Path) -> str:
    mark = hashlib.sha256(os.fsencode(base)).hexdigest()[:8]
    return f"{FOLDER}/{what}/{safe_file_name(base.name)}-{mark}"
