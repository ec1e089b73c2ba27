"""edX Course Structure: edX's own description of each course run, for the web.

In     <stem>-course_structure-<suffix>.json of the newest database state
Out    www/edx_course_structure/<the same name>, byte for byte
Waits  for nothing
"""

import json
from collections.abc import Iterable

from optimus.errors import BadFileError
from optimus.package.layout import Package, PackageFile
from optimus.package.names import FileKind, safe_file_name
from optimus.service import FileRun, FileService

LARGEST = 64 << 20
REMEDY = "Fetch it again; if that does not help, ask for a new one."


class EdxCourseStructure(FileService):
    """Structures as edX delivers them. A newer delivery takes the place of the older."""

    name = "edx_course_structure"
    spelled = "EdxCourseStructure"
    title = "edX course structure"

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take the course structure of every course run."""
        return package.of_kind(FileKind.course_structure)

    def ingest(self, run: FileRun) -> None:
        """See that it is a structure, and copy it."""
        content = run.read(LARGEST)
        blocks = count_blocks(run.file.path.name, content)
        # The last part of the source is the name without what the file was wrapped in.
        name = safe_file_name(run.file.source.rpartition("/")[2])
        run.write_www(f"edx_course_structure/{name}", content)
        run.counts.update(lines=blocks, rows=blocks)


def count_blocks(name: str, content: bytes) -> int:
    """How many blocks a structure describes.

    Args:
        name: of the file.
        content: all of it.

    Raises:
        BadFileError: it is no JSON object that holds an object for each block.
    """
    try:
        # As lenient as what wrote it: orjson takes neither NaN nor half a surrogate pair.
        blocks = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadFileError(f"{name} is not JSON. {REMEDY}") from error
    if not isinstance(blocks, dict) or not all(isinstance(b, dict) for b in blocks.values()):
        raise BadFileError(f"{name} holds no object of blocks. {REMEDY}")
    if not blocks:
        raise BadFileError(f"{name} holds no block. {REMEDY}")
    return len(blocks)
