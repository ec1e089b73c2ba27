"""What becomes of each member of a package zip."""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from optimus.errors import BadFileError
from optimus.package.names import FileKind, PackageName, parse_name
from services.extract.paths import folded, safe_path, shown
from services.extract.unpacking import plain_name
from services.extract.zips import Zip, ZipMember

COURSE_ARCHIVE = ".xml.tar.gz"
FAILED = ".failed"
ORA_FOLDER = "ora"
LEFT_OUT = {stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a named pipe"}


@dataclass(frozen=True)
class Member:
    """A member, and the file or folder that it becomes.

    Attributes:
        zipped: the member.
        path: its path below the package, without what says that it is encrypted.
        published: where it is found; a course archive is a folder without the ending.
    """

    zipped: ZipMember
    path: PurePosixPath
    published: PurePosixPath

    @property
    def name(self) -> PackageName | None:
        """What its name says; None if it is none of a package."""
        return parse_name(self.path.name)

    @property
    def is_course_archive(self) -> bool:
        """Whether it is published as a folder."""
        return self.path != self.published

    @property
    def is_failed(self) -> bool:
        """Whether the sender could not make it; it holds a notice."""
        return self.path.name.lower().endswith(FAILED)

    @property
    def why_left_out(self) -> str | None:
        """Why it is not published; None when it is."""
        return None if self.zipped.is_file else LEFT_OUT.get(self.zipped.kind, "a device")


class Members:
    """The files of a package. There may be many, so each is made when it is asked for."""

    def __init__(self, archive: Zip, name: str) -> None:
        """Look at all names.

        Args:
            archive: the zip.
            name: what errors call it.

        Raises:
            BadFileError: there is no file, a name leads elsewhere, or two are published as one.
        """
        self._files = [member for member in archive.members if not member.is_folder]
        self._name = name
        self._top = PurePosixPath()
        if not self._files:
            raise BadFileError(f"{name} holds no file. Fetch it again.")
        self._top = self._folder_of_all()
        self._refuse_two_in_one()

    def __iter__(self) -> Iterator[Member]:
        for zipped in self._files:
            path, published = (
                safe_path(name, self._name).relative_to(self._top)
                for name in _names(plain_name(zipped.name))
            )
            if not published.name:
                raise BadFileError(f"{self._name} holds a file without a name. Fetch it again.")
            yield Member(zipped, path, published)

    def are_email_preferences(self) -> bool:
        """Whether this is the zip of e-mail preferences, which is called like the package."""
        return all(member.name and member.name.kind is FileKind.email_opt_in for member in self)

    def _folder_of_all(self) -> PurePosixPath:
        """The one folder that all lie in; the archive itself if that folder means something."""
        first = next(iter(self)).path.parts[0]
        means_something = first == ORA_FOLDER
        for member in self:
            is_course = member.path.parts[1:] == ("course.xml",)
            means_something |= is_course or member.path.parts[0] != first
            means_something |= len(member.path.parts) == 1
        return PurePosixPath() if means_something else PurePosixPath(first)

    def _refuse_two_in_one(self) -> None:
        taken = set()
        for member in self:
            key = folded(member.published)
            if key in taken:
                raise BadFileError(
                    f"{self._name} holds {shown(str(member.published))} twice, capital letters or "
                    "not. Nothing of it is published; ask the sender for another."
                )
            taken.add(key)


def _names(name: str) -> tuple[str, str]:
    """The name of a member, and the name it is published under."""
    is_archive = name.lower().endswith(COURSE_ARCHIVE)
    return name, name[: -len(COURSE_ARCHIVE)] if is_archive else name
