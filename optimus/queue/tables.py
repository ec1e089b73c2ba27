"""The tables of the queue.

``source`` has one row per source for ever; ``run`` has one row per try. ``edit`` and
``acceptance`` are what an operator has said of the lines that were set aside. ``config`` and the
view ``ingestor`` show what the original's tables of these names did, for its old readers.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()
ON_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_unicode_ci",
}
LONGEST_BLOB = (1 << 24) - 1
"""Bytes; MySQL takes a shorter column for what is not said to be so long."""

source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("service", String(64), nullable=False),
    Column("spelled", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # file, or derived
    Column("name", Text, nullable=False),
    Column("identity", String(64), nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("fingerprint", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("gen", Integer, nullable=False),
    Column("run_gen", Integer, nullable=False),
    Column("done_gen", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("owner", String(128)),
    Column("lease_until", Double),
    Column("not_before", Double, nullable=False),
    Column("reason", String(64)),
    Column("message", Text),
    Column("sha256", String(64)),
    Column("content_sha256", String(64)),
    Column("reserved_sha256", String(64)),
    Column("done_sha256", String(64)),
    Column("copy_of", Integer),
    Column("counts", JSON, nullable=False),
    Column("published", JSON, nullable=False),
    Column("touches", JSON, nullable=False),
    Column("progress", JSON),
    Column("created", DateTime, nullable=False),
    Column("started_date", DateTime),
    Column("completed_date", DateTime),
    Index("source_claim", "service", "state", "not_before", "id"),
    Index("source_content", "service", "content_sha256"),
    Index("source_reserved", "service", "reserved_sha256"),
    **ON_MYSQL,
)
"""One row per source. Times are UTC; ``lease_until`` and ``not_before`` are Unix seconds.

Where equal content counts once, ``content_sha256`` is the content of the last commit, and
``reserved_sha256`` what a try since then was about to publish: until the next commit the
outputs may hold either. ``published`` names the files of both. ``touches`` are the courses
whose data the outputs hold: when other content takes their place, they change too.
"""

run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, nullable=False),
    Column("service", String(64), nullable=False),
    Column("gen", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("started", DateTime, nullable=False),
    Column("ended", DateTime, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("message", Text),
    Column("counts", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("touches", JSON, nullable=False),
    Column("published", JSON, nullable=False),
    Column("upto", Integer, nullable=False),
    Column("stamp", Text, nullable=False),
    Index("run_service", "service", "id"),
    **ON_MYSQL,
)
"""One row per try, never changed. ``upto`` is the newest run a derived service has seen."""

edit = Table(
    "edit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, nullable=False),
    Column("line", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("text", LargeBinary(LONGEST_BLOB), nullable=False),
    Index("edit_line", "source_id", "line", unique=True),
    **ON_MYSQL,
)
"""What is read in place of a line that has this hash; in ``text`` are learners' data.

The edits are here, and not in a file, so that they come into force together with the wish to
ingest the source again, whichever host does it.
"""

acceptance = Table(
    "acceptance",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source_id", Integer, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("accepted", DateTime, nullable=False),
    Index("acceptance_of", "source_id", "sha256", unique=True),
    **ON_MYSQL,
)
"""How many records of each reason an operator lets stay out of the outputs.

It is agreed of a source with delivered bytes of this hash, and ends with them.
"""

schema_version = Table(
    "schema_version", metadata, Column("version", Integer, nullable=False), **ON_MYSQL
)
"""One row. Who changes the queue locks it first, so that changes come one after another."""

config = Table(
    "config",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("param_name", String(255), unique=True),
    Column("param_value", String(1027)),
    **ON_MYSQL,
)
"""The original's table of settings that others may read."""


def table_of_the_original(name: str) -> Table:
    """The original's table of work, under this name."""
    return Table(
        name,
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("service_name", String(255)),
        Column("type", String(255)),
        Column("meta", String(255)),
        Column("started", Integer),
        Column("completed", Integer),
        Column("created", DateTime),
        Column("started_date", DateTime),
        Column("completed_date", DateTime),
    )


original = table_of_the_original("ingestor_original")
"""The table ``ingestor`` that the original left, under its new name; never changed.

A source that continues one of its rows has the id of that row.
"""
