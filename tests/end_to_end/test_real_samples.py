"""Real input published by others is ingested, and nothing of it is set aside that is not broken.

The samples lie beside the repository and are not ours: they are copied when the tests run.
"""

import gzip
import json
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.end_to_end.comparison import assert_none, person_differences, profile_differences
from tests.end_to_end.installation import ROOT, Installation
from tests.end_to_end.oracle import Answers, calculate
from tests.end_to_end.oracle_events import ledger
from tests.end_to_end.oracle_files import all_logs

SAMPLES = ROOT.parent / "shared" / "data"
ROUTED = SAMPLES / "tracking-events" / "event-routing-backends"
GUIDE = SAMPLES / "tracking-events" / "edx-documentation" / "samples.log"
FORUM = SAMPLES / "forum" / "edx-documentation" / "sample.mongo"
TREE = SAMPLES / "olx" / "demo-course" / "course"

# What the samples hold, found out by reading them: lines, and those of them that are broken.
LOGS = {
    "edx-edx-events-2023-05-23.log": (12, [3, 11]),
    "edxstripped-edx-events-2023-05-23.log": (12, [3, 11]),
    "edxguide-edx-events-2016-07-01.log": (7, []),
    "edxsingle-edx-events-2023-09-08.log.gz": (54, []),
}
DUMPS = "2023-09-10"
DEMO_STEM, DEMO_KEY = "edX-DemoX-Demo_Course", "DemoX_Demo_Course"

pytestmark = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"the published samples are not in {SAMPLES}"
)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, geo_database: Path) -> Installation:
    folder = tmp_path_factory.mktemp("real")
    copy_logs(folder / "package" / "clickstream_logs" / "latest")
    copy_dumps(folder / "package" / "database_state" / DUMPS)
    installation = Installation(folder, folder / "package", geo_database)
    installation.once()
    return installation


@pytest.fixture(scope="module")
def answers(real: Installation, geo_database: Path) -> Answers:
    return calculate(real.package, geo_database)


def copy_logs(folder: Path) -> None:
    folder.mkdir(parents=True)
    plain, stripped, guide, single = LOGS
    shutil.copyfile(ROUTED / "tracking.log", folder / plain)
    shutil.copyfile(ROUTED / "tracking-stripped.log", folder / stripped)
    shutil.copyfile(GUIDE, folder / guide)
    events = [json.loads(path.read_text("utf-8")) for path in sorted(single_events())]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / single).write_bytes(gzip.compress(lines.encode()))


def single_events() -> list[Path]:
    return list((ROUTED / "single-events").glob("*.json"))


def copy_dumps(folder: Path) -> None:
    """Copy the forum and the course, and give the users of the events accounts."""
    folder.mkdir(parents=True)
    shutil.copyfile(FORUM, folder / "edX-edX101-How_to_Create_an_edX_Course-prod.mongo")
    shutil.copytree(TREE, folder / "OpenedX-DemoX-DemoCourse")
    users = (3, 6, 8, 19)
    accounts = "".join(f"{user}\tlearner{user}\t0\n" for user in users)
    path = folder / f"{DEMO_STEM}-auth_user-prod-analytics.sql"
    path.write_text(f"id\tusername\tis_staff\n{accounts}")
    enrolments = "".join(
        f"{user}\t{user}\tcourse-v1:edX+DemoX+Demo_Course\t2020-01-01 00:00:00\t1\taudit\n"
        for user in users
    )
    path = folder / f"{DEMO_STEM}-student_courseenrollment-prod-analytics.sql"
    path.write_text(f"id\tuser_id\tcourse_id\tcreated\tis_active\tmode\n{enrolments}")


def rejected_lines(real: Installation, name: str) -> list[int]:
    told = json.loads(real.run("rejects", "show", name, "--json", "--limit", "100"))
    return sorted(one["line"] for one in told if not one["kept"])


def test_what_is_broken_in_the_samples_is_as_we_read_them(real):
    told = {log.path.name: ledger(log) for log in all_logs(real.package)}
    assert told == {name: (lines, len(broken)) for name, (lines, broken) in LOGS.items()}


@pytest.mark.parametrize("name", LOGS)
def test_only_broken_lines_are_set_aside(real, name):
    lines, broken = LOGS[name]
    counts = real.counts("clickstream")[name]
    assert (counts["lines"], counts["rejects"]) == (lines, len(broken))
    assert counts["rows"] == lines - len(broken)


@pytest.mark.parametrize("name", [name for name, (_, broken) in LOGS.items() if broken])
def test_the_lines_set_aside_are_the_broken_ones(real, name):
    assert rejected_lines(real, name) == LOGS[name][1]


def test_nothing_else_is_set_aside_and_nothing_fails(real):
    assert real.status()["problems"] == []
    for service in ("database_state", "discussion_forums", "course_structure"):
        assert {one["rejects"] for one in real.counts(service).values()} == {0}


def test_every_value_is_the_oracles(real, answers):
    assert_none([*person_differences(real, answers), *profile_differences(real, answers)])


def test_the_learners_of_the_demo_course_have_their_events(real, answers):
    counted = {row["user_id"]: row["nevents"] for row in answers.person_course[DEMO_KEY]}
    assert all(counted.values())
    # The two forms of the server's log differ by a prefix only: as files they are not equal.
    assert counted[6] == 2 * 5
    rows = real.query(f'SELECT user_id, nevents FROM "Person_Course"."personcourse_{DEMO_KEY}"')
    assert {row["user_id"]: row["nevents"] for row in rows} == counted


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("mongoname", "course-v1:OpenedX+DemoX+DemoCourse"),
        ("course_launch_date", date(2020, 1, 1)),
        ("course_close_date", None),
        ("course_length", 0),
        ("nchapters", 6),
    ],
)
def test_the_demo_course_is_read_from_its_export(real, answers, column, value):
    [row] = [row for row in answers.course_profile if row["course"] == "DemoX_DemoCourse"]
    assert row[column] == value


def test_the_learners_words_in_the_forum_are_kept(real):
    table = 'discussion_forum."edX-edX101-How_to_Create_an_edX_Course-prod"'
    [post] = real.query(f"SELECT * FROM {table}")
    assert post["body"].startswith("Welcome to\nthe edX101 forum!")


def test_every_published_event_keeps_its_name_and_its_payload(real):
    rows = real.query("SELECT name, event_type, event FROM logs.clickstream")
    known: Callable[[str], bool] = {row["name"] for row in rows}.__contains__
    for path in single_events():
        assert known(json.loads(path.read_text("utf-8"))["name"]), path.name
    assert len([row for row in rows if row["event"]]) == len(rows)
