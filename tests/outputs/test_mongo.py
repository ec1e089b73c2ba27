"""What is promised about documents that are published to MongoDB as a whole."""

import os
import signal
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import bson
import pytest
from bson import ObjectId
from pymongo import MongoClient
from pymongo.errors import BulkWriteError

from optimus.errors import BadFileError, BadRecordError, OutputUnavailableError, StopRequested
from optimus.outputs import mongo
from optimus.outputs.bson_documents import document_id, encode_event
from optimus.outputs.mongo import (
    CLICKSTREAM_INDEXES,
    CollectionOfDelivery,
    SourceDocuments,
    check_collection_name,
    ensure_indexes,
    foreign_count,
    opened,
)
from optimus.servers import MongoServer
from tests.servers import MongoDb

IDENTITY, OTHER = "ab" * 32, "cd" * 32
FORUM = "RiverU-Bees101-2016_T1-prod"
POSTS = [ObjectId(f"56b1d0a0e4b0c3f1a200000{digit}") for digit in range(4)]


@pytest.fixture
def logs(mongodb: MongoDb) -> Iterator[Any]:
    """The database of events, as somebody else sees it."""
    client: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", mongodb.port)
    with client:
        yield client["logs"]


@pytest.fixture
def forums(logs: Any) -> Any:
    return logs.client["discussion_forum"]


def go_on() -> None:
    """Let everything pass."""


def stop_at(call: int) -> Callable[[], None]:
    """A guard that raises at its n-th call, from 1."""
    calls = iter(range(1, 10_000))

    def guard() -> None:
        if next(calls) == call:
            raise StopRequested

    return guard


def origin(content: str = "1", **more: str) -> dict[str, str]:
    return {"source": "a.log", "gen": "1", "epoch": "1", "content_sha256": content, **more}


def documents_of(
    server: MongoServer, folder: Path, texts: Iterable[Any], identity: str = IDENTITY
) -> SourceDocuments:
    found = SourceDocuments(server, "logs", "clickstream", identity, folder / "spool")
    for line, text in enumerate(texts, start=1):
        found.add(encode_event({"n": text}, document_id(identity, line), None))
    return found


def publish(server: MongoServer, folder: Path, texts: Iterable[Any], **more: Any) -> None:
    content = more.pop("content", "1")
    guard = more.pop("guard", go_on)
    documents_of(server, folder, texts, **more).publish(origin(content), guard)


def stored(collection: Any) -> list[Any]:
    return [document["n"] for document in collection.find().sort("_id")]


# --- documents of a source ----------------------------------------------------------------------


def test_nothing_is_written_before_it_is_published(mongodb, logs, tmp_path):
    documents = documents_of(mongodb.server, tmp_path, ["a"])
    assert documents.rows == 1
    assert logs.list_collection_names() == []


def test_what_is_published_is_there_with_the_record_of_it(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path, ["a", "b"])
    assert list(logs.clickstream.find()) == [
        {"_id": ObjectId("ab" * 8 + "00000001"), "n": "a"},
        {"_id": ObjectId("ab" * 8 + "00000002"), "n": "b"},
    ]
    [record] = logs["_ingest"].find()
    assert record.pop("at")
    assert record == {
        "_id": "ab" * 8,
        "collection": "clickstream",
        "source": "a.log",
        "gen": "1",
        "epoch": "1",
        "content_sha256": "1",
        "rows": 2,
        "complete": True,
    }


def test_a_source_without_documents_is_recorded(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path, [])
    assert logs["_ingest"].find_one()["complete"]
    assert not list(tmp_path.iterdir())


def test_publishing_the_same_again_writes_nothing(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path, ["a", "b"])
    before = logs["_ingest"].find_one()
    logs.clickstream.update_one({"n": "a"}, {"$set": {"country": "AU"}})
    publish(mongodb.server, tmp_path, ["a", "b"])
    assert logs["_ingest"].find_one() == before
    assert logs.clickstream.count_documents({"country": "AU"}) == 1


def test_documents_that_somebody_removed_come_back(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path, ["a", "b"])
    logs.clickstream.delete_one({"n": "a"})
    publish(mongodb.server, tmp_path, ["a", "b"])
    assert stored(logs.clickstream) == ["a", "b"]


def test_other_content_takes_the_place_of_all_of_the_old(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path, ["a", "b", "c"])
    publish(mongodb.server, tmp_path, ["x", "b"], content="2")
    assert stored(logs.clickstream) == ["x", "b"]
    assert logs["_ingest"].find_one()["content_sha256"] == "2"


def test_other_sources_and_foreign_documents_are_left_alone(mongodb, logs, tmp_path):
    logs.clickstream.insert_many([{"n": "foreign"}, {"_id": "text", "n": "of text"}])
    publish(mongodb.server, tmp_path, ["a"])
    publish(mongodb.server, tmp_path, ["b"], identity=OTHER)
    publish(mongodb.server, tmp_path, ["c"], content="2")
    assert sorted(stored(logs.clickstream)) == ["b", "c", "foreign", "of text"]
    assert logs["_ingest"].count_documents({"complete": True}) == 2


def test_progress_is_told_between_the_messages(mongodb, logs, tmp_path):
    calls = []
    publish(mongodb.server, tmp_path, range(4500), guard=lambda: calls.append(1))
    assert len(calls) >= 5
    assert stored(logs.clickstream) == list(range(4500))


@pytest.mark.parametrize("call", range(1, 8))
def test_a_stop_anywhere_leaves_no_trace_in_the_next_try(mongodb, logs, tmp_path, call):
    publish(mongodb.server, tmp_path, ["old"] * 2500, content="0")
    with pytest.raises(StopRequested):
        publish(mongodb.server, tmp_path, range(4000), guard=stop_at(call))
    assert logs["_ingest"].find_one()["complete"] is False
    publish(mongodb.server, tmp_path, range(4000))
    assert stored(logs.clickstream) == list(range(4000))
    assert logs["_ingest"].find_one()["complete"] is True


def test_a_stop_followed_by_shorter_content_gives_the_shorter(mongodb, logs, tmp_path):
    with pytest.raises(StopRequested):
        publish(mongodb.server, tmp_path, range(4000), guard=stop_at(4))
    assert logs.clickstream.count_documents({}) > 0
    publish(mongodb.server, tmp_path, ["x"], content="2")
    assert stored(logs.clickstream) == ["x"]


def test_a_publish_that_was_stopped_can_be_repeated_as_it_is(mongodb, logs, tmp_path):
    documents = documents_of(mongodb.server, tmp_path, range(3000))
    with pytest.raises(StopRequested):
        documents.publish(origin(), stop_at(3))
    documents.publish(origin(), go_on)
    assert stored(logs.clickstream) == list(range(3000))


@pytest.mark.parametrize("call", [2, 5])
def test_a_server_that_is_killed_in_between_costs_a_repetition(tmp_path, monkeypatch, call):
    monkeypatch.setattr("optimus.servers.CONNECT_SECONDS", 1)
    server = MongoDb(tmp_path)
    server.start()
    calls = iter(range(1, 100))

    def kill() -> None:
        if next(calls) == call:
            server.stop(signal.SIGKILL)

    try:
        publish(server.server, tmp_path, ["old"] * 1500, content="0")
        with pytest.raises(OutputUnavailableError):
            publish(server.server, tmp_path, range(6000), guard=kill)
        server.start()
        publish(server.server, tmp_path, range(6000))
        server.stop(signal.SIGKILL)
        server.start()
        with server.server.connect() as client:
            assert stored(client["logs"].clickstream) == list(range(6000))
            assert client["logs"]["_ingest"].count_documents({"complete": True}) == 1
    finally:
        server.stop()


def test_documents_that_are_there_already_are_taken_for_the_same(mongodb, logs, tmp_path):
    documents = documents_of(mongodb.server, tmp_path, range(10))
    logs.clickstream.insert_one({"_id": document_id(IDENTITY, 3), "n": 2})
    with opened(mongodb.server, "logs", "clickstream") as collection:
        for batch in documents._spool.batches():
            mongo._insert(mongodb.server, collection, batch)
    assert stored(logs.clickstream) == list(range(10))


def test_a_unique_index_of_somebody_else_is_not_taken_for_success(mongodb, logs, tmp_path):
    logs.clickstream.create_index("n", unique=True)
    with pytest.raises(OutputUnavailableError, match=r"holds 1 documents.*instead of 2.*unique"):
        publish(mongodb.server, tmp_path, ["otter", "otter"])
    assert logs["_ingest"].find_one()["complete"] is False


def test_a_document_that_the_server_refuses_for_good_fails_the_file(mongodb, logs, tmp_path):
    logs.clickstream.create_index([("n.a", 1), ("n.b", 1)])
    with pytest.raises(BadFileError, match="error 171") as refusal:
        publish(mongodb.server, tmp_path, [{"a": ["otter"], "b": ["otter"]}])
    assert "otter" not in str(refusal.value)


def test_rules_that_somebody_made_are_waited_for(mongodb, logs, tmp_path):
    logs.create_collection("clickstream", validator={"n": {"$type": "int"}})
    with pytest.raises(OutputUnavailableError, match="error 121") as refusal:
        publish(mongodb.server, tmp_path, ["otter"])
    assert "otter" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_an_event_nested_as_deep_as_is_accepted_is_stored(mongodb, logs, tmp_path):
    deepest: Any = 1
    for _ in range(99):
        deepest = {"$a.b": deepest}
    publish(mongodb.server, tmp_path, [deepest["$a.b"]])
    assert logs.clickstream.count_documents({}) == 1


def test_removing_takes_the_documents_and_their_record(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path, ["a"])
    publish(mongodb.server, tmp_path, ["b"], identity=OTHER)
    documents_of(mongodb.server, tmp_path, []).remove()
    assert stored(logs.clickstream) == ["b"]
    assert [record["_id"] for record in logs["_ingest"].find()] == ["cd" * 8]


def test_removing_what_was_never_there_makes_nothing(mongodb, logs, tmp_path):
    documents_of(mongodb.server, tmp_path, []).remove()
    assert logs.list_collection_names() == []


def test_removing_after_an_interruption_leaves_nothing(mongodb, logs, tmp_path):
    with pytest.raises(StopRequested):
        publish(mongodb.server, tmp_path, range(3000), guard=stop_at(3))
    documents_of(mongodb.server, tmp_path, []).remove()
    assert logs.clickstream.count_documents({}) == logs["_ingest"].count_documents({}) == 0


def test_what_is_discarded_leaves_no_file(mongodb, tmp_path):
    documents = documents_of(mongodb.server, tmp_path, ["a"] * 2000)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o640
    documents.discard()
    documents.discard()
    assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_is_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr("optimus.servers.CONNECT_SECONDS", 1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server = MongoServer.at(f"127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(OutputUnavailableError, match="cannot be reached"):
            publish(server, tmp_path, ["a"])


def test_the_documents_of_a_bulk_write_get_into_no_error(mongodb, logs):
    logs.clickstream.create_index("n", unique=True)
    with (
        pytest.raises(OutputUnavailableError, match="error 11000") as refusal,
        opened(mongodb.server, "logs", "clickstream") as collection,
    ):
        collection.insert_many([{"n": "otter"}, {"n": "otter"}])
    assert "otter" not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert isinstance(refusal.value.__context__, BulkWriteError)


# --- the collection of a delivery ---------------------------------------------------------------


def delivery_of(server: MongoServer, folder: Path, *posts: dict[str, Any]) -> CollectionOfDelivery:
    found = CollectionOfDelivery(server, "discussion_forum", FORUM, folder / "spool")
    found.write(posts)
    return found


def post(number: int, text: str = "a") -> dict[str, Any]:
    return {"_id": POSTS[number], "n": text}


def test_nothing_of_a_delivery_is_written_before_it_is_published(mongodb, forums, tmp_path):
    delivery_of(mongodb.server, tmp_path, post(0))
    assert forums.list_collection_names() == []


def test_a_delivery_is_there_with_the_record_of_it(mongodb, forums, tmp_path):
    delivery = delivery_of(mongodb.server, tmp_path, post(0), post(1))
    delivery.publish(origin(delivered="2016-02-01"), go_on)
    assert list(forums[FORUM].find()) == [post(0), post(1)]
    record = forums["_ingest"].find_one({"_id": FORUM})
    assert (record["rows"], record["complete"], record["delivered"]) == (2, True, "2016-02-01")


def test_a_newer_delivery_changes_adds_and_removes(mongodb, forums, tmp_path):
    delivery_of(mongodb.server, tmp_path, post(0), post(1)).publish(origin("1"), go_on)
    forums[FORUM].insert_many([{"_id": "text"}, {"_id": 7}, {"_id": {"a": [1]}}, {"_id": None}])
    newer = delivery_of(mongodb.server, tmp_path, post(1, "b"), post(2))
    newer.publish(origin("2"), go_on)
    assert list(forums[FORUM].find().sort("_id")) == [post(1, "b"), post(2)]


def test_of_posts_with_the_same_id_the_last_one_counts(mongodb, forums, tmp_path):
    delivery = delivery_of(mongodb.server, tmp_path, post(0, "a"), post(1), post(0, "b"))
    assert delivery.rows == 2
    delivery.publish(origin(), go_on)
    assert list(forums[FORUM].find().sort("_id")) == [post(0, "b"), post(1)]


def test_posts_with_the_same_id_in_different_messages_count_once(mongodb, forums, tmp_path):
    posts = [{"_id": number % 1500, "n": str(number)} for number in range(2500)]
    delivery_of(mongodb.server, tmp_path, *posts).publish(origin(), go_on)
    expected = [str(number + 1500 if number < 1000 else number) for number in range(1500)]
    assert stored(forums[FORUM]) == expected


def test_an_empty_delivery_empties_the_collection(mongodb, forums, tmp_path):
    delivery_of(mongodb.server, tmp_path, post(0)).publish(origin("1"), go_on)
    delivery_of(mongodb.server, tmp_path).publish(origin("2"), go_on)
    assert forums[FORUM].count_documents({}) == 0


def test_publishing_the_same_delivery_again_writes_nothing(mongodb, forums, tmp_path):
    delivery_of(mongodb.server, tmp_path, post(0)).publish(origin(), go_on)
    before = forums["_ingest"].find_one()
    delivery_of(mongodb.server, tmp_path, post(0)).publish(origin(), go_on)
    assert forums["_ingest"].find_one() == before


@pytest.mark.parametrize("call", range(1, 5))
def test_a_delivery_that_was_stopped_is_mended_by_the_next(mongodb, forums, tmp_path, call):
    old = [{"_id": number, "n": "old"} for number in range(1200)]
    delivery_of(mongodb.server, tmp_path, *old).publish(origin("1"), go_on)
    posts = [{"_id": number, "n": "new"} for number in range(1000, 2500)]
    with pytest.raises(StopRequested):
        delivery_of(mongodb.server, tmp_path, *posts).publish(origin("2"), stop_at(call))
    assert forums["_ingest"].find_one()["complete"] is False
    delivery_of(mongodb.server, tmp_path, *posts).publish(origin("2"), go_on)
    assert list(forums[FORUM].find().sort("_id")) == posts


def test_a_post_that_mongodb_cannot_hold_is_a_bad_record(mongodb, tmp_path):
    delivery = delivery_of(mongodb.server, tmp_path, post(0))
    with pytest.raises(BadRecordError, match="nul_key"):
        delivery.write([{**post(1), "a\0": 1}])
    assert delivery.rows == 1


def test_only_a_complete_newer_delivery_is_newer(mongodb, forums, tmp_path):
    delivery = delivery_of(mongodb.server, tmp_path, post(0))
    assert not delivery.holds_newer("2016-02-01")
    with pytest.raises(StopRequested):
        delivery.publish(origin(delivered="2016-02-08"), stop_at(1))
    assert not delivery.holds_newer("2016-02-01")
    delivery.publish(origin(delivered="2016-02-08"), go_on)
    assert delivery.holds_newer("2016-02-01")
    assert not delivery.holds_newer("2016-02-08")
    assert not delivery.holds_newer("2016-03-01")


def test_a_record_without_a_day_is_not_newer(mongodb, tmp_path):
    delivery = delivery_of(mongodb.server, tmp_path, post(0))
    delivery.publish(origin(), go_on)
    assert not delivery.holds_newer("2016-02-01")


def test_removing_a_delivery_takes_its_posts_and_its_record(mongodb, forums, tmp_path):
    delivery = delivery_of(mongodb.server, tmp_path, post(0))
    delivery.publish(origin(), go_on)
    delivery.discard()
    assert delivery.rows == 0
    delivery.remove()
    assert forums[FORUM].count_documents({}) == forums["_ingest"].count_documents({}) == 0


@pytest.mark.parametrize(
    "name",
    [
        "",
        "$a",
        "a\0b",
        "system.users",
        "_ingest",
        "a" * 121,
        "ä" * 61,
        ".a",
        "a.",
        "a..b",
        "a\udce4",
    ],
)
def test_a_name_that_mongodb_does_not_take_is_refused(name, tmp_path):
    with pytest.raises(BadFileError, match="Rename the file"):
        CollectionOfDelivery(MongoServer.at("localhost"), "discussion_forum", name, tmp_path)


@pytest.mark.parametrize("name", [FORUM, "a.b", "a" * 120, "systems", "x-Ünï-1-prod"])
def test_a_name_that_mongodb_takes_is_accepted(name, mongodb, forums):
    forums[check_collection_name(name)].insert_one({})
    assert forums.list_collection_names() == [name]


# --- indexes ------------------------------------------------------------------------------------


def keys(collection: Any) -> dict[str, Any]:
    return {name: dict(facts["key"]) for name, facts in collection.index_information().items()}


def ensure(mongodb: MongoDb) -> None:
    ensure_indexes(mongodb.server, "logs", "clickstream", CLICKSTREAM_INDEXES)


def test_the_indexes_of_the_original_are_made_once(mongodb, logs):
    ensure(mongodb)
    ensure(mongodb)
    assert keys(logs.clickstream) == {
        "_id_": {"_id": 1},
        "country_1": {"country": 1},
        "event_type_1_context.course_id_1": {"event_type": 1, "context.course_id": 1},
        "context.course_id_1": {"context.course_id": 1},
    }


def test_an_index_under_another_name_counts(mongodb, logs):
    logs.clickstream.create_index("country", name="mine", background=True)
    logs.clickstream.create_index("username")
    ensure(mongodb)
    assert set(keys(logs.clickstream)) == {
        "_id_",
        "mine",
        "username_1",
        "event_type_1_context.course_id_1",
        "context.course_id_1",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"unique": True},
        {"sparse": True},
        {"partialFilterExpression": {"country": "AU"}},
        {"expireAfterSeconds": 0},
        {"hidden": True},
    ],
)
def test_an_index_of_another_definition_is_named_with_the_remedy(mongodb, logs, options):
    logs.clickstream.create_index("country", name='od"d', **options)
    command = r'db.getSiblingDB("logs").getCollection("clickstream").dropIndex("od\"d")'
    with pytest.raises(OutputUnavailableError) as refusal:
        ensure(mongodb)
    assert command in str(refusal.value)
    assert set(keys(logs.clickstream)) == {"_id_", 'od"d'}


def test_a_name_that_another_index_has_is_named(mongodb, logs):
    logs.clickstream.create_index("username", name="country_1")
    with pytest.raises(OutputUnavailableError, match=r'dropIndex\("country_1"\)'):
        ensure(mongodb)


# --- documents of others ------------------------------------------------------------------------


def test_documents_of_others_are_counted(mongodb, logs, tmp_path):
    assert foreign_count(mongodb.server, "logs", "clickstream") == 0
    publish(mongodb.server, tmp_path, ["a", "b"])
    assert foreign_count(mongodb.server, "logs", "clickstream") == 0
    logs.clickstream.insert_many([{}, {}, {}])
    assert foreign_count(mongodb.server, "logs", "clickstream") == 3
    logs.clickstream.delete_many({})
    assert foreign_count(mongodb.server, "logs", "clickstream") == 0


def test_what_an_interrupted_try_has_written_is_not_of_others(mongodb, logs, tmp_path):
    logs.clickstream.insert_one({})
    with pytest.raises(StopRequested):
        publish(mongodb.server, tmp_path, range(3000), guard=stop_at(3))
    assert logs.clickstream.count_documents({}) > 1
    assert foreign_count(mongodb.server, "logs", "clickstream") == 1


def test_an_interrupted_delivery_is_not_of_others(mongodb, forums, tmp_path):
    posts = [{"_id": number} for number in range(1500)]
    with pytest.raises(StopRequested):
        delivery_of(mongodb.server, tmp_path, *posts).publish(origin(), stop_at(2))
    assert foreign_count(mongodb.server, "discussion_forum", FORUM) == 0


def test_the_folder_of_the_spool_is_made(mongodb, logs, tmp_path):
    publish(mongodb.server, tmp_path / "deep" / "er", ["a"])
    assert stored(logs.clickstream) == ["a"]
    assert os.listdir(tmp_path / "deep" / "er") == ["spool"]  # noqa: PTH208 # names only


def test_bytes_are_stored_as_they_were_added(mongodb, logs, tmp_path):
    document = bson.encode({"_id": document_id(IDENTITY, 1), "n": 1, "x": {"%24a": 2**40}})
    documents = documents_of(mongodb.server, tmp_path, [])
    documents.add(document)
    documents.publish(origin(), go_on)
    assert bson.encode(logs.clickstream.find_one()) == document
