"""The files of one unpacked course, opened so that none of them can do harm.

A course comes from outside. A name in it may lead out of its folder, a file may be a pipe that
never ends or hold entities that grow without limit. What is refused leaves a fault, and the
rest of the course is read.
"""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from lxml import etree

from optimus.package.olx_values import depth_exceeds

MAX_FILE_BYTES = 16 * 2**20
MAX_COURSE_BYTES = 256 * 2**20
MAX_POLICY_DEPTH = 64
MAX_NAME_LENGTH = 1024
_UNPUBLISHED = "drafts"
_PARSER_OPTIONS: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
}
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_REFUSED_BY_SYSTEM = {
    errno.ELOOP: ("path", "The name goes round in links."),
    errno.ENAMETOOLONG: ("path", "The name is longer than a file name can be."),
    errno.EACCES: ("unreadable", "The ingestor may not read this file."),
    errno.EPERM: ("unreadable", "The ingestor may not read this file."),
}


@dataclass(frozen=True)
class CourseFault:
    """Something in a course that could not be used; the rest of the course was.

    Attributes:
        path: the file, relative to the course folder.
        reason: a code that is the same for every fault of the kind.
        detail: a sentence for people.
    """

    path: str
    reason: str
    detail: str


class _RefusedError(Exception):
    """A file is there and is not read."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(detail)


class _DoctypeFoundError(Exception):
    """The document declares a type, and with it perhaps entities."""


class _RootReachedError(Exception):
    """The first element is reached, after which no declaration can follow."""


class _PrologProbe:
    """Looks no further than the first element, so that no entity is ever expanded."""

    def doctype(self, *_declaration: str | None) -> None:
        raise _DoctypeFoundError

    def start(self, *_element: object) -> None:
        raise _RootReachedError

    def close(self) -> None:
        """Is asked for by the parser."""


class CourseFiles:
    """Reads the files below one course folder, and collects the faults met on the way."""

    def __init__(self, folder: Path) -> None:
        self._root = os.path.realpath(folder)
        self._faults: dict[tuple[str, str], CourseFault] = {}
        self._bytes_left = MAX_COURSE_BYTES
        self._probe = etree.XMLParser(**_PARSER_OPTIONS | {"target": _PrologProbe()})
        self._parser = etree.XMLParser(remove_comments=True, remove_pis=True, **_PARSER_OPTIONS)

    @property
    def faults(self) -> list[CourseFault]:
        """Every fault so far, in the order they were met; the same one is told once."""
        return list(self._faults.values())

    def fault(self, path: str, reason: str, detail: str) -> None:
        """Note that something could not be used."""
        shown = path[:MAX_NAME_LENGTH].encode("utf-8", "replace").decode()
        self._faults.setdefault((shown, reason), CourseFault(shown, reason, detail))

    def read_xml(self, path: str, *, must_exist: bool = False) -> etree._Element | None:
        """The root element of a file without comments; None when there is none to be had."""
        data = self._read(path, must_exist=must_exist)
        if data is None:
            return None
        try:
            self._refuse_doctype(data)
            return etree.fromstring(data, self._parser)
        except _RefusedError as refusal:
            self.fault(path, refusal.reason, refusal.detail)
        except etree.XMLSyntaxError as error:
            what = str(error.msg).strip() if data else "the file is empty"
            self.fault(path, "bad_xml", f"Not well-formed XML: {what[:200]}.")
        return None

    def read_json(self, path: str) -> dict[str, Any] | None:
        """The JSON object in a policy file; None when there is none to be had."""
        data = self._read(path, must_exist=False)
        if data is None:
            return None
        try:
            value = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            self.fault(path, "bad_policy", f"Not JSON: {error.msg}.")
            return None
        if not isinstance(value, dict) or depth_exceeds(value, MAX_POLICY_DEPTH):
            detail = f"Not a JSON object, or one nested deeper than {MAX_POLICY_DEPTH} levels."
            self.fault(path, "bad_policy", detail)
            return None
        return value

    def names_in(self, path: str) -> list[str]:
        """The names in a folder, sorted; empty when it is absent or not of the course."""
        try:
            return sorted(entry.name for entry in Path(self._locate(path)).iterdir())
        except (OSError, _RefusedError):
            return []

    def _refuse_doctype(self, data: bytes) -> None:
        try:
            etree.fromstring(data, self._probe)
        except _DoctypeFoundError:
            detail = "The file declares a document type, which a course file has no use for."
            raise _RefusedError("xml_doctype", detail) from None
        except _RootReachedError:
            return

    def _read(self, path: str, *, must_exist: bool) -> bytes | None:
        try:
            data = _read_regular(self._locate(path))
            self._spend(len(data))
        except (FileNotFoundError, NotADirectoryError):
            if must_exist:
                self.fault(path, "missing_file", "An element points to this file: there is none.")
        except _RefusedError as refusal:
            self.fault(path, refusal.reason, refusal.detail)
        except OSError as error:
            if error.errno not in _REFUSED_BY_SYSTEM:
                raise
            self.fault(path, *_REFUSED_BY_SYSTEM[error.errno])
        else:
            return data
        return None

    def _spend(self, n_bytes: int) -> None:
        self._bytes_left -= n_bytes
        if self._bytes_left < 0:
            detail = f"The course's files exceed {MAX_COURSE_BYTES >> 20} MB together."
            raise _RefusedError("too_big", detail)

    def _locate(self, path: str) -> str:
        parts = path.split("/")
        if len(path) > MAX_NAME_LENGTH or "\0" in path or not {"", ".", ".."}.isdisjoint(parts):
            raise _RefusedError("path", "The name cannot be that of a file of the course.")
        real = os.path.realpath(os.path.join(self._root, *parts))  # noqa: PTH118 - 200,000 times
        inside = real.removeprefix(self._root.rstrip("/") + "/")
        if inside == real:
            raise _RefusedError("path", "The name leads out of the course's folder.")
        if inside.partition("/")[0] == _UNPUBLISHED:
            raise _RefusedError("path", "The name leads to unpublished drafts.")
        return real


def _read_regular(real: str) -> bytes:
    # A pipe or a device may block or act when it is opened: it has to be known before.
    if not stat.S_ISREG(os.lstat(real).st_mode):
        raise _RefusedError("not_regular", "Not a regular file.")
    with os.fdopen(os.open(real, _READ_FLAGS), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _RefusedError("not_regular", "Not a regular file.")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise _RefusedError("too_big", f"The file is larger than {MAX_FILE_BYTES >> 20} MB.")
    return data
