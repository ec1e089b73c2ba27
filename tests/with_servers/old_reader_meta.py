"""What uqx_api asks: its endpoints below meta/, about courses and about the ingestion."""

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.with_servers.old_reader import (
    CERTIFICATE,
    ENROLMENT,
    OldReader,
    Row,
    person_course_rows,
)

COURSE_PROFILE = (
    "course", "dbname", "mongoname", "discussiontable", "registration_open_date",
    "course_launch_date", "course_close_date", "nregistered_students", "nviewed_students",
    "nexplored_students", "ncertified_students", "nhonor_students", "naudit_students",
    "nvertified_students", "course_effort", "course_length", "nchapters", "nvideos", "nhtmls",
    "nassessments", "nsummative_assessments", "nformative_assessments",
    "nincontent_discussions", "nactivities", "best_assessment", "worst_assessment",
)  # fmt: skip
INGESTOR = (
    "id", "service_name", "type", "meta", "started", "completed", "started_date", "completed_date",
)  # fmt: skip
LEAVES = ("problem", "video", "html", "discussion")


def meta_courses(old: OldReader) -> list[Row]:
    """meta/courses."""
    found = [
        {
            "id": course,
            "name": course.replace("_", " "),
            "icon": facts["icon"],
            "year": facts["year"],
            "term": facts["term"],
        }
        for course, facts in old.all_courses().items()
    ]
    return sorted(found, key=lambda course: str(course["year"]))


def meta_courseinfo(old: OldReader) -> dict[str, Row]:
    """meta/courseinfo: a course with anything that the application trips over is left out."""
    found = {}
    for course in old.all_courses():
        with suppress(OSError, LookupError, ValueError, ZeroDivisionError):
            found[course] = _course_info(old, course)
    return found


def _course_info(old: OldReader, course: str) -> Row:
    tree = old.structure(course)
    info: Row = {name: _cleaned(tree[name]) for name in ("start", "end") if name in tree}
    info.setdefault("end", info["start"])
    if "display_name" in tree:
        info["display_name"] = tree["display_name"]
    after_a_week = datetime.fromisoformat(info["start"]).replace(tzinfo=None) + timedelta(days=7)
    end = datetime.strptime(info["end"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=None)  # noqa: DTZ007 - as it did
    moments = [row["created"] for row in old.rows(course, "student_courseenrollment", ENROLMENT)]
    days = (after_a_week - min(moments)).days
    return info | {
        "enrolments": len(moments),
        "enrolments_per_day": round(sum(one < after_a_week for one in moments) / days, 2),
        "certificates": certificates(old, course),
        "enroled_during_course": sum(one < end for one in moments),
    }


def certificates(old: OldReader, course: str) -> int:
    """How many certificates learners may take home."""
    table, where = "certificates_generatedcertificate", "`status` = %s"
    return len(old.rows(course, table, CERTIFICATE, where, "downloadable"))


def _cleaned(moment: str) -> str:
    return moment.replace("+00:00", "Z").replace('"', "")


def meta_uniques(old: OldReader) -> Row:
    """meta/uniques."""
    users = [
        row["user_id"]
        for course in old.all_courses()
        for row in old.rows(course, "student_courseenrollment", ENROLMENT)
    ]
    return {"uniques": len(set(users)), "total": len(users)}


def meta_structure(old: OldReader, course: str) -> Row:
    """meta/structure."""
    return old.structure(course)


def chapters(node: Row) -> list[Row]:
    """Every chapter of a tree that is in no other; each node must have tag and children."""
    if node["tag"] == "chapter":
        return [node]
    return [chapter for child in node["children"] for chapter in chapters(child)]


def leaves(node: Row) -> list[Row]:
    """What stands on the pages of a tree: all that meta/courseevents can name."""
    return [
        leaf
        for chapter in chapters(node)
        for sequential in chapter["children"]
        if sequential["tag"] == "sequential"
        for vertical in sequential["children"]
        if vertical["tag"] == "vertical"
        for leaf in vertical["children"]
    ]


def course_start(old: OldReader, course: str) -> date:
    """The start of a course as meta/courseevents reads it."""
    text = old.structure(course)["start"][:19]
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).date()


def meta_courseevents(old: OldReader, course: str) -> Row:
    """meta/courseevents: how often each module was used, in all and in the weeks of the course."""
    start = course_start(old, course)
    table = f"courseevent_{course}"
    columns = [row["Field"] for row in old.query("Course_Event", f"desc {table}")]
    events = [name for name in columns if name not in ("id", "course_id", "event_date")]
    bounds = {
        name: old.query("Course_Event", f"SELECT {name}(event_date) AS day FROM {table}")[0]["day"]
        for name in ("MIN", "MAX")
    }
    sums = {name: int(count) for name, count in zip(events, _sums(old, table, events), strict=True)}
    happened = [name for name in events if sums[name] > 0]
    weeks = {}
    while start + timedelta(days=6) < bounds["MAX"]:
        end = start + timedelta(days=6)
        week = f' WHERE event_date BETWEEN "{start}" AND "{end}"'
        weeks[start] = dict(zip(happened, _sums(old, table, happened, week), strict=True))
        start = end + timedelta(days=1)
    return {
        "events": events,
        "event_start": str(bounds["MIN"]),
        "event_end": str(bounds["MAX"]),
        "event_display_names": _display_names(old.structure(course), events),
        "sum_events": sums,
        "weeks": weeks,
    }


def _sums(old: OldReader, table: str, columns: Sequence[str], where: str = "") -> list[Any]:
    """The sums of columns, whose names are written without quotes."""
    sums = ", ".join(f"SUM({name})" for name in columns)
    [row] = old.query("Course_Event", f"SELECT {sums} FROM {table}{where}")
    return list(row.values())


def _display_names(tree: Row, events: Sequence[str]) -> Row:
    """The titles of modules; blank for a column that no module of the tree has the name of."""
    named = {f"u_{leaf['url_name'].replace('.', '$')}": leaf for leaf in leaves(tree)}
    return {
        name: named[name].get("display_name", named[name]["url_name"]) if name in named else ""
        for name in events
    }


def meta_coursestructure(old: OldReader, course: str) -> Row:
    """meta/coursestructure: what edX itself says of the course."""
    path = old.www / "edx_course_structure" / old.courses[course]["csjson"]
    text = path.read_text("utf-8").replace("<script", "").replace("</script>", "")
    structure: Row = json.loads(text)
    return structure


def meta_modes() -> tuple[str, ...]:
    """meta/modes: a list of its own."""
    return ("blank", "audit", "honor", "verified")


def meta_courseprofile(old: OldReader, course: str) -> dict[str, Row]:
    """meta/courseprofile."""
    found: dict[str, Row] = {}
    for one in old.chosen(course):
        columns = ("id", *COURSE_PROFILE)
        rows = old.rows("personcourse", "courseprofile", columns, "`course` = %s", one)
        found[one] = {name: rows[0][name] for name in COURSE_PROFILE} if rows else {}
        found[one]["status"] = "available" if rows else "unavailable"
    return found


def meta_enrolcount(old: OldReader, course: str) -> dict[str, str]:
    """meta/enrolcount: who enrolled in the days before the last enrolment of each course."""
    counts = {"last_day": 0, "last_week": 0, "last_month": 0}
    for one in old.chosen(course):
        days: list[date] = [
            row["start_time"]
            for row in person_course_rows(old, one)
            if row["start_time"] is not None
        ]
        for name, length in (("last_day", 1), ("last_week", 7), ("last_month", 30)):
            counts[name] += sum(day > max(days) - timedelta(days=length) for day in days)
    return {name: str(count) for name, count in counts.items()}


def meta_lastingest(old: OldReader) -> dict[str, str]:
    """meta/lastingest: the name of every log that is done must end in its day."""
    done = [row for row in ingests(old) if row["completed"] == 1 and row["completed_date"]]
    last = max(row["completed_date"] for row in done)
    logs = [row["meta"].replace(".log", "") for row in done if row["service_name"] == "Clickstream"]
    day = max(datetime.strptime(log[-10:], "%Y-%m-%d").replace(tzinfo=UTC) for log in logs)
    return {
        "ingest_date": datetime.strftime(last, "%Y-%m-%d"),
        "data_date": datetime.strftime(day, "%Y-%m-%d"),
    }


def meta_ingeststatus(old: OldReader) -> dict[str, Row]:
    """meta/ingeststatus."""
    found: dict[str, Row] = {}
    for row in ingests(old):
        service = found.setdefault(
            row["service_name"],
            {
                "total": 0,
                "remaining": 0,
                "completed": 0,
                "current": "",
                "current_start": None,
                "last_ingest_date": None,
            },
        )
        service["total"] += 1
        if row["completed"] == 1 and row["completed_date"]:
            service["completed"] += 1
            text = datetime.strftime(row["completed_date"], "%Y-%m-%d %H:%M:%S")
            service["last_ingest_date"] = max(service["last_ingest_date"] or "", text)
        else:
            service["remaining"] += 1
        if row["completed"] == 0 and row["started"] == 1:
            service["current"] = row["meta"]
            service["current_start"] = datetime.strftime(row["started_date"], "%Y-%m-%d %H:%M:%S")
    return found


def ingests(old: OldReader) -> list[Row]:
    return old.rows("default", "ingestor", INGESTOR)


def ingests_by_position(old: OldReader) -> list[Sequence[Any]]:
    """The queue as the original's own tools read it: ``row[1]`` and so on."""
    return [tuple(row.values()) for row in old.query("default", "SELECT * FROM ingestor")]


def ignored_services(old: OldReader) -> list[str]:
    """The services that the original's configuration table names."""
    columns = ("id", "param_name", "param_value")
    rows = old.rows("default", "config", columns, "`param_name` = %s", "IGNORE_SERVICES")
    [names] = [json.loads(row["param_value"]) for row in rows]
    assert isinstance(names, list)
    return names
