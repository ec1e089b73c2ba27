"""The relations that both queries read, made from the lake for the course runs to be done."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from optimus.outputs.catalog import Catalog, Table, literal, quote
from optimus.outputs.lake import footer
from optimus.package.course_ids import course_id_from_stem
from optimus.package.course_key import TABLES_THAT_TELL
from optimus.package.layout import CourseRun
from optimus.package.names import safe_file_name
from optimus.package.olx import StructureCounts
from services.person_course.columns import COURSE, INPUTS, POST

EVENTS = """
SELECT clickstream.site, clickstream.course_id, clickstream.user_id, clickstream.ip,
       coalesce(repair.time, clickstream.time) AS time
FROM logs.clickstream
LEFT JOIN logs.event_time_repairs AS repair
    ON repair.source = clickstream.source AND repair.line = clickstream.line
WHERE clickstream.user_id IS NOT NULL AND clickstream.course_id_source <> 'referer'
"""


@dataclass(frozen=True)
class Course:
    """One course run of the lake, with the id that its dumps and events share."""

    run: CourseRun
    course_id: str | None
    info: dict[str, Any]

    def row(self) -> dict[str, Any]:
        """What the queries are told about it, as a row of ``COURSE``."""
        start, end = self.info.get("start"), self.info.get("end")
        return {
            "database": self.run.database,
            "course": self.run.key,
            "stem": self.run.stem,
            "site": self.run.site,
            "discussiontable": self.run.discussion_table,
            "course_id": self.course_id,
            "start_at": start,
            "end_at": end,
            "ndays": (end.date() - start.date()).days if start and end else None,
            **{name: self.info.get(name) for name in StructureCounts.__dataclass_fields__},
        }


def find_courses(catalog: Catalog, connection: duckdb.DuckDBPyConnection) -> list[Course]:
    """Every course run that the lake has a structure of, or any row."""
    infos = {
        row["database"]: row
        for row in connection.sql("SELECT * FROM course_structure.courses")
        .to_arrow_table()
        .to_pylist()
    }
    runs: dict[str, CourseRun] = {}
    for table in catalog.tables():
        run = _run_of(table)
        if (
            run
            and run.database not in runs
            and (run.database in infos or _has_rows(connection, table))
        ):
            runs[run.database] = run
    return [
        Course(
            run,
            _course_id(catalog, connection, run, infos.get(database, {})),
            infos.get(database, {}),
        )
        for database, run in sorted(runs.items())
    ]


def _run_of(table: Table) -> CourseRun | None:
    """The course run that a lake file is about, as its footer says."""
    if not table.files:
        return None
    origin = footer(table.files[0])
    names = ("stem", "site", "database", "key")
    return CourseRun(*(origin[name] for name in names)) if set(names) <= set(origin) else None


def _has_rows(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    return connection.execute(f"SELECT 1 FROM ({table.select()}) LIMIT 1").fetchall() != []  # noqa: S608 - quoted


def _course_id(
    catalog: Catalog, connection: duckdb.DuckDBPyConnection, run: CourseRun, info: dict[str, Any]
) -> str | None:
    """The id in the dumps, else in the forum, else the structure's, else what names suggest."""
    forum = safe_file_name(run.discussion_table)
    places = [(run.database, name) for name in TABLES_THAT_TELL] + [("discussion_forum", forum)]
    for place in places:
        table = catalog.table(*place)
        if table is None or "course_id" not in _columns(connection, table):
            continue
        found = connection.execute(
            f"SELECT course_id FROM ({table.select()}) WHERE course_id <> '' "  # noqa: S608 - quoted
            "GROUP BY course_id ORDER BY count(*) DESC, course_id LIMIT 1"
        ).fetchall()
        if found:
            return str(found[0][0])
    return info.get("course_id") or course_id_from_stem(run.stem)


def _columns(connection: duckdb.DuckDBPyConnection, table: Table) -> set[str]:
    described = connection.execute(f"DESCRIBE {table.select()}").fetchall()
    return {row[0] for row in described}


def register_inputs(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    courses: list[Course],
    certified_statuses: Iterable[str],
) -> None:
    """Create the relations that ``person_course.sql`` names in its head."""
    connection.register("course_rows", pa.Table.from_pylist([c.row() for c in courses], COURSE))
    connection.execute("CREATE TEMP TABLE course AS SELECT * FROM course_rows")
    for name, columns in INPUTS.items():
        parts = [
            _part(connection, catalog.table(course.run.database, name), course, columns)
            for course in courses
        ]
        _create_view(connection, name, parts, columns)
    posts = [
        _part(
            connection,
            catalog.table("discussion_forum", safe_file_name(course.run.discussion_table)),
            course,
            POST,
        )
        for course in courses
    ]
    _create_view(connection, "post", posts, POST)
    connection.execute(f"CREATE TEMP VIEW event AS {EVENTS}")
    connection.execute("CREATE TEMP VIEW ip_country AS SELECT ip, country FROM logs.ip_country")
    statuses = pa.table({"status": pa.array(sorted(set(certified_statuses)), pa.string())})
    connection.register("certified_status", statuses)


def _part(
    connection: duckdb.DuckDBPyConnection,
    table: Table | None,
    course: Course,
    columns: dict[str, str],
) -> str | None:
    """SQL of one course's share of an input; missing columns are null."""
    if table is None:
        return None
    there = _columns(connection, table)
    chosen = ", ".join(
        f"CAST({quote(name) if name in there else 'NULL'} AS {kind}) AS {quote(name)}"
        for name, kind in columns.items()
    )
    return (
        f"SELECT {literal(course.run.database)} AS database, file_row_number AS row, {chosen} "  # noqa: S608 - quoted
        f"FROM read_parquet({literal(str(table.files[0]))}, file_row_number = true, "
        "hive_partitioning = false)"
    )


def _create_view(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    parts: Iterable[str | None],
    columns: dict[str, str],
) -> None:
    empty = ", ".join(
        f"CAST(NULL AS {kind}) AS {quote(column)}" for column, kind in columns.items()
    )
    nothing = f"SELECT CAST(NULL AS VARCHAR) AS database, CAST(NULL AS BIGINT) AS row, {empty} WHERE false"  # noqa: E501 - one statement
    selects = [nothing, *(part for part in parts if part)]
    connection.execute(f"CREATE TEMP VIEW {quote(name)} AS {' UNION ALL '.join(selects)}")
