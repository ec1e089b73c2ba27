"""Time finder: which events tell when they happened, and better moments for some that do not.

In     lake/clickstream/**: logs.clickstream
       MongoDB logs.clickstream, documents that others have written
Out    lake/derived/event_times/<source>.parquet: logs.event_times
       lake/derived/event_time_repairs/<source>.parquet: logs.event_time_repairs
       time_date of these documents; those of our own are born with it
Waits  for clickstream; person_course, event_count and daily_count wait for us
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from optimus.outputs.catalog import LakeTables
from optimus.outputs.mongo import opened
from optimus.outputs.mongo_updates import Newcomers, fill_dates
from optimus.servers import MongoServer
from optimus.service import MONGODB, DerivedRun, DerivedService
from services.time_finder.event_log import EventLog
from services.time_finder.time_columns import EVENT_TIMES_SCHEMA, REPAIRS_SCHEMA

RULES = "1"
"""Another number has every log done again: change it when a rule changes."""
EVENT_TIMES = Path(__file__).with_name("event_times.sql").read_text(encoding="utf-8")
REPAIRS = Path(__file__).with_name("event_time_repairs.sql").read_text(encoding="utf-8")
ROWS_PER_BATCH = 50_000
SHARE_WORTH_A_NOTE = 0.01
LOGS_IN_A_NOTE = 3


class TimeFinder(DerivedService):
    """Times of events. Each log is looked at by itself, and only when it is new or changed."""

    name = "time_finder"
    spelled = "TimeFinder"
    title = "Times of events"
    needs = ("clickstream",)
    servers = (MONGODB,)
    lake_tables = (
        LakeTables(
            pattern="derived/event_times/{source}.parquet",
            schema="logs",
            table="event_times",
            empty=EVENT_TIMES_SCHEMA,
            about="One row per log and form of time: how many events, how many usable.",
        ),
        LakeTables(
            pattern="derived/event_time_repairs/{source}.parquet",
            schema="logs",
            table="event_time_repairs",
            empty=REPAIRS_SCHEMA,
            about="One row per event whose own time cannot be used, with a moment that can.",
        ),
    )

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Name the rules: other rules give other results."""
        del options
        return RULES

    def derive(self, run: DerivedRun) -> None:
        """Look at the times of every new log."""
        files = _logs(run)
        run.progress.total = len(files)
        without_time: dict[str, int] = {}
        with run.connect(()) as connection:
            for done, path in enumerate(files, start=1):
                log = EventLog.at(path)
                log.open_in(connection, run.started)
                missing = _count_times(run, connection, path)
                repaired = _repair(run, connection, path, missing)
                without_time[log.file_name] = missing - repaired
                run.tick(done)
        _note_the_worst(run, without_time)
        _forget_lost_logs(run)
        if run.mongodb is not None:
            _date_documents(run, run.mongodb)


def _date_documents(run: DerivedRun, server: MongoServer) -> None:
    """Give a date to the documents that came without one."""
    newcomers = Newcomers(server, "logs", "clickstream", TimeFinder.name)
    if newcomers.have_come():
        with opened(server, "logs", "clickstream") as collection:
            run.counts["documents_dated"] = fill_dates(collection, run.guard)
        newcomers.were_seen()


def _forget_lost_logs(run: DerivedRun) -> None:
    """A log that turned out to be a copy of another has left the lake."""
    logs = run.catalog.table("logs", "clickstream")
    names = {path.name for path in logs.files} if logs else set()
    for table in ("event_times", "event_time_repairs"):
        made = run.catalog.table("logs", table)
        for path in made.files if made else ():
            if path.name not in names:
                run.remove(f"derived/{table}/{path.name}")


def _logs(run: DerivedRun) -> tuple[Path, ...]:
    if run.fresh is not None:
        return run.fresh
    clickstream = run.catalog.table("logs", "clickstream")
    return clickstream.files if clickstream else ()


def _count_times(run: DerivedRun, connection: duckdb.DuckDBPyConnection, log: Path) -> int:
    """Write how the events of a log tell their time.

    Returns:
        How many of them do not, or not plausibly.
    """
    forms = connection.sql(EVENT_TIMES).to_arrow_table().cast(EVENT_TIMES_SCHEMA)
    run.lake.write(f"derived/event_times/{log.name}", forms)
    events: int = sum(forms.column("events").to_pylist())
    usable: int = sum(forms.column("usable").to_pylist())
    run.counts["rows"] += forms.num_rows
    run.counts["events"] += events
    run.counts["usable"] += usable
    run.tick(rows=events)
    return events - usable


def _repair(run: DerivedRun, connection: duckdb.DuckDBPyConnection, log: Path, missing: int) -> int:
    """Write better moments for the events of a log whose own time cannot be used.

    Returns:
        How many events have one.
    """
    relative = f"derived/event_time_repairs/{log.name}"
    earlier = (run.place.lake / relative).is_file()
    if not missing and not earlier:
        return 0
    with run.lake.open(relative, REPAIRS_SCHEMA) as file:
        for batch in connection.sql(REPAIRS).to_arrow_reader(ROWS_PER_BATCH):
            file.write(batch.cast(REPAIRS_SCHEMA))
            run.tick()
    if not file.rows and not earlier:
        run.lake.drop(relative)
    run.counts["repaired"] += file.rows
    return file.rows


def _note_the_worst(run: DerivedRun, without_time: Mapping[str, int]) -> None:
    events, lost = run.counts["events"], sum(without_time.values())
    if lost <= SHARE_WORTH_A_NOTE * events:
        return
    worst = sorted(without_time.items(), key=lambda pair: -pair[1])[:LOGS_IN_A_NOTE]
    named = ", ".join(f"{name} ({count:,})" for name, count in worst if count)
    run.note(
        f"{lost:,} of {events:,} events ({lost / events:.1%}) in the logs looked at have no "
        f"usable time; most of them in {named}."
    )
