"""Rows of table files and forum files with one oddity each, and what must come of them.

Again every case has a learner of its own, and what must come is written down by hand.
"""

import itertools
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.end_to_end.odd_events import COURSE

FIRST_USER = 1001
DAY = "2016-03-01"
MOMENT = f"{DAY} 10:00:00"
COLUMNS = {
    "auth_user": ("id", "username", "is_staff"),
    "auth_userprofile": ("id", "user_id", "year_of_birth", "level_of_education", "gender", "goals"),
    "student_courseenrollment": ("id", "user_id", "course_id", "created", "is_active", "mode"),
    "certificates_generatedcertificate": ("id", "user_id", "grade", "course_id", "status"),
    "courseware_studentmodule": (
        "id", "module_type", "module_id", "student_id", "state", "grade", "created", "modified",
        "max_grade", "done", "course_id",
    ),
}  # fmt: skip
PLAIN = {
    "course_id": COURSE,
    "created": MOMENT,
    "modified": MOMENT,
    "is_active": "1",
    "is_staff": "0",
    "done": "na",
    "gender": "f",
    "mode": "audit",
    "module_type": "problem",
    "module_id": "block-v1:RiverU+Odd.1+2016-T1+type@problem+block@p1",
}

Cells = dict[str, str]


@dataclass
class Case:
    """One oddity.

    Attributes:
        about: what is odd.
        table: where the rows stand.
        rows: the cells, as they are spelled in the file, that are other than usual.
        expected: what must come, by column of person_course.
        behind: text to put behind each row, before its end.
        has_account: whether the learner gets a plain row in auth_user.
    """

    about: str
    table: str
    rows: list[Cells]
    expected: dict[str, Any]
    behind: str = ""
    has_account: bool = True
    posts: list[str] = field(default_factory=list)


def profiles() -> Iterator[Case]:
    table = "auth_userprofile"
    for born, year in (
        ("1901", 1901), ("2155", 2155), ("1900", None), ("2156", None), ("NULL", None),
        ("", None), ("-1980", None), ("0", None),
    ):  # fmt: skip
        yield Case(f"born {born!r}", table, [{"year_of_birth": born}], {"YoB": year, "gender": "f"})
    for level, kept in (("NULL", None), ("", ""), ("none", "none"), ("hs", "hs"), (r"\N", r"\N")):
        yield Case(f"level {level!r}", table, [{"level_of_education": level}], {"LoE": kept})
    two = [{"gender": "m", "year_of_birth": "1980"}, {"gender": "NULL", "year_of_birth": "NULL"}]
    yield Case("the last profile counts", table, two, {"gender": None, "YoB": None})
    goals = 'C:\\\\notes\\nthen "fly\\t'
    yield Case("escapes and a quote", table, [{"goals": goals, "gender": "o"}], {"gender": "o"})
    yield Case(
        "a carriage return", table, [{"goals": "a\rb\x0cc\u2028d", "gender": "o"}], {"gender": "o"}
    )
    yield Case("a cell too many", table, [{"gender": "m"}], {"gender": None}, behind="\tmore")
    yield Case("an id that is none", table, [{"id": "x", "gender": "m"}], {"gender": None})


def enrolments() -> Iterator[Case]:
    table = "student_courseenrollment"
    two = [{"created": "2014-05-06 01:02:03", "mode": "honor"}, {"mode": "verified"}]
    yield Case("two enrolments", table, two, {"mode": "verified", "start_time": DAY})
    for about, created, day in (
        ("a fraction", "2016-03-01 23:59:59.999999", DAY),
        ("a day that is none", "2015-09-31 21:32:17", None),
        ("zeros", "0000-00-00 00:00:00", None),
        ("null", "NULL", None),
        ("blank", "", None),
    ):
        yield Case(f"created: {about}", table, [{"created": created}], {"start_time": day})
    yield Case("not active", table, [{"is_active": "0"}], {"mode": "audit", "start_time": DAY})
    yield Case("no mode", table, [{"mode": ""}], {"mode": "", "registered": 1})
    yield Case("never enrolled", table, [], {"mode": None, "start_time": None, "registered": 1})


def certificates() -> Iterator[Case]:
    table = "certificates_generatedcertificate"
    for text, grade in (
        ("0.96999999999999997", 0.97), ("1.0", 1.0), ("", 0.0), ("NULL", 0.0), ("n/a", 0.0),
        ("nan", 0.0), ("inf", 0.0), ("0,5", 0.0), (".5", 0.5),
    ):  # fmt: skip
        yield Case(f"grade {text!r}", table, [{"grade": text}], {"grade": grade, "certified": 0})
    for status, certified in (
        ("downloadable", 1), ("audit_passing", 1), ("notpassing", 0), ("Downloadable", 0),
        ("NULL", 0), ("", 0),
    ):  # fmt: skip
        yield Case(f"status {status!r}", table, [{"status": status}], {"certified": certified})
    two = [{"status": "downloadable", "grade": "0.9"}, {"status": "notpassing", "grade": "0.1"}]
    yield Case("two certificates", table, two, {"certified": 0, "grade": 0.1})


def modules() -> Iterator[Case]:
    table = "courseware_studentmodule"
    for about, state, tried in (
        ("correct_map", '{"correct_map": {}}', 1),
        ("in capitals", '{"CORRECT_MAP": {}}', 0),
        ("any letter for the line", '{"correctXmap": {}}', 0),
        ("a TAB in it", '{"a":\\\t1, "correct_map": {}}', 1),
        ("null", "NULL", 0),
        ("blank", "", 0),
    ):
        yield Case(f"state: {about}", table, [{"state": state}], {"attempted_problems": tried})
    days = [{"created": f"2016-03-{day} 00:00:00"} for day in ("01", "01", "02", "31")]
    yield Case("three days", table, days, {"ndays_act": 3, "viewed": 1, "inconsistent_flag": 1})
    bad = [{"created": "2016-02-30 00:00:00", "module_type": "video"}]
    expected = {"ndays_act": 0, "viewed": 0, "nplay_video": 1, "inconsistent_flag": 1}
    yield Case("a day that is none", table, bad, expected)
    chapters = [{"module_type": "chapter", "module_id": f"c{name}"} for name in "aab"]
    unknown = {"nchapters": 2, "explored": None, "nplay_video": 0}
    yield Case("chapters of a course without structure", table, chapters, unknown)
    yield Case("no chapter of it", table, [{}], {"nchapters": 0, "explored": 0})


def accounts() -> Iterator[Case]:
    yield Case("staff", "auth_user", [{"is_staff": "1"}], {"roles": "1"}, has_account=False)
    unknown = [{"is_staff": "NULL"}]
    yield Case("nobody knows", "auth_user", unknown, {"roles": None}, has_account=False)


def posts() -> Iterator[Case]:
    for number, (about, authors, count) in enumerate(
        (
            ("text of a number", ['"USER"'], 1),
            ("a number", ["USER"], 1),
            ("the last version is somebody else's", ['"USER"', '"NNN"'], 0),
            ("the last version is theirs", ['"NNN"', '"USER"'], 1),
            ("no number", ['"NNNNNNN"'], 0),
            ("null", ["null"], 0),
        )
    ):
        oid = f"56b1d0a0e4b0c3f1a20{number:05x}"
        lines = [
            f'{{"_id": {{"$oid": "{oid}"}}, "_type": "Comment", "author_id": {author}, '
            f'"course_id": {json.dumps(COURSE)}, "body": "Hm."}}'
            for author in authors
        ]
        yield Case(f"author: {about}", "", [], {"nforum_posts": count}, posts=lines)
    shell = '{"_id": {"$oid": "56b1d0a0e4b0c3f1a2000099"}, "at": ISODate("2014-08-29"), '
    shell += '"author_id": "USER"}'
    yield Case("author: in the shell's notation", "", [], {"nforum_posts": 0}, posts=[shell])
    nameless = '{"author_id": "USER", "body": "no id"}'
    yield Case("author: of a post without id", "", [], {"nforum_posts": 0}, posts=[nameless])


def ill_typed() -> Iterator[Case]:
    """Cells of the wrong kind: the whole row is set aside, never a part of it."""
    for born in ("19x0", "99999999999999999999"):
        rows = [{"year_of_birth": born, "gender": "m"}]
        yield Case(f"born {born}", "auth_userprofile", rows, {"YoB": None, "gender": None})
    rows = [{"gender": "m"}, {"id": "", "gender": "o"}]
    yield Case("the last one has no id", "auth_userprofile", rows, {"gender": "m"})
    rows = [{"is_active": "perhaps"}]
    nothing = {"mode": None, "start_time": None}
    yield Case("active, perhaps", "student_courseenrollment", rows, nothing)
    rows = [{"grade": "n/a", "max_grade": "much", "module_type": "video"}]
    yield Case("graded n/a", "courseware_studentmodule", rows, {"nplay_video": 0, "viewed": 0})


def numbered(*groups: Iterator[Case]) -> dict[int, Case]:
    """Every case by the id of its learner."""
    return dict(enumerate(itertools.chain(*groups), FIRST_USER))


CASES = numbered(profiles(), enrolments(), certificates(), modules(), accounts(), posts())
ILL_TYPED = numbered(ill_typed())


def table_text(table: str, cases: dict[int, Case], others: Iterable[int] = ()) -> str:
    """A table file: the rows of the cases, and an account for everybody else."""
    columns = COLUMNS[table]
    lines = ["\t".join(columns)]
    number = 0
    for user, case in cases.items():
        for change in case.rows if case.table == table else ():
            number += 1
            who = {"user_id": str(user), "student_id": str(user), "username": f"u{user}"}
            cells = PLAIN | who | {"id": str(user if table == "auth_user" else number)} | change
            lines.append("\t".join(cells.get(column, "") for column in columns) + case.behind)
    if table == "auth_user":
        without = (user for user, case in cases.items() if case.has_account)
        lines += [f"{user}\tu{user}\t0" for user in (*without, *others)]
    return "".join(f"{line}\n" for line in lines)


def forum_text() -> str:
    lines = [post.replace("USER", str(user)) for user, case in CASES.items() for post in case.posts]
    return "".join(f"{line}\n" for line in lines)
