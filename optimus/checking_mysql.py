"""What ``check`` says of the MySQL or MariaDB server of the queue and the tables."""

import ipaddress
import shutil
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from optimus.checking_rights import SHARED_DATABASES, THING, SqlTalk, rights_findings
from optimus.errors import OptimusError, OutputUnavailableError
from optimus.findings import (
    BAD,
    Clock,
    Found,
    away,
    bad,
    clock_findings,
    disk_finding,
    good,
    look,
    seconds_ahead,
)
from optimus.queue.databases import database_at
from optimus.queue.migrations import plan
from optimus.server_versions import TOO_OLD, parse_version
from optimus.servers import SqlServer

PACKET_BYTES_WANTED = 16 * 1024 * 1024

Variables = Mapping[str, str]
"""The server's own settings, by name; not every server has every one."""
_VARIABLES = (
    "hostname",
    "datadir",
    "local_infile",
    "max_allowed_packet",
    "innodb_flush_log_at_trx_commit",
    "character_set_server",
)


def mysql_findings(
    server: SqlServer, courses: Iterable[str], now: Clock = time.time
) -> Iterator[Found]:
    """Look at the server; whatever it does, nothing is raised.

    Args:
        server: where it is.
        courses: databases of courses, to try rights on.
        now: this host's clock.
    """
    try:
        talk = SqlTalk(server)
    except OutputUnavailableError as error:
        yield away(THING, str(error))
        return
    except OSError as error:
        remedy = "Name the file of the authorities (PEM), and let the daemon's user read it."
        yield bad(THING, f"SQL_TLS_CA: {server.certificates} cannot be used ({error}). {remedy}")
        return
    with talk:
        try:
            version = _version(talk)
            yield version
            yield from _of_a_connection(talk, now)
            yield from rights_findings(talk, courses)
        except OutputUnavailableError as error:
            verdict = bad if talk.is_open else away
            yield verdict(THING, str(error))
            return
    if version[0] != BAD:
        yield _queue(server)


def _of_a_connection(talk: SqlTalk, now: Clock) -> Iterator[Found]:
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    told = talk.rows(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    variables = {str(name): str(value) for name, value in told}
    yield from _settings_of_the_server(variables)
    status = talk.rows("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    is_encrypted = any(cipher for _, cipher in status)
    yield from encryption_findings(talk.server, is_encrypted=is_encrypted)
    yield from _character_sets(talk)
    ahead = seconds_ahead(lambda: float(talk.rows("SELECT UNIX_TIMESTAMP(NOW(6))")[0][0]), now)
    yield from clock_findings(THING, ahead)
    yield from _disk(talk.server, variables)


def _version(talk: SqlTalk) -> Found:
    [(number, comment)] = talk.rows("SELECT @@version, @@version_comment")
    version = parse_version(str(number), str(comment))
    told = f"{version}{talk.server.place.removeprefix('MySQL')}"
    return bad(THING, f"{told} {TOO_OLD}") if version.is_too_old else good(THING, f"{told}.")


def _settings_of_the_server(variables: Variables) -> Iterator[Found]:
    if variables.get("local_infile", "ON") != "ON":
        yield look(
            THING,
            "local_infile is off: tables are loaded with INSERTs, about three times slower. "
            "SET GLOBAL local_infile = 1; and local_infile=1 under [mysqld] to keep it.",
        )
    packet = int(variables.get("max_allowed_packet", PACKET_BYTES_WANTED))
    if packet < PACKET_BYTES_WANTED:
        yield look(
            THING,
            f"max_allowed_packet is {packet / 2**20:.0f} MB: a longer row cannot be stored. "
            "SET GLOBAL max_allowed_packet = 67108864; and max_allowed_packet=64M under [mysqld] "
            "to keep it.",
        )
    flush = variables.get("innodb_flush_log_at_trx_commit", "1")
    if flush != "1":
        yield look(
            THING,
            f"innodb_flush_log_at_trx_commit is {flush}: a power cut may lose the last second, "
            "and with it what the queue calls done. SET GLOBAL innodb_flush_log_at_trx_commit = 1; "
            "and the same under [mysqld] to keep it.",
        )
    default = variables.get("character_set_server", "utf8mb4")
    if default != "utf8mb4":
        yield good(
            THING,
            f"The server's default character set is {default}; our databases and tables are made "
            "in utf8mb4 all the same.",
        )


def encryption_findings(server: SqlServer, *, is_encrypted: bool) -> Iterator[Found]:
    """Speak of TLS where data leave this host."""
    if is_local(server) or (is_encrypted and server.certificates):
        return
    state = (
        "encrypted, but nobody vouches for the server"
        if is_encrypted
        else "not encrypted: passwords and learners' data can be read on the way"
    )
    yield look(
        THING,
        f"The connection is {state}. Set SQL_TLS_CA to the file of the authority that signed the "
        "server's certificate.",
    )


def is_local(server: SqlServer) -> bool:
    """Whether what is sent to the server stays on this host."""
    if server.socket or server.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(server.host).is_loopback
    except ValueError:  # a name
        return False


def _character_sets(talk: SqlTalk) -> Iterator[Found]:
    ours = ", ".join(f"'{name.casefold()}'" for name in SHARED_DATABASES)
    rows = talk.rows(
        "SELECT schema_name, default_character_set_name FROM information_schema.schemata "  # noqa: S608 - constants
        f"WHERE LOWER(schema_name) IN ({ours})"
    )
    for name, charset in rows:
        if charset != "utf8mb4":
            yield look(
                THING,
                f"The database {name} was made in {charset}. Our tables in it are utf8mb4 all the "
                f"same; for those of others: ALTER DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE "
                "utf8mb4_unicode_ci;",
            )


def _disk(server: SqlServer, variables: Variables) -> Iterator[Found]:
    """Speak of the server's disk only when it is certainly one of this host."""
    folder = Path(variables.get("datadir", ""))
    if not is_local(server) or variables.get("hostname") != socket.gethostname():
        return
    with suppress(OSError):
        yield disk_finding(THING, f"{folder}", shutil.disk_usage(folder).free)


def _queue(server: SqlServer) -> Found:
    database = database_at(server)
    try:
        planned = plan(database)
    except OptimusError as error:
        return bad(THING, f"The queue in the database api cannot be used. {error}")
    finally:
        database.writing.dispose()
        database.reading.dispose()
    if planned.needs_consent:
        return bad(
            THING,
            "The queue in the database api has to be migrated before anything runs. './ingestor.py "
            "migrate' says what would be done, './ingestor.py migrate --apply' does it.",
        )
    if planned.sentences:
        return good(THING, "There is no queue in the database api yet; the first run makes it.")
    return good(THING, f"The queue in the database api is up to date (version {planned.version}).")
