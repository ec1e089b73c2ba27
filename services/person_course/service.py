"""Person Course: a row per learner and course run, a row per course run.

In     the lake: dumps, forums, structure, events, countries, repaired times
Out    lake/derived/person_course/<course>.parquet, lake/derived/course_profile/<course>.parquet,
       personcourse_<course>_<time>.csv and courseprofile_<time>.csv in EXPORT_PATH
       MySQL Person_Course.personcourse_<course> and Person_Course.courseprofile
Waits  for ip_to_country, time_finder, database_state, discussion_forums, course_structure

What the columns mean is in the two .sql files and in columns.py.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from optimus.outputs.catalog import LakeTables
from optimus.outputs.courses import Course
from optimus.outputs.csv import export_csv
from optimus.outputs.mysql import SqlTable
from optimus.service import MYSQL, DerivedRun, DerivedService
from services.person_course.columns import (
    COURSE_PROFILE,
    COURSE_PROFILE_TYPES,
    PERSON_COURSE,
    PERSON_COURSE_TYPES,
)
from services.person_course.inputs import register_inputs

HERE = Path(__file__).parent
DATABASE = "Person_Course"
SCHEMAS = ("logs", "course_structure", DATABASE)
ROWS_AT_ONCE = 10_000
PERSON_COURSE_SQL = (HERE / "person_course.sql").read_text()
COURSE_PROFILE_SQL = (HERE / "course_profile.sql").read_text()
STRANGERS_SQL = """
SELECT database, count(*) FROM (
    SELECT database, student_id AS user_id FROM courseware_studentmodule
    UNION SELECT database, author_id FROM post
    UNION SELECT course.database, event.user_id
        FROM event JOIN course
        ON course.course_id = event.course_id AND course.site = event.site
) AS seen
WHERE user_id IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM auth_user
        WHERE auth_user.database = seen.database AND auth_user.id = seen.user_id
    )
GROUP BY database ORDER BY database
"""


class PersonCourse(DerivedService):
    """The table that most research starts from. Only touched course runs are done again."""

    name = "person_course"
    spelled = "PersonCourse"
    title = "Person-course"
    needs = (
        "ip_to_country",
        "time_finder",
        "database_state",
        "discussion_forums",
        "course_structure",
    )
    options = ("CERTIFIED_STATUSES",)
    servers = (MYSQL,)
    lake_tables = (
        LakeTables(
            pattern="derived/person_course/{course}.parquet",
            schema="Person_Course",
            table="personcourse_{course}",
            about="One row per learner of one course run.",
        ),
        LakeTables(
            pattern="derived/person_course/*.parquet",
            schema="Person_Course",
            table="personcourse",
            name_column="course",
            empty=PERSON_COURSE,
            about="One row per learner and course run; course as in courseprofile.",
        ),
        LakeTables(
            pattern="derived/course_profile/*.parquet",
            schema="Person_Course",
            table="courseprofile",
            empty=COURSE_PROFILE,
            about="One row per course run.",
        ),
    )

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Other rules make other rows."""
        rules = PERSON_COURSE_SQL + COURSE_PROFILE_SQL + repr(sorted(options["CERTIFIED_STATUSES"]))
        return hashlib.sha256(rules.encode()).hexdigest()

    def derive(self, run: DerivedRun) -> None:
        """Compute all touched course runs in one query, and write each by itself."""
        with run.connect(run.catalog.in_schemas(*SCHEMAS)) as connection:
            courses = run.touched_courses(connection)
            run.progress.total = len(courses)
            run.tick()
            if courses:
                statuses = run.options["CERTIFIED_STATUSES"]
                register_inputs(connection, run.catalog, courses, statuses)
                connection.execute(f"CREATE TEMP TABLE person_course AS {PERSON_COURSE_SQL}")
                run.tick()
                connection.execute(f"CREATE TEMP TABLE course_profile AS {COURSE_PROFILE_SQL}")
                for done, course in enumerate(courses, 1):
                    _write(run, connection, course)
                    run.tick(done)
                _export_profiles(run, connection)
                _tell(run, connection)
        run.counts["courses"] = len(courses)


def _rows_of(
    connection: duckdb.DuckDBPyConnection, table: str, database: str, schema: pa.Schema
) -> pa.Table:
    found = connection.sql(
        f"SELECT * EXCLUDE (database) FROM {table} WHERE database = $1 ORDER BY ALL",  # noqa: S608 - our names
        params=[database],
    )
    rows: pa.Table = found.to_arrow_table().cast(schema)
    return rows


def _write(run: DerivedRun, connection: duckdb.DuckDBPyConnection, course: Course) -> None:
    key = course.run.key
    learners = _rows_of(connection, "person_course", course.run.database, PERSON_COURSE)
    profile = _rows_of(connection, "course_profile", course.run.database, COURSE_PROFILE)
    run.lake.write(f"derived/person_course/{key}.parquet", learners)
    run.lake.write(f"derived/course_profile/{key}.parquet", profile)
    _export(run, f"personcourse_{key}", learners)
    in_mysql = SqlTable(
        database=DATABASE,
        name=f"personcourse_{key}",
        schema=PERSON_COURSE,
        unique=("user_id",),
        types=PERSON_COURSE_TYPES,
        serial_id=True,
    )
    run.mirror(in_mysql, learners)
    run.counts["rows"] += learners.num_rows


def _export_profiles(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> None:
    """These tables have all course runs: those done now, and the others as they are."""
    found = connection.sql(
        'SELECT * FROM "Person_Course".courseprofile '
        "WHERE dbname NOT IN (SELECT database FROM course_profile) "
        "UNION ALL BY NAME SELECT * EXCLUDE (database) FROM course_profile ORDER BY dbname"
    )
    profiles = found.to_arrow_table().select(COURSE_PROFILE.names).cast(COURSE_PROFILE)
    _export(run, "courseprofile", profiles)
    in_mysql = SqlTable(
        database=DATABASE,
        name="courseprofile",
        schema=COURSE_PROFILE,
        unique=("course",),
        types=COURSE_PROFILE_TYPES,
        serial_id=True,
    )
    run.mirror(in_mysql, profiles)


def _export(run: DerivedRun, name: str, table: pa.Table) -> None:
    rows = (
        row
        for batch in table.to_batches(max_chunksize=ROWS_AT_ONCE)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    )
    export_csv(run.staging, run.place.exports, name, run.started, (table.column_names, rows))


def _tell(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> None:
    strangers = connection.execute(STRANGERS_SQL).fetchall()
    total = sum(count for _, count in strangers)
    run.counts["not_in_auth_user"] = total
    if total:
        most = ", ".join(f"{database} {count:,}" for database, count in strangers[:10])
        run.note(
            f"{total:,} users have events, modules or posts and are not in auth_user, so they have "
            f"no row ({most})."
        )
    if connection.execute("SELECT 1 FROM ip_country WHERE country <> '' LIMIT 1").fetchall() == []:
        run.note(
            "No address has a country: final_cc_cname is blank. ip_to_country says what to do."
        )
