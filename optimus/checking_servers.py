"""What ``check`` says of the servers: whether they are there, and may be used as they are."""

import time
from collections.abc import Iterable, Iterator

from optimus.checking_mongodb import THING as MONGO
from optimus.checking_mongodb import mongodb_findings, unusable_file
from optimus.checking_mysql import mysql_findings
from optimus.checking_rights import THING as SQL
from optimus.errors import SettingsError
from optimus.findings import AWAY, BAD, Clock, Found, bad, good
from optimus.package.layout import read_package
from optimus.settings import Settings

EXIT_BAD, EXIT_AWAY = 1, 3


def server_findings(settings: Settings, now: Clock = time.time) -> Iterator[Found]:
    """Look at both servers; whatever they do, nothing is raised.

    Args:
        settings: where they are.
        now: this host's clock.
    """
    sql = settings.sql_server
    if sql is None:
        yield good(SQL, "Not set: the queue is in SQLite, tables are in the lake alone.")
    else:
        yield from mysql_findings(sql, _databases_of_courses(settings), now)
    yield from _of_mongodb(settings, now)


def exit_code_of(verdicts: Iterable[str]) -> int:
    """What ``check`` exits with: 3 when a server is away, 1 when anything else is bad."""
    found = set(verdicts)
    if AWAY in found:
        return EXIT_AWAY
    return EXIT_BAD if BAD in found else 0


def _of_mongodb(settings: Settings, now: Clock) -> Iterator[Found]:
    try:
        mongo = settings.mongo_server
    except SettingsError as error:
        yield bad(MONGO, str(error))
        return
    except OSError as error:
        yield unusable_file(error)
        return
    if mongo is None:
        yield good(MONGO, "Not set: events and forums are in the lake alone.")
    else:
        yield from mongodb_findings(mongo, now)


def _databases_of_courses(settings: Settings) -> list[str]:
    package = read_package(
        settings.data_paths, settings.clickstream_prefix, settings.dbstate_prefix
    )
    return [course.database for course in package.courses()]
