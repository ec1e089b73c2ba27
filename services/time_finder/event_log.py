"""One log of the lake, as the two statements of this service see it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Self

import duckdb

from optimus.outputs.catalog import literal
from optimus.outputs.lake import footer
from optimus.package.names import parse_name

EARLIEST = datetime(2011, 1, 1, tzinfo=UTC)
"""Before edX there were no events."""
DAYS_AFTER = timedelta(days=2)

# An epoch beyond this is told in milliseconds: as seconds it would be after the year 5000.
LOG_VIEW = """
CREATE OR REPLACE TEMP VIEW log AS
SELECT
    {source} AS source,
    line,
    time,
    json_type(extra, '$.time') AS time_kind,
    extra ->> '$.time' AS time_text,
    json_type(extra, '$.timestamp') AS timestamp_kind,
    try_cast(extra ->> '$.timestamp' AS TIMESTAMPTZ) AS timestamp_read,
    CASE
        WHEN received_number BETWEEN 0 AND 1e11 THEN to_timestamp(received_number)
        WHEN received_number BETWEEN 1e11 AND 1e14 THEN to_timestamp(received_number / 1000)
        ELSE try_cast(received_text AS TIMESTAMPTZ)
    END AS received_at
FROM (
    SELECT
        *,
        context ->> '$.received_at' AS received_text,
        try_cast(received_text AS DOUBLE) AS received_number
    FROM (
        SELECT
            line,
            time,
            CASE WHEN json_valid(extra) THEN extra END AS extra,
            CASE WHEN json_valid(context) THEN context END AS context
        FROM read_parquet({path}, hive_partitioning = false)
    )
)
"""
BOUNDS_VIEW = """
CREATE OR REPLACE TEMP VIEW bounds AS
SELECT {earliest}::TIMESTAMPTZ AS earliest, {before}::TIMESTAMPTZ AS before
"""


@dataclass(frozen=True)
class EventLog:
    """One log file in the lake."""

    path: Path
    source: str

    @classmethod
    def at(cls, path: Path) -> Self:
        """The log whose rows lie in a lake file."""
        return cls(path, footer(path).get("source", path.stem))

    @property
    def file_name(self) -> str:
        """The log's name without folders."""
        return self.source.rpartition("/")[2]

    @property
    def day(self) -> date | None:
        """The day its name tells; a name that is in several data folders ends in ``@…``."""
        name = parse_name(self.file_name) or parse_name(self.file_name.rpartition("@")[0])
        return name.day if name else None

    def latest(self, started: datetime) -> datetime:
        """Until when its events can have happened: to the end of the second day after its own.

        Args:
            started: stands for the log's day where its name tells none.
        """
        day = self.day
        if day is None:
            return started + DAYS_AFTER
        return datetime.combine(day, time(), UTC) + timedelta(days=1) + DAYS_AFTER

    def open_in(self, connection: duckdb.DuckDBPyConnection, started: datetime) -> None:
        """Show it as ``log``, and its plausible moments as ``bounds``."""
        before = self.latest(started)
        connection.execute(
            LOG_VIEW.format(source=literal(self.source), path=literal(str(self.path)))
        )
        connection.execute(
            BOUNDS_VIEW.format(
                earliest=literal(EARLIEST.isoformat()), before=literal(before.isoformat())
            )
        )
