"""What is promised about events, tables, forum and course export telling one story."""

import json
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from optimus.sample import SamplePlan, write_package
from tests.sample.packages import Event, Package, Row

PLAN = SamplePlan(learners=120, days=6, events=25_000)
COURSES = {
    "course-v1:RiverU+Bees101+2016_T1": "RiverU-Bees101-2016_T1",
    "RiverU/Hives2.1x/1T2016": "RiverU-Hives2.1x-1T2016",
    "course-v1:RiverU+Bees101+2016_T1-trial": "RiverU-Bees101-2016_T1-trial",
}
OPENED = {"load_video", "play_video"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    root = tmp_path_factory.mktemp("agreement") / "package"
    write_package(root, PLAN)
    return Package(root)


def states(package: Package, stem: str, kind: str) -> dict[tuple[int, str], Row]:
    """Rows of one kind by learner and the last part of the module id."""
    return {
        (int(row["student_id"]), str(row["module_id"]).replace("@", "/").split("/")[-1]): row
        for row in package.table(stem, "courseware_studentmodule")
        if row["student_id"] is not None and row["module_type"] == kind
    }


def by_course(package: Package, *types: str, source: str = "") -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {course: [] for course in COURSES}
    for event in package.distinct_events:
        if event.type in types and source in {"", event.source}:
            found[event.course].append(event)
    return found


@pytest.mark.parametrize("course", COURSES)
def test_whoever_opens_a_video_has_its_row_from_that_second(package, course):
    rows = states(package, COURSES[course], "video")
    first: dict[tuple[int, str], str] = {}
    for event in by_course(package, *OPENED)[course]:
        assert event.user is not None
        key = (event.user, event.payload["id"].split("-")[-1])
        first[key] = min(event.second, first.get(key, event.second))
    assert first
    assert {key: rows[key]["created"] for key in first} == first


@pytest.mark.parametrize("course", COURSES)
def test_answers_and_rows_of_problems_agree(package, course):
    rows = states(package, COURSES[course], "problem")
    checks: dict[tuple[int, str], list[Event]] = {}
    for event in by_course(package, "problem_check", source="server")[course]:
        assert event.user is not None
        name = event.payload["problem_id"].replace("@", "/").split("/")[-1]
        checks.setdefault((event.user, name), []).append(event)
    assert checks
    for key, events in checks.items():
        last = max(events, key=lambda event: event.payload["attempts"])
        state = json.loads(str(rows[key]["state"]))
        assert state["attempts"] == last.payload["attempts"] == len(events)
        assert state["correct_map"] == last.payload["correct_map"]
        assert state["student_answers"] == last.payload["answers"]
        assert float(str(rows[key]["grade"])) == last.payload["grade"]


@pytest.mark.parametrize("course", COURSES)
def test_whoever_opens_a_sequence_has_rows_of_it_and_its_chapter(package, course):
    stem = COURSES[course]
    chapters, sequences = (states(package, stem, kind) for kind in ("chapter", "sequential"))
    opened = 0
    for event in package.distinct_events:
        if "/courseware/" in event.type and event.course == course:
            path = event.type.split("/courseware/")[1].strip("/").split("/")
            if len(path) == 2:
                opened += 1
                assert event.user is not None
                assert str(chapters[event.user, path[0]]["created"]) <= event.second
                assert str(sequences[event.user, path[1]]["created"]) <= event.second
    assert opened


@pytest.mark.parametrize("course", COURSES)
def test_changes_of_enrolment_are_in_the_table(package, course):
    stem = COURSES[course]
    rows = {
        int(str(row["user_id"])): row for row in package.table(stem, "student_courseenrollment")
    }
    prefix = "edx.course.enrollment."
    seen = 0
    for event in by_course(package, f"{prefix}activated")[course]:
        seen += 1
        row = rows[event.payload["user_id"]]
        assert row["created"] == event.second
    for event in by_course(package, f"{prefix}mode_changed")[course]:
        assert rows[event.payload["user_id"]]["mode"] == event.payload["mode"] == "verified"
    left = {
        event.payload["user_id"] for event in by_course(package, f"{prefix}deactivated")[course]
    }
    assert left == {user for user, row in rows.items() if row["is_active"] == "0"}
    assert seen or "trial" in stem
    assert set(COURSES) == {row["course_id"] for row in rows.values()} | set(COURSES)


@pytest.mark.parametrize("course", COURSES)
def test_every_post_with_an_event_is_in_the_forum_file(package, course):
    posts = package.posts(COURSES[course])
    created = by_course(package, *(f"edx.forum.{kind}.created" for kind in POST_KINDS))[course]
    assert created
    for event in created:
        post = posts[event.payload["id"]]
        kind = event.type.split(".")[2]
        assert post["body"] == event.payload["body"] or kind == "thread"
        assert post["author_id"] in {str(event.user), None}
        assert bool(post.get("parent_id")) == (kind == "comment")
        assert ("comment_thread_id" in post) == (kind != "thread")
    assert {post["course_id"] for post in posts.values()} == {course}


POST_KINDS = ("thread", "response", "comment")


@pytest.mark.parametrize("course", COURSES)
def test_threads_count_their_replies(package, course):
    posts = package.posts(COURSES[course])
    replies = Counter(
        post["comment_thread_id"]["$oid"] for post in posts.values() if post["_type"] == "Comment"
    )
    for oid, post in posts.items():
        if post["_type"] == "CommentThread":
            assert post["comment_count"] == replies[oid]


@pytest.mark.parametrize("course", COURSES)
def test_certificates_follow_from_grades(package, course):
    stem = COURSES[course]
    grades = {row["user_id"]: row for row in package.table(stem, "grades_persistentcoursegrade")}
    issued = set()
    for row in package.table(stem, "certificates_generatedcertificate"):
        grade = grades.get(row["user_id"])
        has_passed = grade is not None and grade["letter_grade"] != ""
        is_audit = row["mode"] == "audit"
        names = (
            ("audit_passing", "audit_notpassing") if is_audit else ("downloadable", "notpassing")
        )
        assert row["status"] == names[0 if has_passed else 1]
        if grade is not None and row["grade"]:
            assert row["grade"] == grade["percent_grade"]
        if row["status"] == "downloadable":
            issued.add((int(str(row["user_id"])), row["key"]))
    announced = {
        (event.payload["user_id"], event.payload["certificate_id"])
        for event in by_course(package, "edx.certificate.created")[course]
    }
    assert announced <= issued


@pytest.mark.parametrize("course", COURSES)
def test_the_last_grade_event_is_the_grade_in_the_table(package, course):
    rows = package.table(COURSES[course], "grades_persistentcoursegrade")
    table = {row["user_id"]: float(str(row["percent_grade"])) for row in rows}
    last: dict[str, tuple[str, float]] = {}
    for event in by_course(package, "edx.grades.course.grade_calculated")[course]:
        user = event.payload["user_id"]
        assert isinstance(user, str)
        moment = (event.body["time"], event.payload["percent_grade"])
        last[user] = max(last.get(user, moment), moment)
    assert last
    assert {user: table[user] for user in last} == {user: one[1] for user, one in last.items()}


def people(package: Package, stem: str) -> tuple[set[int], set[int], set[int]]:
    """Ids with an account, with states, and with events, in one course."""
    accounts = {int(str(row["id"])) for row in package.table(stem, "auth_user")}
    rows = package.table(stem, "courseware_studentmodule")
    busy = {int(row["student_id"]) for row in rows if row["student_id"] is not None}
    course = next(course for course in COURSES if COURSES[course] == stem)
    seen = {one.user for one in package.events if one.course == course and one.user is not None}
    return accounts, busy, seen


@pytest.mark.parametrize("stem", COURSES.values())
def test_every_course_has_its_special_people(package, stem):
    accounts, busy, seen = people(package, stem)
    assert accounts - busy, "somebody is enrolled and never came"
    assert (busy & seen) - accounts, "somebody worked and has no account any more"
    assert (busy & accounts) - seen, "somebody has states and no events"
    assert busy & seen & accounts


def test_some_learners_take_two_courses_and_edge_has_its_own_people(package):
    first, second, edge = (
        {row["id"]: row["username"] for row in package.table(stem, "auth_user")}
        for stem in COURSES.values()
    )
    both = first.keys() & second.keys()
    assert both
    assert all(first[user] == second[user] for user in both)
    everybody = {**first, **second}
    assert not set(edge.values()) & set(everybody.values())


def test_profiles_vary(package):
    rows = package.table("RiverU-Bees101-2016_T1", "auth_userprofile")
    assert {"m", "f", None} <= {row["gender"] for row in rows}
    assert {None, "2999", "1850", ""} & {row["year_of_birth"] for row in rows}
    assert len({row["level_of_education"] for row in rows}) > 4
    modes = {
        row["mode"] for row in package.table("RiverU-Bees101-2016_T1", "student_courseenrollment")
    }
    assert modes == {"honor", "audit", "verified"}


def test_tables_are_awkward_in_known_ways(package):
    stem = "RiverU-Bees101-2016_T1"
    names = {str(row["username"]) for row in package.table(stem, "auth_user")}
    assert any(name.isdigit() and name.startswith("0") for name in names)
    profiles = (package.state / f"{stem}-auth_userprofile-prod-analytics.sql").read_bytes()
    assert b"\\r\\n" in profiles
    assert "\u2028".encode() in profiles
    states = (package.state / f"{stem}-courseware_studentmodule-prod-analytics.sql").read_bytes()
    assert b"\\\t" in states
    assert package.table("RiverU-Hives2.1x-1T2016", "teams") == []


def test_forum_files_are_awkward_in_known_ways(package):
    text = (package.state / "RiverU-Bees101-2016_T1-prod.mongo").read_text(encoding="utf-8")
    for spelling in ('{"$date": 14', '+0000"}', '000Z"}', '{"$numberLong": "'):
        assert spelling in text
    lines = [json.loads(line) for line in text.split("\n") if line]
    versions = Counter(line["_id"]["$oid"] for line in lines)
    assert max(versions.values()) == 2


def test_all_tables_can_be_split_and_states_are_json(package):
    paths = list(package.state.rglob("*.sql"))
    assert len(paths) == 3 * 22 - 1
    for stem in COURSES.values():
        for row in package.table(stem, "courseware_studentmodule"):
            assert isinstance(json.loads(str(row["state"])), dict)
        for row in package.table(stem, "submissions_submission", "ora"):
            assert json.loads(str(row["raw_answer"]))["parts"][0]["text"].startswith('My "')
    assert [path.name for path in package.state.glob("*.failed")] == [
        "RiverU-Hives2.1x-1T2016-teams_membership-prod-analytics.sql.failed"
    ]


@pytest.mark.parametrize("course", COURSES)
def test_essays_are_handed_in_once_and_known_to_both_sides(package, course):
    rows = package.table(COURSES[course], "submissions_submission", "ora")
    events = by_course(package, "openassessmentblock.create_submission")[course]
    assert {row["uuid"] for row in rows} == {event.payload["submission_uuid"] for event in events}


@pytest.mark.parametrize("course", COURSES)
def test_states_are_about_blocks_of_the_course(package, course):
    stem = COURSES[course]
    site = "prod-edge" if stem.endswith("trial") else "prod"
    path = package.state / f"{stem}-course_structure-{site}-analytics.json"
    blocks: dict[str, Any] = json.loads(path.read_text())
    rows = package.table(stem, "courseware_studentmodule")
    assert {row["module_id"] for row in rows} <= blocks.keys()
    exported = exported_names(package.state / stem)
    named = {
        (block["category"], key.replace("@", "/").split("/")[-1]) for key, block in blocks.items()
    }
    wanted = {name for name in named if name[0] != "course"} - {("problem", "orphan")}
    assert wanted <= exported


def exported_names(folder: Path) -> set[tuple[str, str]]:
    """Follow the pointers of a course export; gives kind and name of what is there."""
    found: set[tuple[str, str]] = set()

    def walk(element: ET.Element) -> None:
        name = element.get("url_name")
        path = folder / element.tag / f"{name}.xml"
        if name and not len(element) and path.exists():
            element = ET.parse(path).getroot()
        if name:
            found.add((element.tag, name))
        for child in element:
            walk(child)

    walk(ET.parse(folder / "course.xml").getroot())
    return found
