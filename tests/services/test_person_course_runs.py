"""What is promised about course_profile, the exports, and doing person_course again."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.services.deliveries import COURSE, DATABASE, KEY, SECOND, STEM, Deliveries
from tests.services.geo_house import LONDON
from tests.services.people import (
    ENROLMENTS,
    LOG,
    MODULES,
    OTHER_COURSE,
    OTHER_KEY,
    OTHER_STEM,
    PROFILES,
    TREE,
    USERS,
    asked,
    event,
    export,
    house_with_countries,
    learners,
    module,
    profile,
)


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return house_with_countries(tmp_path)


# --- course runs ------------------------------------------------------------------------------


def test_a_course_profile_sums_its_learners(house):
    house.table("auth_user", USERS, "7 0", "8 0")
    enrolments = [f"{user} {COURSE} 2016-01-{user:02}T00:00:00 honor" for user in (7, 8, 99)]
    house.table("student_courseenrollment", ENROLMENTS, *enrolments)
    house.table("courseware_studentmodule", MODULES, module(7, "html", "h"))
    house.olx(course=TREE)
    columns = (
        "course, dbname, mongoname, discussiontable, registration_open_date, course_launch_date, "
        "course_close_date, course_length, nregistered_students, nviewed_students, "
        "nhonor_students, nchapters, nvideos, course_effort"
    )
    assert profile(house, columns) == [
        (
            *(KEY, DATABASE, COURSE, f"{STEM}-prod"),
            *(date(2016, 1, 7), date(2016, 2, 1), date(2016, 3, 3), 5),
            *(2, 1, 2, 3, 1, None),
        )
    ]


def test_a_course_with_learners_and_no_structure_keeps_its_learners(house):
    house.table("auth_user", USERS, "7 0")
    columns = "nregistered_students, nchapters, course_launch_date, course_length"
    assert profile(house, columns) == [(1, None, None, 0)]


def test_a_course_with_a_structure_and_no_learners_has_a_profile(house):
    house.olx(course=TREE)
    columns = "nregistered_students, nexplored_students, nchapters, registration_open_date"
    assert profile(house, columns) == [(0, 0, 3, None)]
    assert asked(house, "*") == []


def test_a_course_of_nothing_but_empty_dumps_is_none(house):
    house.table("auth_user", USERS)
    assert profile(house, "*") == []


def test_a_bad_row_of_one_course_does_not_stop_the_others(house):
    house.table("auth_user", USERS, "7 0", "x 0", "8 0")
    house.table("auth_user", USERS, "9 0", stem=OTHER_STEM)
    assert learners(house, "user_id") == [(7,), (8,)]
    assert asked(house, "user_id", OTHER_KEY) == [(9,)]


# --- again ------------------------------------------------------------------------------------


def files(house: Deliveries) -> dict[str, int]:
    lake = house.settings.lake_path / "derived/person_course"
    return {path.stem: path.stat().st_mtime_ns for path in lake.iterdir()}


def test_only_courses_that_changed_are_done_again(house):
    house.table("auth_user", USERS, "7 0")
    house.table("auth_user", USERS, "7 0", stem=OTHER_STEM)
    house.log(LOG.replace("02-03", "02-02"), event(context={"course_id": OTHER_COURSE}))
    house.ingest()
    before = files(house)
    house.log(LOG, event())
    house.ingest()
    changed = {name for name, moment in files(house).items() if moment != before[name]}
    assert changed == {KEY}
    assert asked(house, "nevents") == [(1,)]


def test_a_new_delivery_replaces_the_learners(house):
    house.table("auth_user", USERS, "7 0", "8 0")
    house.ingest()
    house.day = SECOND
    house.table("auth_user", USERS, "8 0", "9 0")
    assert learners(house, "user_id") == [(8,), (9,)]


def test_a_log_that_comes_again_without_a_learners_events_takes_them_away(house):
    house.table("auth_user", USERS, "7 0")
    house.log(LOG, event(), event(ip=LONDON))
    assert learners(house, "nevents, final_cc_cname") == [(2, "AU,GB")]
    house.log(LOG, event(8))
    assert learners(house, "nevents, final_cc_cname") == [(0, None)]


def test_nothing_new_makes_no_new_file(house):
    house.table("auth_user", USERS, "7 0")
    house.ingest()
    before = sorted(house.settings.export_path.rglob("*.csv"))
    house.ingest()
    assert sorted(house.settings.export_path.rglob("*.csv")) == before


# --- exports ----------------------------------------------------------------------------------


def test_what_is_exported_is_what_is_in_the_lake(house):
    house.table("auth_user", USERS, "7 1")
    house.table("auth_user", USERS, "7 1", stem=OTHER_STEM)
    house.log(LOG, event())
    house.ingest()
    [row] = export(house, f"personcourse_{KEY}")
    assert (row["user_id"], row["nevents"], row["last_event"]) == ("7", "1", "2016-02-03")
    assert (row["YoB"], row["roles"]) == ("", "1")
    assert [row["course"] for row in export(house, "courseprofile")] == [OTHER_KEY, KEY]


def test_the_profiles_of_courses_that_did_not_change_stay_in_the_export(house):
    house.table("auth_user", USERS, "7 0")
    house.table("auth_user", USERS, "7 0", stem=OTHER_STEM)
    house.ingest()
    house.log(LOG, event())
    house.ingest()
    assert len(export(house, "courseprofile")) == 2


def test_a_formula_in_a_name_is_none_in_the_export(house):
    house.table("auth_user", USERS, "7 0")
    house.table("auth_userprofile", PROFILES, "7 =1+1 1980 @x")
    house.ingest()
    [row] = export(house, f"personcourse_{KEY}")
    assert (row["LoE"], row["gender"]) == ("'=1+1", "'@x")


def test_the_time_in_an_exports_name_is_utc(house):
    house.table("auth_user", USERS, "7 0")
    house.ingest()
    [path] = house.settings.export_path.glob(f"personcourse_{KEY}_*.csv")
    written = datetime.strptime(path.stem.rpartition("_")[2], "%m%d%Y-%H%M%S").replace(tzinfo=UTC)
    assert abs((datetime.now(UTC) - written).total_seconds()) < 600
