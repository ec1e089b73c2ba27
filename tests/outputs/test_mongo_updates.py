"""What is promised about changes that MongoDB makes to documents it has."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from bson import Decimal128, ObjectId
from pymongo import MongoClient

from optimus.errors import OutputUnavailableError, StopRequested
from optimus.outputs import mongo_updates
from optimus.outputs.bson_documents import document_id, id_range
from optimus.outputs.mongo import opened
from optimus.outputs.mongo_updates import fill_dates, fill_places, retry_places, slices
from optimus.servers import MongoServer
from tests.servers import MongoDb

PLACES: dict[str, dict[str, str] | None] = {
    "1.2.3.4": {"country": "AU", "subdivision": "QLD", "city": "Brisbane"},
    "5.6.7.8, 10.0.0.1": {"country": "NZ"},
    "2001:db8::1": {"country": "FR", "subdivision": "", "city": "Paris"},
    "$where": {"country": "DE"},
    "9.9.9.9": None,
    "8.8.8.8": {"city": "Nowhere"},
}
MIXED_IDS = [
    None,
    float("nan"),
    -1.5,
    2,
    Decimal128("3"),
    2**40,
    "",
    "a",
    "b",
    {"a": 1},
    {"a": 2},
    b"x",
    *(ObjectId() for _ in range(5)),
    False,
    True,
    datetime(2016, 1, 1),  # noqa: DTZ001 # the driver gives naive dates back
]


@pytest.fixture
def server(mongodb: MongoDb) -> MongoServer:
    return mongodb.server


@pytest.fixture
def clickstream(mongodb: MongoDb) -> Iterator[Any]:
    """The collection, as somebody else sees it."""
    client: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", mongodb.port)
    with client:
        yield client["logs"]["clickstream"]


@pytest.fixture
def small_slices(monkeypatch):
    monkeypatch.setattr(slices, "__defaults__", (None, 3))


def go_on() -> None:
    """Let everything pass."""


def find(texts: Sequence[str]) -> Mapping[str, dict[str, str] | None]:
    return {text: PLACES[text] for text in texts if text in PLACES}


def filled_dates(server: MongoServer, **fields: str) -> int:
    with opened(server, "logs", "clickstream") as collection:
        return fill_dates(collection, go_on, **fields)


def filled_places(server: MongoServer, lookup: Any = find, **more: Any) -> dict[str, int]:
    with opened(server, "logs", "clickstream") as collection:
        return dict(fill_places(collection, lookup, go_on, **more))


def retried_places(server: MongoServer, lookup: Any = find) -> dict[str, int]:
    with opened(server, "logs", "clickstream") as collection:
        return dict(retry_places(collection, lookup, go_on))


def outcome(server: MongoServer, clickstream: Any, ip: Any) -> dict[str, Any]:
    """What a document with that ip gets."""
    clickstream.insert_one({"_id": 1, "ip": ip})
    filled_places(server)
    [document] = clickstream.find()
    return {name: value for name, value in document.items() if name not in ("_id", "ip")}


# --- dates --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2013-05-01T10:00:00+00:00",
        "2013-05-01T10:00:00Z",
        "2013-05-01T10:00:00.000999+00:00",
        "2013-05-01T10:00:00",
        "2013-05-01 10:00:00",
        "2013-05-01T20:00:00+10:00",
        datetime(2013, 5, 1, 10),  # noqa: DTZ001 # naive dates are UTC to the driver
    ],
)
def test_a_moment_in_any_spelling_becomes_a_date(server, clickstream, text):
    clickstream.insert_one({"time": text, "username": "otter"})
    assert filled_dates(server) == 1
    [document] = clickstream.find()
    assert document["time_date"].replace(tzinfo=UTC) == datetime(2013, 5, 1, 10, tzinfo=UTC)
    assert (document["time"], document["username"]) == (text, "otter")


def test_microseconds_are_kept_to_the_millisecond(server, clickstream):
    clickstream.insert_one({"time": "2013-05-01T10:00:00.123999+00:00"})
    filled_dates(server)
    assert clickstream.find_one()["time_date"].microsecond == 123_000


@pytest.mark.parametrize(
    "text", ["", "soon", "2013-02-30T00:00:00Z", None, 5, 2.5, True, [], {"a": 1}, "\0", "x" * 9999]
)
def test_what_is_no_moment_gets_no_date(server, clickstream, text):
    clickstream.insert_one({"_id": 1, "time": text})
    assert filled_dates(server) == 0
    assert clickstream.find_one() == {"_id": 1, "time": text}


def test_a_year_that_readers_of_dates_cannot_spell_gives_no_date(server, clickstream):
    clickstream.insert_one({"time": "0300-05-01T10:00:00Z"})
    assert filled_dates(server) == 0


def test_documents_that_have_a_date_or_no_text_are_left_alone(server, clickstream):
    before = [{"_id": 1, "time": "2013-05-01", "time_date": None}, {"_id": 2}]
    clickstream.insert_many(before)
    assert filled_dates(server) == 0
    assert list(clickstream.find()) == before


def test_the_fields_can_be_others(server, clickstream):
    clickstream.insert_one({"at": "2013-05-01"})
    assert filled_dates(server, text_field="at", date_field="on") == 1
    assert clickstream.find_one()["on"] == datetime(2013, 5, 1)  # noqa: DTZ001 # as the driver


def test_documents_with_ids_of_any_type_get_dates(server, clickstream, small_slices):
    clickstream.insert_many([{"_id": _id, "time": "2013-05-01"} for _id in MIXED_IDS])
    assert filled_dates(server) == len(MIXED_IDS)
    assert clickstream.count_documents({"time_date": {"$type": "date"}}) == len(MIXED_IDS)


def test_a_stop_between_slices_keeps_what_is_done(server, clickstream, small_slices):
    clickstream.insert_many([{"_id": number, "time": "2013-05-01"} for number in range(10)])

    def stop() -> None:
        raise StopRequested

    with pytest.raises(StopRequested), opened(server, "logs", "clickstream") as collection:
        fill_dates(collection, stop)
    assert clickstream.count_documents({"time_date": {"$exists": True}}) == 3
    assert filled_dates(server) == 7


def test_an_absent_collection_is_an_empty_one(server, clickstream):
    assert filled_dates(server) == 0
    assert filled_places(server) == retried_places(server) == {}
    assert clickstream.database.list_collection_names() == []


# --- slices -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_slices_hold_every_document_once(clickstream, size):
    clickstream.insert_many([{"_id": _id} for _id in MIXED_IDS])
    found = [
        [str(one["_id"]) for one in clickstream.find(ids)]
        for ids in slices(clickstream, None, size)
    ]
    assert sorted(chain.from_iterable(found)) == sorted(map(str, MIXED_IDS))
    assert max(map(len, found)) <= size


def test_slices_of_a_range_hold_nothing_else(clickstream):
    first, last = id_range("cd" * 32)
    inside = [document_id("cd" * 32, line) for line in range(1, 8)]
    outside = [document_id("cc" * 32, 1), document_id("ce" * 32, 1), "text", 1]
    clickstream.insert_many([{"_id": _id} for _id in [*outside, *inside, first, last]])
    found = [
        one["_id"] for ids in slices(clickstream, (first, last), 3) for one in clickstream.find(ids)
    ]
    assert sorted(found) == [first, *inside, last]


# --- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ip", "fields"),
    [
        ("1.2.3.4", {"country": "AU", "subdivision": "QLD", "city": "Brisbane"}),
        ("5.6.7.8, 10.0.0.1", {"country": "NZ"}),
        ("2001:db8::1", {"country": "FR", "city": "Paris"}),
        ("$where", {"country": "DE"}),
        ("", {"country": "", "geo_attempt": 1}),
        ("  ", {"country": "", "geo_attempt": 1}),
        ("::1", {"country": "", "geo_attempt": 1}),
        ("9.9.9.9", {"geo_attempt": 1}),
        ("8.8.8.8", {"geo_attempt": 1}),
        ("not an address", {"geo_attempt": 1}),
        ("x" * 2000, {"geo_attempt": 1}),
        (None, {"geo_attempt": 1}),
        (5, {"geo_attempt": 1}),
        (["1.2.3.4"], {"geo_attempt": 1}),
        ({"a": "1.2.3.4"}, {"geo_attempt": 1}),
    ],
)
def test_an_ip_gives_a_place_or_an_attempt(server, clickstream, ip, fields):
    assert outcome(server, clickstream, ip) == fields


def test_the_outcomes_are_counted_by_document(server, clickstream):
    ips = ["1.2.3.4", "1.2.3.4", "5.6.7.8, 10.0.0.1", "", "9.9.9.9", 7, "x" * 2000]
    clickstream.insert_many([{"ip": ip} for ip in ips])
    assert filled_places(server) == {"with_country": 3, "blank": 1, "unknown": 3}
    assert filled_places(server) == {}


@pytest.mark.parametrize(
    "document",
    [
        {"_id": 1},
        {"_id": 1, "ip": "1.2.3.4", "country": "NZ"},
        {"_id": 1, "ip": "x", "geo_attempt": 1},
    ],
)
def test_documents_that_need_no_place_are_left_alone(server, clickstream, document):
    clickstream.insert_one(document)
    assert filled_places(server) == {}
    assert clickstream.find_one() == document


def test_every_other_field_stays_as_it_is(server, clickstream):
    document = {"_id": 1, "ip": "1.2.3.4", "event": {"%2Ea": [1, None]}, "$x": 1, "a.b": {"$c": 2}}
    clickstream.insert_one(document)
    filled_places(server)
    found = clickstream.find_one()
    assert {name: found[name] for name in document} == document
    assert found["country"] == "AU"


def test_each_slice_is_looked_up_once_and_without_repetition(server, clickstream, small_slices):
    clickstream.insert_many([{"_id": number, "ip": "1.2.3.4"} for number in range(7)])
    asked: list[Sequence[str]] = []

    def lookup(texts: Sequence[str]) -> Mapping[str, dict[str, str] | None]:
        asked.append(texts)
        return find(texts)

    assert filled_places(server, lookup) == {"with_country": 7}
    assert asked == [["1.2.3.4"]] * 3


def test_only_the_documents_of_a_range_are_looked_at(server, clickstream):
    for identity in ("ab" * 32, "cd" * 32):
        clickstream.insert_one({"_id": document_id(identity, 1), "ip": "1.2.3.4"})
    assert filled_places(server, id_range=id_range("cd" * 32)) == {"with_country": 1}
    assert clickstream.find_one({"country": "AU"})["_id"] == document_id("cd" * 32, 1)


@pytest.mark.parametrize("bytes_per_statement", [1, 5000, 10**7])
def test_many_texts_all_get_their_own_place(server, clickstream, monkeypatch, bytes_per_statement):
    monkeypatch.setattr(mongo_updates, "BYTES_PER_STATEMENT", bytes_per_statement)
    texts = [f"{text}.{number}" for number in range(150) for text in ("é", "1", "\U0001f600", "Z")]
    clickstream.insert_many([{"ip": text} for text in texts])
    places = {text: {"country": f"C{index}"} for index, text in enumerate(texts)}
    assert filled_places(server, lambda asked: places) == {"with_country": len(texts)}
    assert {document["ip"]: document["country"] for document in clickstream.find()} == {
        text: place["country"] for text, place in places.items()
    }


def test_documents_with_ids_of_any_type_get_places(server, clickstream, small_slices):
    clickstream.insert_many([{"_id": _id, "ip": "1.2.3.4"} for _id in MIXED_IDS])
    assert filled_places(server) == {"with_country": len(MIXED_IDS)}
    assert clickstream.count_documents({"country": "AU"}) == len(MIXED_IDS)


# --- places once more ---------------------------------------------------------------------------


def test_a_newer_database_gives_places_that_an_older_did_not(server, clickstream):
    clickstream.insert_many([{"_id": 1, "ip": "7.7.7.7"}, {"_id": 2, "ip": "9.9.9.9"}])
    filled_places(server)
    newer = {"7.7.7.7": {"country": "JP", "city": "Kyoto"}, "9.9.9.9": None}
    assert retried_places(server, lambda texts: newer) == {"with_country": 1, "unknown": 1}
    assert list(clickstream.find().sort("_id")) == [
        {"_id": 1, "ip": "7.7.7.7", "geo_attempt": 1, "country": "JP", "city": "Kyoto"},
        {"_id": 2, "ip": "9.9.9.9", "geo_attempt": 1},
    ]


def test_only_unknown_places_are_looked_up_again(server, clickstream):
    before = [
        {"_id": 1, "ip": "1.2.3.4", "country": "NZ"},
        {"_id": 2, "ip": "1.2.3.4"},
        {"_id": 3, "ip": "", "country": "", "geo_attempt": 1},
        {"_id": 4, "ip": 5, "geo_attempt": 1},
    ]
    clickstream.insert_many(before)
    assert retried_places(server) == {"unknown": 1}
    assert list(clickstream.find().sort("_id")) == before


def test_what_is_not_known_yet_is_left_as_it_is(server, clickstream):
    clickstream.insert_many([{"_id": number, "ip": "9.9.9.9"} for number in range(3)])
    filled_places(server)
    before = list(clickstream.find())
    assert retried_places(server) == {"unknown": 3}
    assert list(clickstream.find()) == before


def test_an_error_of_the_server_is_a_sentence(server, clickstream):
    clickstream.insert_one({"ip": "1.2.3.4"})
    clickstream.database.command(
        {"collMod": "clickstream", "validator": {"country": {"$exists": False}}}
    )
    with pytest.raises(OutputUnavailableError, match="error 121") as refusal:
        filled_places(server)
    assert "1.2.3.4" not in str(refusal.value)
