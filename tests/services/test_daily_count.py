"""What is promised about the learners of each day."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any

import maxminddb
import pytest

from optimus.sample import SamplePlan, write_package
from optimus.sample.geo import write_geo_database
from tests.end_to_end.oracle_events import Countries
from tests.house import House
from tests.sample.packages import Package
from tests.servers import MariaDb
from tests.services.deliveries import COURSE, KEY, SECOND, Deliveries
from tests.services.geo_house import LONDON, NOWHERE
from tests.services.people import (
    EDGE_LOG,
    ENROLMENTS,
    LOG,
    MODULES,
    OTHER_COURSE,
    OTHER_KEY,
    OTHER_STEM,
    PROFILES,
    TREE,
    USERS,
    event,
    house_with_countries,
    module,
)

CERTIFICATES = "user_id course_id status created_date modified_date"
PLAN = SamplePlan(learners=90, days=4, events=5_000)
COURSES = {
    "Bees101_2016_T1": ("RiverU-Bees101-2016_T1", "course-v1:RiverU+Bees101+2016_T1"),
    "Hives21x_1T2016": ("RiverU-Hives2.1x-1T2016", "RiverU/Hives2.1x/1T2016"),
    "Bees101_2016_T1_trial_Edge": (
        "RiverU-Bees101-2016_T1-trial",
        "course-v1:RiverU+Bees101+2016_T1-trial",
    ),
}
AGES = {
    11: "Less than 12",
    15: "12-15",
    18: "16-18",
    22: "19-22",
    25: "23-25",
    30: "26-30",
    40: "31-40",
    50: "41-50",
    200: "Over 50",
}
GENDERS = {"m": "Male", "f": "Female", "o": "Other"}

Count = tuple[date, str, str, int, int]


def counts(house: House, where: str = "true", key: str = KEY) -> list[Any]:
    return house.query(
        f'SELECT time, dimension, value, new, cumulative FROM "Daily_Count"."dailycount_{key}" '
        f"WHERE {where} ORDER BY dimension, value, time"
    )


def curve(house: House, value: str, key: str = KEY) -> list[tuple[str, int, int]]:
    return [(str(row[0]), *row[3:]) for row in counts(house, f"value = '{value}'", key)]


def totals(house: House, dimension: str, key: str = KEY) -> dict[str, int]:
    """The last day of each value."""
    return {row[2]: row[4] for row in counts(house, f"dimension = '{dimension}'", key)}


def for_the_web(house: House, key: str = KEY) -> dict[str, Any]:
    path = house.settings.www_path / "daily_count" / f"{key}.json"
    read: dict[str, Any] = json.loads(path.read_text())
    return read


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return house_with_countries(tmp_path, "daily_count")


def enrol(house: Deliveries, *users: str, course_id: str = COURSE, **where: str) -> None:
    """Deliver learners as ``<id> <day> <mode>``."""
    rows = [user.split() for user in users]
    house.table("auth_user", USERS, *[f"{user} 0" for user, _, _ in rows], **where)
    enrolments = [
        f"{user} {course_id} {day if day == 'NULL' else f'{day}T23:59:59'} {mode}"
        for user, day, mode in rows
    ]
    house.table("student_courseenrollment", ENROLMENTS, *enrolments, **where)


# --- the sample, calculated in another way ----------------------------------------------------


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    root = tmp_path_factory.mktemp("sample") / "package"
    write_package(root, PLAN)
    write_geo_database(root.with_name("geo.mmdb"))
    return Package(root)


@pytest.fixture(scope="module")
def ingested(package: Package) -> House:
    """The sample, ingested. Look at it only."""
    geo = package.root.with_name("geo.mmdb")
    house = House(package.root.parent / "house", data_paths=[package.root], geoip_city_db=geo)
    house.ingest()
    return house


def calculate(package: Package, key: str) -> list[Count]:
    """Every row of a course run, in plain Python from the delivered files."""
    became: dict[tuple[str, str], Counter[date]] = defaultdict(Counter)
    for learner in learners_of(package, key):
        for dimension, value, day in learner:
            became[dimension, value][day] += 1
    days = [day for counter in became.values() for day in counter]
    last = max(*days, date(2016, 2, PLAN.days))
    rows = []
    for (dimension, value), counter in became.items():
        total = 0
        for day in sorted({*counter, last}):
            total += counter[day]
            rows.append((day, dimension, value, counter[day], total))
    return sorted(rows, key=lambda row: (row[1], row[2], row[0]))


def learners_of(package: Package, key: str) -> Iterator[list[tuple[str, str, date]]]:
    """What each learner became, and when."""
    stem, _ = COURSES[key]
    enrolments = last_rows(package, stem, "student_courseenrollment")
    profiles = last_rows(package, stem, "auth_userprofile")
    certificates = last_rows(package, stem, "certificates_generatedcertificate")
    modules = defaultdict(list)
    for row in package.table(stem, "courseware_studentmodule"):
        modules[row["student_id"]].append(row)
    countries = countries_of(package, key)
    chapters = (package.state / stem / "course").glob("*.xml")
    half = ceil(sum(path.read_text().count("<chapter") for path in chapters) / 2)
    for account in package.table(stem, "auth_user"):
        user = str(account["id"])
        enrolment, profile = enrolments[user], profiles.get(user, {})
        day = day_of(enrolment["created"])
        yield [
            ("categories", "registered", day),
            ("modes", enrolment["mode"], day),
            ("age", age_of(profile.get("year_of_birth"), day), day),
            ("gender", GENDERS.get(profile.get("gender") or "", "Unspecified"), day),
            ("country", countries.get(int(user), "Unknown"), day),
            *work_of(modules[user], half),
            *certificate_of(certificates.get(user)),
        ]


def last_rows(package: Package, stem: str, table: str) -> dict[Any, dict[str, Any]]:
    return {row["user_id"]: row for row in package.table(stem, table)}


def work_of(modules: list[Any], half: int) -> Iterator[tuple[str, str, date]]:
    if modules:
        yield "categories", "viewed", min(day_of(row["created"]) for row in modules)
    opened: dict[str, date] = {}
    for row in modules:
        if row["module_type"] == "chapter":
            day = day_of(row["created"])
            opened[row["module_id"]] = min(day, opened.get(row["module_id"], day))
    if len(opened) >= half:
        yield "categories", "explored", sorted(opened.values())[half - 1]


def certificate_of(row: Any) -> Iterator[tuple[str, str, date]]:
    if row and row["status"] in ("downloadable", "audit_passing"):
        yield "categories", "certified", day_of(row["created_date"])


def countries_of(package: Package, key: str) -> dict[int, str]:
    """The country of most events of each learner; of equals the first in the alphabet."""
    seen: dict[int, Counter[str]] = defaultdict(Counter)
    site = "edge" if key.endswith("_Edge") else "prod"
    with maxminddb.open_database(package.root.with_name("geo.mmdb")) as database:
        for one in package.events:
            if (one.site, one.course) == (site, COURSES[key][1]) and one.user is not None:
                code = Countries(database).of(one.body["ip"])
                seen[one.user].update([code] if code else [])
    return {
        user: min(found, key=lambda code: (-found[code], code))
        for user, found in seen.items()
        if found
    }


def day_of(text: Any) -> date:
    return date.fromisoformat(text[:10])


def age_of(born: str | None, day: date) -> str:
    if not born or not 1901 <= int(born) <= day.year:
        return "Unknown"
    return next(band for most, band in AGES.items() if day.year - int(born) <= most)


@pytest.mark.parametrize("key", COURSES)
def test_every_count_of_the_sample_is_that_of_plain_python(ingested, package, key):
    assert counts(ingested, key=key) == calculate(package, key)


def test_the_sample_has_enough_to_judge_by(package):
    rows = [row for key in COURSES for row in calculate(package, key)]
    assert {row[2] for row in rows} >= {"viewed", "explored", "certified", "verified", "Unknown"}
    assert len({row[2] for row in rows if row[1] == "country"}) > 3


@pytest.mark.parametrize("key", COURSES)
def test_the_last_day_agrees_with_person_course(ingested, key):
    people = ingested.query(
        "SELECT registered, viewed, explored, certified, mode, gender, final_cc_cname "
        f'FROM "Person_Course"."personcourse_{key}"'
    )
    *flags, modes, genders, countries = zip(*people, strict=True)
    names = ("registered", "viewed", "explored", "certified")
    sums = {name: sum(flag) for name, flag in zip(names, flags, strict=True) if sum(flag)}
    assert totals(ingested, "categories", key) == sums
    assert totals(ingested, "modes", key) == Counter(modes)
    assert totals(ingested, "gender", key) == Counter(
        GENDERS.get(one, "Unspecified") for one in genders
    )
    found = totals(ingested, "country", key)
    assert found.pop("Unknown", 0) == countries.count(None)
    assert all(
        found[code] == countries.count(code) for code in found if not shared(countries, code)
    )


def shared(countries: Any, code: str) -> bool:
    """Whether somebody was in this country and in another."""
    return any("," in (one or "") and code in one.split(",") for one in countries)


@pytest.mark.parametrize("key", COURSES)
def test_the_web_gets_the_rows_of_the_table(ingested, key):
    read = for_the_web(ingested, key)
    assert read.pop("course") == key
    days = read.pop("time")
    assert days == sorted(set(days))
    rows = [
        (date.fromisoformat(days[place]), dimension, value, new, cumulative)
        for dimension, values in read.items()
        for value, line in values.items()
        for place, new, cumulative in zip(*line.values(), strict=True)
    ]
    assert sorted(rows, key=lambda row: (row[1], row[2], row[0])) == counts(ingested, key=key)


def test_all_course_runs_are_in_one_table_too(ingested):
    query = 'SELECT course, count(*) FROM "Daily_Count".dailycount GROUP BY course'
    assert dict(ingested.query(query)) == {key: len(counts(ingested, key=key)) for key in COURSES}


# --- days -------------------------------------------------------------------------------------


def test_a_value_has_a_row_for_each_day_with_somebody_new_and_for_the_last_day(house):
    enrol(house, "7 2016-02-28 audit", "8 2016-02-29 honor", "9 2016-02-29 audit")
    house.log("demox-edx-events-2016-03-02.log", event(None, time="2016-03-02T00:00:00+00:00"))
    house.ingest()
    end = "2016-03-02"
    assert curve(house, "registered") == [
        ("2016-02-28", 1, 1),
        ("2016-02-29", 2, 3),
        (end, 0, 3),
    ]
    assert curve(house, "audit") == [("2016-02-28", 1, 1), ("2016-02-29", 1, 2), (end, 0, 2)]
    assert curve(house, "honor") == [("2016-02-29", 1, 1), (end, 0, 1)]


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "9999-12-31"])
def test_days_far_from_the_course_are_days(house, day):
    house.olx(course=TREE)
    enrol(house, f"7 {day} audit", "8 2016-02-02 audit")
    house.ingest()
    end = max(day, "2016-02-02")
    first, second = sorted([day, "2016-02-02"])
    assert curve(house, "registered") == [(first, 1, 1), (second, 1, 2)]
    assert for_the_web(house)["time"] == [first, second]
    assert counts(house, "dimension = 'modes'")[-1][0] == date.fromisoformat(end)


def test_a_clock_that_is_wrong_moves_no_end(house):
    enrol(house, "7 2016-02-02 audit")
    house.log(LOG, event(time="2099-01-01T00:00:00+00:00"))
    house.ingest()
    assert curve(house, "registered") == [("2016-02-02", 1, 1), ("2016-02-03", 0, 1)]


def test_of_several_enrolments_the_last_counts(house):
    house.table("auth_user", USERS, "7 0")
    house.table(
        "student_courseenrollment",
        ENROLMENTS,
        f"7 {COURSE} 2016-02-02T00:00:00 verified",
        f"7 {COURSE} 2016-01-01T00:00:00 audit",
    )
    house.ingest()
    assert totals(house, "modes") == {"audit": 1}
    assert curve(house, "registered") == [("2016-01-01", 1, 1)]


# --- categories -------------------------------------------------------------------------------


def test_explored_is_the_day_of_the_chapter_that_makes_the_half(house):
    house.olx(course=TREE)
    enrol(house, *[f"{user} 2016-02-01 audit" for user in (7, 8, 9)])
    house.table(
        "courseware_studentmodule",
        MODULES,
        module(7, "chapter", "b", day="2016-02-05"),
        module(7, "chapter", "a", day="2016-02-03"),
        module(7, "chapter", "a", day="2016-02-08"),
        module(7, "chapter", "c", day="2016-02-09"),
        module(7, "chapter", "NULL", day="2016-02-04"),
        module(7, "video", "v", day="2016-02-02"),
        module(8, "chapter", "a", day="2016-02-03"),
        module(8, "chapter", "a", day="2016-02-04"),
    )
    house.ingest()
    end = ("2016-02-05", 0, 2)
    assert curve(house, "viewed") == [("2016-02-02", 1, 1), ("2016-02-03", 1, 2), end]
    assert curve(house, "explored") == [("2016-02-05", 1, 1)]


def test_in_a_course_run_without_chapters_the_first_one_is_the_half(house):
    house.olx(course='<course url_name="2016_T1"><about/></course>')
    enrol(house, "7 2016-02-01 audit")
    opened = [
        module(7, "chapter", name, day=f"2016-02-0{day}") for day, name in ((5, "b"), (3, "a"))
    ]
    house.table("courseware_studentmodule", MODULES, *opened)
    house.ingest()
    assert curve(house, "explored") == [("2016-02-03", 1, 1)]


def test_without_a_structure_nobody_has_explored(house):
    enrol(house, "7 2016-02-01 audit")
    house.table("courseware_studentmodule", MODULES, module(7, "chapter", "a"))
    house.ingest()
    assert totals(house, "categories") == {"registered": 1, "viewed": 1}


@pytest.mark.parametrize(
    ("certificates", "found"),
    [
        (["downloadable 2016-03-01T00:00:00 2016-04-01T00:00:00"], "2016-03-01"),
        (["audit_passing NULL 2016-04-01T00:00:00"], "2016-04-01"),
        (["notpassing 2016-03-01T00:00:00 2016-04-01T00:00:00"], None),
        (["downloadable NULL NULL"], None),
        (
            [
                "notpassing 2016-03-01T00:00:00 NULL",
                "downloadable 2016-05-01T00:00:00 NULL",
            ],
            "2016-05-01",
        ),
    ],
)
def test_certified_is_the_day_of_the_last_certificate(house, certificates, found):
    enrol(house, "7 2016-02-01 audit")
    rows = [f"7 {COURSE} {certificate}" for certificate in certificates]
    house.table("certificates_generatedcertificate", CERTIFICATES, *rows)
    house.ingest()
    assert curve(house, "certified") == ([(found, 1, 1)] if found else [])


def test_which_statuses_are_certified_is_the_setting_of_person_course(house, tmp_path):
    enrol(house, "7 2016-02-01 audit")
    certificate = f"7 {COURSE} audit_passing 2016-03-01T00:00:00 NULL"
    house.table("certificates_generatedcertificate", CERTIFICATES, certificate)
    house.ingest()
    assert totals(house, "categories") == {"registered": 1, "certified": 1}
    strict = Deliveries(tmp_path, certified_statuses=["downloadable"])
    strict.ingest()
    assert totals(strict, "categories") == {"registered": 1}


# --- who they are -----------------------------------------------------------------------------


def test_the_age_is_that_in_the_year_of_the_enrolment(house):
    born = {
        "Less than 12": (2016, 2005),
        "12-15": (2004, 2001),
        "16-18": (2000, 1998),
        "19-22": (1997, 1994),
        "23-25": (1993, 1991),
        "26-30": (1990, 1986),
        "31-40": (1985, 1976),
        "41-50": (1975, 1966),
        "Over 50": (1965, 1901),
        "Unknown": (2017, 1850, "NULL", 1900, 2155),
    }
    people = dict(enumerate(year for years in born.values() for year in years))
    enrol(house, *[f"{user} 2016-02-29 audit" for user in people])
    house.table("auth_userprofile", PROFILES, *[f"{user} m {people[user]} f" for user in people])
    house.ingest()
    assert totals(house, "age") == {band: len(years) for band, years in born.items()}


def test_genders_and_modes_that_nobody_knows_are_counted(house):
    enrol(house, *[f"{user} 2016-02-01 audit" for user in (5, 6, 7, 8)], "9 2016-02-01 NULL")
    genders = ("f", "o", "NULL", "x")
    profiles = [
        f"{user} m 1980 {gender}" for user, gender in zip((5, 6, 7, 8), genders, strict=True)
    ]
    house.table("auth_userprofile", PROFILES, *profiles)
    house.ingest()
    assert totals(house, "gender") == {"Female": 1, "Other": 1, "Unspecified": 3}
    assert totals(house, "modes") == {"audit": 4, "Unknown": 1}


def test_the_country_is_that_of_most_events(house):
    enrol(house, *[f"{user} 2016-02-01 audit" for user in (6, 7, 8, 9)])
    at_home = [event(7, n=number) for number in range(2)]
    house.log(
        LOG,
        *at_home,
        event(7, ip=LONDON),
        *[event(8, ip=ip) for ip in (LONDON, LONDON, NOWHERE, NOWHERE, NOWHERE)],
        event(9),
        event(9, ip=LONDON),
        event(6, ip=LONDON, context={"course_id": OTHER_COURSE}),
        event(6, ip=LONDON, context={"course_id": ""}, referer=f"https://x/courses/{COURSE}/info"),
        event(99, ip=LONDON),
        event(None, ip=LONDON),
    )
    house.ingest()
    assert totals(house, "country") == {"AU": 2, "GB": 1, "Unknown": 1}


def test_edge_and_production_are_never_mixed(house):
    enrol(house, "7 2016-02-01 audit")
    enrol(house, "7 2016-02-02 honor", site="edge")
    house.log(EDGE_LOG, event(ip=LONDON))
    house.log(LOG, event())
    house.ingest()
    assert totals(house, "country") == {"AU": 1}
    edge = f"{KEY}_Edge"
    assert totals(house, "country", edge) == {"GB": 1}
    assert curve(house, "honor", edge) == [("2016-02-02", 1, 1), ("2016-02-03", 0, 1)]
    assert for_the_web(house, edge)["modes"]["audit"]["new"] == []


# --- what is missing --------------------------------------------------------------------------


def test_learners_without_a_day_are_in_no_day_and_are_told(house):
    house.olx(course=TREE)
    enrol(house, "7 2016-02-01 audit", "8 NULL honor")
    chapters = [f"8 {COURSE} chapter {name} {{}} NULL" for name in "ab"]
    video = module(8, "video", "v", day="2016-02-02")
    house.table("courseware_studentmodule", MODULES, *chapters, video)
    certificate = f"8 {COURSE} downloadable NULL NULL"
    house.table("certificates_generatedcertificate", CERTIFICATES, certificate)
    house.ingest()
    assert totals(house, "categories") == {"registered": 1, "viewed": 1}
    assert totals(house, "modes") == {"audit": 1}
    [note] = house.notes("daily_count")
    assert note.startswith("3 times the day is unknown")


def test_a_course_run_without_enrolments_has_an_empty_table(house):
    house.olx(course=TREE)
    house.log(LOG, event())
    house.ingest()
    assert counts(house) == []
    assert house.notes("daily_count") == []
    read = for_the_web(house)
    assert read["time"] == []
    assert read["categories"]["registered"] == {"at": [], "new": [], "cumulative": []}


def test_the_web_gets_every_value_of_the_plan_in_its_order(house):
    enrol(house, "7 2016-02-02 audit", "8 2016-02-01 professional", "9 2016-02-02 audit")
    house.ingest()
    read = for_the_web(house)
    assert list(read) == ["course", "time", "modes", "categories", "age", "country", "gender"]
    assert read["time"] == ["2016-02-01", "2016-02-02"]
    assert read["modes"] == {
        "audit": {"at": [1], "new": [2], "cumulative": [2]},
        "honor": {"at": [], "new": [], "cumulative": []},
        "verified": {"at": [], "new": [], "cumulative": []},
        "professional": {"at": [0, 1], "new": [1, 0], "cumulative": [1, 1]},
    }
    assert list(read["age"]) == [*AGES.values(), "Unknown"]
    assert list(read["gender"]) == [*GENDERS.values(), "Unspecified"]


# --- again ------------------------------------------------------------------------------------


def test_only_course_runs_that_changed_are_counted_again(house):
    enrol(house, "7 2016-02-01 audit")
    enrol(house, "7 2016-02-01 audit", stem=OTHER_STEM, course_id=OTHER_COURSE)
    house.log(LOG.replace("02-03", "02-02"), event(context={"course_id": OTHER_COURSE}))
    house.ingest()
    web = house.settings.www_path / "daily_count"
    before = {path.stem: path.stat().st_mtime_ns for path in web.iterdir()}
    assert before.keys() == {KEY, OTHER_KEY}
    house.log(LOG, event())
    house.ingest()
    assert {p.stem for p in web.iterdir() if p.stat().st_mtime_ns != before[p.stem]} == {KEY}
    assert totals(house, "country") == {"AU": 1}


def test_a_delivery_without_learners_leaves_none(tmp_path):
    house = Deliveries(tmp_path, max_drop=1.0)
    enrol(house, "7 2016-02-01 audit")
    house.ingest()
    house.day = SECOND
    enrol(house)
    house.ingest()
    assert counts(house) == []
    assert for_the_web(house)["time"] == []


# --- MySQL ------------------------------------------------------------------------------------


def test_mysql_has_the_rows_of_the_lake(mariadb: MariaDb, tmp_path: Path):
    house = Deliveries(tmp_path, sql_host="127.0.0.1", sql_port=mariadb.port, sql_username="root")
    enrol(house, "7 2016-02-28 audit", "8 2016-02-29 Audit", "9 2016-02-29 audit")
    house.ingest()
    table = f"Daily_Count.dailycount_{KEY}"
    rows = mariadb.execute(f"SELECT time, dimension, value, new, cumulative FROM {table}")
    assert sorted(rows) == sorted(counts(house))
    assert (date(2016, 2, 29), "modes", "audit", 1, 2) in rows
