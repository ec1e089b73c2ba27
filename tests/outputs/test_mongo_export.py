"""What is promised about documents that are read back from MongoDB as lines."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import (
    Binary,
    Code,
    DatetimeMS,
    DBRef,
    Decimal128,
    Int64,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
)
from pymongo.collection import Collection

from optimus.outputs import mongo_export
from optimus.outputs.bson_documents import document_id
from optimus.outputs.mongo_export import (
    BRACKETS,
    NOTHING_YET,
    OBJECT_IDS,
    ForeignDocuments,
    foreign_documents,
    id_from_json,
    id_to_json,
    spelled_id,
)
from tests.servers import MongoDb

SOURCE, OTHER = "ab" * 32, "ac" + "00" * 31
MOMENT = datetime(2014, 3, 4, 5, 6, 7, 890000, UTC)
IDS: list[Any] = [
    MinKey(),
    None,
    -3,
    Decimal128("1.5"),
    Int64(2**60),
    float("inf"),
    "",
    "a",
    "b",
    {},
    {"a": 1},
    Binary(b"x", 4),
    ObjectId(b"\0" * 12),
    ObjectId("5" * 24),
    ObjectId(b"\xff" * 12),
    False,
    True,
    DatetimeMS(-(2**62)),
    MOMENT,
    DatetimeMS(2**62),
    Timestamp(7, 1),
    Code("x"),
    MaxKey(),
]


@pytest.fixture
def events(mongodb: MongoDb) -> Iterator[Collection[dict[str, Any]]]:
    with mongodb.server.connect() as client:
        yield client["logs"]["clickstream"]


def recorded(events: Collection[dict[str, Any]], source: str, rows: int) -> None:
    events.database["_ingest"].insert_one(
        {"_id": source[:16], "source": "a.log", "rows": rows, "complete": True}
    )


def written_by_us(events: Collection[dict[str, Any]], source: str, rows: int) -> None:
    recorded(events, source, rows)
    events.insert_many([{"_id": document_id(source, line), "n": line} for line in range(rows)])


def lines(documents: ForeignDocuments, last: Any = NOTHING_YET) -> list[Any]:
    return [
        json.loads(document.line)
        for batch in documents.batches(OBJECT_IDS, last)
        for document in batch
    ]


def line_of(mongodb: MongoDb, events: Collection[dict[str, Any]], **fields: Any) -> str:
    events.insert_one(fields)
    with foreign_documents(mongodb.server) as documents:
        [[document]] = documents.batches(OBJECT_IDS, NOTHING_YET)
    assert document.line.endswith(b"\n")
    return document.line[:-1].decode()


# --- documents become lines -------------------------------------------------------------------


def test_what_the_original_added_is_taken_off_again_and_only_at_the_top(mongodb, events):
    added = {"time_date": MOMENT, "country": "AU", "subdivision": "QLD", "city": "b", "loc": {}}
    delivered = {"time": "2014-03-04", "context": {"country": "NZ", "_id": 1, "city": "a"}}
    line = line_of(mongodb, events, **added, **delivered, geo_attempt=1)
    assert json.loads(line) == delivered


def test_keys_and_their_order_stay(mongodb, events):
    line = line_of(mongodb, events, z=1, a={"z.y": 1, "%2E": 2, "$b": 3}, m=[])
    assert line == '{"z":1,"a":{"z.y":1,"%2E":2,"$b":3},"m":[]}'


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param(MOMENT, '"2014-03-04T05:06:07.890000+00:00"', id="a date"),
        pytest.param(MOMENT.replace(microsecond=0), '"2014-03-04T05:06:07+00:00"', id="a second"),
        pytest.param(DatetimeMS(2**62), '{"$date":4611686018427387904}', id="a date too far"),
        pytest.param(Int64(2**63 - 1), "9223372036854775807", id="a long number"),
        pytest.param(-1, "-1", id="a negative number"),
        pytest.param(1.5, "1.5", id="a fraction"),
        pytest.param(2.0, "2.0", id="a whole fraction"),
        pytest.param(Decimal128("1.50"), "1.50", id="a decimal number"),
        pytest.param(Decimal128("1E+9"), "1E+9", id="a large decimal number"),
        pytest.param(ObjectId("5" * 24), f'"{"5" * 24}"', id="an object id"),
        pytest.param(b"\x00\xff", '"AP8="', id="bytes"),
        pytest.param(Binary(b"\x00\xff", 5), '"AP8="', id="bytes of a kind"),
        pytest.param(Regex("^a", "i"), '"^a"', id="an expression"),
        pytest.param(Code("f()"), '"f()"', id="code"),
        pytest.param(Timestamp(7, 1), '"1970-01-01T00:00:07+00:00"', id="a server's time"),
        pytest.param(DBRef("c", 1), '{"$ref":"c","$id":1}', id="a reference"),
        pytest.param(MinKey(), '"MinKey()"', id="a border"),
        pytest.param("\u00e9 \u2028\n", '"\u00e9 \u2028\\n"', id="text"),
        pytest.param(None, "null", id="null"),
    ],
)
def test_values_are_written_as_json_can_hold_them(mongodb, events, value, written):
    assert line_of(mongodb, events, at={"v": [value]}) == f'{{"at":{{"v":[{written}]}}}}'


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), Decimal128("NaN"), Decimal128("-Infinity")]
)
def test_numbers_that_json_does_not_know_become_null_and_are_counted(mongodb, events, value):
    events.insert_one({"a": {"b": [value, 1.5]}, "c": value, "d": -1})
    with foreign_documents(mongodb.server) as documents:
        assert lines(documents) == [{"a": {"b": [None, 1.5]}, "c": None, "d": -1}]
        assert documents.nulls == 2


def test_text_that_is_no_utf8_stops_nobody(mongodb):
    raw = bson.encode({"_id": 1, "a": "x?y"}).replace(b"?", b"\xfe")
    with foreign_documents(mongodb.server) as documents:
        assert json.loads(documents._exported(raw).line) == {"a": "x\ufffdy"}


# --- which documents --------------------------------------------------------------------------


@pytest.mark.parametrize("per_batch", [1, 2, 1000])
def test_every_id_of_every_kind_is_read_once_wherever_one_goes_on(
    mongodb, events, monkeypatch, per_batch
):
    monkeypatch.setattr(mongo_export, "DOCUMENTS_PER_BATCH", per_batch)
    events.insert_many([{"_id": _id, "n": n} for n, _id in enumerate(IDS)])
    events.insert_one({"_id": float("nan"), "n": -1})
    with foreign_documents(mongodb.server) as documents:
        read = [
            [one for batch in documents.batches(bracket, NOTHING_YET) for one in batch]
            for bracket in BRACKETS
        ]
        numbers = [json.loads(one.line)["n"] for found in read for one in found]
        assert sorted(numbers) == [-1, *range(len(IDS))]
        for bracket, found in zip(BRACKETS, read, strict=True):
            for at, one in enumerate(found):
                last = id_from_json(json.loads(json.dumps(id_to_json(one.id))))
                rest = [other for batch in documents.batches(bracket, last) for other in batch]
                assert [other.line for other in rest] == [other.line for other in found[at + 1 :]]


def test_an_empty_collection_has_no_documents(mongodb):
    with foreign_documents(mongodb.server) as documents:
        found = [one for bracket in BRACKETS for one in documents.batches(bracket, NOTHING_YET)]
        assert (found, documents.estimate().others) == ([], 0)


def test_documents_that_this_program_wrote_are_left_out(mongodb, events):
    written_by_us(events, SOURCE, 5)
    written_by_us(events, OTHER, 5)
    between = [ObjectId(b"\xab" * 8 + b"\xff" * 4), ObjectId("ac" + "00" * 6 + "01" + "00" * 4)]
    events.insert_one({"_id": ObjectId("ab" * 7 + "aa" + "f" * 8), "n": "just before"})
    events.insert_one({"_id": ObjectId("ab" * 7 + "ac" + "0" * 8), "n": "just after"})
    events.insert_one({"_id": between[1], "n": "after the other"})
    events.insert_one({"_id": ObjectId(bytes(12)), "n": "first"})
    events.insert_one({"_id": ObjectId(b"\xff" * 12), "n": "last"})
    with foreign_documents(mongodb.server) as documents:
        names = ["first", "just before", "just after", "after the other", "last"]
        assert [line["n"] for line in lines(documents)] == names
        assert (documents.estimate().documents, documents.estimate().others) == (15, 5)


@pytest.mark.parametrize("source", ["00" * 32, "ff" * 32])
def test_our_own_may_be_the_first_or_the_last_of_all(mongodb, events, source):
    written_by_us(events, source, 3)
    events.insert_one({"n": "theirs"})
    with foreign_documents(mongodb.server) as documents:
        assert lines(documents) == [{"n": "theirs"}]


def test_what_is_ours_is_jumped_over_and_not_read(mongodb, events):
    written_by_us(events, SOURCE, 2000)
    events.insert_many([{"n": n} for n in range(10)])
    events.database.command("profile", 2)
    with foreign_documents(mongodb.server) as documents:
        assert len(lines(documents)) == 10
    events.database.command("profile", 0)
    seen = events.database["system.profile"].find({"ns": "logs.clickstream"})
    assert sum(operation.get("docsExamined", 0) for operation in seen) == 10


def test_what_this_program_writes_meanwhile_is_left_out_too(mongodb, events, monkeypatch):
    monkeypatch.setattr(mongo_export, "DOCUMENTS_PER_BATCH", 3)
    events.insert_many([{"_id": ObjectId(f"{n:024x}"), "n": n} for n in range(7)])
    events.insert_one({"_id": ObjectId("f" * 24), "n": 7})
    with foreign_documents(mongodb.server) as documents:
        written_by_us(events, "00" * 7 + "01" + "00" * 24, 8)
        written_by_us(events, SOURCE, 8)
        assert [line["n"] for line in lines(documents)] == list(range(8))


# --- ids --------------------------------------------------------------------------------------


def test_an_id_is_spelled_in_24_hex_digits_whatever_it_is():
    assert spelled_id(ObjectId("5" * 24)) == "5" * 24
    spelled = {spelled_id(_id) for _id in IDS}
    assert len(spelled) == len(IDS)
    assert all(len(text) == 24 and set(text) <= set("0123456789abcdef") for text in spelled)


@pytest.mark.parametrize("value", [{"$oid": "x"}, {"$numberInt": []}, {"$date": {}}])
def test_what_is_no_id_is_refused(value):
    with pytest.raises(ValueError, match="id"):
        id_from_json(value)
