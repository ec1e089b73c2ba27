"""A whole package goes through the commands; an independent calculation says what must come out."""

import re

import pytest

from tests.end_to_end.changes import (
    append_lines,
    deliver_dumps,
    event_line,
    move_latest,
    newest_log,
    replace_cell,
)
from tests.end_to_end.comparison import (
    assert_equals_oracle,
    assert_none,
    csv_differences,
    person_differences,
    profile_differences,
)
from tests.end_to_end.conftest import Ingested
from tests.end_to_end.installation import Installation
from tests.end_to_end.oracle import Answers, calculate
from tests.end_to_end.oracle_events import ledger
from tests.end_to_end.oracle_files import all_logs

COURSES = {"Bees101_2016_T1", "Hives21x_1T2016", "Bees101_2016_T1_trial_Edge"}
FILE_SERVICES = {"clickstream", "database_state", "discussion_forums", "course_structure"}
NEXT_WEEK = "2016-02-15"


@pytest.fixture(scope="module")
def answers(ingested, geo_database) -> Answers:
    return calculate(ingested.installation.package, geo_database)


def some_learner(answers: Answers, key: str, *, events: bool) -> int:
    """The first learner of a course with events, or without any."""
    rows = answers.person_course[key]
    return next(int(row["user_id"]) for row in rows if (row["nevents"] > 0) is events)


def test_the_oracle_finds_enough_to_judge_by(answers):
    assert answers.person_course.keys() == COURSES
    for rows in answers.person_course.values():
        assert len({row["nevents"] for row in rows}) > 2
        assert {row["inconsistent_flag"] for row in rows} == {0, 1}
        assert {row["explored"] for row in rows} == {0, 1}
        assert any(row["nforum_posts"] for row in rows)
        assert any("," in (row["final_cc_cname"] or "") for row in rows)


def test_every_value_of_person_course_is_the_oracles(ingested, answers):
    assert_none(person_differences(ingested.installation, answers))


def test_every_value_of_course_profile_is_the_oracles(ingested, answers):
    assert_none(profile_differences(ingested.installation, answers))


def test_the_lake_has_person_course_of_these_courses_and_no_other(ingested):
    rows = ingested.installation.query(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'Person_Course'"
    )
    names = {row["table_name"] for row in rows}
    assert {name for name in names if name.startswith("personcourse_")} == {
        f"personcourse_{key}" for key in COURSES
    }
    assert "courseprofile" in names


@pytest.mark.parametrize("key", sorted(COURSES))
def test_the_export_of_a_course_holds_the_same_rows(ingested, answers, key):
    rows = ingested.installation.export(f"personcourse_{key}")
    assert_none(csv_differences(f"personcourse_{key}", "user_id", rows, answers.person_course[key]))


def test_the_export_of_the_profiles_holds_the_same_rows(ingested, answers):
    rows = ingested.installation.export("courseprofile")
    assert_none(csv_differences("courseprofile", "course", rows, answers.course_profile))


def test_every_export_is_kept_under_the_time_it_was_made_as_well(ingested):
    exports = ingested.installation.exports
    latest = {path.stem for path in (exports / "latest").glob("*.csv")}
    assert latest == {f"personcourse_{key}" for key in COURSES} | {"courseprofile"}
    for name in latest:
        [dated] = exports.glob(f"{name}_????????-??????.csv")
        assert dated.read_bytes() == (exports / "latest" / f"{name}.csv").read_bytes()


def test_every_line_of_every_log_is_a_row_or_a_reject(ingested):
    installation, report = ingested.installation, ingested.report
    told = installation.counts("clickstream")
    expected = {log.path.name: ledger(log) for log in all_logs(installation.package)}
    counted = {name: (one["lines"], one["rejects"]) for name, one in told.items()}
    assert counted == expected
    assert all(one["lines"] == one["rows"] + one["rejects"] for one in told.values())
    assert sum(one["rejects"] for one in told.values()) == report.broken_lines
    assert sum(one["lines"] for one in told.values()) == report.events


def test_the_tables_have_the_originals_names(ingested, answers):
    expected = {"logs.clickstream": ingested.report.events - ingested.report.broken_lines}
    for key, run in answers.runs.items():
        expected[f'"{run.database}".auth_user'] = len(answers.person_course[key])
        expected[f'discussion_forum."{run.discussion}"'] = answers.posts[key]
    selects = [f"SELECT '{table}' AS asked, count(*) AS n FROM {table}" for table in expected]
    rows = ingested.installation.query(" UNION ALL ".join(selects))
    assert {row["asked"]: row["n"] for row in rows} == expected


@pytest.mark.parametrize(
    "table",
    [
        "logs.clickstream",
        '"RiverU_Hives21x_1T2016".auth_user',
        '"RiverU_Hives21x_1T2016".courseware_studentmodule',
        'discussion_forum."RiverU-Hives2.1x-1T2016-prod"',
    ],
)
def test_rows_with_all_their_columns_can_be_printed(ingested, table):
    rows = ingested.installation.query(f"SELECT * FROM {table} LIMIT 3")
    assert len(rows) == 3


def test_users_without_an_account_are_counted_for_the_operator(ingested, answers):
    [note] = ingested.installation.notes("person_course")
    assert note.startswith(f"{sum(answers.strangers.values())} users")
    for key, number in answers.strangers.items():
        assert f"{answers.runs[key].database} {number}" in note


def test_what_edx_could_not_make_is_named_and_nothing_else_has_failed(ingested):
    [problem] = ingested.installation.status()["problems"]
    assert problem["service"] == "database_state"
    assert "RiverU-Hives2.1x-1T2016-teams_membership" in problem["item"]


def test_the_same_package_again_does_nothing(ingested):
    installation = ingested.installation
    run, status, files = installation.last_run(), installation.status(), installation.files()
    installation.once()
    assert installation.runs_since(run) == []
    assert installation.status() == status
    assert installation.files() == files


def test_a_changed_log_is_done_again_and_what_depends_on_it(fresh, geo_database):
    fresh.once()
    before = calculate(fresh.package, geo_database)
    learner = some_learner(before, "Bees101_2016_T1", events=False)
    log = newest_log(fresh.package)
    course = "course-v1:RiverU+Bees101+2016_T1"
    append_lines(log, event_line(course, learner, "2016-02-07T22:00:00+00:00"))
    run, files = fresh.last_run(), fresh.files()
    fresh.once()
    after = assert_equals_oracle(fresh, geo_database)
    done = fresh.runs_since(run)
    assert [one for one in done if one[0] in FILE_SERVICES] == [("clickstream", log.name, "done")]
    assert {outcome for _, _, outcome in done} == {"done"}
    changed = {name for name, print_ in fresh.files().items() if files.get(name) != print_}
    assert not [name for name in changed if "trial_Edge" in name], "nothing of it has changed"
    [row] = [row for row in after.person_course["Bees101_2016_T1"] if row["user_id"] == learner]
    assert (row["nevents"], row["final_cc_cname"], row["inconsistent_flag"]) == (1, "AU", 0)


def test_new_dumps_without_new_clicks_update_person_course(fresh, geo_database):
    fresh.once()
    before = calculate(fresh.package, geo_database)
    [learner, *_] = [
        row for row in before.person_course["Hives21x_1T2016"] if row["mode"] == "honor"
    ]
    folder = deliver_dumps(fresh.package, NEXT_WEEK)
    replace_cell(
        folder / "RiverU-Hives2.1x-1T2016-student_courseenrollment-prod-analytics.sql",
        ("user_id", str(learner["user_id"])),
        ("mode", "verified"),
    )
    move_latest(fresh.package, NEXT_WEEK)
    run = fresh.last_run()
    fresh.once()
    after = assert_equals_oracle(fresh, geo_database)
    assert "clickstream" not in {service for service, _, _ in fresh.runs_since(run)}
    [profile] = [row for row in after.course_profile if row["course"] == "Hives21x_1T2016"]
    [earlier] = [row for row in before.course_profile if row["course"] == "Hives21x_1T2016"]
    assert profile["nvertified_students"] == earlier["nvertified_students"] + 1


@pytest.mark.parametrize("share", [0.35, 0.75])
def test_a_crash_at_any_moment_doubles_and_loses_nothing(fresh, ingested, geo_database, share):
    fresh.once_until_killed(ingested.seconds * share)
    fresh.once()
    assert_equals_oracle(fresh, geo_database)
    assert_nothing_doubled_or_left_over(fresh, ingested)


def test_crash_after_crash_doubles_and_loses_nothing(fresh, ingested, geo_database):
    # The first ones come early, so that they find something to kill on any machine.
    shares = (0.1, 0.2, 0.3, 0.4, 0.3, 0.4)
    crashes = [fresh.once_until_killed(ingested.seconds * share) for share in shares]
    assert crashes.count(True) > 1
    fresh.once_or_retry()
    assert_equals_oracle(fresh, geo_database)
    assert_nothing_doubled_or_left_over(fresh, ingested)


def assert_nothing_doubled_or_left_over(fresh: Installation, ingested: Ingested) -> None:
    events = ingested.report.events - ingested.report.broken_lines
    assert fresh.query("SELECT count(*) AS n FROM logs.clickstream") == [{"n": events}]
    assert lake_names(fresh) == lake_names(ingested.installation)


def lake_names(installation: Installation) -> set[str]:
    paths = (path for path in installation.lake.rglob("*") if path.is_file())
    names = (path.relative_to(installation.lake).as_posix() for path in paths)
    # What is known of packages is kept by data folder, and each installation has its own.
    return {re.sub("^packages/([a-z]+)/[^/]+/", r"packages/\1/", name) for name in names}
