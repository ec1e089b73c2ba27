"""Two calls of the system that Python has no function for."""

import ctypes
import os
from pathlib import Path

_AT_CURRENT_FOLDER = -100
_EXCHANGE = 2
_library = ctypes.CDLL(None, use_errno=True)


def exchange(one: Path, other: Path) -> None:
    """Let two files or folders change places: nobody ever finds either name empty.

    Where the file system cannot do so, ``other`` is missing for a moment.

    Raises:
        OSError: one of them cannot be renamed.
    """
    names = os.fsencode(one), os.fsencode(other)
    rename = getattr(_library, "renameat2", None)
    if rename and not rename(_AT_CURRENT_FOLDER, names[0], _AT_CURRENT_FOLDER, names[1], _EXCHANGE):
        return
    between = one.with_name(f".old{one.name}")
    other.rename(between)
    one.rename(other)
    between.rename(one)


def sync_file_system(path: Path) -> None:
    """Force everything that was written to the file system of ``path`` to its disk.

    Raises:
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if _library.syncfs(descriptor):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)
