"""Times and countries for documents that others wrote: our way beside an update per document.

    .venv/bin/python -m benchmarks.enrichment [--documents 1000000] [--sample 20000] [--rounds 3]
                                              [--scattered] [--city]

On a mongod in a temporary folder lie a million events without ``time_date`` and ``country``, as
mongoimport left them, with the three indexes of events, from 20,000 addresses. Visitors stay for
50 events, 200 of them at a time; with ``--scattered`` any event is from anywhere. Two works take
turns, in processes of their own:

- ``fill_dates`` and ``fill_places``: ours, over all of them;
- ``an update per document``: the original's way, over a sample in a collection of its own: find
  what lacks a date, parse its time, ``update_one``; then find what lacks a country, look its
  address up, ``update_one``.

Both ask the same address database in the same way, for the country alone, or with ``--city`` for
subdivision and city too. The original parsed with dateutil and looked
up with geoip2, which cost more; here it is given ``fromisoformat``, ours, and its sample lies
in memory. Its figures for all documents are those of the sample times their number.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import bson
import duckdb
from pymongo.collection import Collection  # noqa: TID251 - the bare driver is what is measured

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
from optimus.outputs.mongo import CLICKSTREAM_INDEXES, ensure_indexes, opened
from optimus.outputs.mongo_updates import fill_dates, fill_places
from optimus.sample.geo import write_geo_database
from optimus.sample.places import PLACES
from optimus.servers import Document, MongoServer
from services.ip_to_country.databases import CITY_SETTING, COUNTRY_SETTING, Lookup, choose
from services.ip_to_country.documents import Places
from tests.servers import MongoDb

DATABASE, EVENTS, SAMPLE, PRISTINE = "logs", "clickstream", "sample", "pristine"
ADDRESSES = 20_000
EVENTS_OF_A_VISIT = 50
VISITORS_AT_A_TIME = 200
DOCUMENTS_PER_BATCH = 1000
BEGIN = datetime(2014, 3, 3, tzinfo=UTC)
AGENT = "Mozilla/5.0 (Windows NT 6.1; WOW64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/33.0"
COURSE = "UQx/Crime101x/1T2014"
OURS, THEIRS = "fill_dates + fill_places", "an update per document"


class GeoDatabase(NamedTuple):
    """An address database, and the setting that names it."""

    path: Path
    setting: str

    def opened(self) -> Lookup:
        return Lookup(choose({self.setting: self.path}, self.path.with_name("empty")))


def addresses_of(count: int, dice: Random, *, scattered: bool) -> Iterator[str]:
    """Where each event came from: visitors stay for a while, or come for one event only."""
    addresses = [dice.choice(PLACES).address(dice) for _ in range(ADDRESSES)]
    present = dice.sample(addresses, VISITORS_AT_A_TIME)
    for _ in range(count):
        visitor = dice.randrange(VISITORS_AT_A_TIME)
        if scattered or dice.randrange(EVENTS_OF_A_VISIT) == 0:
            present[visitor] = dice.choice(addresses)
        yield present[visitor]


def documents_of(count: int, *, scattered: bool = False) -> Iterator[Document]:
    """Events of about 600 bytes; the same each time."""
    dice = Random(1)
    for number, address in enumerate(addresses_of(count, Random(2), scattered=scattered)):
        user = dice.randint(1, 50_000)
        moment = BEGIN + timedelta(microseconds=number * 80_000_000 + dice.randrange(10**6))
        yield {
            "username": f"learner{user}",
            "event_type": dice.choice(("play_video", "pause_video", "problem_check", "seq_next")),
            "ip": address,
            "agent": AGENT,
            "host": "courses.edx.org",
            "session": f"{dice.getrandbits(128):032x}",
            "event": f'{{"id": "i4x-UQx-Crime101x-video-{user:08x}", "currentTime": {number}.5}}',
            "event_source": "browser",
            "context": {
                "user_id": user,
                "org_id": "UQx",
                "course_id": COURSE,
                "path": "/event",
            },
            "time": moment.isoformat(timespec="microseconds"),
            "page": f"https://courses.edx.org/courses/{COURSE}/courseware/{user:08x}/",
        }


def write_pristine(server: MongoServer, documents: Iterable[Document]) -> None:
    with server.connect() as client:
        collection = client[DATABASE][PRISTINE]
        batch: list[Document] = []
        for document in documents:
            batch.append(document)
            if len(batch) == DOCUMENTS_PER_BATCH:
                collection.insert_many(batch, ordered=False)
                batch = []
        if batch:
            collection.insert_many(batch, ordered=False)


def begin_anew(server: MongoServer, name: str, limit: int) -> None:
    """Copy documents as they were into a collection, and make its indexes."""
    with server.connect() as client:
        database = client[DATABASE]
        database.drop_collection(name)
        database[PRISTINE].aggregate([{"$sort": {"_id": 1}}, {"$limit": limit}, {"$out": name}])
        ensure_indexes(server, DATABASE, name, CLICKSTREAM_INDEXES)
        client.admin.command("fsync")


def our_dates(server: MongoServer, process: int) -> Cost:
    like_a_worker()
    with server.connect() as client, opened(server, DATABASE, EVENTS) as collection:
        watch = Watch(process)
        changed = fill_dates(collection, lambda: None)
        return watch.stop(changed, partial(client.admin.command, "fsync"))


def our_places(server: MongoServer, process: int, geo: GeoDatabase) -> Cost:
    like_a_worker()
    with (
        server.connect() as client,
        duckdb.connect() as connection,
        geo.opened() as lookup,
        opened(server, DATABASE, EVENTS) as collection,
    ):
        places = Places(connection, geo.path.with_name("none.parquet"), lookup)
        watch = Watch(process)
        counts = fill_places(collection, places, lambda: None)
        return watch.stop(counts.total(), partial(client.admin.command, "fsync"))


def their_dates(server: MongoServer, process: int) -> Cost:
    with server.connect() as client:
        collection = client[DATABASE][SAMPLE]
        watch = Watch(process)
        changed = 0
        for document in collection.find({"time_date": {"$exists": False}}):
            date = datetime.fromisoformat(document["time"])
            _set(collection, document, {"time_date": date})
            changed += 1
        return watch.stop(changed, partial(client.admin.command, "fsync"))


def their_places(server: MongoServer, process: int, geo: GeoDatabase) -> Cost:
    with (
        server.connect() as client,
        duckdb.connect() as connection,
        geo.opened() as lookup,
    ):
        collection = client[DATABASE][SAMPLE]
        places = Places(connection, geo.path.with_name("none.parquet"), lookup)
        watch = Watch(process)
        changed = 0
        for document in collection.find({"country": {"$exists": False}}):
            place = places([document["ip"]])[document["ip"]]
            _set(collection, document, place or {"geo_attempt": 1})
            changed += 1
        return watch.stop(changed, partial(client.admin.command, "fsync"))


def _set(collection: "Collection[Document]", document: Document, values: Any) -> None:
    collection.update_one({"_id": document["_id"]}, {"$set": dict(values)})


def ours(server: MongoServer, process: int, geo: GeoDatabase) -> Cost:
    dates = in_a_process(our_dates, server, process)
    return _both(dates, in_a_process(our_places, server, process, geo))


def theirs(server: MongoServer, process: int, geo: GeoDatabase) -> Cost:
    dates = in_a_process(their_dates, server, process)
    return _both(dates, in_a_process(their_places, server, process, geo))


def _both(dates: Cost, places: Cost) -> Cost:
    if dates.rows != places.rows:
        raise RuntimeError(f"{dates.rows:,} dates, but {places.rows:,} places")
    print(f"         times {dates.seconds:.1f} s, places {places.seconds:.1f} s", flush=True)
    return Cost(dates.rows, *(sum(pair) for pair in zip(dates[1:], places[1:], strict=True)))


def measure(
    server: MongoServer, geo: GeoDatabase, documents: int, sample: int, rounds: int
) -> None:
    with server.connect() as client:
        process = int(client.admin.command("serverStatus")["pid"])
        release = client.server_info()["version"]

    def anew(name: str, limit: int, work: Callable[[MongoServer, int, GeoDatabase], Cost]) -> Cost:
        begin_anew(server, name, limit)
        return work(server, process, geo)

    found = take_turns(
        {
            OURS: partial(anew, EVENTS, documents, ours),
            THEIRS: partial(anew, SAMPLE, sample, theirs),
        },
        rounds,
    )
    print_costs(found, "documents")
    print_ratio(found, OURS, THEIRS)
    print_machine(f"MongoDB {release}", "pymongo", "maxminddb")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--sample", type=int, default=20_000, help="for the other way (20,000)")
    parser.add_argument("--city", action="store_true", help="with subdivision and city")
    parser.add_argument("--scattered", action="store_true", help="no two events of one visit")
    chosen = parser.parse_args()
    size = sum(len(bson.encode(document)) for document in documents_of(1000)) / 1000
    with tempfile.TemporaryDirectory() as name:
        setting = CITY_SETTING if chosen.city else COUNTRY_SETTING
        geo, folder = GeoDatabase(Path(name) / "places.mmdb", setting), Path(name) / "mongodb"
        write_geo_database(geo.path)
        folder.mkdir()
        mongodb = MongoDb(folder)
        mongodb.start()
        try:
            documents = documents_of(chosen.documents, scattered=chosen.scattered)
            write_pristine(mongodb.server, documents)
            print(f"{chosen.documents:,} documents of {size:.0f} bytes, {ADDRESSES:,} addresses")
            measure(mongodb.server, geo, chosen.documents, chosen.sample, chosen.rounds)
        finally:
            mongodb.stop()


if __name__ == "__main__":
    main()
