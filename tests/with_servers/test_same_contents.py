"""With and without servers the results are the same, and all outputs hold the same."""

import json
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from optimus.outputs.bson_documents import document_id, unescape_key
from optimus.queue.records import Observed
from tests.end_to_end.installation import Installation
from tests.with_servers.town import Town

DATES = {"created", "modified", "created_date", "modified_date", "last_login", "date_joined"}
NOWHERE = {"country": None, "subdivision": None, "city": None}
TEXTS = ("username", "event_type", "event_source", "session", "ip", "host", "agent", "page")


@pytest.fixture(scope="module")
def server_side(ingested, geo_database) -> Installation:
    installation: Installation = ingested.installation("host", geo_database)
    return installation


def course_tables(town: Town) -> list[tuple[str, str]]:
    return [
        (schema, name)
        for schema, name in town.lake_tables()
        if schema.startswith("RiverU") and not schema.endswith("_history")
    ]


# --- with and without servers -----------------------------------------------------------------


def test_the_lake_has_the_same_tables_with_and_without_servers(embedded, server_side):
    sql = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL"
    assert embedded.query(sql) == server_side.query(sql)


@pytest.mark.parametrize("table", ["personcourse", "courseprofile"])
def test_person_course_is_the_same_value_by_value(embedded, server_side, table):
    sql = f'SELECT * FROM "Person_Course".{table} ORDER BY ALL'
    found = server_side.query(sql)
    assert len(found) > 2
    assert found == embedded.query(sql)


def test_the_ledgers_are_the_same(embedded, ingested):
    for row in ingested.sources("clickstream"):
        counts = embedded.counts("clickstream")[row.path.rpartition("/")[2]]
        for name in ("lines", "rows", "rejects", "repeats", "reasons"):
            assert row.counts.get(name) == counts.get(name)


# --- MySQL ------------------------------------------------------------------------------------


def test_every_table_of_every_course_is_in_mysql_and_nothing_else(ingested):
    expected = set(course_tables(ingested))
    # What the lake has of all course runs together, MySQL has in one table a course run.
    expected |= {
        (schema, name)
        for schema, name in ingested.lake_tables()
        if schema in {"Person_Course", "Email_CRM", "Course_Event", "Daily_Count"}
        and name not in {"personcourse", "eventcount", "dailycount"}
    }
    counted = {name for schema, name in expected if schema == "Course_Event"}
    expected |= {("Course_Event", f"courseevent{name[len('eventcount') :]}") for name in counted}
    assert ingested.tables() == expected
    assert ingested.leftovers() == []


def test_the_rows_of_every_course_table_are_those_of_the_lake(ingested):
    compared = 0
    for database, name in course_tables(ingested):
        lake = ingested.lake(f'SELECT * FROM "{database}"."{name}"')
        expected = Counter(tuple(as_the_original(row).items()) for row in lake)
        found = Counter(tuple(row.items()) for row in ingested.table(database, name))
        assert found == expected, f"{database}.{name}"
        compared += len(lake)
    assert compared > 1000


def as_the_original(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the lake as old readers expect it: text, and the word NULL."""
    return {"_key" if name == "key" else name: spelled(name, value) for name, value in row.items()}


def spelled(column: str, value: Any) -> Any:
    if column in DATES:
        return value and value.replace(tzinfo=None)
    if column == "id":
        return value
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value.replace(tzinfo=None)) if isinstance(value, datetime) else str(value)


def test_person_course_in_mysql_is_that_of_the_lake(ingested):
    for row in ingested.lake('SELECT DISTINCT course FROM "Person_Course".personcourse'):
        name = f"personcourse_{row['course']}"
        lake = ingested.lake(f'SELECT * FROM "Person_Course"."{name}" ORDER BY user_id')
        found = sorted(ingested.table("Person_Course", name), key=lambda row: int(row["user_id"]))
        assert [without_id(row) for row in found] == lake


def test_course_profile_in_mysql_is_that_of_the_lake(ingested):
    lake = ingested.lake('SELECT * FROM "Person_Course".courseprofile ORDER BY course')
    found = sorted(ingested.table("Person_Course", "courseprofile"), key=lambda row: row["course"])
    assert [without_id(row) for row in found] == lake


def without_id(row: dict[str, Any]) -> dict[str, Any]:
    """A row without the table's own key; the original's user_id is text."""
    plain = {name: value for name, value in row.items() if name != "id"}
    if "user_id" in plain:
        plain["user_id"] = int(plain["user_id"])
    return plain


# --- MongoDB ----------------------------------------------------------------------------------


def identity(source: str) -> str:
    return Observed("clickstream", "Clickstream", "file", source, "").identity


def test_every_event_of_the_lake_is_a_document_and_nothing_else_is(ingested):
    rows = ingested.lake("SELECT * FROM logs.clickstream")
    expected = {document_id(identity(row["source"]), row["line"]): row for row in rows}
    documents = ingested.documents("logs", "clickstream")
    assert len(expected) > 5000
    assert {document["_id"] for document in documents} == expected.keys()
    for document in documents:
        assert_is_the_event(document, expected[document["_id"]])


def assert_is_the_event(document: dict[str, Any], row: dict[str, Any]) -> None:
    for name in TEXTS:
        if name in document and document[name] is not None:
            assert document[name] == row[name]
    moment = row["time"]
    if moment is None or moment.year < 1000:
        assert "time_date" not in document
    else:
        exact = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        assert document["time_date"] == exact
    if "event" in document:
        assert unescaped(document["event"]) == storable(json.loads(row["event"]))
    if "context" in document:
        assert unescaped(document["context"]) == storable(json.loads(row["context"]))


def unescaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape_key(key): unescaped(item) for key, item in value.items()}
    return [unescaped(item) for item in value] if isinstance(value, list) else value


def storable(value: Any) -> Any:
    """Whole numbers of more than 64 bits are doubles there; the lake keeps their digits."""
    if isinstance(value, dict):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return float(value) if isinstance(value, int) and abs(value) > 2**63 else value


def test_every_event_has_the_country_of_its_address(ingested):
    rows = ingested.lake("SELECT ip, country, subdivision, city FROM logs.ip_country")
    known = {row["ip"]: row for row in rows}
    countries: Counter[str] = Counter()
    for document in ingested.documents("logs", "clickstream"):
        if "ip" not in document:
            assert "country" not in document
            continue
        place = known.get(document["ip"], NOWHERE)
        country = "" if document["ip"] == "" else place["country"]
        assert document.get("country") == country
        assert document.get("city") == place["city"]
        assert document.get("geo_attempt") == (None if country else 1)
        countries[str(country)] += 1
    assert len(countries) > 3


def test_every_post_of_the_lake_is_a_document_and_nothing_else_is(ingested):
    forums = {name for schema, name in ingested.lake_tables() if schema == "discussion_forum"}
    assert ingested.collections("discussion_forum") == forums
    compared = 0
    for name in forums:
        posts = ingested.lake(f'SELECT * FROM "discussion_forum"."{name}"')
        found = ingested.documents("discussion_forum", name)
        documents = {str(document["_id"]): document for document in found}
        assert documents.keys() == {post["_id"] for post in posts}
        for post in posts:
            document = documents[post["_id"]]
            assert document["body"] == post["body"]
            assert document["created_at"] == post["created_at"]
            assert [str(parent) for parent in document.get("parent_ids", [])] == post["parent_ids"]
            compared += 1
    assert compared > 20


def test_the_originals_indexes_are_there(ingested):
    with ingested.client() as client:
        indexes = client["logs"]["clickstream"].index_information().values()
    keys = {tuple(field for field, _ in index["key"]) for index in indexes}
    assert keys == {
        ("_id",),
        ("country",),
        ("event_type", "context.course_id"),
        ("context.course_id",),
    }


def test_a_second_pass_finds_nothing_to_do(ingested, server_side):
    before = [(row.name, row.epoch) for row in ingested.sources()]
    assert server_side.once().startswith("Nothing new")
    assert [(row.name, row.epoch) for row in ingested.sources()] == before
