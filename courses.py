"""The courses found in the data folders, in the shape that the original's readers expect.

``get_all_courses()`` looks when it is called; ``EDX_DATABASES`` is what it found when it
was first asked for.
"""

import re
from functools import cache
from typing import Any

from optimus.package.course_key import course_id_of
from optimus.package.layout import CourseRun, Package, read_package
from optimus.package.names import FileKind, safe_file_name
from optimus.settings import Settings, load_settings

ICON = "fa-heart"
YEAR = re.compile(r"20\d{2}")
ANY_TIME = re.compile("anytime", re.IGNORECASE)
PSEUDO_COURSES: dict[str, dict[str, Any]] = {
    "default": {"id": "default", "dbname": "api", "mongoname": "", "icon": "fa-settings"},
    "personcourse": {"id": "personcourse", "dbname": "Person_Course", "icon": "fa-settings"},
    "Course_Event": {"id": "Course_Event", "dbname": "Course_Event", "icon": "fa-settings"},
}
"""Databases that the original lists beside the courses."""


def get_all_courses(settings: Settings | None = None) -> dict[str, dict[str, Any]]:
    """Every course run of the newest database state, by the original's course id.

    Args:
        settings: where to look; those of ``config.py`` when None.

    Returns:
        For each course: id, dbname, mongoname (the id in dumps and events), discussiontable,
        csjson and coursestructure (names of JSON files), icon, year and term.
    """
    settings = settings or load_settings()
    package = read_package(
        settings.data_paths, settings.clickstream_prefix, settings.dbstate_prefix
    )
    found = {course.key: _described(package, course) for course in package.courses()}
    return PSEUDO_COURSES | found


def _described(package: Package, course: CourseRun) -> dict[str, Any]:
    files = [f for f in (*package.state, *package.course_folders) if f.course == course]
    # As the service edx_course_structure calls them.
    structures = [
        safe_file_name(f.source.rpartition("/")[2])
        for f in files
        if f.kind is FileKind.course_structure
    ]
    olx = next((file.path for file in files if file.kind is None), None)
    year, any_time = YEAR.search(course.stem), ANY_TIME.search(course.stem)
    return {
        "id": course.key,
        "dbname": course.database,
        "mongoname": course_id_of((file.path for file in files), course, olx) or "",
        "discussiontable": course.discussion_table,
        "csjson": structures[0] if structures else "",
        "coursestructure": f"{course.database.replace('_', '-')}.json",
        "icon": ICON,
        "year": year.group() if year else any_time.group() if any_time else "",
        "term": course.stem.rpartition("-")[2],
    }


@cache
def _all_courses() -> dict[str, dict[str, Any]]:
    return get_all_courses()


def __getattr__(name: str) -> Any:
    if name == "EDX_DATABASES":
        return _all_courses()
    raise AttributeError(name)
