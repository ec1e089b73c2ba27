"""What ``check`` says of the MongoDB server of events and forums."""

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from optimus.errors import OutputUnavailableError
from optimus.findings import (
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
from optimus.outputs.mongo import CLICKSTREAM_INDEXES, foreign_count
from optimus.server_versions import numbers_of
from optimus.servers import Document, MongoServer

if TYPE_CHECKING:
    from pymongo import MongoClient  # noqa: TID251 - only the name of what the server gives

THING = "MONGO_HOST"
OLDEST = (5, 0)
EVENTS, FORUMS = "logs", "discussion_forum"
CLICKSTREAM = "clickstream"
MILLISECONDS_FOR_A_WRITE = 10_000

UNAUTHORIZED = 13
_LOCKED_OUT = (None, UNAUTHORIZED, 18, 8000)
_ANOTHER_KIND = ("unique", "sparse", "partialFilterExpression", "expireAfterSeconds", "hidden")


def mongodb_findings(server: MongoServer, now: Clock = time.time) -> Iterator[Found]:
    """Look at the server; whatever it does, nothing is raised.

    Args:
        server: where it is.
        now: this host's clock.
    """
    try:
        with server.errors(), server.connect() as client:
            yield from _of_a_connection(server, client, now)
    except OutputUnavailableError as error:
        verdict = away if _code(error) in _LOCKED_OUT else bad
        yield verdict(THING, str(error))
    except OSError as error:
        yield unusable_file(error)


def unusable_file(error: OSError) -> Found:
    """Say that a file named in the address, such as its ``tlsCAFile``, is of no use."""
    remedy = "Name a file that the daemon's user can read."
    return bad(THING, f"A file that MONGO_HOST names cannot be used ({error}). {remedy}")


def _of_a_connection(
    server: MongoServer, client: "MongoClient[Document]", now: Clock
) -> Iterator[Found]:
    status = client.admin.command("connectionStatus")
    users = status["authInfo"]["authenticatedUsers"]
    if not users and not _lets_anybody_in(server, client):
        yield away(
            THING,
            f"{server.place} wants a login and MONGO_HOST has none. Write it as mongodb://"
            "<account>:<password>@<host>/?authSource=admin.",
        )
        return
    version = str(client.server_info()["version"])
    yield _version(server, version)
    if not users:
        yield _open_to_all()
    yield from clock_findings(THING, seconds_ahead(lambda: _time_of(client), now))
    yield from _rights_and_disk(server, client, users)
    yield from _clickstream(server, client)


def _time_of(client: "MongoClient[Document]") -> float:
    return float(client.admin.command("hello")["localTime"].timestamp())


def _lets_anybody_in(server: MongoServer, client: "MongoClient[Document]") -> bool:
    try:
        with server.errors():
            client.list_database_names()
    except OutputUnavailableError as error:
        if _code(error) != UNAUTHORIZED:
            raise
        return False
    return True


def _version(server: MongoServer, version: str) -> Found:
    told = f"MongoDB {version}{server.place.removeprefix('MongoDB')}"
    if is_too_old(version):
        return bad(THING, f"{told} is too old. Install MongoDB 5.0 or newer; 6.0 is tested.")
    return good(THING, f"{told}.")


def is_too_old(version: str) -> bool:
    """Whether a server of this version lacks what is needed."""
    return numbers_of(version) < OLDEST


def _open_to_all() -> Found:
    return look(
        THING,
        "The server asks for no login: whoever reaches it reads and changes learners' data. Make "
        "an account with the role readWrite on logs and discussion_forum, set "
        "security.authorization: enabled in mongod.conf, and write the account into MONGO_HOST.",
    )


def _rights_and_disk(
    server: MongoServer, client: "MongoClient[Document]", users: list[Document]
) -> Iterator[Found]:
    denied: list[str] = []
    free = 0.0
    for name in (EVENTS, FORUMS):
        try:
            with server.errors():
                free = _try_to_write(client, name)
        except OutputUnavailableError as error:
            if _code(error) != UNAUTHORIZED:
                raise
            denied.append(name)
    if denied:
        lacking = f"The account may not write to {' and '.join(denied)}."
        yield bad(THING, f"{lacking} Let an administrator run, in mongosh: {_grant(users)}")
    else:
        yield good(THING, f"{EVENTS} and {FORUMS} can be written to (tried).")
    if free:
        yield disk_finding(THING, "The server's disk", free)


def _try_to_write(client: "MongoClient[Document]", name: str) -> float:
    """Write and remove a document and a collection.

    Returns:
        The free bytes of the server's disk; 0 when it does not tell.

    Raises:
        OutputUnavailableError: writes are not acknowledged.
        Exception: the driver's own, for whatever else the server does not allow.
    """
    database = client[name]
    collection = f"_ingest_check_{secrets.token_hex(6)}"
    # What could not be dropped again is not made.
    database.drop_collection(collection)
    try:
        answer = database.command(
            {
                "insert": collection,
                "documents": [{"_id": 1}],
                "writeConcern": {"w": "majority", "j": True, "wtimeout": MILLISECONDS_FOR_A_WRITE},
            }
        )
        if "writeConcernError" in answer:
            raise OutputUnavailableError(
                "MongoDB does not confirm writes: no majority of the replica set takes them. "
                "Start its other members."
            )
        database[collection].create_index("country")
        disk = database.command("dbStats")
        database[collection].delete_one({"_id": 1})
    finally:
        database.drop_collection(collection)
    return float(disk.get("fsTotalSize", 0)) - float(disk.get("fsUsedSize", 0))


def _grant(users: list[Document]) -> str:
    account = users[0] if users else {"user": "<account>", "db": "admin"}
    roles = [{"role": "readWrite", "db": name} for name in (EVENTS, FORUMS)]
    return (
        f"db.getSiblingDB({json.dumps(account['db'])}).grantRolesToUser("
        f"{json.dumps(account['user'])}, {json.dumps(roles)})"
    )


def _clickstream(server: MongoServer, client: "MongoClient[Document]") -> Iterator[Found]:
    existing = [dict(index) for index in client[EVENTS][CLICKSTREAM].list_indexes()]
    for index in indexes_in_the_way(existing):
        drop = f'db.getSiblingDB("{EVENTS}").{CLICKSTREAM}.dropIndex({json.dumps(index)})'
        yield bad(
            THING,
            f"The index {index} of {EVENTS}.{CLICKSTREAM} has another definition than the one "
            f"needed here. Drop it, in mongosh: {drop}. The next run makes it anew.",
        )
    others = foreign_count(server, EVENTS, CLICKSTREAM)
    if others:
        yield look(
            THING,
            f"About {others:,} documents of {EVENTS}.{CLICKSTREAM} were not written by this "
            "program. They stay as they are; './ingestor.py import-legacy' reads them into the "
            "lake.",
        )


def indexes_in_the_way(existing: Iterable[Mapping[str, Any]]) -> list[str]:
    """Names of the indexes that would have to be dropped before ours can be made."""
    plain = [_fields(index) for index in existing if not _is_of_another_kind(index)]
    wanted = [[(field, 1) for field in fields] for fields in CLICKSTREAM_INDEXES]
    missing = [fields for fields in wanted if fields not in plain]
    return [str(index["name"]) for index in existing if _fields(index) in missing]


def _fields(index: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(index["key"].items())


def _is_of_another_kind(index: Mapping[str, Any]) -> bool:
    return any(index.get(option, False) is not False for option in _ANOTHER_KIND)


def _code(error: OutputUnavailableError) -> int | None:
    """The server's own number for what went wrong; None when it did not answer at all."""
    code = getattr(error.__cause__, "code", None)
    return code if isinstance(code, int) else None
