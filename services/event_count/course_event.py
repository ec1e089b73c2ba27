"""The original's table of events: a row per day, a column per module.

Modules are what stands in a vertical of a sequential of a chapter. A module's column is ``u_``
and its ``url_name``; what needs quotes in SQL, which old readers do not write, becomes ``$``.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

import pyarrow as pa

from optimus.outputs.mysql import SqlTable

DATABASE = "Course_Event"
MOST_COLUMNS = 1_000
LONGEST_COLUMN = 64
NEEDS_QUOTES = re.compile(r"[^A-Za-z0-9_$]")

MODULES = """
SELECT module.block_id, module.url_name
FROM course_structure.blocks AS module
JOIN course_structure.blocks AS vertical
    ON vertical.database = module.database AND vertical.block_id = module.parent_id
JOIN course_structure.blocks AS sequential
    ON sequential.database = module.database AND sequential.block_id = vertical.parent_id
JOIN course_structure.blocks AS chapter
    ON chapter.database = module.database AND chapter.block_id = sequential.parent_id
WHERE module.database = $1 AND vertical.block_type = 'vertical'
    AND sequential.block_type = 'sequential' AND chapter.block_type = 'chapter'
ORDER BY module.order_index
"""


def columns_of(modules: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Decide the columns.

    MySQL takes names that differ in case alone for one. Modules that share a name share a
    column, which is spelled as for the first of them.

    Args:
        modules: block id and ``url_name`` of each, in the order of the course.

    Returns:
        The column of each block id.
    """
    spelled: dict[str, str] = {}
    columns = {}
    for block_id, url_name in modules:
        column = f"u_{NEEDS_QUOTES.sub('$', url_name)}"
        columns[block_id] = spelled.setdefault(column.casefold(), column)
    return columns


def why_impossible(columns: Iterable[str]) -> str | None:
    """Why MySQL cannot have a table with such columns; None when it can."""
    names = set(columns)
    if len(names) > MOST_COLUMNS:
        return f"it would have {len(names):,} columns for modules, and {MOST_COLUMNS:,} are allowed"
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST_COLUMN:
        return f"the column {longest} would be longer than {LONGEST_COLUMN} characters"
    return None


def table_of_days(
    course: str, columns: Mapping[str, str], counts: pa.Table, first_day: date
) -> tuple[SqlTable, pa.Table]:
    """Turn the counts of a course run to the side.

    Args:
        course: the key of the course run.
        columns: the column of each module's block id; at least one.
        counts: rows of ``EVENT_COUNT``.
        first_day: the day of the one row that there is when nothing has happened: old readers
            need a row.
    """
    days: dict[date, Counter[str]] = defaultdict(Counter)
    names = ("block_id", "event_date", "events")
    for block_id, day, events in zip(*(counts[name].to_pylist() for name in names), strict=True):
        if block_id in columns:
            days[day][columns[block_id]] += events
    modules = list(dict.fromkeys(columns.values()))
    in_order = sorted(days) or [first_day]
    rows = pa.table(
        {
            "course_id": pa.repeat(course, len(in_order)),
            "event_date": pa.array(in_order, pa.date32()),
            **{
                name: pa.array([days[day][name] for day in in_order], pa.int64())
                for name in modules
            },
        }
    )
    table = SqlTable(
        database=DATABASE,
        name=f"courseevent_{course}",
        schema=rows.schema,
        unique=("event_date",),
        types=dict.fromkeys(modules, "int DEFAULT 0"),
        serial_id=True,
    )
    return table, rows
