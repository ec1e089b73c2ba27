"""The tables of the queue, and the steps that bring an older queue up to date.

``source`` has one row per source for ever; ``run`` has one row per try. ``ingestor`` shows
the same as the original's table of that name did, for its old readers.
"""

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    DateTime,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    inspect,
    select,
    text,
)

from optimus.errors import SettingsError

VERSION = 1

metadata = MetaData()

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
    Column("lease_until", Float),
    Column("not_before", Float, nullable=False),
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
    Column("source_id", ForeignKey("source.id"), nullable=False),
    Column("service", String(64), nullable=False),
    Column("gen", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("worker", String(128), nullable=False),
    Column("started", DateTime, nullable=False),
    Column("ended", DateTime, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("message", Text),
    Column("counts", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("touches", JSON, nullable=False),
    Column("published", JSON, nullable=False),
    Column("upto", Integer, nullable=False),
    Column("stamp", Text, nullable=False),
    Index("run_service", "service", "id"),
)
"""One row per try, never changed. ``upto`` is the newest run a derived service has seen."""

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

INGESTOR_VIEW = """
CREATE VIEW ingestor AS
SELECT id,
       spelled AS service_name,
       CASE kind WHEN 'file' THEN 'file' ELSE 'save_run' END AS type,
       CASE kind WHEN 'file' THEN path ELSE '' END AS meta,
       CASE WHEN state IN ('running', 'done') THEN 1 ELSE 0 END AS started,
       CASE state WHEN 'done' THEN 1 ELSE 0 END AS completed,
       created, started_date, completed_date
FROM source
"""


def _step_1(connection: Connection) -> None:
    metadata.create_all(connection)
    if "ingestor" not in inspect(connection).get_view_names():
        connection.execute(text(INGESTOR_VIEW))


STEPS = (_step_1,)
"""Step n brings version n-1 to n. Each can be run again from any half."""


def migrate(engine: Engine) -> None:
    """Bring the queue to this version.

    Raises:
        SettingsError: a newer version of this program has already changed it.
    """
    with engine.begin() as connection:
        schema_version.create(connection, checkfirst=True)
        version = connection.execute(select(schema_version.c.version)).scalar() or 0
        if version > VERSION:
            raise SettingsError(
                f"The queue is of version {version}, this program knows version {VERSION}. "
                "Use the newer program, or restore the queue's back-up."
            )
        for step in STEPS[version:]:
            step(connection)
        if version < VERSION:
            connection.execute(schema_version.delete())
            connection.execute(schema_version.insert().values(version=VERSION))
