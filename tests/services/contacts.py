"""Learners with their e-mail preferences, delivered for the tests of email_crm."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optimus.queue.store import Queue
from tests.core.mortal import Clock
from tests.services.deliveries import COURSE, STEM, Deliveries
from tests.services.people import CERTIFICATES, ENROLMENTS, MODULES

SERVICES = ("database_state", "course_structure", "person_course", "email_opt_in", "email_crm")
OPT_IN = "DemoX-email_opt_in-prod-analytics.csv"
NEVER_CHOSE = "2014-12-01 00:00:00"
DAY = 86_400
OLD_COLUMNS = (
    "email",
    "full_name",
    "course_id",
    "is_opted_in_for_email",
    "preference_set_datetime",
)
COLUMNS = ("user_id", "username", *OLD_COLUMNS)


@dataclass(frozen=True)
class Learner:
    """Somebody in a course run, as the dumps tell it, and what this person wishes."""

    id: int
    name: str = "Ann Lee"
    email: str = "ann@mail.example"
    wish: str = "True"
    chosen: str = "2015-12-17 05:34:07"
    born: str = "1980"
    gender: str = "f"
    level: str = "m"
    country: str = "AU"
    staff: str = "0"
    mode: str = "audit"
    enrolled: str = "2016-01-31"
    chapters: int = 0
    is_certified: bool = False

    def preference(self, course_id: str = COURSE) -> dict[str, str]:
        """A record of the organisation's file."""
        values = (self.id, f"u{self.id}", self.email, self.name, course_id, self.wish, self.chosen)
        return dict(zip(COLUMNS, map(str, values), strict=True))


class Contacts(Deliveries):
    """A house that makes a contact list; its first day is the 1st of March 2016."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, SERVICES, **settings)
        self.clock = Clock(datetime(2016, 3, 1, tzinfo=UTC).timestamp())
        self.queue.close()
        self.queue = Queue(self.settings.queue_place, self.clock)

    def dumps(
        self, *learners: Learner, stem: str = STEM, course_id: str = COURSE, site: str = "prod"
    ) -> None:
        """The tables of a course run."""
        for table, header, rows in (
            (
                "auth_user",
                "id email is_staff is_active",
                [f"{one.id} {one.email} {one.staff} 1" for one in learners],
            ),
            (
                "auth_userprofile",
                "user_id gender year_of_birth level_of_education country",
                [
                    f"{one.id} {one.gender} {one.born} {one.level} {one.country}"
                    for one in learners
                    if one.born
                ],
            ),
            (
                "student_courseenrollment",
                ENROLMENTS,
                [f"{one.id} {course_id} {one.enrolled}T01:02:03 {one.mode}" for one in learners],
            ),
            (
                "courseware_studentmodule",
                MODULES,
                [
                    f"{one.id} {course_id} chapter c{number} {{}} 2016-02-03T01:02:03"
                    for one in learners
                    for number in range(one.chapters)
                ],
            ),
            (
                "certificates_generatedcertificate",
                CERTIFICATES,
                [f"{one.id} {course_id} downloadable 1" for one in learners if one.is_certified],
            ),
        ):
            self.table(table, header, *rows, stem=stem, site=site)

    def opt_in(
        self,
        preferences: Iterable[dict[str, str]],
        columns: Iterable[str] = COLUMNS,
        name: str = OPT_IN,
    ) -> None:
        """The organisation's file of preferences."""
        written = io.StringIO(newline="")
        writer = csv.DictWriter(written, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(preferences)
        self.deliver(name, written.getvalue())

    def enrol(self, *learners: Learner) -> None:
        """One course run, and the preferences of all its learners."""
        self.dumps(*learners)
        self.opt_in(one.preference() for one in learners)

    def export(self) -> list[dict[str, str]] | None:
        """What is exported on the next day; None when there is no file."""
        before = set(self._exports())
        self.clock.now += DAY
        self.ingest()
        files = [path for path in self._exports() if path not in before]
        return read(files[0]) if files else None

    def all_exported(self) -> list[dict[str, str]]:
        """The rows of all files that were ever exported, oldest first."""
        return [row for path in self._exports() for row in read(path)]

    def _exports(self) -> list[Path]:
        return sorted(self.settings.export_path.glob("emailcrm_*.csv"))

    def exported(self, *columns: str) -> list[tuple[str, ...]]:
        """Some columns of what is exported on the next day."""
        return [tuple(row[column] for column in columns) for row in self.export() or ()]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
