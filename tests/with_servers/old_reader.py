"""What uqx_api, the REST application of 2014, asks of our databases: connections and learners.

Its queries again, endpoint by endpoint, as Django 1.6 and pymongo 2.6 sent them: every declared
column is selected, ``id`` too, and what the application compares, converts or formats is compared,
converted and formatted here, so that a value it trips over makes a function raise. Sums, shares
and groupings that it makes of an answer without asking anything more are left out.

``old_reader_meta`` and ``old_reader_forums`` have the other endpoints. meta/countries reads
nothing, and videos/views asks YouTube.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pymysql.cursors
from pymongo import MongoClient
from pymongo.collection import Collection

Row = dict[str, Any]

PSEUDO_COURSES = ("default", "personcourse", "Course_Event")
PROFILE = (
    "id", "user_id", "name", "language", "location", "meta", "mailing_address", "goals", "country",
    "city", "gender", "year_of_birth", "level_of_education",
)  # fmt: skip
ENROLMENT = ("id", "user_id", "course_id", "created", "is_active", "mode")
CERTIFICATE = (
    "id", "user_id", "download_url", "name", "grade", "course_id", "distinction", "status",
    "created_date", "modified_date", "mode",
)  # fmt: skip
MODULE = ("id", "module_type", "module_id", "student_id", "created")
MODELS = {
    "auth_user": ("id", "username", "email"),
    "auth_userprofile": PROFILE,
    "student_courseenrollment": ENROLMENT,
    "certificates_generatedcertificate": CERTIFICATE,
    "courseware_studentmodule": MODULE,
}
PERSON_COURSE = (
    "course_id", "user_id", "registered", "viewed", "explored", "certified", "final_cc_cname",
    "LoE", "YoB", "gender", "mode", "grade", "start_time", "last_event", "nevents", "ndays_act",
    "nplay_video", "nchapters", "nforum_posts", "roles", "attempted_problems",
    "inconsistent_flag",
)  # fmt: skip
GENDERS = {"m": "Male", "f": "Female", "o": "Other"}
AGES = (
    (12, "Less than 12"), (16, "12-15"), (19, "16-18"), (23, "19-22"), (26, "23-25"),
    (31, "26-30"), (41, "31-40"), (51, "41-50"),
)  # fmt: skip
EDUCATIONS = {
    "p": "Doctorate", "m": "Masters", "b": "Bachelor", "a": "Associate", "hs": "Secondary school",
    "jhs": "Middle school", "el": "Primary school", "other": "Other", "p_se": "Doctorate",
    "p_oth": "Doctorate",
}  # fmt: skip
YEAR_OF_ALL_AGES = 2014
OLDEST = 100
YOUTH = (13, 17)
PROFILE_SHOWN = (
    "name", "language", "location", "mailing_address", "gender", "meta", "goals", "city", "country",
    "year_of_birth", "level_of_education",
)  # fmt: skip
LOOKUP_SHOWN = ("user_id", "name", "location", "country", "year_of_birth", "level_of_education")
PERSON_SHOWN = tuple(
    name for name in PERSON_COURSE if name not in ("course_id", "user_id", "inconsistent_flag")
)


class OldReader:
    """The application's connections.

    Attributes:
        courses: its ``EDX_DATABASES``, pseudo courses and all.
        www: the folder that it sees as ``SERVER_URL/datasources``.
        mongo: its client; dates come without a zone.
    """

    def __init__(self, mysql_port: int, mongo_port: int, courses: dict[str, Row], www: Path):
        self.courses = courses
        self.www = www
        self.mongo: MongoClient[Row] = MongoClient("127.0.0.1", mongo_port)
        self._mysql_port = mysql_port

    def all_courses(self) -> dict[str, Row]:
        """The courses without the pseudo courses, which must be there."""
        courses = dict(self.courses)
        for name in PSEUDO_COURSES:
            del courses[name]
        return courses

    def chosen(self, course: str) -> list[str]:
        """The courses that an address ends in."""
        return list(self.all_courses()) if course in ("all", "allcourses") else [course]

    def query(self, alias: str, sql: str, *values: object) -> list[Row]:
        """Ask the database of a course or pseudo course."""
        connection = pymysql.connect(
            host="127.0.0.1",
            port=self._mysql_port,
            user="root",
            database=self.courses[alias]["dbname"],
            cursorclass=pymysql.cursors.DictCursor,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def rows(
        self, alias: str, table: str, columns: Sequence[str], where: str = "", *values: object
    ) -> list[Row]:
        """The objects of a Django model: all its columns, by name."""
        names = ", ".join(f"`{table}`.`{name}`" for name in columns)
        condition = f" WHERE {where}" if where else ""
        return self.query(alias, f"SELECT {names} FROM `{table}`{condition}", *values)

    def has_table(self, alias: str, table: str) -> bool:
        """Whether a table is there, spelled exactly so."""
        return table in [name for row in self.query(alias, "SHOW TABLES") for name in row.values()]

    def structure(self, course: str) -> Row:
        """The course's tree, under the name that the application makes of the database's."""
        name = self.courses[course]["dbname"].replace("_", "-")
        text = (self.www / "course_structure" / f"{name}.json").read_text("utf-8")
        tree: Row = json.loads(text.replace("<script", "").replace("</script>", ""))
        return tree

    def events(self) -> Collection[Row]:
        """The collection of events."""
        return self.mongo["logs"]["clickstream"]

    def forum(self, course: str) -> Collection[Row]:
        """The collection of a course's posts."""
        return self.mongo["discussion_forum"][self.courses[course]["discussiontable"]]


# --- students ---------------------------------------------------------------------------------


def student_genders(old: OldReader, course: str, *, cutoff: bool = False) -> Counter[str]:
    """students/genders."""
    people = _profiles(old, course, cutoff=cutoff)
    return Counter(GENDERS.get(person["gender"], "Unspecified") for person in people)


def student_ages(old: OldReader, course: str) -> Counter[str]:
    """students/ages."""
    return Counter(_age_group(person["year_of_birth"]) for person in _profiles(old, course))


def student_fullages(old: OldReader, course: str) -> Counter[str]:
    """students/fullages."""
    years = [person["year_of_birth"] for person in _profiles(old, course)]
    ages = [YEAR_OF_ALL_AGES - int(year) for year in years if year != "NULL"]
    return Counter(str(age) for age in ages if age <= OLDEST)


def student_educations(old: OldReader, course: str) -> Counter[str]:
    """students/educations."""
    people = _profiles(old, course)
    return Counter(EDUCATIONS.get(person["level_of_education"], "Unspecified") for person in people)


def student_modes(old: OldReader, course: str) -> Counter[str]:
    """students/modes."""
    return Counter(row["mode"] for row in _enrolments(old, course))


def student_countries(old: OldReader, course: str) -> Counter[str | None]:
    """students/countries."""
    counts: Counter[str | None] = Counter()
    for one in old.chosen(course):
        for group in enrolments_by_country(old, one):
            counts[group["_id"]] += group["thecount"]
    return counts


def enrolments_by_country(old: OldReader, course: str) -> list[Row]:
    """How many events of an enrolment came from where."""
    wanted = {
        "context.course_id": old.courses[course]["mongoname"],
        "event_type": "edx.course.enrollment.activated",
    }
    group = {"_id": "$country", "thecount": {"$sum": 1}}
    return list(old.events().aggregate([{"$match": wanted}, {"$group": group}]))


def student_dates(old: OldReader, course: str) -> dict[str, Row]:
    """students/dates."""
    days: dict[str, Row] = {}
    for row in _enrolments(old, course):
        day = days.setdefault(row["created"].strftime("%Y-%m-%d"), {"enrolled": 0, "active": 0})
        day["enrolled"] += 1
        day["active"] += row["is_active"] == "1"
    return days


def student_active_days(old: OldReader, course: str) -> Counter[str]:
    """The days of students/active."""
    day = {"$substr": ["$time", 0, 10]}
    counts: Counter[str] = Counter()
    for one in old.chosen(course):
        counts.update(_users_by(old, {"context.course_id": old.courses[one]["mongoname"]}, day))
    return counts


def student_active_weeks(old: OldReader, course: str) -> Counter[date]:
    """The weeks of students/active, by their Mondays."""
    counts: Counter[date] = Counter()
    for one in old.chosen(course):
        for week, users in users_by_week(old, one).items():
            counts[monday_of(week)] += users
    return counts


def monday_of(week: str) -> date:
    """What the application makes of ``2016_5``."""
    text = f"{week[:4]}{week[5:].zfill(2)}1"
    return datetime.strptime(text, "%Y%W%w").replace(tzinfo=UTC).date()


def users_by_week(old: OldReader, course: str) -> dict[str, int]:
    """How many learners were active in a week, such as ``2016_5``."""
    wanted = {
        "context.course_id": old.courses[course]["mongoname"],
        "time_date": {"$exists": True},
    }
    year = {"$substr": [{"$year": ["$time_date"]}, 0, 4]}
    week = {"$substr": [{"$week": ["$time_date"]}, 0, 2]}
    return _users_by(old, wanted, {"$concat": [year, "_", week]})


def student_personcourse(old: OldReader, course: str) -> list[Row]:
    """students/personcourse."""
    return [{name: row[name] for name in PERSON_COURSE} for row in person_course_rows(old, course)]


def person_course_rows(
    old: OldReader, course: str, where: str = "", *values: object
) -> Iterator[Row]:
    """The rows of a course in Person_Course; none when it has no table."""
    table = f"personcourse_{course}"
    if old.has_table("personcourse", table):
        yield from old.rows("personcourse", table, ("id", *PERSON_COURSE), where, *values)


def student_in_age_range(old: OldReader, course: str) -> Row:
    """students/inagerange: the sums and the days; it makes weeks and months of the days."""
    found: Row = {"user_in_range": 0, "user_known_age": 0, "days": {}}
    for one in old.chosen(course):
        year = int(old.courses[one]["year"])
        between = "`year_of_birth` BETWEEN %s AND %s"
        bounds = str(year - YOUTH[1]), str(year - YOUTH[0])
        known = "`year_of_birth` IS NOT NULL AND NOT (`year_of_birth` LIKE 'NULL')"
        young = [row["user_id"] for row in _profile_rows(old, one, between, *bounds)]
        aged = [row["user_id"] for row in _profile_rows(old, one, known)]
        found["user_in_range"] += len(young)
        found["user_known_age"] += len(aged)
        enrolments = old.rows(one, "student_courseenrollment", ENROLMENT, "`user_id` IN %s", aged)
        for row in enrolments:
            nobody = {"user_in_range": 0, "user_known_age": 0}
            day = found["days"].setdefault(row["created"].date(), nobody)
            day["user_known_age"] += 1
            day["user_in_range"] += row["user_id"] in young
    return found


def student_in_age_range_together(old: OldReader) -> dict[str, Row]:
    """students/inagerangetogether."""
    return {course: student_in_age_range(old, course) for course in (*old.all_courses(), "all")}


def student_activity(old: OldReader, course: str, name: str, week: datetime) -> int:
    """What students/student_activity, switched off in its last version, counts of a week."""
    where = "`module_id` LIKE BINARY %s AND `created` BETWEEN %s AND %s"
    bounds = [(week + timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S") for days in (0, 7)]
    found = old.rows(course, "courseware_studentmodule", MODULE, where, f"%{name}%", *bounds)
    return len({row["student_id"] for row in found})


def _profiles(old: OldReader, course: str, *, cutoff: bool = False) -> Iterator[Row]:
    for one in old.chosen(course):
        paced = paced_students(old, one) if cutoff else set()
        for row in _profile_rows(old, one):
            if not paced or row["user_id"] in paced:
                yield row


def _profile_rows(old: OldReader, course: str, where: str = "", *values: object) -> list[Row]:
    return old.rows(course, "auth_userprofile", PROFILE, where, *values)


def _enrolments(old: OldReader, course: str) -> Iterator[Row]:
    for one in old.chosen(course):
        yield from old.rows(one, "student_courseenrollment", ENROLMENT)


def paced_students(old: OldReader, course: str) -> set[str]:
    """``?cutoff=true``: who enrolled before the course ended; nobody when its tree tells no end."""
    tree = old.structure(course)
    if "end" not in tree:
        return set()
    end = datetime.fromisoformat(tree["end"])
    rows = list(_enrolments(old, course))
    return {row["user_id"] for row in rows if row["created"].replace(tzinfo=UTC) < end}


def _age_group(year: str) -> str:
    if year == "NULL":
        return "Unknown"
    age = YEAR_OF_ALL_AGES - int(year)
    return next((name for limit, name in AGES if age < limit), "Over 50")


def _users_by(old: OldReader, wanted: Row, key: Row) -> dict[str, int]:
    groups = old.events().aggregate(
        [
            {"$match": wanted},
            {"$group": {"_id": key, "users": {"$addToSet": "$username"}}},
            {"$unwind": "$users"},
            {"$group": {"_id": "$_id", "userCount": {"$sum": 1}}},
        ]
    )
    return {group["_id"]: group["userCount"] for group in groups}


# --- person -----------------------------------------------------------------------------------


def person_profile(old: OldReader, user: str) -> Row:
    """person/profile."""
    found: Row = {"profile": None, "courses": [], "person_course": {}}
    for course in old.all_courses():
        people = _profile_rows(old, course, "`user_id` = %s", user)
        if people:
            found["courses"].append(course)
            found["profile"] = {name: people[0][name] for name in PROFILE_SHOWN}
            for row in list(person_course_rows(old, course, "`user_id` = %s", user))[:1]:
                found["person_course"][course] = {name: row[name] for name in PERSON_SHOWN}
    return found


def person_lookup(old: OldReader, details: str) -> dict[str, Row]:
    """person/lookup: by a user's name or address, or a part of the full name."""
    found: dict[str, Row] = {}
    for course in old.all_courses():
        where = "`username` = %s OR `email` = %s"
        users = old.rows(course, "auth_user", ("id", "username", "email"), where, details, details)
        ids = [str(user["id"]) for user in users] or [""]
        where = "`name` LIKE BINARY %s OR `user_id` IN %s"
        for row in _profile_rows(old, course, where, f"%{details}%", ids):
            shown = {name: row[name] for name in LOOKUP_SHOWN}
            person = found.setdefault(row["user_id"], {**shown, "courses": []})
            if course not in person["courses"]:
                person["courses"].append(course)
    return found
