"""What is promised about events per block and day, one promise per test."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.servers import MariaDb
from tests.services.deliveries import COURSE, DATABASE, KEY, SECOND, Deliveries
from tests.services.event_forms import (
    NEW,
    NEW_DANCE,
    NEW_FORMS,
    OLD,
    OLD_COURSE,
    OLD_FORMS,
    Form,
    payload,
)
from tests.with_servers.old_reader import OldReader
from tests.with_servers.old_reader_meta import meta_courseevents

LOG = "demox-edx-events-2016-06-30.log"
EDGE_LOG = "demox-edge-events-2016-06-30.log"
FIRST_DAY = date(2016, 2, 1)
SERVICES = ("clickstream", "time_finder", "course_structure", "database_state", "event_count")
OLD_STEM, OLD_KEY = "DemoX-Old.1x-1T2013", "Old1x_1T2013"
TREE = """<course org="DemoX" course="{course}" url_name="{run}" start="2016-02-01T00:00:00Z">
  <chapter url_name="week1" display_name="Week 1"><sequential url_name="hives">
    <vertical url_name="page1">
      <video url_name="dance" display_name="The dance"/><html url_name="text"/>
      <problem url_name="wings.2" display_name="Wings"/><problem url_name="legs_2_1"/>
    </vertical>
    <vertical url_name="page2"><library_content url_name="some">
      <problem url_name="one"/></library_content></vertical>
  </sequential></chapter>
</course>"""


def placed(form: Form, course: str, day: date, user: Any = 7) -> dict[str, Any]:
    """The event of a form in a course, at noon of a day."""
    context = {"course_id": course, "user_id": user, **form.event.get("context", {})}
    return {"time": f"{day}T12:00:00+00:00", **form.event, "context": context}


def deliver_courses(house: Deliveries) -> None:
    house.olx(course=TREE.format(course="Bees101", run="2016_T1"))
    enrolment = f"7 {OLD_COURSE} 2016-01-01T00:00:00"
    house.table("student_courseenrollment", "user_id course_id created", enrolment, stem=OLD_STEM)
    house.olx(OLD_STEM, course=TREE.format(course="Old.1x", run="1T2013"))


def days_of(forms: dict[str, Form]) -> dict[str, date]:
    """A day of its own for every form."""
    return {name: FIRST_DAY + timedelta(days=number) for number, name in enumerate(forms)}


def counts(house: Deliveries, columns: str = "*", key: str = KEY) -> list[Any]:
    table = f'"Course_Event"."eventcount_{key}"'
    return house.query(f"SELECT {columns} FROM {table} ORDER BY event_date, block_id")


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    found = Deliveries(tmp_path, SERVICES)
    deliver_courses(found)
    return found


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Deliveries:
    """Every form once, each on a day of its own."""
    found = Deliveries(tmp_path_factory.mktemp("planted"), SERVICES)
    deliver_courses(found)
    events = [
        placed(form, course, days_of(forms)[name])
        for course, forms in ((COURSE, NEW_FORMS), (OLD_COURSE, OLD_FORMS))
        for name, form in forms.items()
    ]
    found.log(LOG, *events)
    found.ingest()
    assert found.only("clickstream").counts["rows"] == len(events)
    return found


# --- which block ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEW_FORMS)
def test_an_event_counts_for_the_block_that_it_is_about(planted, name):
    columns = "block_id, block_type, url_name, events, learners"
    block = NEW_FORMS[name].block
    found = planted.query(
        f'SELECT {columns} FROM "Course_Event"."eventcount_{KEY}" '
        f"WHERE event_date = '{days_of(NEW_FORMS)[name]}'"
    )
    assert found == ([(NEW.format(*block), *block, 1, 1)] if block else [])


@pytest.mark.parametrize("name", OLD_FORMS)
def test_an_event_of_an_old_course_counts_likewise(planted, name):
    columns = "block_id, block_type, url_name, events, learners"
    block = OLD_FORMS[name].block
    found = planted.query(
        f'SELECT {columns} FROM "Course_Event"."eventcount_{OLD_KEY}" '
        f"WHERE event_date = '{days_of(OLD_FORMS)[name]}'"
    )
    assert found == ([(OLD.format(*block), *block, 1, 1)] if block else [])


def test_only_blocks_that_the_structure_knows_have_a_title(planted):
    found = set(counts(planted, "url_name, display_name"))
    assert {("dance", "The dance"), ("wings.2", "Wings"), ("gone", None), ("lost", None)} <= found


def test_sums_and_learners_are_those_of_an_independent_count(house):
    dice = Random(5)
    forms = {COURSE: list(NEW_FORMS.values()), OLD_COURSE: list(OLD_FORMS.values())}
    plan = [
        (course, dice.choice(forms[course]), FIRST_DAY + timedelta(days=dice.randrange(3)), user)
        for course in forms
        for user in dice.choices([1, 2, 3, None], k=300)
    ]
    for number in range(3):
        part = plan[number::3]
        events_of_log = [placed(form, course, day, user) for course, form, day, user in part]
        house.log(LOG.replace("06-30", f"07-0{number + 1}"), *events_of_log)
    house.ingest()
    events: Counter[Any] = Counter()
    learners: dict[Any, set[int]] = {}
    for course, form, day, user in plan:
        if form.block:
            spelled = NEW if course == COURSE else OLD
            key = (course, spelled.format(*form.block), day)
            events[key] += 1
            learners.setdefault(key, set()).update([user] if user else [])
    expected = {(*key, events[key], len(learners[key])) for key in events}
    columns = "course_id, block_id, event_date, events, learners"
    found = [*counts(house, columns), *counts(house, columns, OLD_KEY)]
    assert len(found) == len(expected) > 30
    assert set(found) == expected


# --- which events -----------------------------------------------------------------------------

PLAY = NEW_FORMS["a video"]


def test_a_repaired_time_tells_the_day_and_an_event_without_any_is_in_no_row(house):
    early = placed(PLAY, COURSE, date(1970, 1, 1))
    repaired = placed(PLAY, COURSE, date(2055, 1, 1))
    repaired["context"]["received_at"] = "2016-02-09T23:59:59+00:00"
    late = placed(PLAY, COURSE, date(2016, 7, 3))
    house.log(LOG, early, repaired, late, placed(PLAY, COURSE, date(2016, 7, 2)))
    house.ingest()
    found = counts(house, "event_date, events")
    assert found == [(date(2016, 2, 9), 1), (date(2016, 7, 2), 1)]
    [note] = house.notes("event_count")
    assert note.startswith("2 events")


def test_the_day_is_that_of_utc(house):
    house.log(LOG, {**placed(PLAY, COURSE, FIRST_DAY), "time": "2016-02-01T22:00:00-05:00"})
    house.ingest()
    assert counts(house, "event_date") == [(date(2016, 2, 2),)]


def test_repeated_lines_and_events_of_nobody_count(house):
    event = placed(PLAY, COURSE, FIRST_DAY)
    house.log(LOG, event, event, placed(PLAY, COURSE, FIRST_DAY, user=None))
    house.ingest()
    assert counts(house, "events, learners") == [(3, 1)]


def test_a_course_that_is_known_by_the_referer_alone_is_left_out(house):
    event = placed(NEW_FORMS["a post"], "", FIRST_DAY)
    event["event"] = {"id": "i4x-DemoX-Old_1x-video-dance"}
    house.log(LOG, {**event, "referer": f"https://x/courses/{OLD_COURSE}/info"})
    house.ingest()
    assert counts(house, key=OLD_KEY) == []


def test_edge_and_production_are_counted_apart(house):
    for site in ("prod", "edge"):
        house.table("student_courseenrollment", "user_id course_id", f"7 {COURSE}", site=site)
    house.log(LOG, placed(PLAY, COURSE, FIRST_DAY))
    event = placed(NEW_FORMS["an exam"], COURSE, FIRST_DAY)
    house.log(EDGE_LOG, event, event)
    house.ingest()
    assert counts(house, "url_name, events") == [("dance", 1)]
    assert counts(house, "url_name, events", f"{KEY}_Edge") == [("hives", 2)]
    together = 'SELECT course, events FROM "Course_Event".eventcount ORDER BY course'
    assert house.query(together) == [(KEY, 1), (f"{KEY}_Edge", 2)]


def test_a_course_run_without_any_event_has_no_row(house):
    house.ingest()
    assert counts(house) == counts(house, key=OLD_KEY) == []


# --- again ------------------------------------------------------------------------------------


def written(house: Deliveries) -> dict[str, int]:
    folder = house.settings.lake_path / "derived/event_count"
    return {path.stem: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_only_course_runs_that_changed_are_done_again(house):
    house.log(LOG, placed(PLAY, COURSE, FIRST_DAY))
    house.ingest()
    before = written(house)
    house.log(LOG.replace("06-30", "07-01"), placed(PLAY, COURSE, FIRST_DAY, user=8))
    house.ingest()
    assert {key for key, moment in written(house).items() if moment != before[key]} == {KEY}
    assert counts(house, "events") == [(2,)]


def test_a_log_that_comes_again_without_an_event_takes_it_away(house):
    house.log(LOG, placed(PLAY, COURSE, FIRST_DAY))
    house.ingest()
    house.log(LOG, placed(NEW_FORMS["a post"], COURSE, FIRST_DAY))
    house.ingest()
    assert counts(house) == []


def test_a_new_structure_gives_blocks_their_titles(house):
    house.log(LOG, placed(NEW_FORMS["an unknown video"], COURSE, FIRST_DAY))
    house.ingest()
    house.day = SECOND
    tree = TREE.replace('"dance" display_name="The dance"', '"lost" display_name="Found"')
    house.olx(course=tree.format(course="Bees101", run="2016_T1"))
    house.ingest()
    assert counts(house, "url_name, display_name, events") == [("lost", "Found", 1)]


# --- MySQL ------------------------------------------------------------------------------------


@pytest.fixture
def served(tmp_path: Path, mariadb: MariaDb) -> Deliveries:
    server = {"sql_host": "127.0.0.1", "sql_port": mariadb.port, "sql_username": "root"}
    return Deliveries(tmp_path, SERVICES, **server)


def described(mariadb: MariaDb, table: str) -> list[Any]:
    return [row[:2] for row in mariadb.execute(f"DESCRIBE Course_Event.`{table}`")]


def deliver_modules(house: Deliveries, *names: str) -> None:
    modules = "".join(f'<html url_name="{name}"/>' for name in names)
    page = f'<vertical url_name="v">{modules}</vertical>'
    sequence = f'<chapter url_name="c"><sequential url_name="s">{page}</sequential></chapter>'
    start = "2016-02-01T00:00:00Z"
    house.olx(course=f'<course url_name="2016_T1" start="{start}">{sequence}</course>')


def read(house: Deliveries, mariadb: MariaDb) -> dict[str, Any]:
    """What the old application answers."""
    courses = {
        KEY: {"id": KEY, "dbname": DATABASE},
        "Course_Event": {"dbname": "Course_Event"},
    }
    reader = OldReader(mariadb.port, 1, courses, house.settings.www_path)
    try:
        return meta_courseevents(reader, KEY)
    finally:
        reader.mongo.close()


def use(name: str, day: date) -> dict[str, Any]:
    return placed(Form(payload("x", {"id": NEW.format("html", name)}), None), COURSE, day)


def test_mysql_has_the_counts_of_the_lake(served, mariadb):
    deliver_courses(served)
    for number, name in enumerate(NEW_FORMS):
        day = FIRST_DAY + timedelta(days=number % 5)
        served.log(f"{number}-events-2016-06-30.log", placed(NEW_FORMS[name], COURSE, day))
    served.ingest()
    rows = mariadb.execute(f"SELECT * FROM Course_Event.eventcount_{KEY}")
    assert sorted(rows, key=str) == sorted(counts(served), key=str)
    assert len(rows) > 20


def test_the_original_table_has_a_column_for_each_module_in_the_order_of_the_course(
    served, mariadb
):
    deliver_courses(served)
    served.ingest()
    assert described(mariadb, f"courseevent_{KEY}") == [
        ("id", "int(11)"),
        ("course_id", "varchar(255)"),
        ("event_date", "date"),
        *((name, "int(11)") for name in ("u_dance", "u_text", "u_wings$2", "u_legs_2_1", "u_some")),
    ]


def test_the_original_table_has_a_row_for_each_day_and_no_nulls(served, mariadb):
    deliver_courses(served)
    used = (
        "a video",
        "a form of a formula",
        "an answer on the server",
        "a video",
        "a content page",
    )
    days = [FIRST_DAY + timedelta(days=number) for number in (0, 0, 3, 3, 5)]
    events = [placed(NEW_FORMS[name], COURSE, day) for name, day in zip(used, days, strict=True)]
    served.log(LOG, *events)
    served.ingest()
    assert mariadb.execute(f"SELECT * FROM Course_Event.courseevent_{KEY}") == [
        (1, KEY, days[0], 1, 0, 0, 0, 0),
        (2, KEY, days[2], 1, 0, 1, 0, 0),
    ]


def test_the_old_application_sums_by_module_and_week(served, mariadb):
    deliver_modules(served, "a.b", "c")
    days = [FIRST_DAY + timedelta(days=number) for number in (0, 1, 8, 20)]
    served.log(LOG, *(use("a.b", day) for day in days), use("c", days[2]), use("c", days[2]))
    served.ingest()
    found = read(served, mariadb)
    assert found["event_display_names"] == {"u_a$b": "a.b", "u_c": "c"}
    assert found["sum_events"] == {"u_a$b": 4, "u_c": 2}
    assert list(found["weeks"].values()) == [{"u_a$b": 2, "u_c": 0}, {"u_a$b": 1, "u_c": 2}]


def test_names_that_old_readers_could_not_ask_for_are_spelled_otherwise(served, mariadb):
    deliver_modules(served, "a-b", "ä:c", "select")
    served.log(LOG, use("a-b", FIRST_DAY), use("ä:c", FIRST_DAY))
    served.ingest()
    assert read(served, mariadb)["sum_events"] == {"u_a$b": 1, "u_$$c": 1, "u_select": 0}


def test_modules_whose_columns_would_have_one_name_share_it(served, mariadb):
    deliver_modules(served, "Intro", "a.b", "intro", "a-b")
    served.log(LOG, *(use(name, FIRST_DAY) for name in ("Intro", "intro", "a.b", "a-b", "a-b")))
    served.ingest()
    assert read(served, mariadb)["sum_events"] == {"u_Intro": 2, "u_a$b": 3}


def test_without_any_event_there_is_a_row_of_zeros_on_the_day_the_course_starts(served, mariadb):
    deliver_modules(served, "a", "b")
    served.ingest()
    rows = mariadb.execute(f"SELECT * FROM Course_Event.courseevent_{KEY}")
    assert rows == [(1, KEY, FIRST_DAY, 0, 0)]
    assert read(served, mariadb)["sum_events"] == {"u_a": 0, "u_b": 0}


def test_a_thousand_modules_have_a_column_each(served, mariadb):
    deliver_modules(served, *(f"m{number}" for number in range(1000)))
    served.log(LOG, use("m999", FIRST_DAY))
    served.ingest()
    assert read(served, mariadb)["sum_events"]["u_m999"] == 1
    assert served.notes("event_count") == []


@pytest.mark.parametrize(
    ("names", "told"),
    [
        pytest.param([f"m{number}" for number in range(1001)], "1,001 columns", id="too many"),
        pytest.param(["a", "x" * 63], "longer than 64", id="too long"),
    ],
)
def test_what_mysql_cannot_hold_is_told_and_counted_all_the_same(served, mariadb, names, told):
    deliver_modules(served, *names)
    served.log(LOG, use(names[-1], FIRST_DAY))
    served.ingest()
    tables = {name for (name,) in mariadb.execute("SHOW TABLES IN Course_Event")}
    assert tables == {f"eventcount_{KEY}"}
    [note] = served.notes("event_count")
    assert told in note
    assert mariadb.execute(f"SELECT url_name, events FROM Course_Event.eventcount_{KEY}") == [
        (names[-1], 1)
    ]


def test_a_course_run_without_a_structure_has_no_original_table(served, mariadb):
    served.table("student_courseenrollment", "user_id course_id", f"7 {COURSE}")
    served.log(LOG, placed(PLAY, COURSE, FIRST_DAY))
    served.ingest()
    assert mariadb.execute("SHOW TABLES IN Course_Event") == [(f"eventcount_{KEY}",)]
    assert counts(served, "block_id, display_name, events") == [(NEW_DANCE, None, 1)]
