"""The relations that both queries read, made from the lake for the course runs to be done."""

from collections.abc import Iterable
from typing import Any

import duckdb
import pyarrow as pa

from optimus.outputs.catalog import Catalog
from optimus.outputs.courses import Course, create_view, posts_of
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


def register_inputs(
    connection: duckdb.DuckDBPyConnection,
    catalog: Catalog,
    courses: list[Course],
    certified_statuses: Iterable[str],
) -> None:
    """Create the relations that ``person_course.sql`` names in its head."""
    connection.register("course_rows", pa.Table.from_pylist(list(map(_row_of, courses)), COURSE))
    connection.execute("CREATE TEMP TABLE course AS SELECT * FROM course_rows")
    for name, columns in INPUTS.items():
        create_view(connection, catalog, courses, name, columns)
    create_view(connection, catalog, courses, "post", POST, posts_of)
    connection.execute(f"CREATE TEMP VIEW event AS {EVENTS}")
    connection.execute("CREATE TEMP VIEW ip_country AS SELECT ip, country FROM logs.ip_country")
    statuses = pa.table({"status": pa.array(sorted(set(certified_statuses)), pa.string())})
    connection.register("certified_status", statuses)


def _row_of(course: Course) -> dict[str, Any]:
    """What the queries are told about a course run, as a row of ``COURSE``."""
    start, end = course.info.get("start"), course.info.get("end")
    return {
        "database": course.run.database,
        "course": course.run.key,
        "stem": course.run.stem,
        "site": course.run.site,
        "discussiontable": course.run.discussion_table,
        "course_id": course.course_id,
        "start_at": start,
        "end_at": end,
        "ndays": (end.date() - start.date()).days if start and end else None,
        **{name: course.info.get(name) for name in StructureCounts.__dataclass_fields__},
    }
