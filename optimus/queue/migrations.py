"""The steps that bring a queue of any age, also the original's, up to date.

MySQL ends a transaction at every change of a table, so each step can be run again from any
half. What was there before stays readable: nothing is deleted.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, func, inspect, select, text

from optimus.errors import SettingsError
from optimus.queue.databases import Database, transaction
from optimus.queue.tables import (
    metadata,
    original,
    schema_version,
    source,
    table_of_the_original,
)

VERSION = 3
SECONDS_FOR_ANOTHER = 60
"""How long to wait for another host that migrates at the same time."""

OURS = """
SELECT id,
       spelled AS service_name,
       CASE kind WHEN 'file' THEN 'file' ELSE 'save_run' END AS type,
       CASE kind WHEN 'file' THEN REPLACE(path, '.log.gz', '.log') ELSE '' END AS meta,
       CASE WHEN state IN ('running', 'done') THEN 1 ELSE 0 END AS started,
       CASE state WHEN 'done' THEN 1 ELSE 0 END AS completed,
       created, started_date, completed_date
FROM source
WHERE path NOT LIKE '%/clickstream_logs/mongodb-%'
"""
"""Logs that were made of documents are no files of the package, and their names have no day."""
BEFORE_US = """
UNION ALL
SELECT id, service_name, type, meta, started, completed, created, started_date, completed_date
FROM ingestor_original
WHERE completed = 1 AND id NOT IN (SELECT id FROM source)
"""
"""What the original did and nothing continues; what it left undone is ours to find again."""


@dataclass(frozen=True)
class Plan:
    """What a migration would do.

    Attributes:
        version: of the queue that is there; 0 when there is none.
        sentences: what would be done, for people; none when all is up to date.
        needs_consent: somebody else's tables are touched, so a person has to say so.
    """

    version: int
    sentences: tuple[str, ...]
    needs_consent: bool


def plan(database: Database) -> Plan:
    """Look at what is there, and change nothing.

    Raises:
        SettingsError: the queue belongs to a newer version of this program.
        OutputUnavailableError: the place cannot be reached.
    """
    if not database.exists():
        return Plan(0, ("Make the queue.",), needs_consent=False)
    with transaction(database, database.reading) as connection:
        version = _version(connection)
        if version == VERSION:
            return Plan(version, (), needs_consent=False)
        sentences = ["Make the queue." if version == 0 else f"Upgrade from version {version}."]
        if _is_the_originals(connection):
            sentences += _about_the_original(connection)
    # An older queue of ours on a server may still be in use by another host's daemon.
    shared_upgrade = database.is_shared and version > 0
    return Plan(version, tuple(sentences), len(sentences) > 1 or shared_upgrade)


def migrate(database: Database, *, consent: bool = False) -> None:
    """Bring the queue to this version.

    Args:
        database: where it is, or is to be.
        consent: an operator has seen the plan.

    Raises:
        SettingsError: a newer version of this program has already changed it, or the plan has
            to be seen first.
        OutputUnavailableError: the place cannot be reached or written.
    """
    planned = plan(database)
    if planned.version == VERSION:
        return
    if planned.needs_consent and not consent:
        raise SettingsError(
            "The queue has to be migrated first. './ingestor.py migrate' says what would be done, "
            "'./ingestor.py migrate --apply' does it."
        )
    database.make()
    with (
        database.hold("migrate", SECONDS_FOR_ANOTHER),
        transaction(database, database.writing) as connection,
    ):
        schema_version.create(connection, checkfirst=True)
        for step in STEPS[_version(connection) :]:
            step(connection)
        connection.execute(schema_version.delete())
        connection.execute(schema_version.insert().values(version=VERSION))


def _version(connection: Connection) -> int:
    """The queue's version; 0 when there is none."""
    if not inspect(connection).has_table(schema_version.name):
        return 0
    version: int = connection.execute(select(schema_version.c.version)).scalar() or 0
    if version > VERSION:
        raise SettingsError(
            f"The queue is of version {version}, this program knows version {VERSION}. "
            "Use the newer program, or restore the queue's back-up."
        )
    return version


def _is_the_originals(connection: Connection) -> bool:
    return "ingestor" in inspect(connection).get_table_names()


def _about_the_original(connection: Connection) -> list[str]:
    table = table_of_the_original("ingestor")
    rows = connection.execute(select(func.count()).select_from(table)).scalar_one()
    completed = connection.execute(
        select(func.count()).where(table.c.type == "file", table.c.completed == 1)
    ).scalar_one()
    return [
        (
            f"Rename the original's table ingestor ({rows:,} rows) to {original.name}; a view of "
            "the old name shows its rows and ours."
        ),
        (
            f"Take {completed:,} files that it calls completed for done. They are not in the lake: "
            "'import-legacy' brings the events there, 'retry --done --service database_state' the "
            "dumps."
        ),
    ]


def _make_tables(connection: Connection) -> None:
    metadata.create_all(connection)


def _take_over_the_original(connection: Connection) -> None:
    metadata.create_all(connection)
    if _is_the_originals(connection):
        connection.execute(text(f"ALTER TABLE ingestor RENAME TO {original.name}"))
    view = OURS
    if inspect(connection).has_table(original.name):
        view += BEFORE_US
        _begin_after_the_original(connection)
    connection.execute(text("DROP VIEW IF EXISTS ingestor"))
    connection.execute(text(f"CREATE VIEW ingestor AS {view}"))


def _begin_after_the_original(connection: Connection) -> None:
    """New sources get ids that no row of the original has."""
    last = connection.execute(select(func.max(original.c.id))).scalar() or 0
    first = connection.execute(select(func.max(source.c.id))).scalar() or 0
    connection.execute(text(f"ALTER TABLE source AUTO_INCREMENT = {max(last, first) + 1}"))


STEPS = (_make_tables, _take_over_the_original, _make_tables)
"""Step n brings version n-1 to n."""
