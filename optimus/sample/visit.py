"""One visit of one person: holds what all its lines share, and writes the lines.

Lines are put together from texts that are made once per visit, because a package has
millions of them.
"""

from dataclasses import dataclass
from random import Random
from urllib.parse import quote

from optimus.sample.courses import ORGANISATION, Module
from optimus.sample.moments import CLOCK, LAST_SECOND, event_time
from optimus.sample.people import Enrolment
from optimus.sample.places import PRIVATE_ADDRESSES

NO_FIELDS = '"{\\"POST\\": {}, \\"GET\\": {}}"'
NOTHING = '""'
ABROAD = 0.25
USER_ID_AS_TEXT = 0.03
COURSE_ONLY_IN_PAGE = 0.04
PERCENT_ENCODED = 0.6
# Shares of the visits whose address is home, behind a proxy, private, blank.
ADDRESS_KINDS = (90, 6, 3, 1)


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day of the package.

    Attributes:
        number: 0 is the first day with logs.
        text: such as ``2016-02-01``.
        midnight: seconds since 1970 of its start.
        pace: how much of the usual time things take; below 1 where so few learners leave so
            many events that they would not fit into the day.
    """

    number: int
    text: str
    midnight: int
    pace: float = 1.0


class Visit:
    """A visit, and the lines it leaves.

    Attributes:
        lines: the lines written so far, each with its line end.
        now: seconds since the start of the day.
        page: address of the page that is open.
    """

    __slots__ = (
        "_browser",
        "_host",
        "_implicit",
        "_server",
        "course",
        "day",
        "dice",
        "enrolment",
        "lines",
        "now",
        "page",
        "person",
        "progress",
        "who",
    )

    def __init__(self, enrolment: Enrolment, day: Day, dice: Random, start: float) -> None:
        person, course = enrolment.person, enrolment.course
        self.enrolment = enrolment
        self.person = person
        self.course = course
        self.progress = enrolment.work()
        self.day = day
        self.dice = dice
        self.now = start
        self.lines: list[str] = []
        self.who = (
            f'{{"username": "{person.username}", "ip": "{_address(enrolment, dice)}", '
            f'"agent": "{person.agent}", "host": "{course.name.host}", '
            f'"session": "{dice.getrandbits(128):032x}", "accept_language": "{person.language}"'
        )
        user_id = f'"{person.id}"' if self.chance(USER_ID_AS_TEXT) else str(person.id)
        tags = f'{{"{course.tag}": "{enrolment.group}"}}'
        known = f'"org_id": "{ORGANISATION}", "course_id": "{course.id}"'
        self._server = self._implicit = (
            f'"event_source": "server", "context": {{"user_id": {user_id}, {known}, '
            f'"course_user_tags": {tags}, "path": "'
        )
        self._host = f"https://{course.name.host}"
        if self.chance(COURSE_ONLY_IN_PAGE):
            blank = '"org_id": "", "course_id": ""'
            self._implicit = self._server.replace(known, blank)
            known = blank
            if self.chance(PERCENT_ENCODED):
                self._host += f"/courses/{quote(course.id, safe='')}"
        self._browser = (
            f'"event_source": "browser", "context": {{"user_id": {user_id}, {known}, '
            '"path": "/event"}, "time": "'
        )
        self.page = ""
        self.open(f"{course.name.path}/info")

    @property
    def second(self) -> int:
        """Seconds since 1970."""
        return self.day.midnight + min(int(self.now), LAST_SECOND)

    def chance(self, share: float) -> bool:
        """Draw whether something happens that happens in this share of all cases."""
        return self.dice.random() < share

    def spend(self, seconds: float) -> None:
        """Let this time pass, or less when the day is crowded."""
        self.now += seconds * self.day.pace

    def wait(self, seconds: float) -> None:
        """Let about this time pass."""
        self.now += seconds * self.day.pace * (0.5 + self.dice.random())

    def open(self, path: str) -> None:
        """Note the page that the browser shows; ``path`` begins with the course's path."""
        if self._host.startswith("https://" + self.course.name.host + "/"):
            self.page = self._host + path[len(self.course.name.path) :]
        else:
            self.page = self._host + path

    def stamp(self) -> str:
        """The present moment as events spell it."""
        now = self.now
        second = int(now)
        if second > LAST_SECOND:
            return event_time(self.day.midnight + LAST_SECOND, 999_999)
        return f"{self.day.text}T{CLOCK[second]}.{int((now - second) * 1e6):06}+00:00"

    def browser(self, event_type: str, payload: str, name: str = "") -> None:
        """Write an event of the browser; ``payload`` is the JSON text of its ``event``."""
        self.lines.append(
            f'{self.who}, "event_type": "{event_type}", "name": "{name or event_type}", '
            f'"event": {payload}, {self._browser}{self.stamp()}", "page": "{self.page}", '
            f'"referer": "{self.page}"}}\n'
        )

    def implicit(self, path: str, payload: str = NO_FIELDS) -> None:
        """Write the event that every request leaves, named by its path."""
        self.lines.append(
            f'{self.who}, "event_type": "{path}", "event": {payload}, {self._implicit}{path}"}}, '
            f'"time": "{self.stamp()}", "page": null, "referer": "{self.page}"}}\n'
        )

    def server(self, event_type: str, payload: str, path: str, module: Module | None) -> None:
        """Write an event of the server; ``module`` is the block that it is about."""
        about = (
            f', "module": {{"display_name": "{module.title}", "usage_key": "{module.key}"}}'
            if module
            else ""
        )
        self.lines.append(
            f'{self.who}, "event_type": "{event_type}", "name": "{event_type}", '
            f'"event": {payload}, {self._server}{path}"{about}}}, '
            f'"time": "{self.stamp()}", "page": "x_module", "referer": "{self.page}"}}\n'
        )


def _address(enrolment: Enrolment, dice: Random) -> str:
    addresses = enrolment.person.addresses
    home = addresses[-1 if dice.random() < ABROAD else 0]
    choices = (home, f"{home}, 10.0.0.4", dice.choice(PRIVATE_ADDRESSES), "")
    return dice.choices(choices, ADDRESS_KINDS)[0]
