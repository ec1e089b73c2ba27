"""Makes up the courses: the same number and seed give the same course."""

from random import Random

from optimus.sample.answers import Answer, Value, make_answer
from optimus.sample.courses import (
    NO_ROW,
    PASS_MARK,
    Course,
    CourseName,
    GradedSection,
    Module,
    Problem,
    Section,
    Unit,
    Video,
)
from optimus.sample.moments import SECONDS_PER_DAY
from optimus.sample.plan import SamplePlan
from optimus.sample.words import ASPECTS, SUBJECTS, TOPICS, hex_name

# The edge run's name begins with the whole name of a production run, and holds a dash: both
# have led readers of file names astray.
FIRST_NAMES = (
    CourseName("Bees101", "2016_T1"),
    CourseName("Hives2.1x", "1T2016", is_old=True),
    CourseName("Bees101", "2016_T1-trial", is_edge=True),
)
PAGES = (
    ("video", "html"),
    ("video", "problem"),
    ("problem", "problem", "discussion"),
    ("html", "video", "problem"),
    ("problem",),
    ("video", "discussion"),
)
QUESTIONS = (
    ("multiplechoiceresponse", ("choice_1",), ("choice_0", "choice_2", "choice_3")),
    (
        "choiceresponse",
        (("choice_0", "choice_2"),),
        (("choice_0",), ("choice_1", "choice_2"), ("choice_0", "choice_1", "choice_2")),
    ),
    ("numericalresponse", ("3.14",), ("3", "22/7", "3,14", "1e3")),
    ("stringresponse", ("nectar",), ("honey", "C:\\new", 'the "food"', "naïve 🐝 guess")),
)
WEIGHTS = (None, "1.0", None, "2.0", "null", "", None, "0.5")
CLEAN_WEIGHTS = (None, "1.0", None, "2.0")
LETTERS = ((("Pass", PASS_MARK),), (("A", 0.85), ("B", PASS_MARK)))
GRADERS = (("Homework", 0.6), ("Exam", 0.4))
LEAD_DAYS = 7
EXTRA_DAYS = 56


def make_courses(plan: SamplePlan) -> tuple[Course, ...]:
    """Make up all courses of a package."""
    return tuple(_Syllabus(plan, number, _name(number)).course() for number in range(plan.courses))


def _name(number: int) -> CourseName:
    if number < len(FIRST_NAMES):
        return FIRST_NAMES[number]
    return CourseName(f"{TOPICS[number % len(TOPICS)]}{100 + number}", "2016_T1")


class _Syllabus:
    """Builds one course; counts the blocks that keep a state."""

    def __init__(self, plan: SamplePlan, number: int, name: CourseName) -> None:
        self.plan = plan
        self.number = number
        self.name = name
        self.dice = Random(f"{plan.seed}/course/{name.id}")
        self.modules: list[Module] = []
        self.units: list[Unit] = []
        self.sections: list[Section] = []
        self.start = plan.midnight - LEAD_DAYS * SECONDS_PER_DAY
        self.pages = 0
        self.problems = 0

    def course(self) -> Course:
        """Build the course."""
        subject = TOPICS[self.number % len(TOPICS)]
        root = self._row("course", self.name.run if self.name.is_old else "course", subject)
        chapters = tuple(self._chapter(number) for number in range(self.dice.randint(4, 6)))
        topics = [("course", "General")]
        for unit in self.units:
            topics += [(leaf.name, leaf.title) for leaf in unit.leaves if leaf.kind == "discussion"]
        graded = self._graded()
        return Course(
            number=self.number,
            name=self.name,
            title=f"{subject} & rivers",
            start=self.start,
            end=self.plan.midnight + (self.plan.days + EXTRA_DAYS) * SECONDS_PER_DAY,
            cutoffs=LETTERS[self.number % len(LETTERS)],
            graders=GRADERS,
            root=root,
            chapters=chapters,
            sections=tuple(self.sections),
            units=tuple(self.units),
            modules=tuple(self.modules),
            graded=graded,
            graded_by_problem={
                problem.index: section for section in graded for problem in section.problems
            },
            topics=tuple(topics),
        )

    def _graded(self) -> tuple[GradedSection, ...]:
        graders = [section.grader for section in self.sections]
        return tuple(
            GradedSection(
                section,
                section.problems(),
                sum(problem.possible for problem in section.problems()),
                dict(GRADERS)[section.grader] / graders.count(section.grader),
            )
            for section in self.sections
            if section.grader
        )

    def _hex(self, *parts: object) -> str:
        return hex_name(self.plan.seed, self.name.id, *parts)

    def _row(self, kind: str, name: str, title: str) -> Module:
        module = self.name.module(len(self.modules), kind, name, title)
        self.modules.append(module)
        return module

    def _chapter(self, number: int) -> Module:
        title = f"Week {number + 1}: {SUBJECTS[number]}"
        chapter = self._row("chapter", self._hex("chapter", number), title)
        for position in range(1, self.dice.randint(2, 3) + 1):
            self._section(chapter, number, position)
        return chapter

    def _section(self, chapter: Module, chapter_number: int, position: int) -> None:
        number = len(self.sections)
        # The first sections settle both types, so that every course can be passed.
        grader = ("Homework", "Exam", "", "Homework")[number % 4]
        title = f"{ASPECTS[number % len(ASPECTS)]} {SUBJECTS[chapter_number].lower()}"
        module = self._row("sequential", self._hex("sequential", number), title)
        units = [self._unit(number, place) for place in range(1, self.dice.randint(2, 4) + 1)]
        if grader:
            units.append(self._unit(number, len(units) + 1, ("problem", "html")))
        if number == 1:
            units.append(self._unit(number, len(units) + 1, ("openassessment", "word_cloud")))
        due = self.start + (number + 3) * 3 * SECONDS_PER_DAY if grader else 0
        path = f"{self.name.path}/courseware/{chapter.name}/{module.name}/"
        section = Section(module, chapter_number, position, grader, due, path, tuple(units))
        self.sections.append(section)

    def _unit(self, section: int, position: int, kinds: tuple[str, ...] = ()) -> Unit:
        number = len(self.units)
        kinds = kinds or PAGES[number % len(PAGES)]
        name = self._hex("vertical", number)
        module = self.name.module(NO_ROW, "vertical", name, f"Page {position}")
        leaves = tuple(self._leaf(kind) for kind in kinds)
        unit = Unit(module, position, section, leaves)
        self.units.append(unit)
        return unit

    def _leaf(self, kind: str) -> Module:
        self.pages += 1
        name = self._hex(kind, self.pages)
        title = f"{SUBJECTS[self.pages % len(SUBJECTS)]} {self.pages}"
        if kind == "video":
            return self._video(name, title)
        if kind == "problem":
            return self._problem(name, title)
        if kind in {"openassessment", "word_cloud"}:
            return self._row(kind, name, title)
        return self.name.module(NO_ROW, kind, name, title)

    def _video(self, name: str, title: str) -> Video:
        video = Video(
            index=len(self.modules),
            kind="video",
            name=name,
            title=title,
            key=self.name.key("video", name),
            handler=self.name.handler("video", name),
            event_id=self.name.short_key("video", name),
            youtube=name[:11],
            duration=self.dice.randint(90, 900),
        )
        self.modules.append(video)
        return video

    def _problem(self, name: str, title: str) -> Problem:
        number = self.problems
        self.problems += 1
        response, right, wrong = QUESTIONS[number % len(QUESTIONS)]
        short = self.name.short_key("problem", name)
        is_pair = number % 5 == 4  # noqa: PLR2004 - every fifth problem has two parts
        parts = tuple(f"{short}_{part}_1" for part in range(2, 4 if is_pair else 3))
        weights = WEIGHTS if self.plan.quirks else CLEAN_WEIGHTS
        weight = weights[number % len(weights)]
        problem = Problem(
            index=len(self.modules),
            kind="problem",
            name=name,
            title=title,
            key=self.name.key("problem", name),
            handler=self.name.handler("problem", name),
            response=response,
            parts=parts,
            answers=_answers(parts, right[0], wrong),
            weight=weight,
            possible=float(len(parts)) if weight in {None, "null", ""} else float(weight or 0),
            limit=(0, 3, 2)[number % 3],
        )
        self.modules.append(problem)
        return problem


def _answers(parts: tuple[str, ...], right: Value, wrong: tuple[Value, ...]) -> tuple[Answer, ...]:
    count = len(parts)
    answers = [make_answer(parts, (right,) * count, (True,) * count)]
    if count > 1:
        half = (True,) + (False,) * (count - 1)
        answers.append(make_answer(parts, (right, *wrong[: count - 1]), half))
    answers += [make_answer(parts, (value,) * count, (False,) * count) for value in wrong]
    return tuple(answers)
