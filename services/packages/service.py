"""Packages: what each database package holds, and what has changed since the one before.

In     database_state/latest as a whole, before any other service is given its files
Out    lake/packages/inventory/<base>/delivered=<date>.parquet: packages.inventory
       lake/packages/changes/<base>/delivered=<date>.parquet: packages.changes
Waits  for nothing; all that read the package wait for us

A course run of which a table has lost more than MAX_DROP of its rows is held back until an
operator accepts it.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa

from optimus.outputs.packages import (
    CHANGES,
    TABLES,
    Delivery,
    PackageLog,
    change_row,
    inventory_table,
    summary,
    why_held,
)
from optimus.package.inventory import (
    CourseOnSite,
    Held,
    compare,
    content_of,
    take_inventory,
)
from optimus.package.layout import Package, PackageFile, dated_packages, files_below
from optimus.service import FileRun, InspectingService


class Packages(InspectingService):
    """Comparisons of packages, week over week."""

    name = "packages"
    spelled = "Packages"
    title = "Changes of packages"
    options = ("MAX_DROP",)
    lake_tables = TABLES

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take the newest package of every data folder."""
        return package.packages

    def held_back(self, lake: Path, file: PackageFile) -> Mapping[CourseOnSite, str]:
        """The course runs that an operator has to accept first, each with the reason."""
        held = PackageLog(lake).held(_delivery_of(file))
        return {course: why_held(rows) for course, rows in held.items()}

    def ingest(self, run: FileRun) -> None:
        """Count what is there, and compare it."""
        delivery, log = _delivery_of(run.file), PackageLog(run.place.lake)
        run.progress.total = sum(path.stat().st_size for path in files_below(run.file.path, []))
        files = list(take_inventory(run.file.path, run.tick))
        run.lake.write(delivery.inventory, inventory_table(delivery, files))
        run.counts.update(lines=len(files), rows=len(files))
        before = _before(run, delivery, log)
        if before is None:
            return
        references = _references(log, *before)
        content = content_of(files)
        changes = compare((held for _, held in references), files)
        compared_with = {held.course: day for day, held in references}
        rows = [
            change_row(
                delivery,
                change,
                compared_with.get(change.course, before[0].day),
                run.options["MAX_DROP"],
                content.get(change.course, ""),
            )
            for change in changes
        ]
        run.lake.write(delivery.changes, pa.Table.from_pylist(rows, schema=CHANGES))
        for sentence in summary(rows, str(before[0].day)):
            run.note(sentence)


def _delivery_of(file: PackageFile) -> Delivery:
    return Delivery(file.base, file.delivered or date.min)


def _before(
    run: FileRun, delivery: Delivery, log: PackageLog
) -> tuple[Delivery, list[Held]] | None:
    """The package before this one: as the lake remembers it, or as it lies beside it."""
    known = [found for found in log.deliveries(delivery.base) if found.day < delivery.day]
    beside = [found for found in dated_packages(delivery.base, []) if found[0] < delivery.day]
    if beside and (not known or known[-1].day < beside[-1][0]):
        day, folder = beside[-1]
        before = Delivery(delivery.base, day)
        files = list(take_inventory(folder, lambda _bytes: run.tick()))
        run.lake.write(before.inventory, inventory_table(before, files))
        return before, files
    return (known[-1], log.inventory(known[-1])) if known else None


def _references(log: PackageLog, before: Delivery, files: list[Held]) -> list[tuple[date, Held]]:
    """What each course run is compared with: never with what was itself held back."""
    held_then = {
        course: Delivery(before.base, rows[0]["compared_with"])
        for course, rows in log.held(before).items()
    }
    references = [(before.day, held) for held in files if held.course not in held_then]
    for course, earlier in held_then.items():
        references += [
            (earlier.day, held) for held in log.inventory(earlier) if held.course == course
        ]
    return references
