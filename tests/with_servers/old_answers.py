"""What uqx_api should be told, worked out from the files of a package alone.

Every function names the endpoint of ``old_reader`` whose answer it is. Files are read by the
oracle of the end-to-end tests, which shares no line with the product.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import maxminddb

from tests.end_to_end.oracle import Answers, Course, calculate, read_courses
from tests.end_to_end.oracle_events import Countries, read_day, read_line
from tests.end_to_end.oracle_files import (
    all_forums,
    counting_logs,
    course_folders,
    state_folder,
)
from tests.end_to_end.oracle_olx import Block, read_block
from tests.end_to_end.oracle_tables import Row, whole_number

Json = dict[str, Any]
Counts = Counter[Any]

ENROLLED = "edx.course.enrollment.activated"
GENDERS = {"m": "Male", "f": "Female", "o": "Other"}
EDUCATIONS = {
    "Doctorate": ("p", "p_se", "p_oth"),
    "Masters": ("m",),
    "Bachelor": ("b",),
    "Associate": ("a",),
    "Secondary school": ("hs",),
    "Middle school": ("jhs",),
    "Primary school": ("el",),
    "Other": ("other",),
}
AGES = {
    "Less than 12": range(-10_000, 12),
    "12-15": range(12, 16),
    "16-18": range(16, 19),
    "19-22": range(19, 23),
    "23-25": range(23, 26),
    "26-30": range(26, 31),
    "31-40": range(31, 41),
    "41-50": range(41, 51),
    "Over 50": range(51, 10_000),
}


@dataclass(frozen=True)
class Event:
    """What the application needs of an event.

    Attributes:
        country: None when nobody knows it, blank for a blank address.
    """

    body: Json
    country: str | None

    @property
    def context(self) -> Json:
        context = self.body.get("context")
        return context if isinstance(context, dict) else {}

    @property
    def day(self) -> date | None:
        """The UTC date it names."""
        return read_day(self.body["time"] if "time" in self.body else self.body.get("timestamp"))


class Delivery:
    """A package, read once.

    Attributes:
        root: its folder.
    """

    def __init__(self, root: Path, geo_database: Path) -> None:
        self.root = root
        self._geo_database = geo_database

    @property
    def state(self) -> Path:
        return state_folder(self.root)

    @cached_property
    def courses(self) -> dict[str, Course]:
        """The course runs by their keys."""
        return {course.run.key: course for course in read_courses(self.root)}

    @cached_property
    def oracle(self) -> Answers:
        """Person-course and course profile."""
        return calculate(self.root, self._geo_database)

    @cached_property
    def events(self) -> list[Event]:
        """Every event of every log."""
        with maxminddb.open_database(self._geo_database) as database:
            countries = Countries(database)
            lines = (line for log in counting_logs(self.root) for line in log.lines())
            bodies = [body for line in lines if (body := read_line(line)) is not None]
            return [Event(body, country_of(body, countries)) for body in bodies]

    @cached_property
    def trees(self) -> dict[str, Block]:
        """The course elements with all below them, by the keys of the courses."""
        runs = {course.run for course in self.courses.values()}
        folders = course_folders(self.state, runs | set(all_forums(self.state)))
        return {run.key: read_course(folder) for run, folder in folders.items()}

    def chosen(self, course: str) -> list[Course]:
        """One course, or all."""
        return list(self.courses.values()) if course == "all" else [self.courses[course]]

    def rows(self, course: str, table: str) -> list[Row]:
        """The rows of a table of one course, or of all."""
        return [row for one in self.chosen(course) for row in one.tables.get(table, [])]

    def events_of(self, course: Course) -> Iterator[Event]:
        """The events whose context names the course, letter by letter."""
        named = course.course_id
        return (event for event in self.events if event.context.get("course_id") == named)


def country_of(body: Json, countries: Countries) -> str | None:
    text = body.get("ip")
    if isinstance(text, str) and text.strip() in ("", "::1"):
        return ""
    return countries.of(text)


def read_course(folder: Path) -> Block:
    return read_block(folder, ET.parse(folder / "course.xml").getroot(), ())


# --- students ---------------------------------------------------------------------------------


def genders(package: Delivery, course: str) -> Counts:
    rows = package.rows(course, "auth_userprofile")
    return Counter(GENDERS.get(row["gender"] or "", "Unspecified") for row in rows)


def births(package: Delivery, course: str) -> list[int | None]:
    rows = package.rows(course, "auth_userprofile")
    return [whole_number(row["year_of_birth"]) for row in rows]


def ages(package: Delivery, course: str) -> Counts:
    counts: Counts = Counter()
    for year in births(package, course):
        groups = [name for name, ages in AGES.items() if year and 2014 - year in ages]
        counts[groups[0] if groups else "Unknown"] += 1
    return counts


def fullages(package: Delivery, course: str) -> Counts:
    years = [year for year in births(package, course) if year is not None]
    return Counter(str(2014 - year) for year in years if year >= 1914)


def educations(package: Delivery, course: str) -> Counts:
    levels = [row["level_of_education"] for row in package.rows(course, "auth_userprofile")]
    known = {name: sum(level in mine for level in levels) for name, mine in EDUCATIONS.items()}
    return +Counter(known | {"Unspecified": len(levels) - sum(known.values())})


def modes(package: Delivery, course: str) -> Counts:
    return Counter(row["mode"] for row in package.rows(course, "student_courseenrollment"))


def enrolment_countries(package: Delivery, course: str) -> Counts:
    return Counter(
        event.country
        for one in package.chosen(course)
        for event in package.events_of(one)
        if event.body.get("event_type") == ENROLLED
    )


def dates(package: Delivery, course: str) -> dict[str, Json]:
    rows = package.rows(course, "student_courseenrollment")
    enrolled = Counter(str(row["created"])[:10] for row in rows)
    active = Counter(str(row["created"])[:10] for row in rows if row["is_active"] == "1")
    return {day: {"enrolled": enrolled[day], "active": active[day]} for day in enrolled}


def active_days(package: Delivery, course: str) -> Counts:
    pairs = {
        (one.run.key, text_of_time(event)[:10], event.body["username"])
        for one in package.chosen(course)
        for event in package.events_of(one)
        if "username" in event.body
    }
    return Counter(day for _, day, _ in pairs)


def text_of_time(event: Event) -> str:
    """The time as text; what has none has a blank one."""
    time = event.body.get("time")
    return "" if time is None else str(time)


def active_weeks(package: Delivery, course: str) -> Counts:
    """Active learners by the Mondays of weeks; times that no clock shows are in no week."""
    found = {
        (one.run.key, monday_of(event.day), event.body["username"])
        for one in package.chosen(course)
        for event in package.events_of(one)
        if event.day is not None and event.day.year >= 1000 and "username" in event.body
    }
    return Counter(monday for _, monday, _ in found)


def monday_of(day: date) -> date:
    """What the application calls a week: the n-th Monday of the year, n being the n-th Sunday's."""
    new_year = date(day.year, 1, 1)
    first_sunday = new_year + timedelta(days=(6 - new_year.weekday()) % 7)
    first_monday = new_year + timedelta(days=-new_year.weekday() % 7)
    return first_monday + timedelta(weeks=(day - first_sunday).days // 7)


def people(package: Delivery, course: str) -> list[Json]:
    """students/personcourse; user ids are text there."""
    rows = package.oracle.person_course[course]
    return [{**row, "user_id": str(row["user_id"])} for row in rows]


def in_age_range(package: Delivery, course: str) -> Json:
    found: Json = {"user_in_range": 0, "user_known_age": 0, "days": {}}
    for one in package.chosen(course):
        rows = one.tables["auth_userprofile"]
        years = {row["user_id"]: whole_number(row["year_of_birth"]) for row in rows}
        known = {user: year for user, year in years.items() if year is not None}
        young = {user for user, year in known.items() if 13 <= 2016 - year <= 17}
        found["user_in_range"] += len(young)
        found["user_known_age"] += len(known)
        for row in one.tables["student_courseenrollment"]:
            if row["user_id"] in known:
                day = date.fromisoformat(str(row["created"])[:10])
                counts = found["days"].setdefault(day, {"user_in_range": 0, "user_known_age": 0})
                counts["user_known_age"] += 1
                counts["user_in_range"] += row["user_id"] in young
    return found


def visitors(package: Delivery, course: str, name: str, first: datetime) -> int:
    """How many learners opened a module for the first time in a week."""
    between = [str(first), str(first + timedelta(days=7))]
    return len(
        {
            row["student_id"]
            for row in package.rows(course, "courseware_studentmodule")
            if name in str(row["module_id"]) and between[0] <= str(row["created"]) <= between[1]
        }
    )


# --- person -----------------------------------------------------------------------------------


def spelled(column: str, cell: str | None) -> str:
    """A cell of a dump as the application has to find it."""
    if column == "year_of_birth":
        cell = None if whole_number(cell) is None else cell
    return "NULL" if cell is None else cell


def profile_of(row: Row, columns: Iterable[str]) -> Json:
    return {column: spelled(column, row[column]) for column in columns}


def profile(package: Delivery, user: str, columns: Iterable[str], shown: Iterable[str]) -> Json:
    """person/profile, with these columns of the last course's profile and of person-course."""
    found: Json = {"profile": None, "courses": [], "person_course": {}}
    for key, course in package.courses.items():
        for row in course.tables["auth_userprofile"]:
            if row["user_id"] == user:
                found["courses"].append(key)
                found["profile"] = profile_of(row, columns)
        for person in people(package, key):
            if person["user_id"] == user:
                found["person_course"][key] = {name: person[name] for name in shown}
    return found


def lookup(package: Delivery, details: str, columns: tuple[str, ...]) -> dict[str, Json]:
    """person/lookup."""
    found: dict[str, Json] = {}
    for key, course in package.courses.items():
        users = {
            row["id"]
            for row in course.tables["auth_user"]
            if details in (row["username"], row["email"])
        }
        for row in course.tables["auth_userprofile"]:
            if details in (row["name"] or "NULL") or row["user_id"] in users:
                person = {**profile_of(row, columns), "courses": []}
                found.setdefault(str(row["user_id"]), person)["courses"].append(key)
    return found


# --- meta -------------------------------------------------------------------------------------


def course_infos(package: Delivery) -> dict[str, Json]:
    """meta/courseinfo."""
    found = {}
    for key, course in package.courses.items():
        assert course.structure is not None
        start, end = course.structure.start, course.structure.end
        assert start is not None
        days = [str(row["created"])[:10] for row in course.tables["student_courseenrollment"]]
        moments = [str(row["created"]) for row in course.tables["student_courseenrollment"]]
        after_a_week = datetime(start.year, start.month, start.day) + timedelta(days=7)  # noqa: DTZ001
        length = (after_a_week - datetime.fromisoformat(min(moments))).days
        found[key] = {
            "start": f"{start}T00:00:00Z",
            "end": f"{end}T00:00:00Z",
            "display_name": package.trees[key].attributes["display_name"],
            "enrolments": len(days),
            "enrolments_per_day": round(
                sum(day < str(after_a_week.date()) for day in days) / length, 2
            ),
            "certificates": certificates(package, key),
            "enroled_during_course": sum(day < str(end) for day in days),
        }
    return found


def certificates(package: Delivery, course: str) -> int:
    rows = package.rows(course, "certificates_generatedcertificate")
    return sum(row["status"] == "downloadable" for row in rows)


def uniques(package: Delivery) -> Json:
    users = [row["user_id"] for row in package.rows("all", "student_courseenrollment")]
    return {"uniques": len(set(users)), "total": len(users)}


def enrolcount(package: Delivery, course: str) -> Json:
    counts = {"last_day": 0, "last_week": 0, "last_month": 0}
    for one in package.chosen(course):
        starts = [row["start_time"] for row in package.oracle.person_course[one.run.key]]
        known = [start for start in starts if start is not None]
        ages = [(max(known) - start).days for start in known]
        counts["last_day"] += ages.count(0)
        counts["last_week"] += sum(age < 7 for age in ages)
        counts["last_month"] += sum(age < 30 for age in ages)
    return {name: str(count) for name, count in counts.items()}


def queue(package: Delivery) -> dict[str, tuple[int, int]]:
    """How many items each service has, and how many of them cannot be done."""
    refused = list(package.state.rglob("*.sql.failed"))
    dumps = [*package.state.rglob("*.sql"), *refused]
    return {
        "Clickstream": (len(counting_logs(package.root)), 0),
        "DatabaseState": (len(dumps), len(refused)),
        "DiscussionForums": (len(all_forums(package.state)), 0),
        "CourseStructure": (len(package.trees), 0),
        "EdxCourseStructure": (len(structures(package)), 0),
        "IPToCountry": (1, 0),
        "TimeFinder": (1, 0),
        "EventCount": (1, 0),
        "PersonCourse": (1, 0),
    }


def structures(package: Delivery) -> dict[str, Json]:
    """meta/coursestructure: what edX itself says of each course, by the names of the files."""
    found = {}
    for path in package.state.rglob("*-course_structure-*.json"):
        text = path.read_text("utf-8")
        found[path.name] = json.loads(text.replace("<script", "").replace("</script>", ""))
    return found
