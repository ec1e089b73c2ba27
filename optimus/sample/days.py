"""Writes the logs: day by day, site by site, visit by visit."""

from bisect import bisect
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from random import Random

from optimus.sample.accounts import Changes, certificate_lines
from optimus.sample.courses import ORGANISATION, Course
from optimus.sample.forums import Board
from optimus.sample.moments import HOUR, SECONDS_PER_DAY, day_text
from optimus.sample.pages import spend
from optimus.sample.people import Enrolment, Role
from optimus.sample.plan import SamplePlan
from optimus.sample.population import Population
from optimus.sample.quirks import last_line, spoil
from optimus.sample.tree import OutputFile, Tree
from optimus.sample.visit import Day, Visit

LOG_FOLDER = "clickstream_logs"
LINES_PER_VISIT = 36
LATEST_START = 22.5 * HOUR
COMFORTABLE_LINES = 500
TRIES = 12
FAVOURITE_HOUR = 18.5
HOUR_SPREAD = 4.0
WEEK = 7
WEEKDAYS = (1.2, 1.1, 1.0, 1.0, 0.8, 0.9, 1.3)
REPORT_EVERY = 20_000

Progress = Callable[[int, int], None]


class LogWriter:
    """Writes all log files of a package.

    Attributes:
        events: number of lines written that are not blank.
        broken: number of those that are broken.
    """

    def __init__(
        self,
        tree: Tree,
        plan: SamplePlan,
        population: Population,
        boards: dict[str, Board],
        progress: Progress | None,
    ) -> None:
        self.tree = tree
        self.plan = plan
        self.population = population
        self.boards = boards
        self.progress = progress
        self.events = 0
        self.broken = 0
        self._reported = 0
        self._sites = _sites(population)
        self._changes = Changes(population.enrolments, plan.midnight, plan.days)
        weights = [_day_weight(number, plan) for number in range(plan.days)]
        self._goals = [plan.events * total / sum(weights) for total in accumulate(weights)]

    def write(self) -> None:
        """Write every day."""
        for number in range(self.plan.days):
            midnight = self.plan.midnight + number * SECONDS_PER_DAY
            day = Day(number, day_text(midnight), midnight)
            before = self.events
            for is_edge, enrolments in self._sites:
                share = self._share(enrolments, is_edge=is_edge)
                goal = before + (self._goals[number] - before) * share
                self._write_day(day, enrolments, goal, is_edge=is_edge)
        self.tree.link(f"{LOG_FOLDER}/latest", "events")

    def _share(self, enrolments: tuple[Enrolment, ...], *, is_edge: bool) -> float:
        """Edge comes first and takes its share; production fills up to the goal of the day."""
        return len(enrolments) / len(self.population.enrolments) if is_edge else 1.0

    def _write_day(
        self, day: Day, enrolments: tuple[Enrolment, ...], goal: float, *, is_edge: bool
    ) -> None:
        site = "edge" if is_edge else "edx"
        suffix = ".log.gz" if self.plan.gzip else ".log"
        name = f"{LOG_FOLDER}/events/{ORGANISATION.lower()}-{site}-events-{day.text}{suffix}"
        dice = Random(f"{self.plan.seed}/{site}/{day.text}")
        with self.tree.open(name, gzip=self.plan.gzip) as file:
            self._put(file, self._changes.lines(day, dice, is_edge=is_edge))
            present = [one for one in enrolments if one.comes and _comes_on(one, day.number)]
            totals = list(accumulate(enrolment.weight for enrolment in present))
            crowd = COMFORTABLE_LINES * len(present) / max(goal - self.events, 1.0)
            day = replace(day, pace=min(crowd, 1.0))
            is_first = self.plan.quirks and not is_edge
            while present and (self.events < goal or is_first):
                chosen, start = _choose(present, totals, day, dice)
                visit = self._visit(chosen, day, (dice, start), goal)
                if is_first:
                    self._put_spoiled(file, visit)
                    file.next_member()
                else:
                    self._put(file, visit.lines)
                is_first = False
            if day.number == self.plan.days - 1:
                self._put(file, certificate_lines(enrolments, day, dice, self.plan.seed))
                if self.plan.quirks and not is_edge:
                    file.write(last_line(day))
                    self._count(1, 0)

    def _visit(
        self, enrolment: Enrolment, day: Day, how: tuple[Random, float], goal: float
    ) -> Visit:
        dice, start = how
        size = min(dice.expovariate(1 / LINES_PER_VISIT), goal - self.events)
        visit = Visit(enrolment, day, dice, start)
        spend(visit, self.boards[enrolment.course.id], int(size) + 1, self.plan.seed)
        enrolment.person.last_seen = visit.second
        return visit

    def _put(self, file: OutputFile, lines: list[str]) -> None:
        file.text("".join(lines))
        self._count(len(lines), 0)

    def _put_spoiled(self, file: OutputFile, visit: Visit) -> None:
        spoiled = spoil(visit.lines, visit.day, self.plan.days, visit.course.id)
        file.write(spoiled.data)
        self._count(spoiled.lines, spoiled.broken)

    def _count(self, lines: int, broken: int) -> None:
        self.events += lines
        self.broken += broken
        if self.progress is not None and self.events - self._reported >= REPORT_EVERY:
            self._reported = self.events
            self.progress(self.events, max(self.plan.events, self.events))


def _sites(population: Population) -> list[tuple[bool, tuple[Enrolment, ...]]]:
    sites = []
    for is_edge in (True, False):
        enrolments = tuple(
            enrolment for enrolment in population.enrolments if enrolment.person.is_edge is is_edge
        )
        if enrolments:
            sites.append((is_edge, enrolments))
    return sites


def _choose(
    present: list[Enrolment], totals: list[float], day: Day, dice: Random
) -> tuple[Enrolment, float]:
    """Choose who comes next, and when: in seconds since the start of the day.

    Visits of one person follow each other in time, so that what a person did first is what
    the tables call first.
    """
    for _ in range(TRIES):
        drawn = bisect(totals, dice.random() * totals[-1])
        enrolment = present[min(drawn, len(present) - 1)]
        seen = enrolment.person.last_seen - day.midnight
        if seen >= 0:
            start = seen + 1 + dice.expovariate(1 / HOUR) * day.pace
        else:
            offset = enrolment.person.places[0].offset
            start = (dice.gauss(FAVOURITE_HOUR, HOUR_SPREAD) - offset) % 24 * HOUR
            start = min(start, LATEST_START) * day.pace
        if start <= LATEST_START:
            return enrolment, start
    return enrolment, float(seen + 1)


def _comes_on(enrolment: Enrolment, day: int) -> bool:
    return enrolment.first_day <= day <= enrolment.last_day


def _day_weight(number: int, plan: SamplePlan) -> float:
    """How busy a day is: by the weekday, and less and less."""
    weekday = (plan.start.weekday() + number) % WEEK
    return WEEKDAYS[weekday] * (1.5 - number / plan.days)


def add_unlogged_work(plan: SamplePlan, population: Population, boards: dict[str, Board]) -> None:
    """Give those without events their states and posts, spread over the days with logs."""
    for enrolment in population.enrolments:
        if enrolment.role is Role.UNLOGGED:
            _work_unseen(plan, enrolment, boards[enrolment.course.id])


def _work_unseen(plan: SamplePlan, enrolment: Enrolment, board: Board) -> None:
    dice = Random(f"{plan.seed}/unlogged/{enrolment.number}")
    course: Course = enrolment.course
    progress = enrolment.work()
    second = plan.midnight + 9 * HOUR
    for unit in course.units[: enrolment.reach]:
        section = course.sections[unit.section]
        for module in (
            course.root,
            course.chapters[section.chapter],
            section.module,
            *(leaf for leaf in unit.leaves if leaf.index >= 0),
        ):
            progress.touch(module, second)
            progress.detail[module.index] = 1
            progress.tries[module.index] = 1
        second += dice.randrange(30, SECONDS_PER_DAY * plan.days // (2 * len(course.units)) + 60)
    board.add_thread(enrolment, second, dice)
