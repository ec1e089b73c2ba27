"""Writes a whole package."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from optimus.errors import UsageError
from optimus.sample.courses import ORGANISATION, Course
from optimus.sample.days import LogWriter, add_unlogged_work
from optimus.sample.dumps import Dumps
from optimus.sample.forums import Board
from optimus.sample.moments import SECONDS_PER_DAY, day_text
from optimus.sample.olx import write_olx, write_structure
from optimus.sample.people import Enrolment
from optimus.sample.people_tables import opt_in_lines, write_people
from optimus.sample.plan import SamplePlan, SampleReport
from optimus.sample.population import Population, make_population
from optimus.sample.shared_tables import write_shared
from optimus.sample.syllabus import make_courses
from optimus.sample.tree import FOLDER_MODE, Tree
from optimus.sample.work_tables import write_work

STATE_FOLDER = "database_state"
FAILING_TABLE = "teams_membership"


def write_package(
    root: Path, plan: SamplePlan, progress: Callable[[int, int], None] | None = None
) -> SampleReport:
    """Write a synthetic data package.

    Args:
        root: the folder for ``DATA_PATHS``; it must be empty or absent.
        plan: what to write.
        progress: called now and then with the events written so far and in total.

    Returns:
        What was written.

    Raises:
        UsageError: if the folder holds something already.
    """
    _check_root(root)
    tree = Tree(root)
    courses = make_courses(plan)
    population = make_population(plan, courses)
    delivered = f"{STATE_FOLDER}/{day_text(plan.midnight + plan.days * SECONDS_PER_DAY)}"
    log = _write_activity(tree, plan, (delivered, courses, population), progress)
    for course, enrolments in zip(courses, population.by_course, strict=True):
        _write_state(tree, plan, delivered, (course, enrolments))
    with tree.open(f"{delivered}/{ORGANISATION}-email_opt_in-prod-analytics.csv") as file:
        for line in opt_in_lines(plan, population.by_course):
            file.text(line)
    tree.link(f"{STATE_FOLDER}/latest", Path(delivered).name)
    if progress is not None:
        progress(log.events, log.events)
    return SampleReport(
        root=root,
        courses=tuple(course.id for course in courses),
        learners=len(population.people),
        days=plan.days,
        events=log.events,
        broken_lines=log.broken,
        files=tree.files,
        bytes=tree.bytes,
    )


def _write_activity(
    tree: Tree,
    plan: SamplePlan,
    whose: tuple[str, tuple[Course, ...], Population],
    progress: Callable[[int, int], None] | None,
) -> LogWriter:
    """Write the logs and, while they come about, the forum files."""
    folder, courses, population = whose
    with ExitStack() as files:
        boards = {
            course.id: Board(
                course,
                files.enter_context(
                    tree.open(f"{folder}/{course.name.stem}-{course.name.site}.mongo")
                ),
                quirks=plan.quirks,
            )
            for course in courses
        }
        log = LogWriter(tree, plan, population, boards, progress)
        log.write()
        add_unlogged_work(plan, population, boards)
        for board in boards.values():
            board.close()
    return log


def _write_state(
    tree: Tree, plan: SamplePlan, folder: str, whose: tuple[Course, tuple[Enrolment, ...]]
) -> None:
    """Write the tables and the export of one course."""
    course, enrolments = whose
    fails = plan.quirks and course.number == min(1, plan.courses - 1)
    dumps = Dumps(tree, folder, course, FAILING_TABLE if fails else "")
    write_people(dumps, plan, enrolments)
    write_work(dumps, plan, enrolments)
    write_shared(dumps, enrolments)
    write_olx(tree, folder, course, quirks=plan.quirks)
    write_structure(tree, dumps.name("course_structure", "json"), course, quirks=plan.quirks)


def _check_root(root: Path) -> None:
    if root.is_dir() and not any(root.iterdir()):
        return
    if root.exists() or root.is_symlink():
        raise UsageError(
            f"{root} is not an empty folder, and a sample is never mixed with other files: "
            "name another folder, or remove this one first."
        )
    root.mkdir(mode=FOLDER_MODE, parents=True)
