"""What is promised about a learner's row in person_course, one promise per test."""

import json
from datetime import date
from pathlib import Path

import pytest

from tests.services.deliveries import COURSE, KEY, Deliveries
from tests.services.geo_house import LONDON, NOWHERE
from tests.services.people import (
    CERTIFICATES,
    EDGE_LOG,
    ENROLMENTS,
    LOG,
    MODULES,
    OTHER_COURSE,
    PROFILES,
    SERVICES,
    TREE,
    USERS,
    asked,
    event,
    export,
    house_with_countries,
    learners,
    module,
)


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return house_with_countries(tmp_path)


# --- columns ----------------------------------------------------------------------------------


def test_everything_known_of_a_learner_is_in_one_row(house):
    house.table("auth_user", USERS, "7 1")
    house.table("auth_userprofile", PROFILES, "7 m 1980 f")
    house.table("student_courseenrollment", ENROLMENTS, f"7 {COURSE} 2016-01-31T23:59:59 honor")
    house.table("certificates_generatedcertificate", CERTIFICATES, f"7 {COURSE} downloadable 0.9")
    house.table(
        "courseware_studentmodule",
        MODULES,
        module(7, "video", "v"),
        module(7, "chapter", "a", day="2016-02-04"),
        module(7, "chapter", "b"),
        module(7, "problem", "p", '{"correct_map":{}}'),
    )
    house.forum(json.dumps({"_id": {"$oid": "0" * 24}, "author_id": "7"}))
    house.olx(course=TREE)
    house.log(LOG, event(), event(ip=LONDON, time="2016-02-05T00:00:00+00:00"), event(ip=NOWHERE))
    assert learners(house) == [
        (
            COURSE,
            7,
            1,
            1,
            1,
            1,
            "AU,GB",
            "m",
            1980,
            "f",
            "honor",
            0.9,
            date(2016, 1, 31),
            date(2016, 2, 5),
            3,
            2,
            1,
            2,
            1,
            "1",
            1,
            0,
        )
    ]


def test_a_learner_of_whom_nothing_is_known_has_a_row(house):
    house.table("auth_user", USERS, "7 0")
    columns = "viewed, explored, certified, final_cc_cname, YoB, mode, grade, last_event, nevents"
    assert learners(house, columns) == [(0, 0, 0, None, None, None, 0.0, None, 0)]


def test_the_columns_are_the_originals_in_its_order(house):
    house.table("auth_user", USERS, "7 0")
    house.ingest()
    assert list(export(house, f"personcourse_{KEY}")[0]) == [
        *("course_id", "user_id", "registered", "viewed", "explored", "certified"),
        *("final_cc_cname", "LoE", "YoB", "gender", "mode", "grade", "start_time", "last_event"),
        *("nevents", "ndays_act", "nplay_video", "nchapters", "nforum_posts", "roles"),
        *("attempted_problems", "inconsistent_flag"),
    ]


@pytest.mark.parametrize(
    ("opened", "chapters", "explored"),
    [(0, 3, 0), (1, 3, 0), (2, 3, 1), (2, 4, 1), (1, 1, 1), (1, 0, 1), (0, 0, 0), (1, None, None)],
)
def test_explored_is_half_of_the_chapters_rounded_up_and_at_least_one(
    house, opened, chapters, explored
):
    house.table("auth_user", USERS, "7 0")
    rows = [module(7, "chapter", f"c{number}") for number in range(opened)]
    house.table("courseware_studentmodule", MODULES, *rows)
    if chapters is not None:
        inner = "".join(f'<chapter url_name="c{number}"/>' for number in range(chapters))
        house.olx(course=f'<course url_name="r"><about/>{inner}</course>')
    assert learners(house, "explored") == [(explored,)]


@pytest.mark.parametrize(
    ("born", "found"),
    [("1901", 1901), ("2155", 2155), ("1900", None), ("2156", None), ("NULL", None)],
)
def test_a_year_of_birth_is_kept_from_1901_to_2155(house, born, found):
    house.table("auth_user", USERS, "7 0")
    house.table("auth_userprofile", PROFILES, f"7 m {born} f")
    assert learners(house, "YoB") == [(found,)]


@pytest.mark.parametrize("grade", ["", "A", "NULL", "nan", "inf", "1e999"])
def test_a_grade_that_is_no_number_is_0(house, grade):
    house.table("auth_user", USERS, "7 0")
    house.table("certificates_generatedcertificate", CERTIFICATES, f"7 {COURSE} notpassing {grade}")
    assert learners(house, "grade, certified") == [(0.0, 0)]


def test_of_several_rows_of_a_learner_the_last_counts(house):
    house.table("auth_user", USERS, "7 0", "7 1")
    house.table("auth_userprofile", PROFILES, "7 b 1970 m", "7 m 1980 f")
    house.table(
        "student_courseenrollment",
        ENROLMENTS,
        f"7 {COURSE} 2016-02-02T00:00:00 verified",
        f"7 {COURSE} 2016-01-01T00:00:00 audit",
    )
    assert learners(house, "roles, LoE, YoB, gender, mode, start_time") == [
        ("1", "m", 1980, "f", "audit", date(2016, 1, 1))
    ]


def test_which_statuses_are_certified_is_a_setting(house, tmp_path):
    house.table("auth_user", USERS, "7 0")
    house.table("certificates_generatedcertificate", CERTIFICATES, f"7 {COURSE} audit_passing 0.5")
    assert learners(house, "certified") == [(1,)]
    strict = Deliveries(tmp_path, SERVICES, certified_statuses=["downloadable"])
    assert learners(strict, "certified") == [(0,)]


@pytest.mark.parametrize("state", ['{"CORRECT_MAP":1}', '{"correctXmap":1}', "NULL", ""])
def test_only_a_state_with_the_literal_word_is_an_attempt(house, state):
    house.table("auth_user", USERS, "7 0")
    house.table("courseware_studentmodule", MODULES, module(7, "problem", "p", state))
    assert learners(house, "attempted_problems") == [(0,)]


def test_activity_without_any_event_is_inconsistent(house):
    house.table("auth_user", USERS, "7 0", "8 0", "9 0")
    house.table("courseware_studentmodule", MODULES, module(7, "html", "h"), module(8, "html", "h"))
    house.log(LOG, event(8))
    assert learners(house, "user_id, inconsistent_flag") == [(7, 1), (8, 0), (9, 0)]


# --- events -----------------------------------------------------------------------------------


def test_only_events_of_the_learner_in_the_course_count(house):
    house.table("auth_user", USERS, "0 0", "7 0")
    house.log(
        LOG,
        event(7),
        event("7"),
        event(0),
        event(None),
        event(""),
        event(7, context={"course_id": OTHER_COURSE}),
        event(7, context={"course_id": ""}),
        event(7, context={"course_id": ""}, page=f"https://x.org/courses/{COURSE}/info"),
        event(7, context={"course_id": ""}, referer=f"https://x.org/courses/{COURSE}/info"),
    )
    assert learners(house, "user_id, nevents") == [(0, 1), (7, 3)]


def test_the_last_event_is_the_latest_and_not_the_last_in_the_log(house):
    house.table("auth_user", USERS, "7 0")
    house.log(LOG, event(time="2016-02-04T00:00:00+00:00"), event())
    assert learners(house, "last_event") == [(date(2016, 2, 4),)]


def test_old_style_course_ids_meet_their_events(house):
    house.table("auth_user", USERS, "7 0")
    old = "DemoX/Bees101/2016_T1"
    house.table("student_courseenrollment", ENROLMENTS, f"7 {old} 2016-02-02T00:00:00 honor")
    house.log(LOG, event(7, context={"course_id": old}))
    assert learners(house, "course_id, nevents") == [(old, 1)]


def test_edge_and_production_are_never_mixed(house):
    for site in ("prod", "edge"):
        house.table("auth_user", USERS, "7 0", site=site)
    house.log(LOG, event())
    house.log(EDGE_LOG, event(), event(ip=LONDON))
    assert learners(house, "nevents") == [(1,)]
    assert asked(house, "nevents, final_cc_cname", f"{KEY}_Edge") == [(2, "AU,GB")]


def test_a_log_delivered_under_two_names_counts_once(house):
    house.table("auth_user", USERS, "7 0")
    house.log(LOG, event())
    house.log(LOG.replace("02-03", "02-04"), event())
    assert learners(house, "nevents") == [(1,)]


def test_learners_without_an_account_have_no_row_and_are_counted(house):
    house.table("auth_user", USERS, "7 0")
    house.table("courseware_studentmodule", MODULES, module(8, "html", "h"))
    house.log(LOG, event(9), event(9), event(8))
    assert learners(house, "user_id") == [(7,)]
    assert any(note.startswith("2 users have events") for note in house.notes("person_course"))
