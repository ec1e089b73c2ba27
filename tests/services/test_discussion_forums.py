"""What is promised about the forum dumps, one promise per test."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from optimus.outputs.catalog import quote
from tests.services.deliveries import DATABASE, FIRST, SECOND, STEM, Deliveries

TABLE = f"{STEM}-prod"


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, ["discussion_forums"])


def identity(number: int) -> str:
    return f"{number:024x}"


def post(number: int, **more: Any) -> str:
    base = {"_id": {"$oid": identity(number)}, "_type": "CommentThread", "author_id": "7"}
    return json.dumps(base | more)


def asked(house: Deliveries, columns: str = "body", table: str = TABLE) -> list[Any]:
    return house.query(f'SELECT {columns} FROM discussion_forum."{table}" ORDER BY line')


def counts(house: Deliveries, *names: str) -> tuple[int, ...]:
    found = house.only("discussion_forums").counts
    return tuple(found.get(name, 0) for name in names)


# --- rows -------------------------------------------------------------------------------------


def test_a_post_is_a_typed_row(house):
    house.forum(post(1, body="hi", created_at={"$date": 1391234567890}, votes={"up_count": 2}))
    house.ingest()
    moment = datetime(2014, 2, 1, 6, 2, 47, 890_000, tzinfo=UTC)
    assert asked(house, "_id, kind, level, author_id, body, created_at, votes_up") == [
        (identity(1), "CommentThread", "thread", 7, "hi", moment, 2)
    ]


def test_edge_and_production_are_two_tables(house):
    house.forum(post(1, body="prod"))
    house.forum(post(1, body="edge"), site="edge")
    house.ingest()
    assert asked(house) == [("prod",)]
    assert asked(house, table=f"{STEM}-edge") == [("edge",)]


def test_of_several_versions_of_a_post_the_last_counts(house):
    house.forum(post(1, body="a"), post(2, body="b"), post(1, body="c"), post(1, body="d"))
    house.ingest()
    assert asked(house) == [("b",), ("d",)]
    assert house.reasons("discussion_forums") == ["superseded", "superseded"]
    assert counts(house, "lines", "rows", "rejects") == (4, 2, 2)


def test_an_older_version_is_set_aside_with_its_place_and_its_bytes(house):
    older = post(1, body="a", odd="\u00e9")
    house.forum(post(2), older, post(1, body="b"))
    house.ingest()
    [reject] = house.rejects("discussion_forums")
    assert (reject.line, reject.offset, reject.raw) == (2, len(post(2)) + 1, older.encode())


def test_an_id_in_capitals_is_the_same_id(house):
    house.forum(post(10, body="a"), post(10, body="b").replace(identity(10), identity(10).upper()))
    house.ingest()
    assert asked(house) == [("b",)]


def test_versions_of_a_post_are_found_however_far_apart_they_are(house, monkeypatch):
    monkeypatch.setattr("services.discussion_forums.service.ROWS_PER_BATCH", 2)
    monkeypatch.setattr("optimus.package.files.CHUNK_BYTES", 256)
    house.forum(*(post(number % 20, body=f"{number}") for number in range(40)))
    house.ingest()
    assert [body for (body,) in asked(house)] == [f"{number}" for number in range(20, 40)]


# --- deliveries -------------------------------------------------------------------------------


def test_a_post_that_was_removed_is_absent_after_the_next_delivery(house):
    house.forum(post(1, body="a"), post(2, body="b"))
    house.ingest()
    house.day = SECOND
    house.forum(post(2, body="b"))
    house.ingest()
    assert asked(house) == [("b",)]


def test_what_was_delivered_before_stays_in_the_history(house):
    house.forum(post(1, body="a"))
    house.ingest()
    house.day = SECOND
    house.forum(post(1, body="b"))
    house.ingest()
    sql = f'SELECT body, delivered::VARCHAR FROM discussion_forum_history."{TABLE}" ORDER BY 2'
    assert house.query(sql) == [("a", FIRST), ("b", SECOND)]


def test_the_course_of_a_forum_is_what_it_touches(house):
    house.forum(post(1))
    house.ingest()
    [run] = house.runs("discussion_forums")
    assert run.touches == [f"course:{DATABASE}"]


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param('{"_id": ', "not_json", id="cut"),
        pytest.param('{"body": "x"}', "no_id", id="no id"),
        pytest.param('{"_id": {"$oid": "x"}}', "bad_id", id="an impossible id"),
        pytest.param('{"_id": {"$ne": 1}}', "bad_id", id="an id that is a question"),
        pytest.param('{"_id": 5}', "bad_id", id="a number as id"),
        pytest.param("5", "not_object", id="a number"),
        pytest.param('{"a": NaN}', "not_json", id="NaN"),
        pytest.param('{"a":' * 100 + "1" + "}" * 100, "too_deep", id="too deep"),
        pytest.param('{"a":' * 50_000, None, id="very much too deep"),
    ],
)
def test_a_bad_line_is_set_aside_with_its_place_and_its_bytes_and_the_rest_is_kept(
    house, line, reason
):
    house.forum(post(1, body="a"), line, post(2, body="b"))
    house.ingest()
    [reject] = house.rejects("discussion_forums")
    assert (reject.line, reject.offset, reject.raw) == (
        2,
        len(post(1, body="a")) + 1,
        line.encode(),
    )
    assert reason in (None, reject.reason)
    assert asked(house) == [("a",), ("b",)]


def test_a_post_of_20_mb_is_set_aside_with_its_beginning(house):
    house.forum(post(1), post(2, body="x" * (20 << 20)), post(3))
    house.ingest()
    assert house.reasons("discussion_forums") == ["line_too_long"]
    assert counts(house, "lines", "rows", "rejects") == (3, 2, 1)


def test_invalid_utf8_is_replaced_and_counted_and_the_post_is_kept(house):
    house.deliver(f"{STEM}-prod.mongo", post(1, body="?").encode().replace(b"?", b"\xff") + b"\n")
    house.ingest()
    assert asked(house) == [("\ufffd",)]
    assert counts(house, "replaced_utf8") == (1,)


def test_a_lone_surrogate_and_a_nul_are_no_reason_to_lose_a_post(house):
    house.forum(post(1, body="?").replace("?", "a\\ud83db"), post(2, body="a\0b"))
    house.ingest()
    assert asked(house) == [("a\ufffdb",), ("a\0b",)]


def test_numbers_beyond_64_bits_keep_their_digits_in_the_document(house):
    house.forum(post(1, votes={"up_count": 10**30}))
    house.ingest()
    assert asked(house, "votes_up, document ->> '$.votes.up_count'") == [(0, f"{10**30}")]


@pytest.mark.parametrize("date", [10**20, -(10**20), "yesterday", {"$numberLong": "x"}, None])
def test_a_date_no_calendar_has_is_null_and_noted_and_the_post_is_kept(house, date):
    house.forum(post(1, body="a", created_at={"$date": date}))
    house.ingest()
    assert asked(house, "body, created_at") == [("a", None)]
    assert house.reasons("discussion_forums") == ["unusable_date"]


@pytest.mark.parametrize("author", ["", "ada", None, "9" * 30, -1.5, {"$ne": 1}])
def test_an_author_that_is_no_number_is_null_and_the_post_is_kept(house, author):
    house.forum(post(1, body="a", author_id=author))
    house.ingest()
    assert asked(house, "body, author_id") == [("a", None)]


def test_keys_that_other_stores_dislike_are_kept(house):
    odd = {"$where": "1", "a.b": {"$set": {"": 1}}, "x": [{"$code": "f()"}]}
    house.forum(post(1, **odd))
    house.ingest()
    [(document,)] = asked(house, "document")
    assert {key: json.loads(document)[key] for key in odd} == odd


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'[{"_id": 1}]\n', id="one array"),
        pytest.param(b'{\n  "_id": 1\n}\n', id="over several lines"),
        pytest.param(b"\x16\0\0\0\x02hello\0\x06\0\0\0world\0\0", id="binary"),
        pytest.param(b"<html>404</html>", id="an error page"),
    ],
)
def test_what_is_no_forum_dump_is_set_aside_whole_with_a_hint(house, content):
    house.deliver(f"{STEM}-prod.mongo", content)
    house.ingest()
    row = house.only("discussion_forums")
    assert (row.state, "format" in row.message) == ("failed", True)


def test_an_empty_dump_is_a_forum_without_posts(house):
    house.forum()
    house.ingest()
    assert (house.only("discussion_forums").state, asked(house)) == ("done", [])


def test_blank_lines_carriage_returns_and_a_byte_order_mark_do_no_harm(house):
    content = f"\ufeff{post(1, body='a')}\r\n\r\n{post(2, body='b')}"
    house.deliver(f"{STEM}-prod.mongo", content)
    house.ingest()
    assert asked(house) == [("a",), ("b",)]
    assert counts(house, "lines", "rows", "blank") == (2, 2, 1)


@pytest.mark.parametrize("stem", ["system.users", "$x", "a'b\"c", "..", "x" * 180])
def test_a_file_name_is_only_a_name(house, stem):
    house.deliver(f"D-{stem}-prod.mongo", post(1, body="a") + "\n")
    house.ingest()
    sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'discussion_forum'"
    [(table,)] = house.query(sql)
    assert house.query(f"SELECT body FROM discussion_forum.{quote(table)}") == [("a",)]
