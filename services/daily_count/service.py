"""Daily Count: how many learners a course run has on each day, and who they are.

In     person_course, dumps, events, countries
Out    lake/derived/daily_count/<course>.parquet: Daily_Count.dailycount_<course>, and
       Daily_Count.dailycount of all; www/daily_count/<course>.json
       MySQL Daily_Count.dailycount_<course>
Waits  for time_finder, ip_to_country, person_course

What counts, and on which day, is in the three .sql files.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa

from optimus.outputs.catalog import LakeTables
from optimus.outputs.courses import Course, create_view
from optimus.outputs.mysql import SqlTable
from optimus.service import MYSQL, DerivedRun, DerivedService, described_schema

HERE = Path(__file__).parent
DATABASE = "Daily_Count"
SCHEMAS = ("logs", "course_structure", "Person_Course")
ACTIVITY, LEARNER, DAILY_COUNT = (
    (HERE / f"{name}.sql").read_text() for name in ("activity", "learner", "daily_count")
)
WITHOUT_DAY = """
SELECT database,
       count(*) FILTER (WHERE registered_on IS NULL)
       + count(*) FILTER (WHERE explored = 1 AND explored_on IS NULL)
       + count(*) FILTER (WHERE certified = 1 AND certified_on IS NULL) AS missing
FROM learner GROUP BY database HAVING missing > 0 ORDER BY missing DESC, database
"""
SCHEMA = described_schema(
    ("time", pa.date32(), "The day (UTC)."),
    ("dimension", pa.string(), "categories, modes, age, country or gender."),
    ("value", pa.string(), "registered, verified, 26-30, AU, Female …"),
    ("new", pa.int64(), "Learners who are new in it on that day."),
    ("cumulative", pa.int64(), "Learners in it at the end of that day."),
)
SERIES = {
    "modes": ("audit", "honor", "verified"),
    "categories": ("registered", "viewed", "explored", "certified"),
    "age": (
        "Less than 12",
        *("12-15", "16-18", "19-22", "23-25", "26-30", "31-40", "41-50"),
        "Over 50",
        "Unknown",
    ),
    "country": (),
    "gender": ("Male", "Female", "Other", "Unspecified"),
}
"""What every JSON file has, in this order, be it without learners; the original's plan."""
COURSE = pa.schema([(name, pa.string()) for name in ("database", "course", "site", "course_id")])
INPUTS = {
    "courseware_studentmodule": {
        "student_id": "BIGINT",
        "module_type": "VARCHAR",
        "module_id": "VARCHAR",
        "created": "TIMESTAMPTZ",
    },
    "certificates_generatedcertificate": {
        "user_id": "BIGINT",
        "created_date": "TIMESTAMPTZ",
        "modified_date": "TIMESTAMPTZ",
    },
}
"""Tables of the dumps that the queries read, with the columns they use."""


class DailyCount(DerivedService):
    """Curves for course teams. Only touched course runs are counted again."""

    name = "daily_count"
    spelled = "DailyCount"
    title = "Daily count"
    needs = ("time_finder", "ip_to_country", "person_course")
    servers = (MYSQL,)
    lake_tables = (
        LakeTables(
            pattern="derived/daily_count/{course}.parquet",
            schema=DATABASE,
            table="dailycount_{course}",
            about="One row per day, dimension and value of one course run.",
        ),
        LakeTables(
            pattern="derived/daily_count/*.parquet",
            schema=DATABASE,
            table="dailycount",
            name_column="course",
            empty=SCHEMA,
            about="One row per course run, day, dimension and value; course as in courseprofile.",
        ),
    )

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Other rules make other counts."""
        del options
        return hashlib.sha256((ACTIVITY + LEARNER + DAILY_COUNT).encode()).hexdigest()

    def derive(self, run: DerivedRun) -> None:
        """Count all touched course runs in one query, and write each by itself."""
        with run.connect(run.catalog.in_schemas(*SCHEMAS)) as connection:
            courses = run.touched_courses(connection)
            run.progress.total = len(courses)
            run.tick()
            if courses:
                _count(run, connection, courses)
            for done, course in enumerate(courses, 1):
                _write(run, course.run.key, _rows_of(connection, course))
                run.tick(done)
        run.counts["courses"] = len(courses)


def _count(run: DerivedRun, connection: duckdb.DuckDBPyConnection, courses: list[Course]) -> None:
    """Make the table ``daily_count`` of these course runs, and what it is made of."""
    connection.register("course", pa.Table.from_pylist(list(map(_row_of, courses)), COURSE))
    for table, dumped in INPUTS.items():
        create_view(connection, run.catalog, courses, table, dumped)
    steps = {"activity": ACTIVITY, "learner": LEARNER, "daily_count": DAILY_COUNT}
    for name, sql in steps.items():
        connection.execute(f"CREATE TEMP TABLE {name} AS {sql}")
        run.tick()
    _tell(run, connection)


def _row_of(course: Course) -> dict[str, str | None]:
    """What the queries are told about a course run, as a row of ``COURSE``."""
    return {
        "database": course.run.database,
        "course": course.run.key,
        "site": course.run.site,
        "course_id": course.course_id,
    }


def _rows_of(connection: duckdb.DuckDBPyConnection, course: Course) -> pa.Table:
    found = connection.sql(
        "SELECT * EXCLUDE (database) FROM daily_count WHERE database = $1 ORDER BY ALL",
        params=[course.run.database],
    )
    rows: pa.Table = found.to_arrow_table().cast(SCHEMA)
    return rows


def _write(run: DerivedRun, key: str, rows: pa.Table) -> None:
    run.lake.write(f"derived/daily_count/{key}.parquet", rows)
    run.write_www(f"daily_count/{key}.json", orjson.dumps({"course": key, **_curves(rows)}))
    in_mysql = SqlTable(
        database=DATABASE,
        name=f"dailycount_{key}",
        schema=SCHEMA,
        unique=("time", "dimension", "value"),
    )
    run.mirror(in_mysql, rows)
    run.counts["rows"] += rows.num_rows


def _curves(rows: pa.Table) -> dict[str, Any]:
    """The rows as curves, for a chart: the days, and the places in them at which one moves.

    Args:
        rows: of ``SCHEMA``, the earliest day first.
    """
    days = rows.column("time").unique().to_pylist()
    places = {day: place for place, day in enumerate(days)}
    curves = {
        dimension: {value: _flat() for value in values} for dimension, values in SERIES.items()
    }
    for row in rows.to_pylist():
        curve = curves[row["dimension"]].setdefault(row["value"], _flat())
        curve["at"].append(places[row["time"]])
        curve["new"].append(row["new"])
        curve["cumulative"].append(row["cumulative"])
    return {"time": days, **curves}


def _flat() -> dict[str, list[int]]:
    return {"at": [], "new": [], "cumulative": []}


def _tell(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> None:
    missing = connection.execute(WITHOUT_DAY).fetchall()
    total = sum(count for _, count in missing)
    run.counts["without_day"] = total
    if total:
        most = ", ".join(f"{database} {count:,}" for database, count in missing[:10])
        run.note(
            f"{total:,} times the day is unknown on which a learner was registered, explored or "
            f"certified; person_course counts these, no day does ({most})."
        )
