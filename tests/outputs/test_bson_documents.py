"""What is promised about documents on their way into MongoDB."""

import json
import math
import stat
from datetime import UTC, datetime
from typing import Any

import bson
import orjson
import pytest
from bson import ObjectId
from bson.raw_bson import RawBSONDocument
from hypothesis import given, settings
from hypothesis import strategies as st

from optimus.errors import BadFileError, BadRecordError, OutputUnavailableError
from optimus.outputs import bson_documents
from optimus.outputs.bson_documents import (
    DEEPEST_NESTING,
    LARGEST_DOCUMENT,
    LAST_LINE,
    RAW,
    Spool,
    document_id,
    encode_document,
    encode_event,
    escape_key,
    forum_document,
    id_range,
    in_batches,
    unescape_key,
)
from optimus.package.forum import ObjectIdText, parse_post

IDENTITY = "00112233445566778899aabbccddeeff" * 2
ID = document_id(IDENTITY, 7)
MOMENT = datetime(2016, 2, 1, 10, 0, 0, 123_456, tzinfo=UTC)
POST = "56b1d0a0e4b0c3f1a2000001"
TAGS = {"xblock.partition_service.partition_1": "0"}

KEYS = st.text(st.sampled_from("$.%245EFa_"), max_size=8) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
EVENTS = st.dictionaries(KEYS | st.sampled_from(["context", "_id", "time_date"]), VALUES)


def event(document: dict[str, Any]) -> dict[str, Any]:
    """What a reader of the collection would see, without what we put around it."""
    found: dict[str, Any] = bson.decode(encode_event(document, ID, None))
    keys = list(found)
    assert keys[0] == "_id"
    return {key: value for key, value in found.items() if key != "_id"}


def unescaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape_key(key): unescaped(item) for key, item in value.items()}
    return [unescaped(item) for item in value] if isinstance(value, list) else value


def nested(levels: int, inside: Any = 1) -> dict[str, Any]:
    """A document of so many levels, itself included; lists and objects take turns."""
    value = inside
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return {"a": value}


def reason(document: dict[str, Any]) -> str:
    with pytest.raises(BadRecordError) as refusal:
        encode_event(document, ID, None)
    return refusal.value.reason


# --- ids ----------------------------------------------------------------------------------------


def test_an_id_is_made_of_source_and_line():
    assert document_id(IDENTITY, 258) == ObjectId("0011223344556677" + "00000102")


def test_ids_of_a_source_lie_between_its_first_and_its_last():
    first, last = id_range(IDENTITY)
    assert first <= document_id(IDENTITY, 1) < document_id(IDENTITY, LAST_LINE) <= last
    assert not first <= document_id("ff" * 32, 1) <= last


def test_a_source_of_too_many_lines_is_refused():
    with pytest.raises(BadFileError, match="Split it"):
        document_id(IDENTITY, LAST_LINE + 1)


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "escaped"),
    [
        ("a.b", "a%2Eb"),
        ("$where", "%24where"),
        ("100%", "100%"),
        ("a$", "a$"),
        ("%24", "%2524"),
        ("%2E", "%252E"),
        ("%5Fid", "%255Fid"),
        ("%25", "%2525"),
        ("%2e", "%2e"),
        ("%%24", "%%2524"),
        ("", ""),
        ("_id", "_id"),
    ],
)
def test_only_keys_that_make_trouble_are_escaped(key, escaped):
    assert escape_key(key) == escaped
    assert unescape_key(escaped) == key


@given(key=KEYS)
def test_an_escaped_key_is_harmless_and_can_be_turned_back(key):
    escaped = escape_key(key)
    assert "." not in escaped
    assert not escaped.startswith("$")
    assert unescape_key(escaped) == key


@given(key=st.text(st.characters(exclude_characters="$.%")))
def test_a_harmless_key_stays_what_it_is(key):
    assert escape_key(key) == key


# --- events -------------------------------------------------------------------------------------


def test_an_event_is_stored_as_delivered_with_its_id_and_its_moment():
    delivered = {"username": "otter", "event": {"x": [1, 2.5, None, True]}, "time": "…"}
    found = bson.decode(encode_event(delivered, ID, MOMENT))
    assert found.pop("_id") == ID
    assert found.pop("time_date") == MOMENT.replace(microsecond=123_000, tzinfo=None)
    assert found == delivered


@pytest.mark.parametrize("moment", [None, datetime(300, 5, 1, tzinfo=UTC)])
def test_an_event_without_a_moment_that_can_be_spelled_has_no_field_for_it(moment):
    assert bson.decode(encode_event({}, ID, moment)) == {"_id": ID}


def test_delivered_keys_of_our_names_are_kept_beside_ours():
    assert event({"_id": 1, "time_date": 2, "a": {"_id": 3}}) == {
        "%5Fid": 1,
        "time%5Fdate": 2,
        "a": {"_id": 3},
    }


@pytest.mark.parametrize(
    ("delivered", "stored"),
    [
        ({"a.b": {"$c": [{"d.e": 1}]}}, {"a%2Eb": {"%24c": [{"d%2Ee": 1}]}}),
        ({"context": {"course_user_tags": TAGS}}, {"xblock%2Epartition_service%2Epartition_1"}),
        ({"a": {"%24": 1}}, {"a": {"%2524": 1}}),
        ({"a": "%24"}, {"a": "%24"}),
        ({"": {"": 1}}, {"": {"": 1}}),
    ],
)
def test_keys_are_escaped_at_any_depth(delivered, stored):
    found = event(delivered)
    if isinstance(stored, set):
        assert set(found["context"]["course_user_tags"]) == stored
    else:
        assert found == stored


@pytest.mark.parametrize("page", ["", "?q=%2E", "?q=%3A"])
@pytest.mark.parametrize("more", [{}, {"%2E": 1}, {"a": {"%24": {"b.c": 1}}}])
@pytest.mark.parametrize("tags", [TAGS, {**TAGS, "%2E": "%2E"}, {}, [], "x", {"a.b": {"c.d": 1}}])
def test_tags_and_percents_together_can_be_turned_back(page, more, tags):
    delivered = {"page": page, "context": {"course_user_tags": tags, "x": 1}, **more}
    assert unescaped(event(delivered)) == delivered


@settings(deadline=None)
@given(delivered=EVENTS)
def test_whatever_is_delivered_can_be_turned_back(delivered):
    before = json.dumps(delivered)
    assert unescaped(event(delivered)) == delivered
    assert json.dumps(delivered) == before


@settings(deadline=None)
@given(delivered=EVENTS)
def test_no_key_of_any_event_is_an_operator_or_a_path(delivered):
    bson.encode(event(delivered), check_keys=True)


def test_numbers_that_need_more_than_64_bits_become_doubles():
    delivered = orjson.loads(b'{"a": 18446744073709551615, "b": 9223372036854775807}')
    assert event(delivered) == {"a": 1.8446744073709552e19, "b": 2**63 - 1}
    assert event({"a": [10**400, -(10**400)]}) == {"a": [math.inf, -math.inf]}


def test_halves_of_characters_are_replaced():
    assert event({"a": "\ud83d", "\udc00b": ["\ud83d\ude00"]}) == {
        "a": "\ufffd",
        "\ufffdb": ["\N{GRINNING FACE}"],
    }


@pytest.mark.parametrize(
    "delivered", [{"a\0b": 1}, {"a": [{"b": {"\0": 1}}]}, {"a.b": {"c\0": 1}}, {"_id": {"\0": 1}}]
)
def test_a_key_with_nul_is_refused(delivered):
    assert reason(delivered) == "nul_key"


def test_a_nul_in_a_text_is_kept():
    assert event({"a": "x\0y"}) == {"a": "x\0y"}


@pytest.mark.parametrize("inside", [1, {}, {"b.c": 1}, {"d": 2**64}])
def test_levels_up_to_those_of_mongodb_are_kept(inside):
    levels = DEEPEST_NESTING - 1 if isinstance(inside, dict) else DEEPEST_NESTING
    assert unescaped(event(nested(levels, inside))) == nested(levels, inside)


@pytest.mark.parametrize("levels", [DEEPEST_NESTING + 1, 300, 5000])
@pytest.mark.parametrize("more", [{}, {"b": 2**64}, {"_id": 1}])
def test_more_levels_are_refused(levels, more):
    with pytest.raises(BadRecordError, match="too_deep"):
        encode_document({**nested(levels), **more})


def test_a_document_with_many_objects_side_by_side_is_not_deep():
    wide: dict[str, Any] = {"a": [{"b": []}] * 500}
    assert event(wide) == wide


@pytest.mark.parametrize("more", [0, 1])
def test_a_document_is_refused_from_the_size_on_that_mongodb_refuses(more):
    empty = len(encode_event({"a": ""}, ID, None))
    delivered = {"a": "x" * (LARGEST_DOCUMENT - empty + more)}
    if more:
        assert reason(delivered) == "doc_too_large"
    else:
        assert len(encode_event(delivered, ID, None)) == LARGEST_DOCUMENT


@pytest.mark.parametrize(
    "context", [[], [1], [{"course_id": "x"}], {"course_id": []}, {"course_id": ["x"]}]
)
def test_two_lists_that_one_index_cannot_take_are_refused(context):
    assert reason({"event_type": ["x"], "context": context}) == "not_indexable"


@pytest.mark.parametrize("event_type", ["x", None, ["x"]])
@pytest.mark.parametrize("context", ["", None, {}, {"course_id": "x"}, {"x": []}])
def test_one_list_is_indexable(event_type, context):
    assert event({"event_type": event_type, "context": context})["context"] == context


def test_a_refusal_does_not_quote_the_event():
    with pytest.raises(BadRecordError) as refusal:
        encode_event({"otter\0": "otter"}, ID, None)
    assert "otter" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_a_defect_of_the_program_is_not_taken_for_a_bad_event():
    with pytest.raises(bson.errors.InvalidDocument):
        encode_event({"a": object()}, ID, None)


def test_many_different_keys_are_not_all_remembered(monkeypatch):
    monkeypatch.setattr(bson_documents, "_KEYS_REMEMBERED", 0)
    found = event({"context": {"course_user_tags": {"never.seen": 1}}})
    assert found["context"]["course_user_tags"] == {"never%2Eseen": 1}
    assert "never.seen" not in bson_documents._escaped_keys


# --- forum posts --------------------------------------------------------------------------------


def test_a_post_has_object_ids_where_it_was_delivered_with_them():
    line = {
        "_id": {"$oid": POST},
        "parent_ids": [{"$oid": POST}],
        "author_id": POST,
        "endorsement": {"user": {"$oid": POST}, "time": {"$date": 0}},
    }
    assert forum_document(parse_post(json.dumps(line)).values) == {
        "_id": ObjectId(POST),
        "parent_ids": [ObjectId(POST)],
        "author_id": POST,
        "endorsement": {"user": ObjectId(POST), "time": datetime(1970, 1, 1, tzinfo=UTC)},
    }


def test_keys_of_a_post_are_renamed_as_the_original_did():
    post = forum_document({"$a": 1, "b.c": {"$d.e": [{"$f": 2}]}})
    assert post == {"_a": 1, 'b"-c': {'_d"-e': [{"_f": 2}]}}


@pytest.mark.parametrize("values", [{"$a": 1, "_a": 2}, {"_a": 2, "$a": 1}])
def test_a_renamed_key_makes_way_for_the_one_that_has_the_name(values):
    assert forum_document(values) == {"_a": 2, "_a_2": 1}


def test_no_value_is_lost_however_many_keys_meet():
    values = {"$$": 1, "$_": 2, "_$": 3, "__": 4, "___2": 5}
    assert forum_document(values) == {"___3": 1, "___4": 2, "___5": 3, "__": 4, "___2": 5}


@given(values=st.dictionaries(st.text(st.sampled_from('$._-"2'), max_size=4), st.integers(0, 9)))
def test_a_post_keeps_as_many_values_as_it_has(values):
    post = forum_document(values)
    assert list(post.values()) == list(values.values())
    bson.encode(post, check_keys=True)


def test_numbers_of_a_post_that_need_more_than_64_bits_become_doubles():
    assert forum_document({"a": [2**63]}) == {"a": [float(2**63)]}


def test_a_post_that_is_too_deep_is_refused():
    with pytest.raises(BadRecordError, match="too_deep"):
        forum_document(nested(DEEPEST_NESTING + 1))


def test_a_document_is_held_to_the_same_limits():
    assert bson.decode(encode_document({"_id": ObjectIdText(POST), "n": 2**64})) == {
        "_id": POST,
        "n": 2.0**64,
    }
    with pytest.raises(BadRecordError, match="nul_key"):
        encode_document({"a": {"\0": 1}})
    with pytest.raises(BadRecordError, match="too_deep"):
        encode_document(nested(5000))


# --- files of documents -------------------------------------------------------------------------


def test_documents_come_back_in_their_order(tmp_path):
    spool = Spool(tmp_path / "deep" / "spool")
    for number in range(2500):
        spool.add(bson.encode({"_id": number}))
    batches = list(spool.batches())
    assert [len(batch) for batch in batches] == [1000, 1000, 500]
    assert [document["_id"] for batch in batches for document in batch] == list(range(2500))
    assert spool.rows == 2500


def test_a_batch_holds_no_more_bytes_than_a_message_may(monkeypatch):
    monkeypatch.setattr(bson_documents, "BYTES_PER_BATCH", 100)
    sizes = [40, 40, 40, 200, 40, 60]
    documents = [RawBSONDocument(bson.encode({"a": "x" * (size - 13)}), RAW) for size in sizes]
    batches = [[len(document.raw) for document in batch] for batch in in_batches(documents)]
    assert batches == [[40, 40], [40], [200], [40, 60]]


def test_there_is_no_file_before_the_first_batch_and_none_after_discard(tmp_path):
    spool = Spool(tmp_path / "spool")
    assert list(spool.batches()) == []
    spool.discard()
    assert not list(tmp_path.iterdir())
    spool.add(bson.encode({}))
    assert len(list(spool.batches())) == 1
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o640
    spool.discard()
    spool.discard()
    assert not list(tmp_path.iterdir())
    assert spool.rows == 0


def test_what_an_interrupted_try_left_is_overwritten(tmp_path):
    (tmp_path / "spool").write_bytes(b"rubbish")
    spool = Spool(tmp_path / "spool")
    spool.add(bson.encode({"a": 1}))
    assert [[document["a"] for document in batch] for batch in spool.batches()] == [[1]]


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "spool").mkdir()
    spool = Spool(tmp_path / "spool")
    spool.add(bson.encode({}))
    with pytest.raises(OutputUnavailableError, match="spool cannot be used"):
        list(spool.batches())
    spool.discard()


def test_a_full_disk_is_noticed_before_anything_is_read(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.add(bson.encode({"a": 1}))
    list(spool.batches())
    assert spool._file is not None
    with open("/dev/full", "wb") as full:  # noqa: PTH123 # a device, not a path of ours
        full.write(b"x")
        spool._file = full
        with pytest.raises(OutputUnavailableError, match="No space"):
            list(spool.batches())
        spool.discard()
