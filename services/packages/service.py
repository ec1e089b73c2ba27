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
from typing import Any

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
    Place,
    compare,
    content_of,
    take_inventory,
)
from optimus.package.layout import Package, PackageFile, dated_packages, files_below
from optimus.service import FileRun, InspectingService

LOOKED_BACK = 20
"""Packages that are asked for a table that the last one could not tell of."""


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

    def held_back(
        self, lake: Path, file: PackageFile, options: Mapping[str, Any]
    ) -> Mapping[CourseOnSite, str]:
        """The course runs that an operator has to accept first, each with the reason."""
        held = PackageLog(lake, options["MAX_DROP"]).held(_delivery_of(file))
        return {course: why_held(rows) for course, rows in held.items()}

    def ingest(self, run: FileRun) -> None:
        """Count what is there, and compare it."""
        delivery = _delivery_of(run.file)
        log = PackageLog(run.place.lake, run.options["MAX_DROP"])
        files = _take(run, run.file.path)
        run.lake.write(delivery.inventory, inventory_table(delivery, files))
        run.counts.update(lines=len(files), rows=len(files))
        earlier = _earlier(run, delivery, log)
        if not earlier:
            return
        references = _references(log, earlier, files)
        content = content_of(files)
        rows = []
        for change in compare((held for _, held in references.values()), files):
            day, _ = references.get(change.place, (earlier[0].day, None))
            rows.append(change_row(delivery, change, day, content.get(change.course, "")))
        run.lake.write(delivery.changes, pa.Table.from_pylist(rows, schema=CHANGES))
        for sentence in summary(rows, str(earlier[0].day)):
            run.note(sentence)


def _delivery_of(file: PackageFile) -> Delivery:
    return Delivery(file.base, file.delivered or date.min)


def _take(run: FileRun, folder: Path) -> list[Held]:
    """What a package holds; how much of it was read is told all the while."""
    begun = run.progress.total
    run.progress.total += sum(path.lstat().st_size for path in files_below(folder, []))
    return list(take_inventory(folder, lambda done: run.tick(begun + done)))


def _earlier(run: FileRun, delivery: Delivery, log: PackageLog) -> list[Delivery]:
    """The packages before this one, newest first: what is remembered, else what lies beside it."""
    known = [found for found in log.deliveries(delivery.base) if found.day < delivery.day]
    if known:
        return known[::-1]
    beside = [found for found in dated_packages(delivery.base, []) if found[0] < delivery.day]
    if not beside:
        return []
    day, folder = beside[-1]
    before = Delivery(delivery.base, day)
    log.remember(before, _take(run, folder))
    return [before]


def _references(
    log: PackageLog, earlier: list[Delivery], files: list[Held]
) -> dict[Place, tuple[date, Held]]:
    """What each table is compared with: the last that was let in and could be counted.

    Args:
        log: what is remembered.
        earlier: the packages before, newest first.
        files: the files of the package that is compared.
    """
    newest, *older = earlier
    held = set(log.held(newest))
    references = {
        one.place: (newest.day, one) for one in log.inventory(newest) if one.course not in held
    }
    countable = {place for place, (_, one) in references.items() if one.rows is not None}
    wanted = {one.place for one in files if one.rows is not None} - countable
    for delivery in older[:LOOKED_BACK]:
        if not (wanted or held):
            break
        unfit = set(log.held(delivery))
        found = [one for one in log.inventory(delivery) if one.course not in unfit]
        for one in found:
            if one.course in held or (one.place in wanted and one.rows is not None):
                references[one.place] = delivery.day, one
                wanted.discard(one.place)
        held -= {one.course for one in found}
    return references
