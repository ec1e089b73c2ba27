"""Commands about deliveries: packages, their differences, and the days that have a log."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from optimus.asking import print_json
from optimus.display import plain_table
from optimus.errors import UsageError
from optimus.outputs.packages import Delivery, PackageLog, Row, change_row, summary, why_held
from optimus.package.days import Stream, streams_of
from optimus.package.inventory import CourseOnSite, Held, compare, content_of, take_inventory
from optimus.package.names import FileKind
from optimus.queue.databases import database_at
from optimus.queue.reading import QueueReader
from optimus.settings import Settings

LOGS = "clickstream"
"""The service that ingests tracking logs."""
MARKS = {"done": "■", "empty": "□", "waiting": "…", "failed": "!"}
MISSING = "·"
DAYS_NAMED = 5
DAYS_OF_A_MONTH = range(1, 32)


def show_packages(settings: Settings, out: Console, *, as_json: bool) -> None:
    """Print every database package that was ever looked at, and what is held back."""
    log = PackageLog(settings.lake_path, settings.max_drop)
    deliveries = log.deliveries()
    if as_json:
        print_json([_as_record(log, delivery) for delivery in deliveries])
        return
    if not deliveries:
        out.print("No database package has been looked at yet: 'once' or 'run' does.")
        return
    table = plain_table()
    for name in ("delivered", "data folder"):
        table.add_column(name, overflow="fold")
    for name in ("course runs", "files", "rows", "failed at edX", "held back"):
        table.add_column(name, justify="right")
    for delivery in deliveries:
        record = _as_record(log, delivery)
        counts = ("courses", "files", "rows", "failed")
        table.add_row(
            record["delivered"],
            escape(record["base"]),
            *(f"{record[name]:,}" for name in counts),
            f"{len(record['held']):,}",
        )
    out.print(table)
    tell_what_is_held_back(settings, out)


def tell_what_is_held_back(settings: Settings, out: Console) -> None:
    """Print which course runs of the newest packages wait for an operator."""
    log = PackageLog(settings.lake_path, settings.max_drop)
    for delivery in _newest(log):
        for _, rows in sorted(log.held(delivery).items()):
            out.print(why_held(rows), style="yellow", markup=False, highlight=False)


def tell_of_missing_days(settings: Settings, out: Console) -> None:
    """Print which days between the first and the last have no tracking log."""
    for stream in log_streams(settings):
        missing = stream.missing()
        if missing:
            named = ", ".join(str(day) for day in missing[:DAYS_NAMED])
            more = f" and {len(missing) - DAYS_NAMED:,} more" if len(missing) > DAYS_NAMED else ""
            days = "1 day has" if len(missing) == 1 else f"{len(missing):,} days have"
            out.print(
                f"{stream.name}: {days} no log: {named}{more}. 'days' shows all.",
                style="yellow",
                markup=False,
                highlight=False,
            )


def show_diff(
    settings: Settings,
    before: str | None,
    after: str | None,
    out: Console,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    """Print how two packages differ; by default the newest two of each data folder.

    Args:
        settings: where the lake is, and MAX_DROP.
        before: a package folder, or the date of a package that was looked at.
        after: the same.
        out: the terminal.
        everything: also the tables that have not changed.
        as_json: print JSON.

    Raises:
        UsageError: there is no such package.
    """
    log = PackageLog(settings.lake_path, settings.max_drop)
    if before and not after:
        raise UsageError("Name two packages, or none for the newest two.")
    pairs = [(_find(log, before), _find(log, after))] if before and after else _newest_pairs(log)
    if not pairs:
        raise UsageError(
            "There are no two packages to compare yet; 'packages' lists what there is."
        )
    found = [(pair, _rows(pair)) for pair in pairs]
    if as_json:
        rows = itertools.chain.from_iterable(rows for _, rows in found)
        print_json([row for row in rows if everything or _is_change(row)])
        return
    for pair, rows_of_pair in found:
        _print_diff(pair, rows_of_pair, settings.max_drop, out, everything=everything)


def accept_courses(
    settings: Settings, course: str | None, out: Console, *, everything: bool
) -> None:
    """Let course runs in that are held back.

    Args:
        settings: where the lake is.
        course: its stem, such as ``RiverU-Bees101-2016_T1``.
        out: the terminal.
        everything: all that are held back.

    Raises:
        UsageError: nothing is meant, or nothing fits.
    """
    if not (course or everything):
        raise UsageError("Say which: --course STEM, or --all; 'packages' lists what is held back.")
    log = PackageLog(settings.lake_path, settings.max_drop)
    accepted = 0
    for delivery in _newest(log):
        for (stem, site), rows in sorted(log.held(delivery).items()):
            if everything or stem == course:
                log.accept(delivery, (stem, site), rows[0]["content"])
                out.print(f"Accepted: {stem} ({site}) of {delivery.day}.", markup=False)
                accepted += 1
    if not accepted:
        raise UsageError("Nothing that is held back fits; 'packages' lists it.")
    out.print("The next look at the data folders takes it up: 'once', or the daemon's next scan.")


def show_days(settings: Settings, out: Console, *, as_json: bool) -> None:
    """Print a calendar of the tracking logs: which days are there, and which are missing."""
    streams = log_streams(settings)
    if as_json:
        print_json(
            [
                {
                    "logs": stream.name,
                    "first": stream.first,
                    "last": stream.last,
                    "days": {str(day): word for day, word in sorted(stream.days.items())},
                    "missing": stream.missing(),
                }
                for stream in streams
            ]
        )
        return
    if not streams:
        out.print("No tracking log with a day in its name has been seen yet.")
        return
    for stream in streams:
        _print_calendar(stream, out)
    meanings = [f"{mark} {word}" for word, mark in MARKS.items()]
    out.print("   ".join([*meanings, f"{MISSING} missing"]), highlight=False)


def log_streams(settings: Settings) -> list[Stream]:
    """The tracking logs that the queue knows, also those that have left the data folders."""
    if not database_at(settings.queue_place).exists():
        return []
    rows = QueueReader(settings.queue_place).sources(LOGS)
    known = ((Path(row.path).name, _word(row)) for row in rows if _is_known(row))
    return streams_of(known, tuple(MARKS))


def _is_known(row: Any) -> bool:
    return bool(row.state != "gone" and row.facts.get("kind") == FileKind.events)


def _word(row: Any) -> str:
    if row.state == "done":
        # Nobody here has counted the lines of a log that the original had ingested.
        return "empty" if row.counts.get("lines") == 0 else "done"
    return "failed" if row.state == "failed" else "waiting"


def _print_calendar(stream: Stream, out: Console) -> None:
    missing = stream.missing()
    out.print(
        f"{stream.name}: {stream.first} to {stream.last}, {len(stream.days):,} days"
        + (f", {len(missing):,} missing" if missing else ""),
        style="bold",
        highlight=False,
        markup=False,
    )
    known = {**dict.fromkeys(missing, MISSING), **{d: MARKS[w] for d, w in stream.days.items()}}
    months = itertools.groupby(sorted(known), key=lambda day: (day.year, day.month))
    for (year, month), days in months:
        marks = {day.day: known[day] for day in days}
        line = "".join(marks.get(day, " ") for day in DAYS_OF_A_MONTH).rstrip()
        out.print(f"    {year}-{month:02} {line}", highlight=False, markup=False)


def _newest(log: PackageLog) -> list[Delivery]:
    """The newest package of every data folder that is still there."""
    newest = {delivery.base: delivery for delivery in log.deliveries()}
    return [delivery for base, delivery in newest.items() if base.is_dir()]


def _as_record(log: PackageLog, delivery: Delivery) -> dict[str, Any]:
    files = log.inventory(delivery)
    return {
        "delivered": str(delivery.day),
        "base": str(delivery.base),
        "courses": len(_courses(files)),
        "files": len(files),
        "rows": sum(held.rows or 0 for held in files),
        "failed": sum(held.failed for held in files),
        "held": [f"{stem} ({site})" for stem, site in sorted(log.held(delivery))],
    }


def _courses(files: Iterable[Held]) -> set[CourseOnSite]:
    return {held.course for held in files if held.table != FileKind.email_opt_in}


_Package = tuple[str, date, Path, list[Held]]
"""A name for people, a date, the data folder, and the files."""


def _newest_pairs(log: PackageLog) -> list[tuple[_Package, _Package]]:
    pairs = []
    for delivery in _newest(log):
        *_, last = [None, *(d for d in log.deliveries(delivery.base) if d.day < delivery.day)]
        if last is not None:
            pairs.append((_remembered(log, last), _remembered(log, delivery)))
    return pairs


def _find(log: PackageLog, name: str) -> _Package:
    folder = Path(name)
    if folder.is_dir():
        return str(folder), date.min, folder, list(take_inventory(folder.resolve()))
    found = [delivery for delivery in log.deliveries() if str(delivery.day) == name]
    if len(found) != 1:
        what = "no package" if not found else f"{len(found)} packages"
        raise UsageError(
            f"{name}: there is {what} of that name. 'packages' lists their dates; a package folder "
            "can be named by its path."
        )
    return _remembered(log, found[0])


def _remembered(log: PackageLog, delivery: Delivery) -> _Package:
    return str(delivery.day), delivery.day, delivery.base, log.inventory(delivery)


def _rows(pair: tuple[_Package, _Package]) -> list[Row]:
    (_, earlier, _, before), (_, later, base, after) = pair
    content = content_of(after)
    return [
        change_row(Delivery(base, later), change, earlier, content.get(change.course, ""))
        for change in compare(before, after)
    ]


def _is_change(row: Row) -> bool:
    return bool(
        row["rows_before"] != row["rows_after"]
        or row["columns_new"]
        or row["columns_gone"]
        or not (row["file_before"] and row["file_after"])
    )


def _print_diff(
    pair: tuple[_Package, _Package],
    rows: Sequence[Row],
    max_drop: float,
    out: Console,
    *,
    everything: bool,
) -> None:
    (before, *_), (after, *_) = pair
    out.print(f"{before} → {after}", style="bold", markup=False, highlight=False)
    for sentence in summary(rows, before):
        out.print(sentence, markup=False, highlight=False)
    shown = [row for row in rows if everything or _is_change(row)]
    if not shown:
        return
    table = plain_table()
    for name in ("course run", "site", "table"):
        table.add_column(name, overflow="fold")
    for name in ("before", "after", "change"):
        table.add_column(name, justify="right")
    table.add_column("columns", overflow="fold")
    for row in shown:
        columns = [*(f"+{c}" for c in row["columns_new"]), *(f"-{c}" for c in row["columns_gone"])]
        table.add_row(
            escape(row["stem"]),
            row["site"],
            escape(row["table"]),
            _cell(row["file_before"], row["rows_before"]),
            _cell(row["file_after"], row["rows_after"]),
            _growth(row, max_drop),
            escape(", ".join(columns)),
        )
    out.print(table)


def _cell(file: str | None, rows: int | None) -> str:
    if file is None:
        return "none"
    return "there" if rows is None else f"{rows:,}"


def _growth(row: Row, max_drop: float) -> str:
    before, after = row["rows_before"], row["rows_after"]
    if before is None or after is None:
        return ""
    share = f"{(after - before) / before:+.1%}" if before else f"+{after:,}"
    return f"[red]{share}[/]" if row["lost"] > max_drop else share
