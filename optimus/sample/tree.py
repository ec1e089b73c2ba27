"""The files of the package: modes, compression, and the count of what was written."""

import os
import zlib
from importlib import import_module
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Protocol, Self

try:
    isal_zlib: ModuleType | None = import_module("isal.isal_zlib")
except ImportError:  # the sample is also written where the fast compressor is not installed
    isal_zlib = None

FOLDER_MODE = 0o750
FILE_MODE = 0o640
CHUNK_BYTES = 1 << 20
GZIP_WINDOW = 31


class Compressor(Protocol):
    """The part of a compressor that is needed here."""

    def compress(self, data: bytes, /) -> bytes:
        """Take some bytes, give those that are ready."""

    def flush(self) -> bytes:
        """Give the rest."""


def gzip_compressor() -> Compressor:
    """A compressor whose header holds neither a time nor a name."""
    library = isal_zlib or zlib
    compressor: Compressor = library.compressobj(1, zlib.DEFLATED, GZIP_WINDOW)
    return compressor


class OutputFile:
    """One file being written; counts its bytes for the tree when it is closed."""

    def __init__(self, tree: "Tree", path: Path, *, gzip: bool) -> None:
        self._tree = tree
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        self._file = os.fdopen(os.open(path, flags, FILE_MODE), "wb")
        self._compressor = gzip_compressor() if gzip else None
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def write(self, data: bytes) -> None:
        """Add bytes to the file; they may reach the disk later."""
        self._pending.append(data)
        self._pending_bytes += len(data)
        if self._pending_bytes > CHUNK_BYTES:
            self._drain()

    def text(self, text: str) -> None:
        """Add text to the file, as UTF-8."""
        self.write(text.encode())

    def next_member(self) -> None:
        """Begin a new gzip member, as files do that were joined; nothing happens without gzip."""
        self._drain()
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
            self._compressor = gzip_compressor()

    def close(self) -> None:
        """Write what is pending and count the file."""
        self._drain()
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
        self._tree.files += 1
        self._tree.bytes += self._file.tell()
        self._file.close()

    def _drain(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        self._file.write(self._compressor.compress(data) if self._compressor else data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()


class Tree:
    """The folder a package is written to.

    Attributes:
        root: the folder.
        files: number of files closed so far.
        bytes: their size.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = 0
        self.bytes = 0

    def open(self, name: str, *, gzip: bool = False) -> OutputFile:
        """Begin a new file; ``name`` is relative to the root, missing folders are made."""
        path = self.root / name
        self._make_folder(path.parent)
        return OutputFile(self, path, gzip=gzip)

    def write(self, name: str, text: str) -> None:
        """Write a whole file from a text."""
        with self.open(name) as file:
            file.text(text)

    def link(self, name: str, target: str) -> None:
        """Make a relative symbolic link."""
        (self.root / name).symlink_to(target)

    def _make_folder(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make_folder(path.parent)
        path.mkdir(mode=FOLDER_MODE)
