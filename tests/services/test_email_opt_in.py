"""What is promised about the files of e-mail preferences, one promise per test."""

import csv
import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optimus.touches import EVERYTHING
from services.email_opt_in.records import read_records
from tests.services.deliveries import COURSE, SECOND, Deliveries

NAME = "DemoX-email_opt_in-prod-analytics.csv"
HEADER = "user_id,username,email,full_name,course_id,is_opted_in_for_email,preference_set_datetime"
OLD_HEADER = HEADER.removeprefix("user_id,username,")
CHOSEN = datetime(2015, 12, 17, 5, 34, 7, tzinfo=UTC)
REST = f"{COURSE},True,2015-12-17 05:34:07"


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, ["email_opt_in"])


def deliver(house: Deliveries, *lines: str, name: str = NAME) -> None:
    house.deliver(name, "".join(f"{line}\r\n" for line in lines))
    house.ingest()


def rows(house: Deliveries, columns: str = "*", table: str = "demox") -> list[Any]:
    return house.query(f"SELECT {columns} FROM email_opt_in.{table} ORDER BY line")


def ledger(house: Deliveries) -> tuple[int, ...]:
    counts = house.only("email_opt_in").counts
    return counts["lines"], counts.get("rows", 0), counts["rejects"]


# --- rows -------------------------------------------------------------------------------------


def test_a_record_is_a_typed_row_and_names_and_addresses_are_as_delivered(house):
    deliver(house, HEADER, f'7,otter,Otter.@mail.example,"Ann "" Lee, PhD",{REST}')
    assert rows(house) == [
        (2, "prod", 7, "otter", "Otter.@mail.example", 'Ann " Lee, PhD', COURSE, True, CHOSEN)
    ]


def test_the_header_of_old_files_has_no_user(house):
    deliver(house, OLD_HEADER, f"otter@mail.example,Ann Lee,{REST}")
    assert rows(house, "user_id, username, email") == [(None, None, "otter@mail.example")]


def test_the_header_governs_the_order_of_the_columns_and_new_ones_are_noted(house):
    names = HEADER.split(",")
    values = f"7,otter,o@mail.example,Ann,{REST}".split(",")
    deliver(house, ",".join(["line", *names[::-1]]).upper(), ",".join(["99", *values[::-1]]))
    assert rows(house, "line, user_id, full_name") == [(2, 7, "Ann")]
    [note] = house.notes("email_opt_in")
    assert note.endswith("left out: line.")


def test_a_name_may_have_lines_and_a_file_a_byte_order_mark(house):
    deliver(house, "\ufeff" + HEADER, f'7,o,o@x,"Ann\r\nLee",{REST}', f"8,p,p@x,Bo,{REST}")
    assert rows(house, "line, full_name") == [(2, "Ann\r\nLee"), (4, "Bo")]
    assert ledger(house) == (2, 2, 0)


def test_bad_utf_8_is_replaced_and_counted(house):
    line = f"7,o,o@x,Ann L\xe9e,{REST}".encode("latin-1")
    house.deliver(NAME, HEADER.encode() + b"\n" + line)
    house.ingest()
    assert rows(house, "full_name") == [("Ann L\ufffde",)]
    assert house.only("email_opt_in").counts["replaced_utf8"] == 1


@pytest.mark.parametrize("moment", ["", "NULL", "2015-02-30 00:00:00", "yesterday"])
def test_a_moment_that_is_none_is_null_and_a_repair(house, moment):
    deliver(house, HEADER, f"7,o,o@x,Ann,{COURSE},True,{moment}")
    assert rows(house, "preference_set_datetime") == [(None,)]
    [repair] = house.rejects("email_opt_in")
    assert (repair.line, repair.reason, repair.kept) == (2, "unusable_datetime", True)


# --- rejects ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"7,o,o@x,Lee, Ann,{REST}", "column_count"),
        ("7,o", "column_count"),
        (f",o,o@x,Ann,{REST}", "type"),
        (f"7.0,o,o@x,Ann,{REST}", "type"),
        (f"{2**63},o,o@x,Ann,{REST}", "type"),
        (f"7,o,o@x,Ann,{COURSE},,2015-12-17 05:34:07", "type"),
        (f"7,o,o@x,Ann,{COURSE},yes,2015-12-17 05:34:07", "type"),
        (f'7,o,o@x,"Ann"y Lee,{REST}', "quoting"),
        (f"7,o,o@x,Ann\rLee,{REST}", "quoting"),
        (f"7,o,o@x,{'Ann' * 3000},{REST}", "row_too_long"),
    ],
)
def test_a_record_that_is_no_row_is_set_aside_with_its_line(house, line, reason):
    deliver(house, HEADER, f"6,n,n@x,Bo,{REST}", line, "", f"8,p,p@x,Cy,{REST}")
    assert rows(house, "line, user_id") == [(2, 6), (5, 8)]
    [reject] = house.rejects("email_opt_in")
    assert (reject.line, reject.reason) == (3, reason)
    assert reject.raw == line.encode() + b"\r"
    assert ledger(house) == (3, 2, 1)


@pytest.mark.parametrize("others", [1, 3, 300])
def test_a_quote_that_nobody_closes_costs_its_own_line_alone(house, others):
    learners = [f'{user},o,o@x,"Lee, Ann",{REST}' for user in range(others)]
    deliver(house, HEADER, f'7,o,o@x,"Ann,{REST}', *learners)
    assert rows(house, "user_id") == [(user,) for user in range(others)]
    assert house.reasons("email_opt_in") == ["quoting"]


def test_a_quote_that_another_learners_quote_closes_costs_its_own_line_alone(house):
    deliver(house, HEADER, f'7,o,"o@x,Ann,{REST}', f'8,p,p@x,Bo",{REST}', f"9,q,q@x,Cy,{REST}")
    assert rows(house, "user_id, full_name") == [(8, 'Bo"'), (9, "Cy")]
    assert house.reasons("email_opt_in") == ["quoting"]


def test_a_file_that_ends_in_an_open_quote_keeps_what_was_before(house):
    deliver(house, HEADER, f"6,n,n@x,Bo,{REST}", '7,o,o@x,"Ann')
    assert rows(house, "user_id") == [(6,)]
    assert house.reasons("email_opt_in") == ["quoting"]


@pytest.mark.parametrize(
    "first", ["", f"7,o,o@secret.example,Ann,{REST}", f"{OLD_HEADER},email", OLD_HEADER[:-1]]
)
def test_a_file_without_its_header_fails_and_nobody_is_named(house, first):
    deliver(house, first, f"7,o,o@secret.example,Ann,{REST}")
    source = house.only("email_opt_in")
    assert source.state == "failed"
    assert "Fetch the file again" in source.message
    assert "secret" not in source.message


CELL = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(['"', "\n", ",", "\r"])


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), min_size=1, max_size=5))
@example([["a", "b", "c"], ['"', '\n"\n', '",\r\n']])
def test_whatever_is_written_as_csv_comes_back(table):
    written = io.StringIO(newline="")
    csv.writer(written).writerows(table)
    lines = written.getvalue().encode().split(b"\n")
    records = read_records((number, 0, line) for number, line in enumerate(lines[:-1], 1))
    assert [record.cells for record in records] == table


# --- deliveries -------------------------------------------------------------------------------


def test_the_newest_delivery_of_an_organisation_counts_and_the_others_are_history(house):
    deliver(house, HEADER, f"7,o,o@x,Ann,{REST}")
    house.day = SECOND
    deliver(house, HEADER, f"8,p,p@x,Bo,{REST}", name=NAME.replace("DemoX", "demoX"))
    deliver(house, HEADER, f"9,q,q@x,Cy,{REST}", name=NAME.replace("DemoX", "Other-X"))
    assert rows(house, "user_id") == [(8,)]
    assert rows(house, "user_id", '"other-x"') == [(9,)]
    history = "SELECT user_id, delivered FROM email_opt_in_history.demox ORDER BY 1"
    assert house.query(history) == [(7, date(2016, 2, 7)), (8, date(2016, 2, 14))]


def test_all_course_runs_count_as_changed(house):
    deliver(house, HEADER, f"7,o,o@x,Ann,{REST}")
    assert [run.touches for run in house.runs("email_opt_in")] == [[EVERYTHING]]


def test_edge_and_production_are_two_tables(house):
    deliver(house, HEADER, f"7,o,o@x,Ann,{REST}")
    deliver(house, HEADER, f"8,p,p@x,Bo,{REST}", name=NAME.replace("prod", "prod-edge"))
    assert rows(house, "site, user_id") == [("prod", 7)]
    assert rows(house, "site, user_id", "demox_edge") == [("edge", 8)]
