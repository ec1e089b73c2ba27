"""The course runs of the lake, and their dumps side by side, for the services that derive."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb

from optimus.outputs.catalog import Catalog, Table, literal, quote
from optimus.outputs.lake import footer
from optimus.package.course_ids import course_id_from_stem
from optimus.package.course_key import TABLES_THAT_TELL
from optimus.package.layout import CourseRun
from optimus.package.names import safe_file_name
from optimus.touches import course_touch, events_touch


@dataclass(frozen=True)
class Course:
    """One course run of the lake.

    Attributes:
        run: the names it is known by.
        course_id: the id that its dumps and events share; None when nobody knows it.
        info: its row of ``course_structure.courses``; empty without a structure.
    """

    run: CourseRun
    course_id: str | None
    info: dict[str, Any]

    @property
    def touches(self) -> tuple[str, str]:
        """Keys that say whether its data changed: its dumps and its events."""
        events = events_touch(self.run.site, self.course_id or "")
        return course_touch(self.run.database), events


def find_courses(catalog: Catalog, connection: duckdb.DuckDBPyConnection) -> list[Course]:
    """Every course run that the lake has a structure of, or any row.

    Args:
        catalog: the tables of the lake.
        connection: one that has ``course_structure.courses`` as a view.
    """
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


def posts_of(course: Course) -> tuple[str, str]:
    """Schema and name of the table that holds a course run's forum posts."""
    return "discussion_forum", safe_file_name(course.run.discussion_table)


def create_view(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    courses: Iterable[Course],
    name: str,
    columns: Mapping[str, str],
    place: Callable[[Course], tuple[str, str]] | None = None,
) -> None:
    """One view over the same table of several course runs.

    Its first columns are ``database``, and ``row``: the place of the row in its dump.

    Args:
        connection: where the view is made.
        catalog: the tables of the lake.
        courses: the course runs to be in it; those that have no such table give no rows.
        name: of the view; and of the table, unless ``place`` says otherwise.
        columns: names and DuckDB types; a column that a table does not have is null.
        place: schema and name of a course run's table.
    """
    empty = ", ".join(
        f"CAST(NULL AS {kind}) AS {quote(column)}" for column, kind in columns.items()
    )
    nothing = f"SELECT CAST(NULL AS VARCHAR) AS database, CAST(NULL AS BIGINT) AS row, {empty} WHERE false"  # noqa: E501 - one statement
    selects = [nothing]
    for course in courses:
        table = catalog.table(*(place(course) if place else (course.run.database, name)))
        if table is not None:
            selects.append(_part(connection, table, course, columns))
    connection.execute(f"CREATE TEMP VIEW {quote(name)} AS {' UNION ALL '.join(selects)}")


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
    places = [(run.database, name) for name in TABLES_THAT_TELL]
    for place in [*places, posts_of(Course(run, None, {}))]:
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


def _part(
    connection: duckdb.DuckDBPyConnection, table: Table, course: Course, columns: Mapping[str, str]
) -> str:
    """SQL of one course run's share of a view."""
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
