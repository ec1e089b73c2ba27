"""Files and folders that appear whole or not at all.

What is written lies under a hidden name until ``publish``; there it is forced to the disk and
then renamed. A reader sees the old file or the new one, and a crash leaves nothing but hidden
files, which ``sweep`` removes.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from optimus.errors import OutputUnavailableError
from optimus.outputs.linux import exchange, sync_file_system

SUFFIX = ".tmp"
FILE_MODE = 0o640
FOLDER_MODE = 0o750
INCOMING = ".incoming"
"""Folder in a data folder where deliveries are unpacked before they are published."""
LONGEST_NAME = 240
"""Bytes of a file name; the systems allow 255, and what is rewritten needs a few more."""


@dataclass(frozen=True)
class Rights:
    """Who may use what is published.

    Attributes:
        file_mode: of files.
        folder_mode: of folders.
        group: number of the group that gets them; None for the daemon's own.
    """

    file_mode: int = FILE_MODE
    folder_mode: int = FOLDER_MODE
    group: int | None = None

    def give(self, path: Path) -> None:
        """Set them on one file or folder."""
        if self.group is not None:
            os.chown(path, -1, self.group)
        path.chmod(self.folder_mode if path.is_dir() else self.file_mode)


OURS = Rights()
PRIVATE = Rights(0o600, 0o700)


@dataclass(frozen=True)
class Shelf:
    """Where something is staged when it must not lie beside its place.

    Attributes:
        folder: on the same file system; nobody but us may look into it.
        rights: what it is published with.
    """

    folder: Path
    rights: Rights = OURS


@dataclass(frozen=True)
class _Staged:
    hidden: Path
    rights: Rights


@dataclass(frozen=True)
class _Link:
    target: str
    hidden: Path
    is_wanted: Callable[[], bool]


class Staging:
    """The files and folders that one try is about to publish."""

    def __init__(self, mark: str) -> None:
        """Start with nothing staged.

        Args:
            mark: tells the hidden names of this try from those of any other.
        """
        self._mark = mark
        self._staged: dict[Path, _Staged] = {}
        self._links: dict[Path, _Link] = {}

    def path_for(self, final: Path, shelf: Shelf | None = None) -> Path:
        """The hidden path to write to; it becomes ``final`` when all is published.

        Raises:
            OutputUnavailableError: the folder cannot be made.
        """
        if final not in self._staged:
            rights = shelf.rights if shelf else OURS
            make_folder(final.parent, rights)
            self._staged[final] = _Staged(self._hidden(final, shelf), rights)
        return self._staged[final].hidden

    def folder_for(self, final: Path, shelf: Shelf | None = None) -> Path:
        """A hidden, empty folder to fill; it takes the place of ``final`` when all is published.

        Raises:
            OutputUnavailableError: the folder cannot be made.
        """
        hidden = self.path_for(final, shelf)
        make_folder(hidden)
        return hidden

    def point(self, link: Path, target: str, shelf: Shelf, is_wanted: Callable[[], bool]) -> None:
        """Let a link point to ``target`` once all else is published.

        Args:
            link: the link; anything but a link of that name is left alone.
            target: the name of something that lies beside it.
            shelf: where the new link waits.
            is_wanted: asked at the very end, when others may have moved the link.
        """
        self._links[link] = _Link(target, self._hidden(link, shelf), is_wanted)

    def _hidden(self, final: Path, shelf: Shelf | None) -> Path:
        if shelf is not None:
            make_folder(shelf.folder, PRIVATE)
            # Things of one name and different folders share the shelf.
            name = hashlib.sha256(os.fsencode(final)).hexdigest()
            return shelf.folder / f".{name}.{self._mark}{SUFFIX}"
        hidden = f".{final.name}.{self._mark}{SUFFIX}"
        if len(os.fsencode(hidden)) > LONGEST_NAME:
            hashed = hashlib.sha256(final.name.encode()).hexdigest()
            hidden = f".{hashed}.{self._mark}{SUFFIX}"
        return final.with_name(hidden)

    def write_bytes(self, final: Path, content: bytes) -> None:
        """Stage a small file whole."""
        self.path_for(final).write_bytes(content)

    def copy(self, final: Path, copy: Path) -> None:
        """Stage what is already staged as ``final`` under a second name."""
        shutil.copyfile(self._staged[final].hidden, self.path_for(copy))

    def drop(self, final: Path) -> None:
        """Take back one staged file or folder."""
        _remove(self._staged.pop(final).hidden)

    def keep_only(self, final: Path) -> None:
        """Take back everything but one file."""
        self._links.clear()
        for other in [path for path in self._staged if path != final]:
            self.drop(other)

    def publish(self) -> list[Path]:
        """Make everything visible, in the order it was staged; links last.

        Returns:
            The final paths.
        """
        for staged in self._staged.values():
            _finish(staged)
        for final, staged in self._staged.items():
            _put(staged.hidden, final)
        for link, wanted in self._links.items():
            if wanted.is_wanted() and (link.is_symlink() or not link.exists()):
                wanted.hidden.symlink_to(wanted.target)
                wanted.hidden.replace(link)
        for folder in {final.parent for final in (*self._staged, *self._links)}:
            to_disk(folder)
        published = list(self._staged)
        self._staged.clear()
        self._links.clear()
        return published

    def discard(self) -> None:
        """Remove everything that is staged."""
        for staged in self._staged.values():
            _remove(staged.hidden)
        self._staged.clear()
        self._links.clear()


def make_folder(folder: Path, rights: Rights = OURS) -> None:
    """Make a folder and those above it, readable by the group only.

    Raises:
        OutputUnavailableError: it cannot be made.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            rights.give(path)
    except OSError as error:
        raise OutputUnavailableError(
            f"{folder} cannot be made ({error.strerror}). Free space there, or give the daemon's "
            "user the right to write."
        ) from error


def sweep(folders: Iterable[Path], at_work: Iterable[str] = ()) -> int:
    """Remove what interrupted tries left hidden.

    Args:
        folders: where to look.
        at_work: marks of the tries that are under way, whose files stay.

    Returns:
        How many files and folders were removed.
    """
    removed = 0
    staying = [f".{mark}." for mark in at_work]
    for folder in folders:
        for left in list(folder.rglob(f".*{SUFFIX}")):
            if not any(mark in left.name for mark in staying):
                _remove(left)
                removed += 1
    return removed


def _finish(staged: _Staged) -> None:
    """Give everybody their rights, and see that all of it is on the disk."""
    if not staged.hidden.is_dir():
        staged.rights.give(staged.hidden)
        to_disk(staged.hidden)
        return
    for folder, _, files in os.walk(staged.hidden):
        for path in (Path(folder), *(Path(folder, name) for name in files)):
            staged.rights.give(path)
    # A course has thousands of small files: one call for all of them.
    sync_file_system(staged.hidden)


def _put(hidden: Path, final: Path) -> None:
    if hidden.is_dir() and final.exists():
        exchange(hidden, final)
        _remove(hidden)
    else:
        hidden.replace(final)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def to_disk(path: Path) -> None:
    """Force a file, or the list of names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
