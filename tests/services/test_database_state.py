"""What is promised about the table dumps, one promise per test."""

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.services.deliveries import DATABASE, FIRST, SECOND, STEM, Deliveries

ENROLMENT = "id user_id course_id created is_active mode"
MODULE = "id student_id grade state"
ROW = "1 7 DemoX/Bees101/2016_T1 2016-02-01T10:11:12 1 honor"


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, ["database_state"])


def asked(house: Deliveries, table: str, columns: str = "*", database: str = DATABASE) -> list[Any]:
    return house.query(f'SELECT {columns} FROM "{database}".{table} ORDER BY ALL')


def columns_of(house: Deliveries, table: str) -> dict[str, str]:
    found = house.query(
        "SELECT column_name, data_type FROM information_schema.columns "
        f"WHERE table_schema = '{DATABASE}' AND table_name = '{table}'"
    )
    return dict(found)


def schemas_with(house: Deliveries, table: str) -> list[str]:
    sql = f"SELECT table_schema FROM information_schema.tables WHERE table_name = '{table}'"
    return [schema for (schema,) in house.query(sql) if not schema.endswith("_history")]


def dump(house: Deliveries, table: str, content: bytes) -> None:
    house.deliver(f"{STEM}-{table}-prod-analytics.sql", content)
    house.ingest()


def counts(house: Deliveries, *names: str) -> tuple[int, ...]:
    found = house.only("database_state").counts
    return tuple(found.get(name, 0) for name in names)


# --- rows -------------------------------------------------------------------------------------


def test_a_dump_is_a_typed_table_under_its_courses_database(house):
    house.table("student_courseenrollment", ENROLMENT, ROW)
    house.ingest()
    created = datetime(2016, 2, 1, 10, 11, 12, tzinfo=UTC)
    assert asked(house, "student_courseenrollment") == [
        (1, 7, "DemoX/Bees101/2016_T1", created, True, "honor")
    ]


def test_edge_and_production_are_two_databases(house):
    for site in ("prod", "edge"):
        house.table("auth_user", "id username", f"1 {site}", site=site)
    house.ingest()
    assert asked(house, "auth_user") == [(1, "prod")]
    assert asked(house, "auth_user", database=f"{DATABASE}_Edge") == [(1, "edge")]


def test_escapes_are_undone_and_the_word_null_is_null(house):
    dump(house, "wiki_article", b"id\ttext\n1\ta\\tb\\nc\\\\n\n2\tNULL\n3\t\n4\t\\N\n")
    assert asked(house, "wiki_article", "id::INT, text") == [
        (1, "a\tb\nc\\n"),
        (2, None),
        (3, ""),
        (4, "\\N"),
    ]


def test_a_table_nobody_knows_is_kept_as_text_and_remarked(house):
    house.table("brand_new", "id at", "1 x")
    house.ingest()
    assert asked(house, "brand_new") == [("1", "x")]
    assert "the table is not known: every column is kept as text" in house.notes("database_state")


def test_new_and_missing_columns_are_remarked_and_the_rows_are_kept(house):
    house.table("student_courseenrollment", "id user_id new_one", "1 7 x")
    house.ingest()
    notes = " ".join(house.notes("database_state"))
    assert "kept as text: new_one" in notes
    assert "missing: course_id, created" in notes
    assert asked(house, "student_courseenrollment") == [(1, 7, "x")]


def test_columns_may_come_in_any_order(house):
    house.table("auth_user", "username id", "ada 1")
    house.ingest()
    assert asked(house, "auth_user", "id, username") == [(1, "ada")]


# --- deliveries -------------------------------------------------------------------------------


def test_the_newest_delivery_is_the_table_and_the_older_stays_in_the_history(house):
    house.table("auth_user", "id", "1", "2")
    house.ingest()
    house.day = SECOND
    house.table("auth_user", "id", "2", "3")
    house.ingest()
    assert asked(house, "auth_user") == [(2,), (3,)]
    history = asked(house, "auth_user", "id, delivered::VARCHAR", f"{DATABASE}_history")
    assert history == [(1, FIRST), (2, FIRST), (2, SECOND), (3, SECOND)]


def test_an_older_delivery_that_comes_late_does_not_become_the_table(house):
    house.day = SECOND
    house.table("auth_user", "id", "2")
    house.ingest()
    house.day = FIRST
    house.table("auth_user", "id", "1")
    house.ingest()
    assert asked(house, "auth_user") == [(2,)]


def test_a_delivery_that_is_corrected_replaces_itself(house):
    house.table("auth_user", "id", "1", "2", "3")
    house.ingest()
    house.table("auth_user", "id", "4")
    house.ingest()
    assert asked(house, "auth_user") == [(4,)]


def test_a_table_that_is_missing_from_a_delivery_keeps_its_last_rows(house):
    house.table("auth_user", "id", "1")
    house.table("wiki_article", "id", "1")
    house.ingest()
    house.day = SECOND
    house.table("auth_user", "id", "2")
    house.ingest()
    assert asked(house, "wiki_article") == [(1,)]


def test_a_damaged_dump_leaves_the_last_rows(house):
    house.table("auth_user", "id", "1")
    house.ingest()
    house.day = SECOND
    house.deliver(f"{STEM}-auth_user-prod-analytics.sql.gz", gzip.compress(b"id\n2\n" * 50)[:-4])
    house.ingest()
    assert asked(house, "auth_user") == [(1,)]
    assert [row.state for row in house.sources("database_state")] == ["done", "failed"]


def test_the_course_of_a_dump_is_what_it_touches(house):
    house.table("auth_user", "id", "1")
    house.ingest()
    [run] = house.runs("database_state")
    assert run.touches == [f"course:{DATABASE}"]


# --- bad input --------------------------------------------------------------------------------


def test_a_table_of_nothing_but_a_header_has_its_columns_and_no_rows(house):
    house.table("student_courseenrollment", ENROLMENT)
    house.ingest()
    assert asked(house, "student_courseenrollment") == []
    assert columns_of(house, "student_courseenrollment")["created"] == "TIMESTAMP WITH TIME ZONE"


def test_an_empty_dump_is_a_table_without_rows(house):
    dump(house, "student_courseenrollment", b"")
    assert house.only("database_state").state == "done"
    assert asked(house, "student_courseenrollment") == []


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        pytest.param("1 7", "column_count", id="too few cells"),
        pytest.param("1 7 0.5 {} more", "column_count", id="too many cells"),
        pytest.param("x 7 0.5 {}", "type", id="a number that is none"),
        pytest.param("9223372036854775808 7 0.5 {}", "type", id="beyond 64 bits"),
        pytest.param(f"{'9' * 5000} 7 0.5 {{}}", "type", id="of 5000 digits"),
        pytest.param("1 7 NaN {}", "type", id="NaN"),
        pytest.param("1 7 1e999 {}", "type", id="infinite"),
        pytest.param("1 7 0.5 {}\\", "trailing_backslash", id="a backslash at the end"),
        pytest.param(MODULE, "repeated_header", id="the header again"),
    ],
)
def test_a_bad_row_is_set_aside_with_its_place_and_its_bytes_and_the_rest_is_kept(
    house, row, reason
):
    house.table("courseware_studentmodule", MODULE, "1 7 0.5 {}", row, "3 7 NULL {}")
    house.ingest()
    [reject] = house.rejects("database_state")
    assert (reject.line, reject.reason) == (3, reason)
    assert reject.raw.decode() == row.replace(" ", "\t")
    assert reject.offset == len(MODULE) + 1 + len("1 7 0.5 {}") + 1
    assert asked(house, "courseware_studentmodule", "id, grade") == [(1, 0.5), (3, None)]
    assert counts(house, "lines", "rows", "rejects") == (3, 2, 1)


def test_invalid_utf8_is_replaced_and_counted_and_the_row_is_kept(house):
    dump(house, "auth_user", b"id\tusername\n1\ta\xffb\n")
    assert asked(house, "auth_user") == [(1, "a\ufffdb")]
    assert counts(house, "rows", "replaced_utf8") == (1, 1)


def test_a_nul_byte_in_a_text_is_kept(house):
    dump(house, "auth_user", b"id\tusername\n1\ta\0b\n")
    assert asked(house, "auth_user") == [(1, "a\0b")]


def test_a_byte_order_mark_is_no_part_of_the_header(house):
    dump(house, "auth_user", b"\xef\xbb\xbfid\tusername\n1\tada\n")
    assert asked(house, "auth_user") == [(1, "ada")]


def test_a_carriage_return_belongs_to_the_text_unless_every_line_has_one(house):
    dump(house, "auth_user", b"id\tusername\r\n1\tada\r\n2\tb\rc\r\n")
    assert asked(house, "auth_user") == [(1, "ada"), (2, "b\rc")]


def test_a_cell_of_20_mb_is_kept(house):
    dump(house, "courseware_studentmodule", b"id\tstate\n1\t" + b"x" * (20 << 20) + b"\n")
    assert asked(house, "courseware_studentmodule", "id, length(state)") == [(1, 20 << 20)]


def test_a_row_beyond_all_measure_is_set_aside(house, monkeypatch):
    monkeypatch.setattr("services.database_state.service.LONGEST_ROW", 2 << 20)
    dump(house, "wiki_article", b"id\n1\n" + b"x" * (4 << 20) + b"\n3\n")
    [reject] = house.rejects("database_state")
    assert (reject.line, reject.offset, reject.reason) == (3, 5, "row_too_long")
    assert asked(house, "wiki_article") == [(1,), (3,)]
    assert counts(house, "lines", "rows", "rejects") == (3, 2, 1)


@pytest.mark.parametrize("moment", ["0000-00-00T00:00:00", "2015-09-31T21:32:17", "yesterday"])
def test_a_date_no_calendar_has_is_null_and_noted_and_the_row_is_kept(house, moment):
    house.table("student_courseenrollment", "id created", f"1 {moment}")
    house.ingest()
    assert asked(house, "student_courseenrollment") == [(1, None)]
    assert counts(house, "unusable_datetimes") == (1,)
    assert house.reasons("database_state") == ["unusable_datetime"]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"<html><body>404", id="an error page"),
        pytest.param(b'<?xml version="1.0"?><Error>', id="an error of the store"),
        pytest.param(b"INSERT INTO auth_user VALUES (1)", id="SQL"),
        pytest.param(b'{"id": 1}', id="JSON"),
        pytest.param(b"id\tid", id="a column twice"),
        pytest.param(b"id\tID", id="a column twice but for its case"),
        pytest.param(b"id\t\tname", id="a column without a name"),
        pytest.param(b"id`, x); DROP TABLE y; --\tname", id="a column that is SQL"),
        pytest.param(b"1\tada\tada@example.org", id="no header but a learner"),
        pytest.param(b"\x1f\x8b\x08", id="half a gzip"),
        pytest.param(b"\t" * 5000, id="very many columns"),
    ],
)
def test_what_is_no_table_is_set_aside_whole_and_no_learner_is_quoted(house, first):
    dump(house, "auth_user", first + b"\n1\t2\t3\n")
    row = house.only("database_state")
    assert row.state == "failed"
    assert "auth_user" in row.message
    assert "ada" not in row.message
    assert (
        house.query("SELECT * FROM information_schema.tables WHERE table_name = 'auth_user'") == []
    )


def test_a_file_whose_name_was_cut_before_the_table_is_set_aside_with_a_sentence(house):
    house.deliver(f"DemoX-{'x' * 150}-{'0' * 32}.sql", b"id\n1\n")
    house.ingest()
    assert house.only("database_state").state == "failed"
    assert "its name was cut" in house.only("database_state").message


@pytest.mark.parametrize(
    "stem",
    ["DemoX-..-..", "DemoX-'; DROP SCHEMA x; --", 'DemoX-a"b-1', "DemoX-%2e%2e-1", "-rf-x-y"],
)
def test_a_file_name_is_only_a_name(house, stem):
    house.table("auth_user", "id", "1", stem=stem)
    house.ingest()
    state = house.settings.lake_path / "state"
    [path] = (path for path in state.rglob("*") if path.is_file())
    assert len(path.relative_to(state).parts) == 3
    [schema] = schemas_with(house, "auth_user")
    assert schema.replace("_", "").isalnum()


def test_a_course_named_like_a_database_of_the_server_does_not_become_it(house):
    house.table("auth_user", "id", "1", stem="information-schema")
    house.ingest()
    assert house.only("database_state").state == "done"
    assert not (house.settings.lake_path / "state/information_schema").exists()
