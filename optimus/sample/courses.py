"""A made-up course: its chapters, pages and exercises, as all files of the package tell them."""

from dataclasses import dataclass, field

from optimus.sample.answers import Answer

ORGANISATION = "RiverU"
NO_ROW = -1
PASS_MARK = 0.6


@dataclass(frozen=True, slots=True)
class Module:
    """One block of a course.

    Attributes:
        index: place in a learner's state, ``NO_ROW`` for blocks that keep no state.
        kind: ``chapter``, ``sequential``, ``problem``, ``video``, ``html`` and so on.
        name: the ``url_name``.
        key: the block id, in the style of the course.
        handler: request path of the block's own calls, without the name of the call.
    """

    index: int
    kind: str
    name: str
    title: str
    key: str
    handler: str


@dataclass(frozen=True, slots=True)
class Video(Module):
    """A video.

    Attributes:
        event_id: the id that events use.
        youtube: its code at the video host.
        duration: length in seconds.
    """

    event_id: str
    youtube: str
    duration: int


@dataclass(frozen=True, slots=True)
class Problem(Module):
    """An exercise.

    Attributes:
        response: the kind of its parts, such as ``multiplechoiceresponse``.
        parts: the ids of its parts.
        answers: what learners answer; the first is right.
        weight: the attribute as authors wrote it; None when it is absent.
        possible: weighted points that can be earned.
        limit: how often it may be answered; 0 is without limit.
        checks: text of answer events, made when first used.
    """

    response: str
    parts: tuple[str, ...]
    answers: tuple[Answer, ...]
    weight: str | None
    possible: float
    limit: int
    checks: dict[tuple[int, int], str] = field(default_factory=dict, compare=False)

    def earned(self, answer: int) -> float:
        """Weighted points for an answer by its number from 1; 0 stands for none."""
        if not answer:
            return 0.0
        return self.possible * self.answers[answer - 1].points / len(self.parts)


@dataclass(frozen=True, slots=True)
class Unit:
    """One page of a sequence.

    Attributes:
        position: place in its sequence, from 1.
        section: number of its sequence within the course, from 0.
    """

    module: Module
    position: int
    section: int
    leaves: tuple[Module, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A sequence of pages.

    Attributes:
        chapter: number of its chapter within the course, from 0.
        position: place in its chapter, from 1.
        grader: assignment type of the grading policy; blank when it is not graded.
        due: seconds since 1970; 0 is never.
        path: request path of its page.
    """

    module: Module
    chapter: int
    position: int
    grader: str
    due: int
    path: str
    units: tuple[Unit, ...]

    def problems(self) -> tuple[Problem, ...]:
        """The exercises on its pages."""
        return tuple(
            leaf for unit in self.units for leaf in unit.leaves if isinstance(leaf, Problem)
        )


@dataclass(frozen=True, slots=True)
class GradedSection:
    """A sequence that counts.

    Attributes:
        possible: weighted points that can be earned in it.
        weight: its part of the course grade, 0 to 1.
    """

    section: Section
    problems: tuple[Problem, ...]
    possible: float
    weight: float


@dataclass(frozen=True, slots=True)
class CourseName:
    """How a course run is called in ids, files and addresses."""

    number: str
    run: str
    is_old: bool = False
    is_edge: bool = False

    @property
    def id(self) -> str:
        """The course id, in the platform's spelling."""
        if self.is_old:
            return f"{ORGANISATION}/{self.number}/{self.run}"
        return f"course-v1:{ORGANISATION}+{self.number}+{self.run}"

    @property
    def stem(self) -> str:
        """What the names of the course's files begin with."""
        return f"{ORGANISATION}-{self.number}-{self.run}"

    @property
    def site(self) -> str:
        """``edge`` or ``prod``, as forum files spell it."""
        return "edge" if self.is_edge else "prod"

    @property
    def host(self) -> str:
        """Name of the web server."""
        return "edge.example.org" if self.is_edge else "courses.example.org"

    @property
    def path(self) -> str:
        """Where the course's pages are on the server, without a slash at the end."""
        return f"/courses/{self.id}"

    def key(self, kind: str, name: str) -> str:
        """Block id of an element of the course."""
        if self.is_old:
            return f"i4x://{ORGANISATION}/{self.number}/{kind}/{name}"
        return f"block-v1:{ORGANISATION}+{self.number}+{self.run}+type@{kind}+block@{name}"

    def module(self, index: int, kind: str, name: str, title: str) -> Module:
        """Make a block of the course."""
        return Module(index, kind, name, title, self.key(kind, name), self.handler(kind, name))

    def handler(self, kind: str, name: str) -> str:
        """Request path of a block's own calls; slashes of old ids are written as ``;_``."""
        return f"{self.path}/xblock/{self.key(kind, name).replace('/', ';_')}/handler"

    def short_key(self, kind: str, name: str) -> str:
        """What event payloads call a block: bare in new courses, dashed in old ones."""
        if not self.is_old:
            return name
        return f"i4x-{ORGANISATION}-{self.number.replace('.', '_')}-{kind}-{name}"


@dataclass(frozen=True, slots=True)
class Course:
    """One course run.

    Attributes:
        number: place among the courses of the package, from 0.
        start: seconds since 1970.
        end: seconds since 1970.
        cutoffs: lowest share of the points for each letter, the best letter first.
        graders: weight of each assignment type.
        modules: the blocks that keep a state, in the order of their index.
        graded: the sections that count.
        graded_by_problem: the same, by the index of each of their problems.
        topics: forum topics, as (id, name).
    """

    number: int
    name: CourseName
    title: str
    start: int
    end: int
    cutoffs: tuple[tuple[str, float], ...]
    graders: tuple[tuple[str, float], ...]
    root: Module
    chapters: tuple[Module, ...]
    sections: tuple[Section, ...]
    units: tuple[Unit, ...]
    modules: tuple[Module, ...]
    graded: tuple[GradedSection, ...]
    graded_by_problem: dict[int, GradedSection]
    topics: tuple[tuple[str, str], ...]

    @property
    def id(self) -> str:
        """The course id, in the platform's spelling."""
        return self.name.id

    @property
    def tag(self) -> str:
        """Name of the group setting that events and tables carry."""
        return f"xblock.partition_service.partition_{self.number + 1}"

    @property
    def essay(self) -> Module:
        """The one block that is assessed by peers."""
        return next(module for module in self.modules if module.kind == "openassessment")

    def letter(self, percent: float) -> str:
        """The letter for a share of the points from 0 to 1; blank when it is not enough."""
        for letter, least in self.cutoffs:
            if percent >= least:
                return letter
        return ""
