"""Logs that come again: changed, back as they were, under another name, packed or not."""

import gzip
from pathlib import Path

import pytest

from tests.end_to_end.changes import (
    append_lines,
    event_line,
    keep_lines,
    newest_log,
    read_bytes,
    replace_bytes,
)
from tests.end_to_end.comparison import assert_equals_oracle, assert_none, person_differences
from tests.end_to_end.installation import Installation
from tests.end_to_end.oracle import calculate
from tests.end_to_end.oracle_files import state_folder

BEES = "course-v1:RiverU+Bees101+2016_T1"
DAY = "2016-02-02"


def learner_without_events(installation: Installation, geo_database: Path, key: str) -> int:
    rows = calculate(installation.package, geo_database).person_course[key]
    return next(int(row["user_id"]) for row in rows if row["nevents"] == 0)


def events_of(installation: Installation, key: str) -> dict[int, int]:
    sql = f'SELECT user_id, nevents FROM "Person_Course"."personcourse_{key}" WHERE nevents > 0'
    return {row["user_id"]: row["nevents"] for row in installation.query(sql)}


def test_a_log_that_comes_back_as_it_was_gives_what_it_gave(small, geo_database):
    before = calculate(small.package, geo_database)
    log = newest_log(small.package)
    first = log.read_bytes()
    learner = learner_without_events(small, geo_database, "Bees101_2016_T1")
    append_lines(log, event_line(BEES, learner, f"{DAY}T01:02:03Z"))
    small.once()
    assert events_of(small, "Bees101_2016_T1")[learner] == 1
    replace_bytes(log, first)
    small.once()
    assert_none(person_differences(small, before))


def test_a_log_without_a_courses_events_takes_them_away_from_it(small, geo_database):
    log = newest_log(small.package)
    keep_lines(log, without=b"Hives")
    small.once()
    assert_equals_oracle(small, geo_database)


def test_a_log_that_comes_back_empty_takes_all_its_events_away(small, geo_database):
    log = newest_log(small.package, "edge")
    replace_bytes(log, gzip.compress(b""))
    small.once()
    assert_equals_oracle(small, geo_database)


def test_a_log_under_another_name_counts_once_until_one_of_them_changes(small, geo_database):
    log = newest_log(small.package)
    copy = log.with_name("riveru-edx-events-2016-02-03.log.gz")
    replace_bytes(copy, log.read_bytes())
    small.once()
    assert_equals_oracle(small, geo_database)
    learner = learner_without_events(small, geo_database, "Bees101_2016_T1")
    append_lines(log, event_line(BEES, learner, f"{DAY}T01:02:03Z"))
    small.once()
    assert_equals_oracle(small, geo_database)


def test_a_log_that_becomes_the_copy_of_another_gives_nothing_of_its_own(small, geo_database):
    log = newest_log(small.package, "edge")
    replace_bytes(log, log.with_name(log.name.replace(DAY, "2016-02-01")).read_bytes())
    small.once()
    assert_equals_oracle(small, geo_database)


@pytest.mark.parametrize(
    "name",
    [
        "RiverU-Bees101-2016_T1-auth_user-prod-analytics.sql",
        "RiverU-Bees101-2016_T1-prod.mongo",
    ],
)
def test_a_dump_that_comes_again_on_the_same_day_replaces_its_rows(small, geo_database, name):
    path = state_folder(small.package) / name
    first, *_, last, _ = path.read_bytes().split(b"\n")
    replace_bytes(path, b"\n".join([first, last, b""]))
    small.once()
    assert_equals_oracle(small, geo_database)


def test_a_course_folder_is_read_again_when_a_file_deep_in_it_changes(small, geo_database):
    folder = state_folder(small.package) / "RiverU-Bees101-2016_T1"
    page = sorted((folder / "vertical").iterdir())[0]
    page.write_text('<vertical><html url_name="new"/><poll/><poll/></vertical>')
    small.once()
    assert_equals_oracle(small, geo_database)


@pytest.mark.parametrize("late", ["database_state", "clickstream_logs"])
def test_it_does_not_matter_what_comes_first(unread, geo_database, late):
    aside = unread.package.with_name("not yet")
    (unread.package / late).rename(aside)
    unread.once()
    aside.rename(unread.package / late)
    unread.once()
    assert_equals_oracle(unread, geo_database)


def test_a_log_that_is_unpacked_counts_once(small, geo_database):
    log = newest_log(small.package)
    replace_bytes(log.with_suffix(""), read_bytes(log))
    small.once()
    assert_equals_oracle(small, geo_database)
    log.unlink()
    small.once()
    assert_equals_oracle(small, geo_database)


def test_times_are_repaired_where_they_stand_now(small, geo_database):
    """The repaired line moves, and another with a time as bad takes its place."""
    learner = learner_without_events(small, geo_database, "Bees101_2016_T1")
    context = {"user_id": learner, "course_id": BEES, "received_at": f"{DAY}T05:00:00Z"}
    repaired = event_line(BEES, learner, "1970-01-01T00:00:00Z", context=context)
    late = event_line(BEES, learner, "2031-01-01T00:00:00Z")
    log = newest_log(small.package)
    first = read_bytes(log)
    append_lines(log, repaired)
    small.once()
    assert_equals_oracle(small, geo_database)
    replace_bytes(log, gzip.compress(first + b"\n"))
    append_lines(log, late, repaired)
    small.once()
    assert_equals_oracle(small, geo_database)
    replace_bytes(log, gzip.compress(first + b"\n"))
    append_lines(log, event_line(BEES, learner, "1970-01-02T00:00:00Z"))
    small.once()
    assert_equals_oracle(small, geo_database)


def test_a_crash_while_a_log_is_done_again_leaves_the_old_or_the_new(small, geo_database):
    log = newest_log(small.package)
    learner = learner_without_events(small, geo_database, "Bees101_2016_T1")
    for number, seconds in enumerate((1.2, 1.6, 2.0, 2.4)):
        append_lines(log, event_line(BEES, learner, f"{DAY}T01:02:0{number}Z"))
        small.once_until_killed(seconds)
    small.once_or_retry()
    assert_equals_oracle(small, geo_database)
    assert events_of(small, "Bees101_2016_T1")[learner] == 4
