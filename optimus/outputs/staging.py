"""Files that appear whole or not at all.

What is written lies beside its place under a hidden name until ``publish``; there every
file is forced to the disk and then renamed. A reader sees the old file or the new one, and
a crash leaves nothing but hidden files, which ``sweep`` removes.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from optimus.errors import OutputUnavailableError

SUFFIX = ".tmp"
FILE_MODE = 0o640
FOLDER_MODE = 0o750
LONGEST_NAME = 240
"""Bytes of a file name; the systems allow 255, and what is rewritten needs a few more."""


class Staging:
    """The files that one try is about to publish."""

    def __init__(self, mark: str) -> None:
        """Start with nothing staged.

        Args:
            mark: tells the hidden names of this try from those of any other.
        """
        self._mark = mark
        self._staged: dict[Path, Path] = {}

    def path_for(self, final: Path) -> Path:
        """The hidden path to write to; it becomes ``final`` when all is published.

        Raises:
            OutputUnavailableError: the folder cannot be made.
        """
        if final not in self._staged:
            make_folder(final.parent)
            self._staged[final] = final.with_name(self._hidden(final.name))
        return self._staged[final]

    def _hidden(self, name: str) -> str:
        hidden = f".{name}.{self._mark}{SUFFIX}"
        if len(os.fsencode(hidden)) <= LONGEST_NAME:
            return hidden
        return f".{hashlib.sha256(name.encode()).hexdigest()}.{self._mark}{SUFFIX}"

    def write_bytes(self, final: Path, content: bytes) -> None:
        """Stage a small file whole."""
        self.path_for(final).write_bytes(content)

    def copy(self, final: Path, copy: Path) -> None:
        """Stage what is already staged as ``final`` under a second name."""
        shutil.copyfile(self._staged[final], self.path_for(copy))

    def drop(self, final: Path) -> None:
        """Take back one staged file."""
        self._staged.pop(final).unlink(missing_ok=True)

    def keep_only(self, final: Path) -> None:
        """Take back everything but one file."""
        for other in [path for path in self._staged if path != final]:
            self.drop(other)

    def publish(self) -> list[Path]:
        """Make everything visible, in the order it was staged.

        Returns:
            The final paths.
        """
        for hidden in self._staged.values():
            hidden.chmod(FILE_MODE)
            _to_disk(hidden)
        for final, hidden in self._staged.items():
            hidden.replace(final)
        for folder in {final.parent for final in self._staged}:
            _to_disk(folder)
        published = list(self._staged)
        self._staged.clear()
        return published

    def discard(self) -> None:
        """Remove everything that is staged."""
        for hidden in self._staged.values():
            hidden.unlink(missing_ok=True)
        self._staged.clear()


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, readable by the group only.

    Raises:
        OutputUnavailableError: it cannot be made.
    """
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
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
        How many files were removed.
    """
    removed = 0
    staying = [f".{mark}." for mark in at_work]
    for folder in folders:
        for left in folder.rglob(f".*{SUFFIX}"):
            if not any(mark in left.name for mark in staying):
                left.unlink(missing_ok=True)
                removed += 1
    return removed


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
