"""Events into MongoDB: our way beside pymongo's insert_many of dicts that are there already.

    .venv/bin/python -m benchmarks.mongodb [--events 200000] [--rounds 3] [--indexes]

Four works take turns, each in a process of its own, on a mongod in a temporary folder:

- ``insert_many``: the events as dicts in memory, unordered, 1,000 at a time. Reading the log and
  making the dicts is not measured.
- ``our documents``: from lines of JSON in memory to documents on the server's disk: decoded,
  checked, encoded, spooled, published. Reading the log is the lake's part of the work.
- ``lake alone``: a whole item as a worker does it, where MongoDB is not in use.
- ``lake and documents``: the same where it is. What it costs beyond the lake alone is compared
  with insert_many as well: the events have to be read for the lake in any case.

What the server put off (its checkpoint) is counted for the server, and not by the clock.
"""

import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.machine import (
    Cost,
    Watch,
    in_a_process,
    like_a_worker,
    parser_of,
    print_costs,
    print_machine,
    print_ratio,
    take_turns,
)
from optimus.errors import BadRecordError
from optimus.outputs.bson_documents import document_id, encode_event
from optimus.outputs.mongo import CLICKSTREAM_INDEXES, SourceDocuments, ensure_indexes
from optimus.package.events import Event, read_document, read_event
from optimus.package.files import DeliveredFile
from optimus.sample import SamplePlan, write_package
from optimus.servers import MongoServer
from tests.house import House
from tests.servers import MongoDb

DATABASE, COLLECTION = "logs", "clickstream"
EVENTS_PER_BATCH = 1000
IDENTITY = "0123456789abcdef" * 4
ORIGIN = {"source": "benchmark", "content_sha256": IDENTITY}
THEIRS, DOCUMENTS = "insert_many", "our documents"
LAKE, BOTH = "lake alone", "lake and documents"
ADDED = "what the documents add to the lake"
PARTS = ("seconds", "client", "server")


def usable_lines(log: Path) -> Iterator[tuple[int, bytes, Event]]:
    """The lines of a log that are events, with their numbers."""
    delivered = DeliveredFile(log)
    for chunk in delivered.chunks():
        for number, _, line in chunk.numbered():
            try:
                if isinstance(line, bytes):
                    yield number, line, read_event(line)
            except BadRecordError:
                continue
    delivered.close()


def moment_of(event: Event) -> datetime | None:
    time = event.fields.time
    return None if time is None else datetime.fromisoformat(time)


def insert_dicts(log: Path, server: MongoServer, process: int) -> Cost:
    events: list[dict[str, Any]] = []
    for _, line, event in usable_lines(log):
        document = read_document(line)
        document.pop("_id", None)  # the driver makes a new one
        events.append({**document, "time_date": moment_of(event)})
    like_a_worker()
    with server.connect() as client:
        collection = client[DATABASE][COLLECTION]
        watch = Watch(process)
        for start in range(0, len(events), EVENTS_PER_BATCH):
            collection.insert_many(events[start : start + EVENTS_PER_BATCH], ordered=False)
        return watch.stop(len(events), partial(client.admin.command, "fsync"))


def publish_documents(log: Path, server: MongoServer, process: int) -> Cost:
    lines = [(number, line, moment_of(event)) for number, line, event in usable_lines(log)]
    like_a_worker()
    with tempfile.TemporaryDirectory() as name, server.connect() as client:
        documents = SourceDocuments(
            server, DATABASE, COLLECTION, IDENTITY, Path(name) / "events.bson"
        )
        watch = Watch(process)
        for number, line, moment in lines:
            _id = document_id(IDENTITY, number)
            documents.add(encode_event(read_document(line), _id, moment))
        documents.publish(ORIGIN, lambda: None)
        return watch.stop(documents.rows, partial(client.admin.command, "fsync"))


def ingest(package: Path, server: MongoServer, process: int, **settings: str) -> Cost:
    """The whole item, in a new house."""
    like_a_worker()
    with tempfile.TemporaryDirectory() as name, server.connect() as client:
        house = House(Path(name), ["clickstream"], data_paths=[package], **settings)
        watch = Watch(process)
        house.ingest()
        [source] = house.sources("clickstream")
        if source.counts["outputs"].count("MongoDB") != len(settings):
            raise RuntimeError(f"the item did not come to its end: {source.message}")
        return watch.stop(source.counts["rows"], partial(client.admin.command, "fsync"))


def on_an_empty_server(
    server: MongoServer, work: Callable[[], Cost], *, with_indexes: bool
) -> Cost:
    with server.connect() as client:
        client.drop_database(DATABASE)
        client.admin.command("fsync")
    if with_indexes:
        ensure_indexes(server, DATABASE, COLLECTION, CLICKSTREAM_INDEXES)
    return work()


def works_of(package: Path, server: MongoServer, process: int) -> dict[str, Callable[[], Cost]]:
    [log] = (package / "clickstream_logs" / "latest").iterdir()
    host = server.uri.removeprefix("mongodb://")
    return {
        THEIRS: partial(in_a_process, insert_dicts, log, server, process),
        DOCUMENTS: partial(in_a_process, publish_documents, log, server, process),
        LAKE: partial(in_a_process, ingest, package, server, process),
        BOTH: partial(in_a_process, ingest, package, server, process, mongo_host=host),
    }


def measure(package: Path, server: MongoServer, rounds: int, *, with_indexes: bool) -> None:
    with server.connect() as client:
        process = int(client.admin.command("serverStatus")["pid"])
        release = client.server_info()["version"]
    works = {
        name: partial(on_an_empty_server, server, work, with_indexes=with_indexes)
        for name, work in works_of(package, server, process).items()
    }
    found = take_turns(works, rounds)
    print_costs(found, "events")
    print_ratio(found, DOCUMENTS, THEIRS)
    print_ratio(found, BOTH, THEIRS)
    print_ratio(found, BOTH, LAKE)
    found[ADDED] = [
        both._replace(**{part: getattr(both, part) - getattr(lake, part) for part in PARTS})
        for both, lake in zip(found[BOTH], found[LAKE], strict=True)
    ]
    print_ratio(found, ADDED, THEIRS)
    print_machine(f"MongoDB {release}", "pymongo", "orjson", "msgspec")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--events", type=int, default=200_000, help="default: 200,000")
    parser.add_argument("--indexes", action="store_true", help="with the three indexes of events")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        package, folder = Path(name) / "package", Path(name) / "mongodb"
        folder.mkdir()
        plan = SamplePlan(events=chosen.events, learners=2000, days=1, courses=2, quirks=True)
        write_package(package, plan)
        mongodb = MongoDb(folder)
        mongodb.start()
        try:
            measure(package, mongodb.server, chosen.rounds, with_indexes=chosen.indexes)
        finally:
            mongodb.stop()


if __name__ == "__main__":
    main()
