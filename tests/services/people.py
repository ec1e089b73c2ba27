"""Learners and what they did, delivered for the tests of person_course."""

import csv
from pathlib import Path
from typing import Any

from tests.services.deliveries import COURSE, KEY, Deliveries
from tests.services.geo_house import BRISBANE, write_database

LOG = "demox-edx-events-2016-02-03.log"
EDGE_LOG = "demox-edge-events-2016-02-03.log"
OTHER_STEM, OTHER_KEY = "DemoX-Ants-1", "Ants_1"
OTHER_COURSE = "course-v1:DemoX+Ants+1"
TREE = """<course org="DemoX" course="Bees101" url_name="2016_T1" start="2016-02-01T00:00:00Z"
  end="2016-03-03T00:00:00Z"><chapter url_name="a"/><chapter url_name="b"/>
  <chapter url_name="c"><sequential><vertical><video/></vertical></sequential></chapter></course>"""
USERS = "id is_staff"
PROFILES = "user_id level_of_education year_of_birth gender"
ENROLMENTS = "user_id course_id created mode"
CERTIFICATES = "user_id course_id status grade"
MODULES = "student_id course_id module_type module_id state created"


SERVICES = (
    "clickstream",
    "database_state",
    "discussion_forums",
    "course_structure",
    "ip_to_country",
    "time_finder",
    "person_course",
)


def house_with_countries(folder: Path, *more: str) -> Deliveries:
    """What person_course builds on, and these services too."""
    write_database(folder / "country.mmdb")
    return Deliveries(folder, (*SERVICES, *more), geoip_country_db=folder / "country.mmdb")


def event(user_id: Any = 7, **more: Any) -> dict[str, Any]:
    base = {"event_type": "a", "time": "2016-02-03T04:05:06+00:00", "ip": BRISBANE}
    context = {"user_id": user_id, "course_id": COURSE, **more.pop("context", {})}
    return base | {"context": context} | more


def learners(house: Deliveries, columns: str = "*", key: str = KEY) -> list[Any]:
    house.ingest()
    return asked(house, columns, key)


def asked(house: Deliveries, columns: str, key: str = KEY) -> list[Any]:
    return house.query(
        f'SELECT {columns} FROM "Person_Course"."personcourse_{key}" ORDER BY user_id'
    )


def profile(house: Deliveries, columns: str) -> list[Any]:
    house.ingest()
    return house.query(f'SELECT {columns} FROM "Person_Course".courseprofile ORDER BY dbname')


def module(user: int, kind: str, name: str, state: str = "{}", day: str = "2016-02-03") -> str:
    return f"{user} {COURSE} {kind} {name} {state} {day}T01:02:03"


def export(house: Deliveries, name: str) -> list[dict[str, str]]:
    path = house.settings.export_path / "latest" / f"{name}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
