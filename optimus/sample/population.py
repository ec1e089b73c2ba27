"""Decides who is there and who takes part in which course."""

from dataclasses import dataclass
from random import Random

from optimus.sample.courses import Course
from optimus.sample.moments import SECONDS_PER_DAY
from optimus.sample.people import Enrolment, Person, Role, make_person
from optimus.sample.plan import SamplePlan

# Every course has one of each, however small the package.
FIRST_ROLES = (Role.TEAM, Role.DELETED, Role.UNLOGGED, Role.SILENT, Role.LEARNER)
ROLES = (Role.LEARNER, Role.SILENT, Role.DELETED, Role.UNLOGGED)
ROLE_SHARES = (64, 34, 1, 1)
MODES = ("honor", "audit", "verified")
MODE_SHARES = (50, 40, 10)
EDGE_SHARE = 0.05
SECOND_COURSE = 0.2
UPGRADE = 0.06
LEAVE = 0.08
STOP_EARLY = 0.3
LATE_SHARE = 0.5
EARLY_DAYS = 60
FULL_REACH = 1.4


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody, by course.

    Attributes:
        people: by their number.
        enrolments: by their number.
        by_course: the enrolments of each course, in the order of the courses.
    """

    people: tuple[Person, ...]
    enrolments: tuple[Enrolment, ...]
    by_course: tuple[tuple[Enrolment, ...], ...]


def make_population(plan: SamplePlan, courses: tuple[Course, ...]) -> Population:
    """Make up everybody who has an account."""
    maker = _Maker(plan, courses)
    maker.fill()
    by_course: list[list[Enrolment]] = [[] for _ in courses]
    for enrolment in maker.enrolments:
        by_course[enrolment.course.number].append(enrolment)
    return Population(
        tuple(maker.people),
        tuple(maker.enrolments),
        tuple(tuple(enrolments) for enrolments in by_course),
    )


class _Maker:
    def __init__(self, plan: SamplePlan, courses: tuple[Course, ...]) -> None:
        self.plan = plan
        self.courses = courses
        self.dice = Random(f"{plan.seed}/people")
        self.people: list[Person] = []
        self.enrolments: list[Enrolment] = []
        self.main = tuple(course for course in courses if not course.name.is_edge)
        self.shares = tuple(1 / (2 + rank) for rank in range(len(self.main)))
        # Enrolling in the window writes an event: those may not eat up a small number of events.
        self.late_share = min(LATE_SHARE, 0.1 * plan.events / plan.learners)

    def fill(self) -> None:
        """Every course gets one person of each role, the others are drawn."""
        for role in FIRST_ROLES:
            for course in self.courses:
                self._add(course, role)
        edge = next((course for course in self.courses if course.name.is_edge), None)
        while len(self.people) < self.plan.learners:
            role = self.dice.choices(ROLES, ROLE_SHARES)[0]
            if edge is not None and self.dice.random() < EDGE_SHARE:
                self._add(edge, role)
            else:
                self._add(self.dice.choices(self.main, self.shares)[0], role)

    def _add(self, course: Course, role: Role) -> None:
        number = len(self.people)
        person = make_person(
            self.dice,
            number,
            is_edge=course.name.is_edge,
            is_deleted=role is Role.DELETED,
            odd=self.plan.quirks and number >= len(FIRST_ROLES) * len(self.courses) - 1,
        )
        self.people.append(person)
        self._enrol(person, course, role)
        is_plain = role is Role.LEARNER and not course.name.is_edge and len(self.main) > 1
        is_second = self.dice.random() < SECOND_COURSE or number < len(self.courses) * len(
            FIRST_ROLES
        )
        if is_plain and is_second:
            others = [other for other in self.main if other is not course]
            self._enrol(person, self.dice.choice(others), Role.LEARNER)

    def _enrol(self, person: Person, course: Course, role: Role) -> None:
        dice, days = self.dice, self.plan.days
        is_late = role in {Role.LEARNER, Role.SILENT} and dice.random() < self.late_share
        day = dice.randrange(days) if is_late else -dice.randint(1, EARLY_DAYS)
        second = dice.randrange(SECONDS_PER_DAY * 9 // 10)
        stops = role is Role.LEARNER and dice.random() < STOP_EARLY
        enrolment = Enrolment(
            number=len(self.enrolments),
            person=person,
            course=course,
            role=role,
            created=self.plan.midnight + day * SECONDS_PER_DAY + second,
            first_day=max(day + 1, 0),
            last_day=dice.randrange(max(day + 1, 0), days + 1) if stops else days,
            mode=dice.choices(MODES, MODE_SHARES)[0],
            weight=dice.lognormvariate(0, 1.1),
            reach=min(int(len(course.units) * dice.random() * FULL_REACH) + 2, len(course.units)),
            skill=dice.uniform(0.45, 0.98),
        )
        self._plan_changes(enrolment)
        self.enrolments.append(enrolment)

    def _plan_changes(self, enrolment: Enrolment) -> None:
        """Decide on the change of mode and on leaving; both happen after enrolling."""
        dice, days = self.dice, self.plan.days
        if enrolment.role not in {Role.LEARNER, Role.SILENT} or enrolment.first_day >= days:
            return
        if dice.random() < UPGRADE and enrolment.mode != "verified":
            enrolment.upgrade_day = dice.randrange(enrolment.first_day, days)
        if dice.random() < LEAVE:
            enrolment.leave_day = dice.randrange(max(enrolment.first_day, 0), days)
            enrolment.upgrade_day = -1
            enrolment.last_day = min(enrolment.last_day, enrolment.leave_day - 1)
