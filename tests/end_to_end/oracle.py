"""An independent calculation of person_course and course_profile.

Plain Python over the files of a package, one obvious step after the other, written from the
texts alone. It shares no line with the product, so that the two can judge each other.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import maxminddb

from tests.end_to_end.oracle_events import Countries, read_events
from tests.end_to_end.oracle_files import (
    Run,
    all_dumps,
    all_forums,
    counting_logs,
    course_folders,
    state_folder,
)
from tests.end_to_end.oracle_olx import Structure, id_in_blocks, read_structure
from tests.end_to_end.oracle_tables import Row, post_author, read_posts, read_table, whole_number

PERSON_COLUMNS = (
    "course_id", "user_id", "registered", "viewed", "explored", "certified", "final_cc_cname",
    "LoE", "YoB", "gender", "mode", "grade", "start_time", "last_event", "nevents", "ndays_act",
    "nplay_video", "nchapters", "nforum_posts", "roles", "attempted_problems",
    "inconsistent_flag",
)  # fmt: skip
PROFILE_COLUMNS = (
    "course", "dbname", "mongoname", "discussiontable", "registration_open_date",
    "course_launch_date", "course_close_date", "nregistered_students", "nviewed_students",
    "nexplored_students", "ncertified_students", "nhonor_students", "naudit_students",
    "nvertified_students", "course_effort", "course_length", "nchapters", "nvideos", "nhtmls",
    "nassessments", "nsummative_assessments", "nformative_assessments",
    "nincontent_discussions", "nactivities", "best_assessment", "worst_assessment",
)  # fmt: skip
CERTIFIED = ("downloadable", "audit_passing")
YEARS = range(1901, 2156)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")

Record = dict[str, Any]
SiteAndCourse = tuple[str, str | None]


@dataclass(frozen=True)
class Answers:
    """All that the product has to say about a package.

    Attributes:
        person_course: the rows of every course by its key, in the order of the user ids.
        course_profile: one row per course, in the order of the keys.
        runs: the course runs by their keys.
        posts: how many forum documents every course has.
        strangers: how many users of every course are not in auth_user and left traces.
    """

    person_course: dict[str, list[Record]]
    course_profile: list[Record]
    runs: dict[str, Run]
    posts: dict[str, int]
    strangers: dict[str, int]


@dataclass
class Course:
    """What the files say about one course run."""

    run: Run
    tables: dict[str, list[Row]]
    posts: dict[str, dict[str, Any]]
    structure: Structure | None
    blocks: Path | None

    @property
    def is_there(self) -> bool:
        """A course folder, or any file that carries something of the course."""
        return bool(self.posts or self.structure or self.blocks or any(self.tables.values()))

    @property
    def course_id(self) -> str | None:
        """The course id of the first table that tells one, else of the structure."""
        for table in (
            "student_courseenrollment",
            "courseware_studentmodule",
            "certificates_generatedcertificate",
        ):
            for row in self.tables.get(table, []):
                if row.get("course_id"):
                    return row["course_id"]
        told = id_in_blocks(self.blocks) or (self.structure and self.structure.course_id)
        return told or next((post["course_id"] for post in self.posts.values()), None)

    def rows(self, table: str, user_column: str) -> dict[int, list[Row]]:
        """The rows of a table by user, each user's in the order of the file."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in self.tables.get(table, []):
            user = whole_number(row.get(user_column))
            if user is not None:
                found[user].append(row)
        return found


@dataclass
class Seen:
    """What the events of one user in one course add up to."""

    events: int = 0
    days: set[date] = field(default_factory=set)
    countries: set[str] = field(default_factory=set)


def calculate(root: Path, geo_database: Path) -> Answers:
    """Work out everything for the package in ``root``."""
    everything = add_up_events(root, geo_database)
    person_course, profiles, runs, posts, strangers = {}, [], {}, {}, {}
    for course in read_courses(root):
        key = course.run.key
        seen = everything.get((course.run.site, course.course_id), {})
        people = person_rows(course, seen)
        person_course[key] = people
        profiles.append(profile_row(course, people))
        runs[key], posts[key] = course.run, len(course.posts)
        strangers[key] = len(people_with_traces(course, seen) - {one["user_id"] for one in people})
    profiles.sort(key=lambda row: str(row["course"]))
    return Answers(person_course, profiles, runs, posts, strangers)


def people_with_traces(course: Course, seen: dict[int, Seen]) -> set[int]:
    """Everybody with events, states or posts in a course."""
    authors = {post_author(document) for document in course.posts.values()}
    modules = course.rows("courseware_studentmodule", "student_id")
    return {user for user in (*seen, *modules, *authors) if user is not None}


def add_up_events(root: Path, geo_database: Path) -> dict[SiteAndCourse, dict[int, Seen]]:
    """What was seen, by site and course and then by user."""
    found: dict[SiteAndCourse, dict[int, Seen]] = defaultdict(lambda: defaultdict(Seen))
    with maxminddb.open_database(geo_database) as database:
        countries = Countries(database)
        for log in counting_logs(root):
            for event in read_events(log, countries):
                if event.course is None or event.user is None:
                    continue
                seen = found[event.site, event.course][event.user]
                seen.events += 1
                seen.days |= {event.day} if event.day else set()
                seen.countries |= {event.country} if event.country else set()
    return found


def read_courses(root: Path) -> list[Course]:
    """Every run with a course folder, or with rows in any dump."""
    folder = state_folder(root)
    dumps, forums = list(all_dumps(folder)), all_forums(folder)
    folders = course_folders(folder, {dump.run for dump in dumps} | set(forums))
    courses = []
    for run in sorted({dump.run for dump in dumps} | set(forums) | set(folders)):
        mine = [dump for dump in dumps if dump.run == run]
        tables = {d.table: read_table(d.path) for d in mine if d.path.suffix == ".sql"}
        posts = read_posts(forums.get(run))
        structure = read_structure(folders[run]) if run in folders else None
        blocks = [dump.path for dump in mine if dump.table == "course_structure"]
        courses.append(Course(run, tables, posts, structure, blocks[0] if blocks else None))
    return [course for course in courses if course.is_there]


def person_rows(course: Course, seen: dict[int, Seen]) -> list[Record]:
    accounts = course.rows("auth_user", "id")
    profiles = course.rows("auth_userprofile", "user_id")
    enrolments = course.rows("student_courseenrollment", "user_id")
    certificates = course.rows("certificates_generatedcertificate", "user_id")
    modules = course.rows("courseware_studentmodule", "student_id")
    posts = Counter(post_author(document) for document in course.posts.values())
    rows = []
    for user in sorted(accounts):
        row: Record = {"course_id": course.course_id, "user_id": user, "registered": 1}
        row |= about_person(last(accounts[user]), last(profiles.get(user, [])))
        row |= about_enrolment(last(enrolments.get(user, [])))
        row |= about_certificate(last(certificates.get(user, [])))
        row |= about_modules(modules.get(user, []), course.structure)
        row |= about_events(seen.get(user, Seen()))
        row["nforum_posts"] = posts[user]
        row["inconsistent_flag"] = is_inconsistent(row)
        rows.append({name: row[name] for name in PERSON_COLUMNS})
    return rows


def last(rows: list[Row]) -> Row:
    return rows[-1] if rows else {}


def about_person(account: Row, profile: Row) -> Record:
    born = profile.get("year_of_birth")
    year = int(born) if born is not None and re.fullmatch(r"\d{4}", born) else 0
    return {
        "roles": account.get("is_staff"),
        "LoE": profile.get("level_of_education"),
        "YoB": year if year in YEARS else None,
        "gender": profile.get("gender"),
    }


def about_enrolment(enrolment: Row) -> Record:
    return {"mode": enrolment.get("mode"), "start_time": read_day(enrolment.get("created"))}


def about_certificate(certificate: Row) -> Record:
    grade = (certificate.get("grade") or "").strip()
    return {
        "certified": int(certificate.get("status") in CERTIFIED),
        "grade": float(grade) if NUMBER.fullmatch(grade) else 0.0,
    }


def about_modules(modules: list[Row], structure: Structure | None) -> Record:
    days = {read_day(row.get("created")) for row in modules} - {None}
    chapters = {row.get("module_id") for row in modules if row.get("module_type") == "chapter"}
    return {
        "viewed": int(len(days) > 0),
        "ndays_act": len(days),
        "nplay_video": sum(row.get("module_type") == "video" for row in modules),
        "nchapters": len(chapters),
        "explored": is_explored(len(chapters), structure),
        "attempted_problems": sum("correct_map" in (row.get("state") or "") for row in modules),
    }


def is_explored(chapters: int, structure: Structure | None) -> int | None:
    """Whether half of the course was opened; None when nobody knows what half of it is."""
    if chapters < 1:
        return 0
    return int(chapters >= math.ceil(structure.chapters / 2)) if structure else None


def about_events(seen: Seen) -> Record:
    return {
        "nevents": seen.events,
        "last_event": max(seen.days, default=None),
        "final_cc_cname": ",".join(sorted(seen.countries)) or None,
    }


def is_inconsistent(row: Record) -> int:
    other = row["ndays_act"] + row["nplay_video"] + row["nchapters"] + row["nforum_posts"]
    return int(row["nevents"] == 0 and other > 0)


def read_day(text: str | None) -> date | None:
    """The date of a moment in a table; impossible moments are unknown."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(\.\d+)?", text or "")
    try:
        return date.fromisoformat(found[1]) if found else None
    except ValueError:
        return None


def profile_row(course: Course, people: list[Record]) -> Record:
    run, structure = course.run, course.structure
    row: Record = dict.fromkeys(PROFILE_COLUMNS)
    row |= {
        "course": run.key,
        "dbname": run.database,
        "mongoname": course.course_id,
        "discussiontable": run.discussion,
        "course_length": structure.weeks if structure else 0,
    }
    for name in ("registered", "viewed", "explored", "certified"):
        row[f"n{name}_students"] = add_known([person[name] for person in people])
    row |= about_all_enrolments(course, {person["user_id"] for person in people})
    row |= about_structure(structure) if structure else {}
    return row


def add_known(values: list[int | None]) -> int | None:
    """The sum of what is known; unknown when there are values and none of them is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known or not values else None


def about_all_enrolments(course: Course, accounts: Iterable[int]) -> Record:
    by_user = course.rows("student_courseenrollment", "user_id")
    rows = [row for user in accounts for row in by_user.get(user, [])]
    days = [day for row in rows if (day := read_day(row.get("created"))) is not None]
    modes = Counter(row.get("mode") for row in rows)
    return {
        "registration_open_date": min(days, default=None),
        "nhonor_students": modes["honor"],
        "naudit_students": modes["audit"],
        "nvertified_students": modes["verified"],
    }


def about_structure(structure: Structure) -> Record:
    leaves = structure.leaves
    return {
        "course_launch_date": structure.start,
        "course_close_date": structure.end,
        "nchapters": structure.chapters,
        "nvideos": leaves["video"],
        "nhtmls": leaves["html"],
        "nassessments": leaves["problem"],
        "nsummative_assessments": structure.summative,
        "nformative_assessments": leaves["problem"] - structure.summative,
        "nincontent_discussions": leaves["discussion"],
        "nactivities": leaves["activity"],
    }
