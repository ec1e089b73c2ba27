"""Names inside archives: only what stays below its folder is let through."""

import re
import unicodedata
from pathlib import PurePosixPath

from optimus.errors import BadFileError

LONGEST_PATH, LONGEST_PART, DEEPEST = 1024, 255, 32
"""Bytes of a path, bytes of a part of it, and parts."""
SHOWN = 200
DRIVE = re.compile("[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def safe_path(name: str, archive: str) -> PurePosixPath:
    """The path that a name in an archive says, ``.`` for the archive's own folder.

    Args:
        name: as the archive has it.
        archive: what errors call it.

    Raises:
        BadFileError: it leads elsewhere, or no file can be called like this.
    """
    path = PurePosixPath(name)
    encoded = [part.encode("utf-8", "surrogateescape") for part in path.parts]
    fault = None
    if path.is_absolute() or ".." in path.parts or "\\" in name or DRIVE.match(name):
        fault = "leads out of its folder"
    elif CONTROL.search(name):
        fault = "holds a control character"
    elif len(b"/".join(encoded)) > LONGEST_PATH or len(encoded) > DEEPEST:
        fault = "is too long or too deep"
    elif any(len(part) > LONGEST_PART for part in encoded):
        fault = "is too long"
    if fault:
        raise BadFileError(
            f"{archive}: the name {shown(name)} in it {fault}. Nothing of it is published; ask "
            "the sender for another."
        )
    return path


def shown(name: str) -> str:
    """A name as it may stand in a message."""
    text = name if name.isprintable() else ascii(name)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def folded(path: PurePosixPath) -> str:
    """The same for paths that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(path)).casefold())
