"""What the REST application of 2014 gets of our databases is what the package's files say."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from courses import get_all_courses
from optimus.settings import FixedSettings
from tests.with_servers import (
    old_answers,
    old_answers_events,
    old_answers_forums,
    old_reader,
    old_reader_forums,
    old_reader_meta,
)
from tests.with_servers.old_answers import Delivery
from tests.with_servers.old_reader import OldReader
from tests.with_servers.old_shapes import assert_has_the_types, assert_is_the_block

COURSES = ("Bees101_2016_T1", "Bees101_2016_T1_trial_Edge", "Hives21x_1T2016")
FIRST_YEAR = 1000
"""Readers of dates cannot spell a year before."""
EVERYTHING = (*COURSES, "all")
Answer = Callable[..., Any]


@pytest.fixture(scope="module")
def old(ingested) -> Iterator[OldReader]:
    courses = get_all_courses(FixedSettings(data_paths=[ingested.package]))
    www = ingested.folder / "host" / "www"
    reader = OldReader(ingested.mariadb.port, ingested.mongodb.port, courses, www)
    yield reader
    reader.mongo.close()


@pytest.fixture(scope="module")
def delivery(package, geo_database) -> Delivery:
    return Delivery(package, geo_database)


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("table", old_reader.MODELS)
def test_every_declared_column_is_there_with_all_rows(old, delivery, course, table):
    found = old.rows(course, table, old_reader.MODELS[table])
    assert {row["id"] for row in found} == {int(row["id"]) for row in delivery.rows(course, table)}
    assert len(found) > 5


# --- students ---------------------------------------------------------------------------------


@pytest.mark.parametrize("course", EVERYTHING)
@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (old_reader.student_genders, old_answers.genders),
        (old_reader.student_ages, old_answers.ages),
        (old_reader.student_fullages, old_answers.fullages),
        (old_reader.student_educations, old_answers.educations),
        (old_reader.student_modes, old_answers.modes),
        (old_reader.student_countries, old_answers.enrolment_countries),
        (old_reader.student_dates, old_answers.dates),
        (old_reader.student_active_days, old_answers.active_days),
        (old_reader.student_in_age_range, old_answers.in_age_range),
    ],
)
def test_learners_are_counted_as_in_the_files(
    old, delivery, asked: Answer, answer: Answer, course: str
):
    expected = answer(delivery, course)
    assert asked(old, course) == expected
    assert len(expected) > 2 or course != "all"


@pytest.mark.parametrize("course", COURSES)
def test_learners_active_in_a_week_are_counted_as_in_the_events(old, delivery, course):
    expected = old_answers.active_weeks(delivery, course)
    weeks = old_reader.users_by_week(old, course)
    dated = {week: users for week, users in weeks.items() if re.fullmatch(r"\d{4}_\d+", week)}
    assert {old_reader.monday_of(week): users for week, users in dated.items()} == expected
    assert expected.total() > 5


@pytest.mark.parametrize("course", EVERYTHING)
def test_every_active_week_can_be_told(old, delivery, course):
    assert old_reader.student_active_weeks(old, course) == old_answers.active_weeks(
        delivery, course
    )


@pytest.mark.parametrize("course", COURSES)
def test_person_course_is_that_of_the_files(old, delivery, course):
    found = old_reader.student_personcourse(old, course)
    found.sort(key=lambda row: int(row["user_id"]))
    assert found == old_answers.people(delivery, course)
    assert len(found) > 5


def test_a_course_without_person_course_has_none(old):
    assert old_reader.student_personcourse(old, "Nowhere_1T2016") == []


def test_ages_of_all_courses_come_together(old, delivery):
    found = old_reader.student_in_age_range_together(old)
    assert found == {course: old_answers.in_age_range(delivery, course) for course in found}
    assert set(found) == set(EVERYTHING)


@pytest.mark.parametrize("course", COURSES)
def test_learners_can_be_cut_off_at_the_end_of_the_course(old, delivery, course):
    found = old_reader.student_genders(old, course, cutoff=True)
    assert found == old_answers.genders(delivery, course)


def test_visitors_of_a_module_are_counted_as_in_the_module_states(old, delivery):
    rows = delivery.rows(COURSES[0], "courseware_studentmodule")
    name = Counter(row["module_id"] for row in rows).most_common(1)[0][0].rpartition("@")[2]
    counts = []
    for day in ("2016-01-25", "2016-02-01"):
        first = datetime.fromisoformat(day)
        counts.append(old_reader.student_activity(old, COURSES[0], name, first))
        assert counts[-1] == old_answers.visitors(delivery, COURSES[0], name, first)
    assert sum(counts) > 2


# --- person -----------------------------------------------------------------------------------


def test_the_profile_of_a_person_is_that_of_the_files(old, delivery):
    shown = old_reader.PROFILE_SHOWN, old_reader.PERSON_SHOWN
    courses = Counter(row["user_id"] for row in delivery.rows("all", "auth_userprofile"))
    several, one = courses.most_common()[:6], courses.most_common()[-6:]
    users = [user for user, _ in several + one]
    for user in users:
        expected = old_answers.profile(delivery, user, *shown)
        assert old_reader.person_profile(old, user) == expected
        assert len(expected["person_course"]) == courses[user]
    assert {courses[user] for user in users} == {1, 2}


def test_nobody_has_no_profile(old):
    assert old_reader.person_profile(old, "1")["courses"] == []


@pytest.mark.parametrize("column", ["username", "email"])
def test_a_person_is_found_by_the_account(old, delivery, column):
    for course in delivery.courses.values():
        text = course.tables["auth_user"][0][column]
        expected = old_answers.lookup(delivery, text, old_reader.LOOKUP_SHOWN)
        assert old_reader.person_lookup(old, text) == expected
        assert len(expected) == 1


def test_people_are_found_by_a_part_of_their_name(old, delivery):
    for text in ("Delta", "川上", "tab\t"):
        expected = old_answers.lookup(delivery, text, old_reader.LOOKUP_SHOWN)
        assert old_reader.person_lookup(old, text) == expected
        assert expected
    assert old_reader.person_lookup(old, "no such name") == {}


# --- meta: courses ----------------------------------------------------------------------------


def test_the_courses_are_those_of_the_package(old, delivery):
    found = old_reader_meta.meta_courses(old)
    assert {course["id"] for course in found} == set(COURSES) == set(delivery.courses)
    for course in found:
        assert course["name"] == course["id"].replace("_", " ")
        assert course["year"] == "2016"
        assert course["term"] == delivery.courses[course["id"]].run.stem.rpartition("-")[2]
        assert course["icon"].startswith("fa-")
        # The addresses of the application allow nothing else.
        assert re.fullmatch(r"[\w ]+", course["id"])


def test_every_course_leads_to_its_database_documents_and_posts(old, delivery):
    databases = {row["Database"] for row in old.query("default", "SHOW DATABASES")}
    forums = old.mongo["discussion_forum"].list_collection_names()
    for key, facts in old.all_courses().items():
        course = delivery.courses[key]
        assert facts["dbname"] == course.run.database in databases
        assert facts["discussiontable"] == course.run.discussion in forums
        assert facts["mongoname"] == course.course_id
        events = old.events().count_documents({"context.course_id": facts["mongoname"]})
        assert events == len(list(delivery.events_of(course))) > 100
        assert (delivery.state / facts["csjson"]).is_file()


@pytest.mark.parametrize("course", COURSES)
def test_information_about_a_course_is_that_of_the_files(old, delivery, course):
    found = old_reader_meta.meta_courseinfo(old)
    assert found[course] == old_answers.course_infos(delivery)[course]


def test_certificates_are_counted_as_in_the_files(old, delivery):
    found = {course: old_reader_meta.certificates(old, course) for course in COURSES}
    assert found == {course: old_answers.certificates(delivery, course) for course in COURSES}
    assert sum(found.values()) > 1


@pytest.mark.parametrize("course", COURSES)
def test_the_start_of_a_course_can_be_read(old, delivery, course):
    structure = delivery.courses[course].structure
    assert structure is not None
    assert old_reader_meta.course_start(old, course) == structure.start


def test_learners_of_several_courses_count_once(old, delivery):
    found = old_reader_meta.meta_uniques(old)
    assert found == old_answers.uniques(delivery)
    assert found["total"] > found["uniques"] > 100


@pytest.mark.parametrize("course", COURSES)
def test_the_tree_of_a_course_is_that_of_its_files(old, delivery, course):
    assert_is_the_block(old_reader_meta.meta_structure(old, course), delivery.trees[course], 0)


@pytest.mark.parametrize("course", COURSES)
def test_the_leaves_of_a_tree_are_those_of_the_files(old, delivery, course):
    tree = old_reader_meta.meta_structure(old, course)
    structure = delivery.courses[course].structure
    assert structure is not None
    assert len(old_reader_meta.chapters(tree)) == structure.chapters
    leaves = old_reader_meta.leaves(tree)
    assert all(leaf["url_name"] for leaf in leaves)
    kinds = Counter(leaf["tag"] for leaf in leaves)
    for kind in old_reader_meta.LEAVES:
        assert kinds[kind] == structure.leaves[kind] > 5


@pytest.mark.parametrize("course", COURSES)
def test_what_edx_says_of_a_course_is_that_of_its_file(old, delivery, course):
    found = old_reader_meta.meta_coursestructure(old, course)
    assert found == old_answers.structures(delivery)[old.courses[course]["csjson"]]
    assert len(found) > 5


@pytest.mark.parametrize("course", COURSES)
def test_the_uses_of_modules_are_those_of_the_events(old, delivery, course):
    found = old_reader_meta.meta_courseevents(old, course)
    assert found == old_answers_events.course_events(delivery, course)
    assert sum(found["sum_events"].values()) > 100


@pytest.mark.parametrize("course", EVERYTHING)
def test_the_profile_of_a_course_is_that_of_the_files(old, delivery, course):
    found = old_reader_meta.meta_courseprofile(old, course)
    expected = {row["course"]: row for row in delivery.oracle.course_profile}
    assert set(found) == set(old.chosen(course))
    for one, profile in found.items():
        assert profile == {**expected[one], "status": "available"}


@pytest.mark.parametrize("course", EVERYTHING)
def test_latest_enrolments_are_counted_as_in_the_files(old, delivery, course):
    found = old_reader_meta.meta_enrolcount(old, course)
    assert found == old_answers.enrolcount(delivery, course)
    assert int(found["last_month"]) > int(found["last_day"]) > 0


def test_modes_and_countries_are_those_that_the_application_names(old):
    modes = set(old_reader.student_modes(old, "all"))
    assert modes <= set(old_reader_meta.meta_modes())
    countries = set(old_reader.student_countries(old, "all"))
    assert len(countries) > 3
    assert all(re.fullmatch("[A-Z]{2}|", country or "") for country in countries)


# --- meta: the ingestion ----------------------------------------------------------------------


def test_the_last_ingestion_and_the_last_day_of_events_are_told(old, delivery):
    rows = old_reader_meta.ingests_by_position(old)
    moments = [row[-1] for row in rows if row[-1] is not None]
    assert all(type(moment) is datetime for moment in moments)
    found = old_reader_meta.meta_lastingest(old)
    assert found == {"ingest_date": f"{max(moments):%Y-%m-%d}", "data_date": "2016-02-05"}


def test_the_status_counts_every_item_of_every_service(old, delivery):
    found = old_reader_meta.meta_ingeststatus(old)
    for service, (items, refused) in old_answers.queue(delivery).items():
        status = found[service]
        assert status["total"] == items, service
        assert (status["completed"], status["remaining"]) == (items - refused, refused), service
        assert (status["current"], status["current_start"]) == ("", None)
        assert datetime.fromisoformat(status["last_ingest_date"])


def test_the_queue_can_be_read_by_position(old, delivery):
    rows = old_reader_meta.ingests_by_position(old)
    named = {row["id"]: row for row in old_reader_meta.ingests(old)}
    services = Counter(row[1] for row in rows)
    assert services["Clickstream"] == 10
    for row in rows:
        assert row[1] == named[row[0]]["service_name"]
        assert (row[2], row[3] == "") in (("file", False), ("save_run", True))
        assert row[3] == named[row[0]]["meta"]
        assert (row[4], row[5]) == (named[row[0]]["started"], named[row[0]]["completed"])
        assert isinstance(row[6], datetime)
        assert len(row) == 9
        assert row[5] == 0 or row[6] <= row[7] <= row[8]


def test_the_queue_names_files_that_are_there_and_logs_by_their_plain_names(old):
    rows = [row for row in old_reader_meta.ingests_by_position(old) if row[2] == "file"]
    for row in rows:
        is_log = row[1] == "Clickstream"
        assert Path(f"{row[3]}.gz" if is_log else row[3]).exists()
        assert not is_log or re.fullmatch(r".*\d{4}-\d\d-\d\d\.log", row[3])


def test_the_services_that_have_nothing_to_do_are_told(old):
    assert old_reader_meta.ignored_services(old) == ["Extract", "ExtractSample", "Fetch"]


# --- discussions ------------------------------------------------------------------------------


@pytest.mark.parametrize("course", EVERYTHING)
def test_posts_are_counted_by_the_countries_of_their_authors(old, delivery, course):
    found = old_reader_forums.discussion_countries(old, course)
    assert found == old_answers_forums.countries(delivery, course)
    assert found["post_total"] > 0


@pytest.mark.parametrize("course", COURSES)
def test_posts_are_counted_by_day_as_in_the_files(old, delivery, course):
    posts = list(delivery.courses[course].posts.values())
    days = [old_answers_forums.posted(post) for post in posts]
    found = old_reader_forums.discussion_dates(old, course)
    assert (found["min_date"], found["max_date"]) == (min(days), max(days))
    for kind in ("Comment", "CommentThread"):
        mine = [post for post in posts if post["_type"] == kind]
        assert found[kind] == old_answers_forums.posts_by_day(mine)


def test_the_most_popular_threads_are_those_of_the_files(old, delivery):
    found = old_reader_forums.discussion_popular(old, "all")
    assert set(found) == set(COURSES)
    for course, threads in found.items():
        posts = delivery.courses[course].posts
        comments = {
            name: len(of) for name, of in old_answers_forums.comments_of(posts).items() if of
        }
        assert [thread["totalComm"] for thread in threads] == sorted(
            comments.values(), reverse=True
        )[: old_reader_forums.MOST_POPULAR]
        for thread in threads:
            assert thread["totalComm"] == comments[thread["id"]]
            assert thread["body"] == posts[thread["id"]]["body"]
    assert sum(map(len, found.values())) > 2


def test_the_posts_with_the_most_votes_are_those_of_the_files(old, delivery):
    found = old_reader_forums.discussion_top(old, "all")
    answers = 0
    for course, top in found.items():
        posts = delivery.courses[course].posts
        for kind, shown in (("CommentThread", top["threads"]), ("Comment", top["comments"])):
            votes = [p["votes"]["up_count"] for p in posts.values() if p["_type"] == kind]
            expected = sorted(votes, reverse=True)[: old_reader_forums.MOST_POPULAR]
            assert [post["votes"]["up_count"] for post in shown] == expected
            assert all(post["body"] == posts[post["id"]]["body"] for post in shown)
        for comment in top["comments"]:
            assert comment["comment_thread_body"] == posts[comment["comment_thread_id"]]["body"]
            if "parent_id" in comment:
                assert comment["parent_body"] == posts[comment["parent_id"]]["body"]
                answers += 1
    assert answers > 1
    assert max(post["votes"]["up_count"] for top in found.values() for post in top["threads"]) > 0


@pytest.mark.parametrize("course", COURSES)
def test_the_posts_below_each_discussion_are_those_of_the_files(old, delivery, course):
    found = old_reader_forums.discussion_category(old, course)
    expected = old_answers_forums.categories(delivery, course)
    assert {name: found[name] for name in expected} == expected
    assert set(found) == {*expected, "min_date", "max_date"}
    assert len(expected) > 5


def test_there_are_posts_below_discussions(old):
    found = [old_reader_forums.discussion_category(old, course) for course in COURSES]
    threads = [days["thread"] for one in found for days in one.values() if isinstance(days, dict)]
    assert sum(days.total() for days in threads) > 2


@pytest.mark.parametrize("field", ["os__family", "browser__family", "country"])
def test_downloads_are_not_ours_to_tell(old, field):
    prefix = "" if field == "country" else "request_header_user_agent__"
    assert old_reader_forums.downloads(old, prefix + field) == []
    assert "online_access_logs" not in old.mongo["logs"].list_collection_names()


# --- the shapes of documents ------------------------------------------------------------------


def test_posts_have_the_types_that_the_original_gave_them(old, delivery):
    replies = 0
    for course in COURSES:
        posts = delivery.courses[course].posts
        documents = list(old.forum(course).find())
        assert {str(document["_id"]) for document in documents} == set(posts)
        for document in documents:
            post = posts[str(document["_id"])]
            assert_has_the_types(document)
            assert set(document) == set(post)
            assert int(document["author_id"]) == int(post["author_id"])
            assert ("parent_id" in document) == bool(post.get("parent_ids"))
            replies += "parent_id" in document
    assert replies > 1


def test_events_are_as_they_came_with_a_date_and_a_country(old, delivery):
    documents = list(old.events().find())
    expected = delivery.events
    assert spellings(documents) == spellings(event.body for event in expected)
    assert spellings(documents).total() > 5000
    days = Counter(one["time_date"].date() if "time_date" in one else None for one in documents)
    told = (event.day for event in expected)
    assert days == Counter(day if day and day.year >= FIRST_YEAR else None for day in told)
    countries = Counter(one.get("country") for one in documents)
    assert countries == Counter(event.country for event in expected)
    assert {one.get("subdivision") for one in documents if one.get("country") == "AU"} >= {"QLD"}


def spellings(events: Iterable[dict[str, Any]]) -> Counter[str]:
    """How often the time is spelled in a way, in the events that have it as text."""
    return Counter(one["time"] for one in events if isinstance(one.get("time"), str))
