"""What is promised about the CSV files."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimus.outputs.csv import export_csv
from optimus.outputs.staging import Staging

MADE = datetime(2016, 2, 3, 4, 5, 6, tzinfo=UTC)
STAMPED = "people_02032016-040506.csv"


def exported(folder: Path, *rows: Sequence[Any], made: datetime = MADE) -> list[str]:
    staging = Staging("mark.1")
    export_csv(staging, folder, "people", made, (("id", "name"), rows))
    return sorted(path.name for path in staging.publish())


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_an_export_has_a_file_with_the_time_in_its_name_and_one_that_stays(tmp_path):
    exported(tmp_path, (1, "a"))
    assert (tmp_path / STAMPED).read_bytes() == (tmp_path / "latest/people.csv").read_bytes()
    assert read(tmp_path / STAMPED) == [["id", "name"], ["1", "a"]]


def test_an_unchanged_export_makes_no_new_file(tmp_path):
    exported(tmp_path, (1, "a"))
    assert exported(tmp_path, (1, "a"), made=MADE.replace(year=2017)) == []
    assert not list(tmp_path.rglob(".*"))


def test_a_changed_export_keeps_the_old_one_and_moves_latest(tmp_path):
    exported(tmp_path, (1, "a"))
    exported(tmp_path, (1, "b"), made=MADE.replace(year=2017))
    assert read(tmp_path / STAMPED)[1] == ["1", "a"]
    assert read(tmp_path / "latest/people.csv")[1] == ["1", "b"]


def test_an_export_without_rows_has_its_header(tmp_path):
    exported(tmp_path)
    assert read(tmp_path / STAMPED) == [["id", "name"]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_is_never_a_formula(tmp_path, start):
    exported(tmp_path, (1, f"{start}HYPERLINK(0)"))
    assert read(tmp_path / STAMPED)[1][1] == f"'{start}HYPERLINK(0)"


def test_a_number_below_zero_stays_a_number(tmp_path):
    exported(tmp_path, (-1, -0.5))
    assert read(tmp_path / STAMPED)[1] == ["-1", "-0.5"]


def test_null_is_an_empty_cell(tmp_path):
    exported(tmp_path, (1, None))
    assert read(tmp_path / STAMPED)[1] == ["1", ""]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(texts=st.lists(st.tuples(TEXT, TEXT), max_size=4))
def test_any_text_comes_back_as_it_was_but_for_the_mark_against_formulas(tmp_path, texts):
    for old in tmp_path.rglob("*.csv"):
        old.unlink()
    exported(tmp_path, *texts)
    found = read(tmp_path / STAMPED)[1:]
    for row, cells in zip(texts, found, strict=True):
        assert all(cell in (text, f"'{text}") for text, cell in zip(row, cells, strict=True))
