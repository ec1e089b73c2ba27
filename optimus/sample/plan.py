"""What a synthetic package shall hold, and what was written in the end."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from optimus.errors import UsageError

MOST_COURSES = 200
LEARNERS_PER_COURSE = 5
FIRST_YEAR = 2013
LAST_YEAR = 2099


@dataclass(frozen=True)
class SamplePlan:
    """The size and the kind of a synthetic package. The same plan gives the same bytes.

    Attributes:
        courses: number of course runs; the second is an old-style id, the third an edge course.
        learners: number of people with an account, over all courses and both sites.
        days: number of days with logs, one file per day and site.
        events: approximate number of log lines in total.
        seed: another number gives other people, clicks and ids.
        gzip: whether log files are compressed.
        quirks: whether lines and rows are awkward or broken in the ways real ones are.
        start: the first UTC day with logs.
    """

    courses: int = 3
    learners: int = 400
    days: int = 14
    events: int = 60_000
    seed: int = 1
    gzip: bool = True
    quirks: bool = True
    start: date = date(2016, 2, 1)

    def __post_init__(self) -> None:
        if not 1 <= self.courses <= MOST_COURSES:
            raise UsageError(
                f"A sample of {self.courses} courses cannot be written: "
                f"ask for a number from 1 to {MOST_COURSES}."
            )
        if self.learners < LEARNERS_PER_COURSE * self.courses:
            raise UsageError(
                f"{self.learners} learners are too few for {self.courses} courses: "
                f"ask for at least {LEARNERS_PER_COURSE * self.courses}."
            )
        if self.days < 1:
            raise UsageError(f"A sample of {self.days} days has no logs: ask for at least 1 day.")
        if self.events < 1:
            raise UsageError(f"{self.events} events are too few: ask for at least 1 event.")
        last = self.start.toordinal() + self.days
        if self.start.year < FIRST_YEAR or last > date(LAST_YEAR, 12, 31).toordinal():
            raise UsageError(
                f"{self.days} days from {self.start} leave the years {FIRST_YEAR} to {LAST_YEAR}: "
                "choose another start or fewer days."
            )

    @property
    def midnight(self) -> int:
        """Seconds from 1970 to the start of the first day, UTC."""
        moment = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)
        return int(moment.timestamp())


@dataclass(frozen=True)
class SampleReport:
    """What is on the disk after writing.

    Attributes:
        root: the folder that goes into ``DATA_PATHS``.
        courses: the course ids, in the platform's spelling.
        learners: number of people with an account at some time, those deleted since included.
        days: number of days with logs.
        events: number of log lines that are not blank, broken ones included.
        broken_lines: number of log lines that no correct reader may take for an event.
        files: number of files, links not counted.
        bytes: size of those files together.
    """

    root: Path
    courses: tuple[str, ...]
    learners: int
    days: int
    events: int
    broken_lines: int
    files: int
    bytes: int
