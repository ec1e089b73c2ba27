"""Course Structure: what a course run is made of, for programs and for the web.

In     the unpacked OLX folder of each course run in database_state/latest
Out    www/course_structure/<course>.json, in the original's shape and under both its names;
       lake/course_structure/<course>-<site>.parquet, one row per block;
       lake/course_info/<course database>.parquet, one row: dates, counts, names
Waits  for nothing; person_course waits for us
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import orjson
import pyarrow as pa

from optimus.errors import BadFileError
from optimus.outputs.catalog import LakeTables
from optimus.package.course_key import course_id_of
from optimus.package.layout import CourseRun, Package, PackageFile
from optimus.package.names import parse_name, safe_file_name
from optimus.package.olx import Course, StructureCounts, count_structure, read_course
from optimus.service import FileRun, FileService, described_schema
from optimus.touches import course_touch

TEXT, MOMENT = pa.string(), pa.timestamp("us", "UTC")
MOMENT_TEXT = "%Y-%m-%dT%H:%M:%SZ"

BLOCK_SCHEMA = described_schema(
    ("database", TEXT, "Database of the course run."),
    ("site", TEXT, "prod or edge."),
    ("course_id", TEXT, "Course id as in the dumps and events."),
    ("block_id", TEXT, "Id of the block, as events name it."),
    ("block_type", TEXT, "course, chapter, sequential, vertical, problem, video, html …"),
    ("url_name", TEXT, "Name of the block among those of its type."),
    ("parent_id", TEXT, "Block that holds it; null for the course."),
    ("position", pa.int64(), "Place among its siblings, from 0."),
    ("order_index", pa.int64(), "Place in the course from top to bottom, from 0."),
    ("depth", pa.int64(), "0 for the course, 1 for chapters, and so on."),
    ("display_name", TEXT, "Title that learners see."),
    ("start", MOMENT, "When learners see it first; inherited."),
    ("due", MOMENT, "Until when answers count; inherited."),
    ("graded", pa.bool_(), "Whether it counts towards the grade; inherited."),
    ("format", TEXT, "Assignment type of the grading policy; inherited."),
    ("weight", pa.float64(), "Weight of a problem where the author set one."),
)
INFO_SCHEMA = described_schema(
    ("database", TEXT, "Database of the course run."),
    ("course", TEXT, "Course key in table names."),
    ("stem", TEXT, "Org, course and run joined by dashes."),
    ("site", TEXT, "prod or edge."),
    ("course_id", TEXT, "Course id as in the dumps and events."),
    ("display_name", TEXT, "Title of the course."),
    ("start", MOMENT, "When the course starts."),
    ("end", MOMENT, "When it ends."),
    *(
        (name, pa.int64(), f"As course_profile.{name}.")
        for name in StructureCounts.__dataclass_fields__
    ),
)


class CourseStructure(FileService):
    """Course archives. Faults inside one are noted, and the rest of the course is kept."""

    name = "course_structure"
    spelled = "CourseStructure"
    title = "Course structure"
    lake_tables = (
        LakeTables(
            pattern="course_structure/{course}.parquet",
            schema="course_structure",
            table="{course}",
            about="One row per block of one course run.",
        ),
        LakeTables(
            pattern="course_structure/*.parquet",
            schema="course_structure",
            table="blocks",
            empty=BLOCK_SCHEMA,
            about="One row per block of every course run.",
        ),
        LakeTables(
            pattern="course_info/*.parquet",
            schema="course_structure",
            table="courses",
            empty=INFO_SCHEMA,
            about="One row per course run: dates, names, counts of its content.",
        ),
    )

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take every folder that holds a ``course.xml``."""
        return package.course_folders

    def ingest(self, run: FileRun) -> None:
        """Read the course; write its tree for the web and its blocks into the lake."""
        run_of_course = run.file.course
        if run_of_course is None:
            raise BadFileError(f"{run.file.path.name}: nobody can tell which course this is.")
        course = read_course(run.file.path)
        run.tick()
        for name in _json_names(run.file, run_of_course):
            run.write_www(f"course_structure/{name}.json", orjson.dumps(_tree_for_the_web(course)))
        course_id = course_id_of(run.file.path.parent.iterdir(), run_of_course, run.file.path)
        blocks = list(_block_rows(course, run_of_course, course_id))
        forum_name = safe_file_name(run_of_course.discussion_table)
        run.lake.write(
            f"course_structure/{forum_name}.parquet", pa.Table.from_pylist(blocks, BLOCK_SCHEMA)
        )
        info = _info_row(course, run_of_course, course_id)
        run.lake.write(
            f"course_info/{run_of_course.database}.parquet",
            pa.Table.from_pylist([info], INFO_SCHEMA),
        )
        run.counts.update(lines=len(blocks), rows=len(blocks), faults=len(course.faults))
        run.touches.add(course_touch(run_of_course.database))
        for fault in course.faults:
            run.note(f"{fault.path}: {fault.detail}")


def _tree_for_the_web(course: Course) -> dict[str, Any]:
    """The tree with plain dates at its root, where readers look for them.

    Delivered they may stand in quotes, or in the policy alone.
    """
    moments = {"start": course.start, "end": course.end}
    dates = {name: moment.strftime(MOMENT_TEXT) for name, moment in moments.items() if moment}
    return {**course.tree, **dates}


def _json_names(file: PackageFile, course: CourseRun) -> set[str]:
    """The name that the original wrote, and the one that its readers ask for."""
    archive = parse_name(f"{file.path.name}.xml.tar.gz")
    folder = archive.stem if archive else file.path.name
    if course.site == "edge":
        folder = f"{course.stem}-edge"
    return {safe_file_name(folder), course.database.replace("_", "-")}


def _block_rows(
    course: Course, run: CourseRun, course_id: str | None
) -> Iterator[dict[str, object]]:
    if course_id is None:
        return
    about = {"database": run.database, "site": run.site, "course_id": course_id}
    for block in course.blocks(course_id):
        yield about | asdict(block)


def _info_row(course: Course, run: CourseRun, course_id: str | None) -> dict[str, object]:
    return {
        "database": run.database,
        "course": run.key,
        "stem": run.stem,
        "site": run.site,
        "course_id": course_id,
        "display_name": course.display_name,
        "start": course.start,
        "end": course.end,
        **asdict(count_structure(course.tree)),
    }
