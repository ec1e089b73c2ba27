"""What a sample of a course run promises."""

import gzip
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.extract_sample.documents import KEYS
from services.extract_sample.pseudonyms import Pseudonyms
from services.extract_sample.words import Words
from tests.house import House
from tests.services.beekeepers import (
    HIVE,
    SERVICES,
    TEACHER,
    TREE,
    University,
    anonymous_id,
    email,
    full_name,
    is_active,
    is_certified,
    mode,
    names_of,
    user_id,
    username,
)
from tests.services.deliveries import COURSE, DATABASE, KEY, STEM
from tests.services.geo_house import BRISBANE, LONDON
from tests.services.people import USERS

SIZE = 12
SECRET = SecretStr("what bees know, and nobody else")


def university(folder: Path, **settings: Any) -> University:
    folder.mkdir(exist_ok=True)
    return University(folder, **{"sample_courses": [DATABASE], "sample_size": SIZE, **settings})


def sample_of(house: House, database: str = DATABASE) -> Path:
    return house.settings.export_path / "samples" / database


def ingested_again(house: University, folder: Path, database: str = DATABASE) -> House:
    geo = house.settings.geoip_country_db
    other = House(
        folder / "again", SERVICES, data_paths=[sample_of(house, database)], geoip_country_db=geo
    )
    other.ingest()
    return other


def person_course(house: House, key: str = KEY) -> dict[int, tuple[Any, ...]]:
    rows = house.query(f'SELECT * FROM "Person_Course"."personcourse_{key}"')
    return {row[1]: (row[0], *row[2:]) for row in rows}


def texts_in(folder: Path) -> dict[str, str]:
    """All that was written, by path."""
    return {
        str(path.relative_to(folder)): _content(path).decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _content(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def rows_of(house: House, table: str) -> list[dict[str, str]]:
    [path] = sample_of(house).rglob(f"*-{table}-prod*.sql")
    header, *lines = path.read_text().split("\n")[:-1]
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def chosen(house: House) -> set[int]:
    return {int(row["id"]) - 1000 for row in rows_of(house, "auth_user")}


def events_of(house: House) -> list[dict[str, Any]]:
    lines = "".join(texts_in(sample_of(house) / "clickstream_logs").values()).splitlines()
    return [json.loads(line) for line in lines if line]


def posts_in(house: House) -> list[dict[str, Any]]:
    [path] = sample_of(house).rglob("*.mongo")
    return [json.loads(line) for line in path.read_text().splitlines()]


def notes_of(house: House) -> str:
    return "\n".join(house.notes("extract_sample"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> University:
    house = university(tmp_path_factory.mktemp("plain"))
    house.deliver_hive()
    house.ingest()
    return house


@pytest.fixture(scope="module")
def nameless(tmp_path_factory: pytest.TempPathFactory) -> University:
    house = university(tmp_path_factory.mktemp("nameless"), pseudonym_key=SECRET)
    house.deliver_hive()
    house.ingest()
    return house


@pytest.fixture(scope="module")
def again(plain: University, tmp_path_factory: pytest.TempPathFactory) -> House:
    """What the sample becomes elsewhere."""
    return ingested_again(plain, tmp_path_factory.mktemp("plain_again"))


@pytest.fixture(scope="module")
def nameless_again(nameless: University, tmp_path_factory: pytest.TempPathFactory) -> House:
    return ingested_again(nameless, tmp_path_factory.mktemp("nameless_again"))


# --- ingested again ---------------------------------------------------------------------------


def test_a_sample_that_is_ingested_again_gives_the_same_person_course(plain, again):
    before, rows = person_course(plain), person_course(again)
    assert rows == {user: before[user] for user in rows}
    assert len(rows) == SIZE


def test_with_pseudonyms_it_is_the_same_but_for_the_ids(plain, nameless_again):
    rows = person_course(nameless_again)
    pseudonyms = Pseudonyms(SECRET.get_secret_value(), "prod", Words(()))
    before = person_course(plain)
    expected = {pseudonyms.of("user", user_id(n)): before[user_id(n)] for n in chosen(plain)}
    assert rows == expected
    assert set(before).isdisjoint(rows)


def test_the_rows_that_are_compared_are_not_empty(plain):
    columns = "min(nevents), max(nchapters), max(attempted_problems), max(nplay_video)"
    found = plain.query(f'SELECT {columns} FROM "Person_Course"."personcourse_{KEY}"')
    assert found == [(6, 3, 2, 1)]
    columns = "DISTINCT final_cc_cname, last_event::VARCHAR"
    found = plain.query(f'SELECT {columns} FROM "Person_Course"."personcourse_{KEY}" ORDER BY 1')
    assert found == [("AU", "2016-02-03"), ("GB", "2016-02-03")]


def test_a_course_run_on_edge_stays_on_edge(tmp_path):
    database = f"{DATABASE}_Edge"
    house = university(tmp_path, sample_courses=[database], pseudonym_key=SECRET)
    house.deliver_hive(site="edge")
    house.deliver_members([50])
    house.ingest()
    elsewhere = ingested_again(house, tmp_path, database)
    rows, before = person_course(elsewhere, f"{KEY}_Edge"), person_course(house, f"{KEY}_Edge")
    assert Counter(rows.values()) <= Counter(before.values())
    assert len(rows) == SIZE
    assert elsewhere.query("SELECT DISTINCT site FROM logs.clickstream") == [("edge",)]
    assert elsewhere.query("SELECT dbname FROM Person_Course.courseprofile") == [(database,)]


def test_an_event_is_the_same_in_every_column(plain, again):
    columns = "* EXCLUDE (source, line, repeat)"
    of_the_sample = (
        "course_id_source <> 'referer' AND coalesce(user_id::VARCHAR, username) IN "
        f"{(*(str(user_id(n)) for n in chosen(plain)), *map(username, chosen(plain)))}"
    )
    sql = f"SELECT {columns} FROM logs.clickstream WHERE {of_the_sample} ORDER BY ALL"
    events = again.query(sql)
    assert events == plain.query(sql)
    assert len(events) == SIZE * 2 * 4


def test_two_days_with_the_same_events_count_twice(again):
    logs = again.query("SELECT source, count(*) FROM logs.clickstream GROUP BY 1 ORDER BY 1")
    names = [f"demox-edx-events-2016-02-0{day}.log" for day in (3, 4)]
    assert logs == [(name, SIZE * 4) for name in names]


def test_the_course_keeps_its_blocks(plain, again, nameless_again):
    columns = "block_id, parent_id, order_index, start, due, graded, format, weight"
    blocks = f"SELECT {columns} FROM course_structure.blocks ORDER BY order_index"
    counts = "SELECT nchapters, nvideos, course_launch_date FROM Person_Course.courseprofile"
    for house in (again, nameless_again):
        assert house.query(blocks) == plain.query(blocks)
        assert house.query(counts) == plain.query(counts)


# --- who --------------------------------------------------------------------------------------


def strata_of(numbers: Iterable[int]) -> Counter[tuple[bool, str, bool]]:
    return Counter((is_certified(n), mode(n), is_active(n)) for n in numbers)


def test_each_stratum_has_its_share(plain):
    everyone, sample = strata_of(HIVE), strata_of(chosen(plain))
    exact = {stratum: SIZE * count / len(HIVE) for stratum, count in everyone.items()}
    assert all(int(share) <= sample[one] <= int(share) + 1 for one, share in exact.items())
    assert sum(sample.values()) == SIZE
    one_more = [exact[one] % 1 for one in exact if sample[one] > exact[one]]
    not_more = [exact[one] % 1 for one in exact if sample[one] < exact[one]]
    assert min(one_more) >= max(not_more)


def test_the_share_of_passing_learners_is_what_was_asked_for(tmp_path):
    house = university(tmp_path, sample_passing=0.5)
    house.deliver_members()
    house.ingest()
    assert sum(map(is_certified, chosen(house))) == SIZE / 2
    assert "certified" not in notes_of(house)


def test_when_too_few_have_passed_others_take_their_places(tmp_path):
    house = university(tmp_path, sample_passing=1.0)
    house.deliver_members()
    house.ingest()
    assert sum(map(is_certified, chosen(house))) == 10
    assert len(chosen(house)) == SIZE
    assert "10 of 12 learners in the sample are certified" in notes_of(house)


def test_the_same_seed_draws_the_same_learners_in_whatever_order_they_come(plain, tmp_path):
    house = university(tmp_path)
    house.deliver_members(reversed(HIVE))
    house.table("auth_user", USERS, "1001 0", stem="DemoX-Ants-1")
    house.ingest()
    assert chosen(house) == chosen(plain)


def test_another_seed_draws_others(plain, tmp_path):
    house = university(tmp_path, sample_seed=2)
    house.deliver_members()
    house.ingest()
    assert chosen(house) != chosen(plain)
    assert strata_of(chosen(house)) == strata_of(chosen(plain))


# --- what -------------------------------------------------------------------------------------


def test_rows_are_found_by_any_key_of_the_learner(plain):
    sample = chosen(plain)
    scored_by = {n: n % len(HIVE) + 1 for n in HIVE}
    assessed = {n for n in HIVE if n in sample or scored_by[n] in sample}
    expected = {
        "auth_userprofile": {500 + n for n in sample},
        "student_languageproficiency": sample,
        "student_anonymoususerid": sample,
        "submissions_studentitem": sample,
        "submissions_submission": {70 + n for n in sample},
        "assessment_assessment": {90 + n for n in assessed},
        "assessment_assessmentpart": assessed,
        "assessment_rubric": {1},
    }
    found = {table: {int(row["id"]) for row in rows_of(plain, table)} for table in expected}
    assert found == expected


def test_a_cell_is_written_as_it_was(plain, again):
    sql = f'SELECT * FROM "{DATABASE}".auth_userprofile WHERE user_id IN {{}} ORDER BY id'
    users = tuple(user_id(n) for n in chosen(plain))
    rows = again.query(sql.format(users))
    assert rows == plain.query(sql.format(users))
    assert {row[8] for row in rows} == {f"\\{username(n)}\t" for n in chosen(plain)}


def test_only_what_the_learners_posted_is_there(plain):
    assert {int(post["author_id"]) - 1000 for post in posts_in(plain)} == chosen(plain)
    assert {post["title"] for post in posts_in(plain)} == {full_name(n) for n in chosen(plain)}


def test_files_are_called_and_lie_as_in_a_package(plain):
    names = set(texts_in(sample_of(plain)))
    state = "database_state/2016-02-07"
    assert {
        "clickstream_logs/latest/demox-edx-events-2016-02-03.log.gz",
        f"{state}/{STEM}-auth_user-prod-analytics.sql",
        f"{state}/{STEM}-prod.mongo",
        f"{state}/ora/{STEM}-submissions_submission-prod-analytics.sql",
        f"{state}/{STEM}-course-prod-analytics/course.xml",
    } <= names
    modes = {path.stat().st_mode & 0o777 for path in sample_of(plain).rglob("*")}
    assert modes == {0o640, 0o750}


# --- pseudonyms -------------------------------------------------------------------------------


def test_nothing_that_a_learner_is_called_is_left(nameless):
    content = "\n".join(texts_in(sample_of(nameless)).values()).casefold()
    readings = (content, content.encode().decode("unicode_escape"))
    for number in HIVE:
        for name in (*names_of(number), anonymous_id(number)):
            assert not any(name.casefold() in reading for reading in readings)
        assert not re.search(rf"\b{user_id(number)}\b", content)
    assert BRISBANE not in content
    assert LONDON not in content


def test_a_learner_has_the_same_pseudonym_everywhere(nameless):
    accounts = {row["id"]: row["username"] for row in rows_of(nameless, "auth_user")}
    assert {row["user_id"] for row in rows_of(nameless, "auth_userprofile")} == set(accounts)
    posts = {post["author_id"]: post["author_username"] for post in posts_in(nameless)}
    assert posts == accounts
    events = [event for event in events_of(nameless) if event["context"]["user_id"]]
    assert {str(one["context"]["user_id"]): one["username"] for one in events} == accounts
    votes = [one for one in events if one["event_type"] == "edx.forum.thread.voted"]
    assert {str(one["event"]["user_id"]): one["event"]["target_username"] for one in votes} == (
        accounts
    )
    assert {one["event"]["id"] for one in votes} == {
        post["_id"]["$oid"] for post in posts_in(nameless)
    }
    scorers = {row["anonymous_user_id"] for row in rows_of(nameless, "student_anonymoususerid")}
    assert {row["student_id"] for row in rows_of(nameless, "submissions_studentitem")} == scorers
    voters = {voter for post in posts_in(nameless) for voter in post["votes"]["up"]}
    assert len(voters) == 3


def test_what_research_needs_is_kept(nameless):
    [video] = {
        json.dumps(one["event"]) for one in events_of(nameless) if one["event_type"] == "play_video"
    }
    assert json.loads(json.loads(video)) == {"id": "v", "currentTime": 1.5}
    profiles = rows_of(nameless, "auth_userprofile")
    assert {(row["gender"], row["year_of_birth"], row["country"]) for row in profiles} == {
        ("f", "1980", "AU")
    }
    states = {row["state"] for row in rows_of(nameless, "courseware_studentmodule")}
    assert '{"position":1}' in states
    paths = [one["event_type"] for one in events_of(nameless) if one["event_type"][0] == "/"]
    assert {path.rpartition("/users/")[0] for path in paths} == {
        f"/courses/{COURSE}/discussion/forum"
    }


def test_another_key_makes_another_sample_of_the_same_learners(tmp_path):
    ids = []
    for key in ("a" * 16, "b" * 16):
        house = university(tmp_path, pseudonym_key=SecretStr(key))
        house.deliver_members()
        house.ingest()
        ids.append({row["id"] for row in rows_of(house, "auth_user")})
    assert ids[0].isdisjoint(ids[1])
    assert len(ids[0]) == len(ids[1]) == SIZE


def test_the_key_is_in_no_record(nameless):
    kept = repr(nameless.runs("extract_sample")) + repr(nameless.sources("extract_sample"))
    assert SECRET.get_secret_value() not in kept


# --- the scan ---------------------------------------------------------------------------------


def plant(house: University, mode: str) -> None:
    """A name where nobody expects it: as the mode of everybody's enrolment."""
    header = "id user_id course_id created is_active mode"
    rows = [(n, user_id(n), COURSE, "2016-01-31 10:00:00", True, mode) for n in HIVE]
    house.dump("student_courseenrollment", header, rows)


def test_a_name_in_an_unexpected_place_keeps_the_sample_back(tmp_path):
    house = university(tmp_path, pseudonym_key=SECRET)
    house.deliver_members()
    house.ingest()
    before = texts_in(sample_of(house))
    plant(house, username(3).upper())
    house.ingest()
    [source] = house.sources("extract_sample")
    assert source.state not in {"done", "waiting"}
    name = f"database_state/2016-02-07/{STEM}-student_courseenrollment-prod-analytics.sql, line 2"
    assert name in source.message
    assert username(3) not in source.message.casefold()
    assert texts_in(sample_of(house)) == before
    assert list(sample_of(house).parent.iterdir()) == [sample_of(house)]


def test_without_pseudonyms_nothing_is_kept_back(tmp_path):
    house = university(tmp_path)
    house.deliver_members()
    plant(house, username(3))
    house.ingest()
    assert len(chosen(house)) == SIZE


def test_a_learner_called_like_the_courses_content_keeps_nothing_back(tmp_path):
    house = university(tmp_path, pseudonym_key=SECRET)
    house.deliver_members()
    called = dict(enumerate(("play_video", "Bees101", "20160203", "honor", "student"), 1))
    header = "id username email is_staff"
    rows = [(user_id(n), called.get(n, username(n)), email(n), n == TEACHER) for n in HIVE]
    house.dump("auth_user", header, rows)
    house.ingest()
    assert len(rows_of(house, "auth_user")) == SIZE
    assert "5 names and usernames are digits, or words of the course" in notes_of(house)


def test_all_words_of_a_sample_without_names_are_known_to_name_nobody(nameless):
    words = Words([STEM, COURSE, TREE, *KEYS])
    content = "\n".join(texts_in(sample_of(nameless)).values())
    found = {word for word in re.findall(r"[^\W_]+", content) if word.isalpha() and len(word) > 2}
    assert {word for word in found if not words.make_up(word)} == set()


# --- when -------------------------------------------------------------------------------------


def test_without_sample_courses_it_does_not_run(tmp_path):
    house = university(tmp_path, sample_courses=[])
    assert "ExtractSample" in house.registry.ignored


def test_a_course_run_that_is_not_there_is_told(tmp_path):
    house = university(tmp_path, sample_courses=["../elsewhere"])
    house.table("auth_user", USERS, "7 0")
    house.ingest()
    assert "no course run with a database '../elsewhere'" in notes_of(house)


def test_learners_who_are_gone_are_gone_from_the_sample(tmp_path):
    house = university(tmp_path)
    house.table("auth_user", USERS, "1001 0")
    house.ingest()
    assert chosen(house) == {1}
    house.table("auth_user", USERS)
    house.ingest()
    assert texts_in(sample_of(house)) == {}


def test_a_sample_is_made_again_only_when_its_course_run_has_changed(tmp_path):
    house = university(tmp_path)
    house.table("auth_user", USERS, "1001 0")
    house.ingest()
    before = sample_of(house).stat().st_ino
    house.table("auth_user", USERS, "1001 0", stem="DemoX-Ants-1")
    house.ingest()
    assert len(house.runs("extract_sample")) == 2
    assert sample_of(house).stat().st_ino == before
    house.table("auth_user", USERS, "1001 0", "1002 0")
    house.ingest()
    assert chosen(house) == {1, 2}


def test_tables_that_nobody_knows_are_left_out_and_named(tmp_path):
    for key, expected in ((SecretStr(""), ["diaries"]), (SECRET, ["diaries", "moods"])):
        house = university(tmp_path, pseudonym_key=key)
        house.table("auth_user", USERS, "1001 0", "1002 0")
        house.table("diaries", "entry", "dear")
        house.table("moods", "user_id mood", "1001 good", "9999 bad")
        house.ingest()
        assert f"what is in them: {', '.join(expected)}." in notes_of(house)
        assert not list(sample_of(house).rglob("*diaries*"))
