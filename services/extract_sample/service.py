"""Extract sample: a few learners of a course run with all their data, as a package of its own.

In     the lake: dumps, forums, events, countries, person_course; the structure in WWW_PATH
Out    EXPORT_PATH/samples/<course database>/: clickstream_logs and database_state
Waits  for person_course

The rules are in choose.sql, tables.py (rows and columns) and documents.py (keys of JSON).
"""

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optimus.errors import BadFileError
from optimus.outputs.catalog import Table
from optimus.outputs.courses import Course, find_courses
from optimus.outputs.lake import footer
from optimus.package.layout import LOGS_FOLDER, STATE_FOLDER
from optimus.package.names import safe_file_name
from optimus.service import DerivedRun, DerivedService
from services.extract_sample.countries import SETTINGS
from services.extract_sample.documents import KEYS
from services.extract_sample.events import write_events
from services.extract_sample.learners import choose_learners, find_identities
from services.extract_sample.posts import write_posts
from services.extract_sample.pseudonyms import Pseudonyms
from services.extract_sample.rows import write_tables
from services.extract_sample.sample import Sample
from services.extract_sample.scan import Identities, first_finding
from services.extract_sample.structure import (
    ATTRIBUTES,
    Node,
    nameless,
    read_structure,
    texts_of,
    write_structure,
)
from services.extract_sample.words import Words

FOLDER = "samples"
LOGS_TABLES = (("logs", "clickstream"), ("logs", "ip_country"))
RULES = b"".join(
    path.read_bytes()
    for path in sorted(Path(__file__).parent.iterdir())
    if path.suffix in {".py", ".sql"}
)


class ExtractSample(DerivedService):
    """Samples of course runs. Only those of touched course runs are made again."""

    name = "extract_sample"
    spelled = "ExtractSample"
    title = "Samples of learners"
    needs = ("person_course",)
    options = (
        "SAMPLE_COURSES",
        "SAMPLE_SIZE",
        "SAMPLE_PASSING",
        "SAMPLE_SEED",
        "PSEUDONYM_KEY",
        *SETTINGS,
    )

    def is_used(self, options: Mapping[str, Any]) -> bool:
        """Somebody has named a course run."""
        return bool(options["SAMPLE_COURSES"])

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Other rules or settings make other samples."""
        chosen = [value for name, value in sorted(options.items()) if name.startswith("SAMPLE_")]
        key = _key(options).encode()
        return hmac.digest(key, RULES + repr(chosen).encode(), "sha256").hex()

    def derive(self, run: DerivedRun) -> None:
        """Make the sample of every touched course run that the settings name.

        Raises:
            BadFileError: a sample with pseudonyms would still name somebody.
        """
        with run.connect(run.catalog.in_schemas("course_structure")) as connection:
            courses = {one.run.database: one for one in find_courses(run.catalog, connection)}
        wanted = list(dict.fromkeys(run.options["SAMPLE_COURSES"]))
        run.progress.total = len(wanted)
        for done, database in enumerate(wanted, 1):
            course = courses.get(database)
            learners = _person_course(run, course) if course else None
            if course is None or learners is None:
                _empty(run, database)
            elif run.is_touched(*course.touches):
                _make(run, course, learners)
                run.counts["courses"] += 1
            run.tick(done)


def _empty(run: DerivedRun, database: str) -> None:
    """Nobody is in a course run that is not there, or not any more."""
    run.note(f"SAMPLE_COURSES: there is no course run with a database {database!r}.")
    folder = run.place.exports / FOLDER / database
    if database == safe_file_name(database) and folder.is_dir():
        run.staging.folder_for(folder)


def _make(run: DerivedRun, course: Course, learners: Table) -> None:
    """Write the sample of a course run, and see that it names nobody."""
    tables = [table for place in LOGS_TABLES if (table := run.catalog.table(*place))]
    with run.connect([*tables, learners]) as connection:
        tree = read_structure(run.place.www, course.run.database)
        key = _key(run.options)
        if key and tree is not None:
            tree = nameless(tree)
        words = _words(course, tree)
        pseudonyms = Pseudonyms(key, course.run.site, words) if key else None
        sample = Sample(run, connection, course, pseudonyms)
        folder = run.staging.folder_for(run.place.exports / FOLDER / course.run.database)
        choose_learners(sample, learners.qualified)
        _write(sample, tree, folder)
        if pseudonyms:
            _check(sample, words, folder)


def _write(sample: Sample, tree: Node | None, folder: Path) -> None:
    state = folder / STATE_FOLDER / _delivered(sample)
    state.mkdir(parents=True)
    write_tables(sample, state)
    write_posts(sample, state)
    if tree is None:
        sample.note("there is no published course structure, so the sample has none.")
    else:
        write_structure(sample, tree, state)
    write_events(sample, folder / LOGS_FOLDER / "latest")


def _check(sample: Sample, words: Words, folder: Path) -> None:
    identities = Identities(words)
    for kind, text in find_identities(sample):
        identities.add(kind, text)
    finding = first_finding(folder, identities, sample.run.tick)
    if finding:
        name, line = finding
        raise BadFileError(
            f"The sample of {sample.course.run.database} is not published: {name}, line {line:,}, "
            "holds the name, username or e-mail address of a learner. Take the course run out of "
            "SAMPLE_COURSES, and report which column or key lets it through."
        )
    if identities.passed_over:
        sample.note(
            f"{identities.passed_over:,} names and usernames are digits, or words of the course "
            "itself: in the sample nobody could tell them from these, so they were not looked for."
        )


def _words(course: Course, tree: Node | None) -> Words:
    """The words that name nobody: those of the course's id and of its content."""
    names = (course.run.stem, course.course_id or "", *KEYS, *ATTRIBUTES)
    return Words([*names, *(texts_of(tree) if tree else ())])


def _delivered(sample: Sample) -> str:
    """The day of the newest dump; the folder of a database package is named by it."""
    days = [footer(table.files[0])["delivered"] for table in sample.tables()]
    return max(days, default=str(sample.run.started.date()))


def _person_course(run: DerivedRun, course: Course) -> Table | None:
    return run.catalog.table("Person_Course", f"personcourse_{course.run.key}")


def _key(options: Mapping[str, Any]) -> str:
    key: str = options["PSEUDONYM_KEY"].get_secret_value()
    return key
