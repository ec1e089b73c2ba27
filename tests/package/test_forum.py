"""What is promised about reading forum posts."""

import contextlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimus.errors import BadFileError, BadRecordError
from optimus.package.forum import (
    FORUM_SCHEMA,
    MAX_DEPTH,
    ObjectIdText,
    check_forum_format,
    parse_post,
    post_row,
)

SAMPLE = Path(__file__).parents[3] / "shared/data/forum/edx-documentation/sample.mongo"
ID = "56b1d0a0e4b0c3f1a2000001"
PARENT = "56b1d158e4b0c3f1a2000002"
THREAD: dict[str, Any] = {"_id": {"$oid": ID}, "_type": "CommentThread"}
COMMENT: dict[str, Any] = {"_id": {"$oid": ID}, "_type": "Comment"}


def line_of(base: dict[str, Any] = THREAD, **more: Any) -> bytes:
    return json.dumps(base | more).encode()


def row_of(base: dict[str, Any] = THREAD, **more: Any) -> dict[str, Any]:
    return post_row(parse_post(line_of(base, **more)), 1)


# --- wrappers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [{"$oid": ID}, {"$oid": ID.upper()}, ID, ID.upper()])
def test_an_id_in_any_spelling_is_lower_case_text(spelling):
    assert parse_post(line_of(_id=spelling)).values["_id"] == ID


@pytest.mark.parametrize(
    "spelling",
    [
        1391234567890,
        {"$numberLong": "1391234567890"},
        "2014-02-01T06:02:47.890+0000",
        "2014-02-01T06:02:47.890Z",
        "2014-02-01T07:02:47.89+01:00",
        "2014-02-01T06:02:47.890",
    ],
)
def test_a_date_in_any_spelling_is_an_aware_datetime(spelling):
    post = parse_post(line_of(created_at={"$date": spelling}))
    assert post.values["created_at"] == datetime(2014, 2, 1, 6, 2, 47, 890_000, tzinfo=UTC)
    assert post.values["created_at"].tzinfo is UTC


def test_a_date_without_fraction_and_one_before_1970_are_dates():
    post = parse_post(line_of(a={"$date": "2016-01-02T03:04:05Z"}, b={"$date": -1000}))
    assert post.values["a"] == datetime(2016, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert post.values["b"] == datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert not post.unusable_dates


@pytest.mark.parametrize(
    ("inside", "kept"),
    [
        (253402300799000, "253402300799000"),
        (10**30, "1" + "0" * 30),
        (-(10**15), "-1000000000000000"),
        ({"$numberLong": "x"}, '{"$numberLong":"x"}'),
        ("2015-02-30T00:00:00Z", "2015-02-30T00:00:00Z"),
        ("yesterday", "yesterday"),
        (None, "null"),
        (True, "true"),
    ],
)
def test_a_date_that_is_none_is_null_and_what_stood_there_is_kept(inside, kept):
    post = parse_post(line_of(endorsement={"time": {"$date": inside}}))
    assert post.values["endorsement"] == {"time": None}
    assert post.unusable_dates == {"endorsement.time": kept}


def test_wrapped_numbers_are_numbers():
    post = parse_post(
        line_of(a={"$numberLong": "5"}, b={"$numberInt": "-5"}, c={"$numberDouble": "0.5"})
    )
    assert (post.values["a"], post.values["b"], post.values["c"]) == (5, -5, 0.5)


@pytest.mark.parametrize(
    "data",
    [
        {"$where": "sleep(1000)"},
        {"$code": "f()", "$scope": {}},
        {"$numberDouble": "NaN"},
        {"$numberLong": "many"},
        {"$oid": "not hex"},
        {"$oid": {"$ne": None}},
    ],
)
def test_a_wrapper_we_do_not_know_is_nothing_but_data(data):
    assert parse_post(line_of(x=data)).values["x"] == data


def test_wrappers_are_undone_inside_lists_and_objects():
    post = parse_post(line_of(parent_ids=[{"$oid": ID}], a={"b": [{"$numberLong": "1"}]}))
    assert post.values["parent_ids"] == [ID]
    assert post.values["a"] == {"b": [1]}


def test_an_id_can_be_told_from_a_text_that_looks_like_one():
    post = parse_post(line_of(_id=ID, author_id=ID, parent_ids=[{"$oid": ID}], a={"$oid": ID}))
    ids = post.values["_id"], post.values["parent_ids"][0], post.values["a"]
    assert [type(value) for value in ids] == [ObjectIdText] * 3
    assert type(post.values["author_id"]) is str


# --- lines that are not kept --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b'{"_id": 1', "not_json", id="cut"),
        pytest.param(b'{"_id": ISODate("2013")}', "not_json", id="shell syntax"),
        pytest.param(b'{"_id": 1e999}', "not_json", id="an infinite number"),
        pytest.param(b'{"_id": NaN}', "not_json", id="not a number"),
        pytest.param(b'{} {"_id": 1}', "not_json", id="two objects"),
        pytest.param(b"", "not_json", id="nothing"),
        pytest.param(b"[]", "not_object", id="a list"),
        pytest.param(b'"text"', "not_object", id="a text"),
        pytest.param(b"[" * 100_000, "too_deep", id="100,000 levels"),
        pytest.param(b'{"a":' * 80 + b"1" + b"}" * 80, "too_deep", id="80 levels"),
        pytest.param(
            b'{"$date":' + b"[" * 900 + b"]" * 900 + b"}", "too_deep", id="levels in a date"
        ),
        pytest.param(b'{"body": "x"}', "no_id", id="no id"),
        pytest.param(b'{"_id": null}', "no_id", id="a null id"),
        pytest.param(b'{"_id": {"$ne": null}}', "bad_id", id="an id that is a query"),
        pytest.param(b'{"_id": {"$oid": "56b1"}}', "bad_id", id="a short id"),
        pytest.param(b'{"_id": {"$date": "x"}}', "bad_id", id="an id that is a date"),
        pytest.param(b'{"_id": 7}', "bad_id", id="a number as id"),
    ],
)
def test_a_line_that_is_no_post_is_refused_with_a_reason(line, reason):
    with pytest.raises(BadRecordError) as refusal:
        parse_post(line)
    assert refusal.value.reason == reason


def test_a_refusal_does_not_quote_the_post():
    with pytest.raises(BadRecordError) as refusal:
        parse_post(b'{"_id": "otter@example.org", "body": "private"}')
    assert "otter" not in str(refusal.value)


def test_levels_up_to_the_limit_are_kept():
    inner = b'{"a":' * (MAX_DEPTH - 1) + b"1" + b"}" * (MAX_DEPTH - 1)
    assert parse_post(b'{"_id": "%s", "x": %s}' % (ID.encode(), inner))


# --- lines that are kept with a change ----------------------------------------------------------


def test_bytes_that_are_no_text_are_replaced_and_counted():
    post = parse_post(b'{"_id": "%s", "body": "caf\xe9 \xef\xbf\xbd"}' % ID.encode())
    assert post.values["body"] == "caf\ufffd \ufffd"
    assert post.replaced_utf8 == 1


def test_half_of_a_character_pair_is_replaced_and_counted():
    post = parse_post(b'{"_id": "%s", "body": "\\ud83d\\ude00 \\ud800"}' % ID.encode())
    assert post.values["body"] == "\N{GRINNING FACE} \ufffd"
    assert post.replaced_utf8 == 1
    assert json.loads(post.document)["body"] == post.values["body"]


def test_a_byte_order_mark_is_not_part_of_the_post():
    assert parse_post(b"\xef\xbb\xbf" + line_of()).values["_id"] == ID


def test_digits_beyond_64_bits_are_kept():
    digits = "123456789012345678901234567890"
    post = parse_post(b'{"_id": "%s", "n": %s}' % (ID.encode(), digits.encode()))
    assert post.values["n"] == int(digits)
    assert digits in post.document


# --- rows ---------------------------------------------------------------------------------------


def test_a_thread_becomes_a_row_with_every_column():
    row = row_of(
        course_id="course-v1:RiverU+Bees101+2016_T1",
        author_id="700123",
        votes={"up": ["1", "2"], "down": ["3"], "up_count": 2, "down_count": 1},
        created_at={"$date": 1391234567890},
        pinned=True,
        comment_count=3,
    )
    assert list(row) == FORUM_SCHEMA.names
    assert row["_id"] == ID
    assert row["line"] == 1
    assert row["author_id"] == 700123
    assert (row["votes_up"], row["votes_down"]) == (2, 1)
    assert row["created_at"] == datetime(2014, 2, 1, 6, 2, 47, 890_000, tzinfo=UTC)
    assert (row["pinned"], row["closed"], row["comment_count"]) == (True, None, 3)


@pytest.mark.parametrize(
    ("base", "more", "level"),
    [
        (THREAD, {}, "thread"),
        (COMMENT, {"parent_ids": []}, "response"),
        (COMMENT, {}, "response"),
        (COMMENT, {"parent_ids": [{"$oid": PARENT}]}, "comment"),
        (COMMENT, {"parent_id": {"$oid": PARENT}}, "comment"),
        (COMMENT, {"parent_ids": [{"$oid": PARENT}, {"$oid": ID}]}, "comment"),
        (THREAD, {"_type": "Question"}, None),
    ],
)
def test_the_level_follows_from_type_and_parents(base, more, level):
    assert row_of(base, **more)["level"] == level


def test_the_parents_of_a_comment_are_ids_in_lower_case():
    row = row_of(COMMENT, parent_ids=[PARENT.upper()], comment_thread_id={"$oid": ID.upper()})
    assert row["parent_ids"] == [PARENT]
    assert row["comment_thread_id"] == ID


def test_a_thread_without_type_is_a_discussion_and_a_comment_has_none():
    assert row_of(THREAD)["thread_type"] == "discussion"
    assert row_of(THREAD, thread_type="question")["thread_type"] == "question"
    assert row_of(COMMENT)["thread_type"] is None


@pytest.mark.parametrize(
    ("author", "number"),
    [
        ("700123", 700123),
        (7, 7),
        ("0", 0),
        (None, None),
        ("NNNNNNN", None),
        ("²", None),
        ("9" * 30, None),
        ("9" * 9000, None),
        (True, None),
        ({}, None),
    ],
)
def test_an_author_is_a_number_or_unknown(author, number):
    assert row_of(author_id=author)["author_id"] == number


@pytest.mark.parametrize(
    ("votes", "up"),
    [({"up": ["1", "2"]}, 2), ({"up_count": 5, "up": []}, 5), ({}, 0), (None, 0), ("x", 0)],
)
def test_votes_are_counted_when_the_forum_did_not(votes, up):
    assert row_of(votes=votes)["votes_up"] == up


def test_the_document_is_what_was_delivered():
    delivered = {**THREAD, "votes": {"up": []}, "new_field": [1, {"$date": 5}]}
    assert json.loads(row_of(**delivered)["document"]) == delivered
    assert " " not in row_of(**delivered)["document"]


def test_every_column_of_the_lake_says_what_it_holds():
    assert all((field.metadata or {}).get(b"description") for field in FORUM_SCHEMA)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
WRAPPERS = st.sampled_from(["$oid", "$date", "$numberLong", "$numberInt", "$numberDouble", "$x"])
ANY_JSON = st.recursive(
    SCALARS | st.just(ID) | st.sampled_from(["7", "2016-01-02T03:04:05.678Z"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.builds(lambda wrapper, value: {wrapper: value}, WRAPPERS, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(fields=st.dictionaries(st.sampled_from([*FORUM_SCHEMA.names, "_type", "votes"]), ANY_JSON))
def test_a_post_of_any_shape_fits_the_lake_or_is_refused(fields):
    try:
        post = parse_post(json.dumps({**THREAD, **fields}).encode())
    except BadRecordError:
        return
    batch = pa.RecordBatch.from_pylist([post_row(post, 1)], schema=FORUM_SCHEMA)
    batch.validate(full=True)
    assert batch.num_rows == 1


@given(line=st.binary() | st.text() | ANY_JSON.map(json.dumps))
def test_a_line_of_any_kind_is_a_post_or_a_bad_record(line):
    with contextlib.suppress(BadRecordError):
        assert parse_post(line).values["_id"]


def test_the_published_sample_is_read():
    if not SAMPLE.exists():
        pytest.skip(f"the sample of the edX documentation is not at {SAMPLE}")
    [line] = SAMPLE.read_bytes().splitlines()
    row = post_row(parse_post(line), 1)
    assert row["level"] == "thread"
    assert row["course_id"] == "edX/edX101/How_to_Create_an_edX_Course"
    assert row["created_at"] == datetime(2013, 1, 12, 22, 1, 46, 904_000, tzinfo=UTC)
    assert row["author_id"] is None
    assert row["votes_up"] == 1


# --- files --------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [b"", b"\n", line_of(), b"\xef\xbb\xbf" + line_of(), b'{ "_id"'])
def test_a_file_of_one_post_a_line_or_of_none_is_accepted(start):
    check_forum_format(start)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        pytest.param(b'[{"_id": 1}]', "--jsonArray", id="an array"),
        pytest.param(b' [\n{"_id": 1}]', "--jsonArray", id="an array on lines"),
        pytest.param(b'{\n  "_id": 1', "--pretty", id="pretty-printed"),
        pytest.param(b'{\r\n\t"_id": 1', "--pretty", id="pretty-printed elsewhere"),
        pytest.param(b"\x1b\x00\x00\x00\x07_id\x00", "bsondump", id="BSON"),
        pytest.param(b"<Error><Code>NoSuchKey", "HTML or XML", id="an error page"),
        pytest.param(b"\x1f\x8b\x08", "gzip", id="gzip"),
    ],
)
def test_a_file_of_another_format_is_refused_with_a_remedy(start, words):
    with pytest.raises(BadFileError, match=words):
        check_forum_format(start)
