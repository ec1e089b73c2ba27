"""What the terminal shows: a line per service while it works, tables when it is done."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from optimus.queue.reading import QueueReader
from optimus.registry import Registry
from optimus.scheduler import DERIVED_ITEM, Scheduler

TABLE_LINES = box.SIMPLE_HEAD


@dataclass
class Totals:
    """What one service did since the display began."""

    files: int = 0
    rows: int = 0
    rejects: int = 0
    seconds: float = 0.0
    copies: int = 0
    notes: dict[str, list[str]] = field(default_factory=dict)

    def sentences(self) -> list[str]:
        """The notes, each once, with the items it is about."""
        return [
            note if len(items) == 1 and items[0] == DERIVED_ITEM else f"{note} ({_some(items)})"
            for note, items in self.notes.items()
        ]


def totals_since(queue: QueueReader, run_id: int) -> dict[str, Totals]:
    """Sum the history after a run, by service."""
    found: dict[str, Totals] = {}
    for row in queue.runs(since=run_id):
        totals = found.setdefault(row.service, Totals())
        totals.seconds += row.seconds
        if row.outcome in ("done", "copy", "unchanged"):
            totals.files += 1
            totals.copies += row.outcome == "copy"
        if row.outcome == "done":
            totals.rows += row.counts.get("rows", 0)
            totals.rejects += row.counts.get("rejects", 0)
        for note in row.notes:
            totals.notes.setdefault(note, []).append(row.source_name)
    return found


class LiveDisplay:
    """One line per service: files, rows, rows a second, time left."""

    def __init__(self, console: Console, queue: QueueReader, registry: Registry) -> None:
        self._console = console
        self._queue = queue
        self._registry = registry
        self._since = queue.last_run_id()
        self._seen = self._since
        self._rows: Counter[str] = Counter()
        self._started: dict[str, float] = {}
        self._ended: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}
        self._told: set[tuple[str, int]] = set()
        self._progress = Progress(
            TextColumn("{task.description:<18}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[story]}"),
            console=console,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def look(self, scheduler: Scheduler) -> None:
        """Show how things stand."""
        for row in self._queue.runs(since=self._seen):
            self._seen = row.id
            if row.outcome == "done":
                self._rows[row.service] += row.counts.get("rows", 0)
        running: dict[str, list[Any]] = {}
        for claim, progress in scheduler.pool.running:
            running.setdefault(claim.service, []).append(progress)
        states = self._queue.states()
        for service in self._registry.services:
            count = states.get(service.name, {})
            if count:
                self._show(service.name, count, running.get(service.name, []))

    def _show(self, name: str, count: dict[str, int], running: Sequence[Any]) -> None:
        total = sum(n for state, n in count.items() if state != "gone")
        done = sum(count.get(state, 0) for state in ("done", "failed"))
        if done == total and name not in self._started:
            return
        started = self._started.setdefault(name, time.monotonic())
        if done < total:
            self._ended.pop(name, None)
        ended = self._ended.setdefault(name, time.monotonic()) if done == total else None
        seconds = max((ended or time.monotonic()) - started, 0.001)
        rows = self._rows[name] + sum(progress.rows for progress in running)
        share = done + sum(p.done / p.total for p in running if p.total)
        story = f"{done}/{total} items  {rows:,} rows  {rows / seconds:,.0f} rows/s"
        if done < total and share > 0:
            story += f"  {_duration(seconds * (total - share) / share)} left"
        if self._console.is_terminal:
            task = self._tasks.get(name)
            if task is None:
                task = self._tasks[name] = self._progress.add_task(name, total=total, story="")
            self._progress.update(task, completed=share, total=total, story=story)
        elif done == total and (name, total) not in self._told:
            self._told.add((name, total))
            self._console.print(f"{name:<18} {story}")


def table_of_services(registry: Registry, totals: dict[str, Totals], queue: QueueReader) -> Table:
    """What each service did: files, rows, rejects, failures, seconds of work."""
    table = plain_table("Services")
    table.add_column("service")
    for name in ("items", "rows", "rejects", "failed", "waiting", "seconds"):
        table.add_column(name, justify="right")
    states = queue.states()
    for service in registry.services:
        did, now = totals.get(service.name, Totals()), states.get(service.name, {})
        table.add_row(
            service.name,
            f"{did.files:,}",
            f"{did.rows:,}",
            f"{did.rejects:,}",
            f"{now.get('failed', 0):,}",
            f"{now.get('queued', 0) + now.get('running', 0):,}",
            f"{did.seconds:.1f}",
        )
    return table


def table_of_ledger(rows: Iterable[Any]) -> Table:
    """Lines read = rows kept + rejects, for every log file."""
    table = plain_table("Ledger of the tracking logs")
    table.add_column("file", no_wrap=True)
    names = ("lines", "rows", "rejects", "repaired", "repeats")
    for heading in ("lines", "= rows", "+ rejects", "repaired", "repeats"):
        table.add_column(heading, justify="right", no_wrap=True)
    total: Counter[str] = Counter()
    for row in rows:
        total.update({name: row.counts.get(name, 0) for name in names})
        if row.reason == "copy":
            table.add_row(row.name, row.message)
        else:
            table.add_row(row.name, *(f"{row.counts.get(name, 0):,}" for name in names))
    table.add_section()
    table.add_row("all files", *(f"{total[name]:,}" for name in total))
    return table


def table_of_problems(rows: Iterable[Any]) -> Table:
    """What failed or cannot go on, and why."""
    table = plain_table("What needs a look")
    for name in ("service", "item", "state", "reason"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(row.service, row.name, row.state, row.message or row.reason or "")
    return table


def table_of_rows(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> Table:
    """The result of a query."""
    table = plain_table()
    for name in names:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    return table


def _some(items: Sequence[str]) -> str:
    more = f" and {len(items) - 1:,} more" if len(items) > 1 else ""
    return f"{items[0]}{more}"


def plain_table(title: str | None = None) -> Table:
    """A table without frame, so that it can be copied and compared."""
    return Table(
        title=title, title_justify="left", box=TABLE_LINES, show_edge=False, padding=(0, 1, 0, 0)
    )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes}:{rest:02} min"
