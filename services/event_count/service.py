"""Event Count: how much happens at each block of a course run on each day.

In     the lake: events, repaired times, structures
Out    lake/derived/event_count/<course>.parquet: Course_Event.eventcount_<course>, and
       Course_Event.eventcount of all
       MySQL Course_Event.eventcount_<course>, and Course_Event.courseevent_<course> as the
       original had it: a row per day, a column per module
Waits  for time_finder, course_structure

Which block an event is about, and what is counted, is said in the two .sql files.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from optimus.outputs.catalog import LakeTables
from optimus.outputs.courses import Course
from optimus.outputs.mysql import SqlTable
from optimus.service import MYSQL, DerivedRun, DerivedService
from services.event_count.columns import EVENT_COUNT, EVENT_COUNT_TYPES
from services.event_count.course_event import (
    DATABASE,
    MODULES,
    columns_of,
    table_of_days,
    why_impossible,
)
from services.event_count.inputs import (
    EVENT,
    RELATIONS,
    batches_of_logs,
    open_logs,
    register_courses,
)

HERE = Path(__file__).parent
NAMED_BLOCK_SQL, EVENT_COUNT_SQL = (
    (HERE / f"{name}.sql").read_text() for name in ("named_block", "event_count")
)
RULES = "".join((*RELATIONS, EVENT, NAMED_BLOCK_SQL, EVENT_COUNT_SQL, MODULES))


class EventCount(DerivedService):
    """Events per block and day. Only touched course runs are done again."""

    name = "event_count"
    spelled = "EventCount"
    title = "Events per block"
    needs = ("time_finder", "course_structure")
    servers = (MYSQL,)
    lake_tables = (
        LakeTables(
            pattern="derived/event_count/{course}.parquet",
            schema=DATABASE,
            table="eventcount_{course}",
            about="One row per block and day of one course run.",
        ),
        LakeTables(
            pattern="derived/event_count/*.parquet",
            schema=DATABASE,
            table="eventcount",
            name_column="course",
            empty=EVENT_COUNT,
            about="One row per block and day of every course run; course as in courseprofile.",
        ),
    )

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Other rules make other rows."""
        del options
        return hashlib.sha256(RULES.encode()).hexdigest()

    def derive(self, run: DerivedRun) -> None:
        """Look through the logs, some at a time; then write each touched course run by itself."""
        with run.connect(run.catalog.in_schemas("course_structure")) as connection:
            courses = run.touched_courses(connection)
            batches = list(batches_of_logs(run.catalog)) if courses else []
            run.progress.total = len(batches) + len(courses)
            register_courses(connection, courses)
            for done, (logs, repairs) in enumerate(batches, 1):
                open_logs(connection, logs, repairs)
                connection.execute(f"INSERT INTO named_block {NAMED_BLOCK_SQL}")
                run.tick(done)
            for done, course in enumerate(courses, len(batches) + 1):
                counts = _count(run, connection, course)
                _mirror(run, connection, course, counts)
                run.tick(done)
            _tell(run, connection)
        run.counts["courses"] = len(courses)


def _count(run: DerivedRun, connection: duckdb.DuckDBPyConnection, course: Course) -> pa.Table:
    """Write the counts of a course run into the lake."""
    found = connection.sql(
        f"SELECT * EXCLUDE (database) FROM ({EVENT_COUNT_SQL}) WHERE database = $1 "  # noqa: S608 - our text
        "ORDER BY event_date, block_id",
        params=[course.run.database],
    )
    counts: pa.Table = found.to_arrow_table().cast(EVENT_COUNT)
    run.lake.write(f"derived/event_count/{course.run.key}.parquet", counts)
    run.counts["rows"] += counts.num_rows
    return counts


def _mirror(
    run: DerivedRun, connection: duckdb.DuckDBPyConnection, course: Course, counts: pa.Table
) -> None:
    """Write them to MySQL, where it is in use: as they are, and turned to the side."""
    if run.mysql is None:
        return
    key = course.run.key
    in_mysql = SqlTable(
        database=DATABASE,
        name=f"eventcount_{key}",
        schema=EVENT_COUNT,
        indexes=(("block_id",), ("event_date",)),
        types=EVENT_COUNT_TYPES,
    )
    run.mirror(in_mysql, counts)
    modules = connection.execute(MODULES, [course.run.database]).fetchall()
    columns = columns_of(modules)
    obstacle = why_impossible(columns.values())
    if obstacle:
        run.note(
            f"There is no {DATABASE}.courseevent_{key} of these data: {obstacle}. "
            f"Ask {DATABASE}.eventcount_{key}, and drop the other if it is there."
        )
    elif columns:
        start = course.info.get("start") or run.started
        run.mirror(*table_of_days(key, columns, counts, start.date()))


def _tell(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> None:
    [[lost]] = connection.execute(
        "SELECT CAST(coalesce(sum(events), 0) AS BIGINT) FROM named_block WHERE event_date IS NULL"
    ).fetchall()
    run.counts["without_time"] = lost
    if lost:
        run.note(f"{lost:,} events are about a block, but tell no usable time: they are in no row.")
