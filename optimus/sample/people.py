"""The made-up people: who they are, and what is remembered of their work in a course."""

from array import array
from dataclasses import dataclass
from enum import Enum
from random import Random

from optimus.sample.courses import Course, Module, Problem
from optimus.sample.places import Place, draw_place
from optimus.sample.words import AGENTS, ANIMALS, LANGUAGES, hex_name

FIRST_ID = 700_001
EDGE_FIRST_ID = 700_040
DIGITS_EVERY = 23
RETIRED_EVERY = 61
DIGITS_FIRST = 7
TRAVELLERS = 0.1
PHONES = 0.2


class Role(Enum):
    """What part somebody plays in a course."""

    LEARNER = "learner"
    TEAM = "team"
    """Runs the course, and takes part in it."""
    DELETED = "deleted"
    """Works like a learner, but the account is gone when the tables are written."""
    UNLOGGED = "unlogged"
    """Has states and posts, but not one event."""
    SILENT = "silent"
    """Enrolled, and never came."""


@dataclass(slots=True)
class Person:
    """Somebody with an account at one of the two sites.

    Attributes:
        number: place among the people of both sites, from 0.
        id: the platform's user id; both sites count on their own, so that ids meet.
        places: where the addresses are.
        addresses: public addresses as text, home first.
        last_seen: seconds since 1970 of the last visit; 0 is never.
    """

    number: int
    id: int
    username: str
    is_edge: bool
    is_deleted: bool
    is_mobile: bool
    places: tuple[Place, ...]
    addresses: tuple[str, ...]
    agent: str
    language: str
    last_seen: int = 0


class Progress:
    """What the platform remembers of one learner in one course, by module index.

    Attributes:
        first: seconds since 1970 when a module was first opened; 0 is never.
        last: seconds since 1970 when its state was last written.
        detail: position in a container or video, or number of the last answer from 1.
        tries: how often a problem was answered.
    """

    __slots__ = ("detail", "first", "last", "tries")

    def __init__(self, modules: int) -> None:
        zeros = bytes(4 * modules)
        self.first = array("I", zeros)
        self.last = array("I", zeros)
        self.detail = array("H", bytes(2 * modules))
        self.tries = array("H", bytes(2 * modules))

    def touch(self, module: Module, second: int) -> bool:
        """Note that a module was opened; says whether that was the first time."""
        index = module.index
        if self.first[index]:
            self.last[index] = max(self.last[index], second)
            return False
        self.first[index] = self.last[index] = second
        return True

    def earned(self, problems: tuple[Problem, ...]) -> float:
        """Weighted points earned with the last answers to some problems."""
        detail = self.detail
        return sum(problem.earned(detail[problem.index]) for problem in problems)


@dataclass(slots=True)
class Enrolment:
    """One person in one course.

    Attributes:
        number: place among the enrolments of the package, from 0.
        created: seconds since 1970.
        first_day: number of the first day with visits, 0 is the first day with logs.
        last_day: number of the last day with visits.
        upgrade_day: number of the day of the change to ``verified``; -1 is none.
        leave_day: number of the day of un-enrolling; -1 is none.
        is_active: whether the person is still enrolled at the end.
        mode: the mode at first; the mode at the end after the change to ``verified``.
        weight: how often this person comes, relative to the others.
        reach: number of pages this person will ever see.
        skill: chance of a right answer, 0 to 1.
        next_unit: number of the page that comes next.
        progress: None until the first visit.
        passed: seconds since 1970 when the grade first was enough; 0 is never.
        essay: seconds since 1970 when the essay was handed in; 0 is never.
    """

    number: int
    person: Person
    course: Course
    role: Role
    created: int
    first_day: int
    last_day: int
    mode: str
    weight: float
    reach: int
    skill: float
    upgrade_day: int = -1
    leave_day: int = -1
    is_active: bool = True
    next_unit: int = 0
    progress: Progress | None = None
    passed: int = 0
    essay: int = 0

    @property
    def comes(self) -> bool:
        """Whether this person ever leaves events by visiting the course."""
        return self.role not in {Role.UNLOGGED, Role.SILENT}

    @property
    def group(self) -> int:
        """Number of the experiment group, 1 or 2."""
        return self.number % 2 + 1

    def anonymous_id(self, seed: int) -> str:
        """The id that essays are handed in under, 32 hex digits."""
        return hex_name(seed, "anonymous", self.course.id, self.person.id)

    def work(self) -> Progress:
        """The progress, begun when there is none."""
        if self.progress is None:
            self.progress = Progress(len(self.course.modules))
        return self.progress


def percent(enrolment: Enrolment) -> float:
    """The grade in a course from 0 to 1, rounded the way the platform does."""
    progress = enrolment.progress
    if progress is None:
        return 0.0
    total = sum(
        graded.weight * progress.earned(graded.problems) / graded.possible
        for graded in enrolment.course.graded
    )
    return round(total * 100 + 0.05) / 100


def make_person(dice: Random, number: int, *, is_edge: bool, is_deleted: bool, odd: bool) -> Person:
    """Make up somebody; ``odd`` allows user names of digits only and retired accounts."""
    places = [draw_place(dice)]
    if dice.random() < TRAVELLERS:
        places.append(draw_place(dice))
    return Person(
        number=number,
        id=(EDGE_FIRST_ID if is_edge else FIRST_ID) + 3 * number + dice.randint(0, 2),
        username=_username(number, odd=odd),
        is_edge=is_edge,
        is_deleted=is_deleted,
        is_mobile=dice.random() < PHONES,
        places=tuple(places),
        addresses=tuple(place.address(dice) for place in places),
        agent=dice.choice(AGENTS),
        language=dice.choice(LANGUAGES),
    )


def _username(number: int, *, odd: bool) -> str:
    if odd and number % DIGITS_EVERY == DIGITS_FIRST:
        return f"00{number}31"
    if odd and number % RETIRED_EVERY == RETIRED_EVERY - 1:
        return f"retired__user_{hex_name('retired', number)}"
    return f"{ANIMALS[number % len(ANIMALS)]}_{number}"
