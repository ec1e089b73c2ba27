"""The relations that the queries read, made from the lake for the course runs to be done."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from optimus.outputs.catalog import Catalog, Table
from optimus.outputs.courses import Course
from optimus.package.course_ids import split_course_id
from services.event_count.columns import COURSE

EVENT = Path(__file__).with_name("event.sql").read_text()
BYTES_AT_ONCE = 16 << 20
"""Of Parquet: some hundred thousand events, which take about a second."""
NOT_IN_HTML = re.compile(r"[^A-Za-z0-9_-]")

BLOCK = """
CREATE TEMP TABLE block AS
SELECT blocks.database, block_id, block_type, url_name, display_name, order_index,
       course.html_prefix || regexp_replace(
           block_type || '-' || url_name, '[^A-Za-z0-9_-]', '_', 'g'
       ) AS html_id
FROM course_structure.blocks
JOIN course ON course.database = blocks.database
"""
# Of several blocks that share a name the first in the course has it.
BLOCK_NAME = """
CREATE TEMP TABLE block_name AS
SELECT database, name, arg_min(block_id, order_index) AS block_id
FROM (SELECT *, unnest([block_id, html_id, url_name]) AS name FROM block)
GROUP BY database, name
"""
NAMED_BLOCK = """
CREATE TEMP TABLE named_block
    (database VARCHAR, block_id VARCHAR, event_date DATE, user_id BIGINT, events BIGINT)
"""
# Addresses are percent-encoded up to twice; what follows ? or # is about something else.
MACROS = """
CREATE TEMP MACRO has_block_id(text) AS contains(text, 'block-v1') OR contains(text, 'i4x');
CREATE TEMP MACRO decoded(text) AS
    CASE WHEN contains(text, '%') THEN TRY(url_decode(text)) ELSE text END;
CREATE TEMP MACRO address_of_block(url) AS CASE
    WHEN has_block_id(url) OR contains(url, '/jump_to_id/') OR contains(url, '/courseware/')
    THEN decoded(decoded(split_part(split_part(url, '?', 1), '#', 1)))
END
"""
RELATIONS = (BLOCK, BLOCK_NAME, NAMED_BLOCK, MACROS)
"""Statements that make what is the same for every log."""


def register_courses(connection: duckdb.DuckDBPyConnection, courses: list[Course]) -> None:
    """Create the relations that are the same for every log."""
    connection.register("course_rows", pa.Table.from_pylist(list(map(_row_of, courses)), COURSE))
    connection.execute("CREATE TEMP TABLE course AS SELECT * FROM course_rows")
    for statement in RELATIONS:
        connection.execute(statement)


def batches_of_logs(catalog: Catalog) -> Iterator[tuple[Table, Table]]:
    """The logs of the lake, some at a time, each time with the better moments of their events."""
    logs, repairs = (catalog.table("logs", name) for name in ("clickstream", "event_time_repairs"))
    if logs is None or repairs is None:
        return
    # The repairs of a log are in a file of its name.
    repairs_of = {file.name: file for file in repairs.files}
    batch: list[Path] = []
    size = 0
    for file in logs.files:
        batch.append(file)
        size += file.stat().st_size
        if size >= BYTES_AT_ONCE or file == logs.files[-1]:
            mine = tuple(repairs_of[one.name] for one in batch if one.name in repairs_of)
            yield replace(logs, files=tuple(batch)), replace(repairs, files=mine)
            batch, size = [], 0


def open_logs(connection: duckdb.DuckDBPyConnection, logs: Table, repairs: Table) -> None:
    """Show the events of a batch as ``event``."""
    for name, select in (("log", logs.select()), ("repair", repairs.select()), ("event", EVENT)):
        connection.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {select}")


def _row_of(course: Course) -> dict[str, Any]:
    """What the queries are told about a course run, as a row of ``COURSE``."""
    row = {
        "database": course.run.database,
        "site": course.run.site,
        "course_id": course.course_id,
    }
    course_id = course.course_id or ""
    parts = split_course_id(course_id)
    if parts is None:
        return row
    scheme, is_new, rest = course_id.partition("-v1:")
    if is_new:
        kind = "block" if scheme == "course" else "ccx-block"
        return row | {"block_prefix": f"{kind}-v1:{rest}+type@", "name_mark": "+block@"}
    org, number, _ = parts
    return row | {
        "block_prefix": f"i4x://{org}/{number}/",
        "name_mark": "/",
        "html_prefix": NOT_IN_HTML.sub("_", f"i4x-{org}-{number}-"),
    }
