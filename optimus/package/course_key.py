"""The course id of a course run, learned from the content of its files.

File names cannot tell it: they drop the scheme of the id, and a dash in them may be any
separator. Order of trust: the package reference, §1.4.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lxml import etree

from optimus.errors import OptimusError
from optimus.package.course_ids import course_id_from_stem, course_id_in_block
from optimus.package.course_ids import valid_course_id as valid
from optimus.package.files import DeliveredFile, TooLong
from optimus.package.layout import CourseRun
from optimus.package.names import FileKind, PackageName, parse_name
from optimus.package.tsv import decode_cell, parse_header, split_row

TABLES_THAT_TELL = (
    "student_courseenrollment",
    "courseware_studentmodule",
    "certificates_generatedcertificate",
)
"""Tables with a course_id column, in the order in which they are trusted."""
COURSE_BLOCK = re.compile(rb'"((?:ccx-)?block-v1:[^"]+\+type@course\+block@[^"]+)"')
COURSE_OF_POST = re.compile(rb'"course_id"\s*:\s*"([^"]+)"')
ROWS_LOOKED_AT = 100


def course_id_of(paths: Iterable[Path], course: CourseRun, olx: Path | None = None) -> str | None:
    """Find a course run's id.

    Args:
        paths: files of a delivery; those of other course runs do no harm.
        course: the course run.
        olx: its unpacked course folder, if there is one.

    Returns:
        The id, taken from the first source that has one; at last a guess from the stem.
    """
    files = {
        name: path
        for name, path in _named(paths)
        if (name.stem, name.site) == (course.stem, course.site)
    }
    for table in TABLES_THAT_TELL:
        for name, path in files.items():
            if name.table == table and (found := _in_table(path)):
                return found
    for name, path in files.items():
        if name.kind is FileKind.forum and (found := _in_forum(path)):
            return found
    for name, path in files.items():
        if name.kind is FileKind.course_structure and (found := _in_structure(path)):
            return found
    named = _in_olx(olx) if olx else None
    return course_id_from_stem(course.stem, [named] if named else [])


def _named(paths: Iterable[Path]) -> Iterator[tuple[PackageName, Path]]:
    for path in sorted(paths):
        name = parse_name(path.name)
        if name and not name.failed and path.is_file():
            yield name, path


def _first_lines(path: Path, count: int) -> Iterator[bytes]:
    file = DeliveredFile(path)
    try:
        for chunk in file.chunks():
            for line in chunk.lines:
                yield line.head if isinstance(line, TooLong) else line
                count -= 1
                if not count:
                    return
    finally:
        file.close()


def _in_table(path: Path) -> str | None:
    try:
        lines = _first_lines(path, ROWS_LOOKED_AT)
        header = parse_header(next(lines, b""))
        at = header.index("course_id")
        for line in lines:
            cells = split_row(line)
            cell = decode_cell(cells[at]) if len(cells) == len(header) else None
            if cell and (found := valid(cell.text)):
                return found
    except (OptimusError, ValueError, OSError):
        return None
    return None


def _in_forum(path: Path) -> str | None:
    try:
        for line in _first_lines(path, ROWS_LOOKED_AT):
            found = COURSE_OF_POST.search(line)
            if found and (course_id := valid(found[1].decode("utf-8", "replace"))):
                return course_id
    except (OptimusError, OSError):
        return None
    return None


def _in_structure(path: Path) -> str | None:
    try:
        content = b"\n".join(_first_lines(path, ROWS_LOOKED_AT**2))
    except (OptimusError, OSError):
        return None
    found = COURSE_BLOCK.search(content)
    return course_id_in_block(found[1].decode()) if found else None


def _in_olx(folder: Path) -> str | None:
    """``course.xml`` names org, course and run; the run may be the word ``course``."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring((folder / "course.xml").read_bytes(), parser)
    except (OSError, etree.XMLSyntaxError):
        return None
    org, number, run = (root.get(name) for name in ("org", "course", "url_name"))
    return valid(f"course-v1:{org}+{number}+{run}")
