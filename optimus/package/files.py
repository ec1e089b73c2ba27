r"""Reading a delivered file: unpacked, hashed, cut into lines, checked to its last byte.

Lines end at ``\n`` and nowhere else: other line ends occur inside fields. Nothing here
grows with the file; a line longer than its cap is handed on as its beginning only.
"""

import gzip
import hashlib
import io
import os
import stat
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from optimus.errors import BadFileError, FileChangedError

try:
    from isal import igzip
    from isal.isal_zlib import IsalError

    GzipFile: type[gzip.GzipFile] = igzip.IGzipFile
    DAMAGED: tuple[type[Exception], ...] = (
        gzip.BadGzipFile,
        zlib.error,
        IsalError,  # type: ignore[assignment] # its stub calls the class an instance
    )
except ImportError:  # platforms without a wheel: slower, same behaviour
    GzipFile = gzip.GzipFile
    DAMAGED = (gzip.BadGzipFile, zlib.error)

CHUNK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"
LONGEST_LINE = 8 << 20
KEPT_OF_TOO_LONG = 1 << 20
BOMB_RATIO = 200
BOMB_FLOOR = 100 << 20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Fingerprint:
    """What tells cheaply that a file is still the same file."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Fingerprint":
        """Take the fingerprint out of what ``stat`` says."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )

    def __str__(self) -> str:
        return f"{self.device}.{self.inode}.{self.size}.{self.modified_ns}.{self.changed_ns}"


@dataclass(frozen=True, slots=True)
class TooLong:
    """A line over the cap: only its beginning is kept in memory.

    Attributes:
        head: the first bytes of the line.
        length: all its bytes, the line end left out.
    """

    head: bytes
    length: int


@dataclass(frozen=True, slots=True)
class Chunk:
    r"""Whole lines that follow each other.

    Attributes:
        first_line: number of the first line, counted from 1.
        offset: byte offset of the first line in the unpacked content.
        lines: the lines without their ``\n``.
    """

    first_line: int
    offset: int
    lines: list[bytes | TooLong]

    def numbered(self) -> Iterator[tuple[int, int, bytes | TooLong]]:
        """Its lines with their numbers and byte offsets."""
        offset = self.offset
        for number, line in enumerate(self.lines, self.first_line):
            yield number, offset, line
            offset += 1 + (line.length if isinstance(line, TooLong) else len(line))


class _Hashed(io.RawIOBase):
    """The raw file, hashed while it is read."""

    def __init__(self, raw: IO[bytes]) -> None:
        self.raw = raw
        self.sha256 = hashlib.sha256()
        self.bytes_read = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self.raw.read(len(buffer))
        buffer[: len(data)] = data
        self.sha256.update(data)
        self.bytes_read += len(data)
        return len(data)


class Blocks(io.RawIOBase):
    """Blocks of bytes as a file, for what reads files.

    Attributes:
        bytes_read: how much was read so far.
    """

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self.bytes_read = 0

    def readable(self) -> bool:
        """It is read from start to end."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer; at the end alone a part of it is left."""
        filled = 0
        while filled < len(buffer):
            if not self._rest:
                block = next(self._blocks, None)
                if block is None:
                    break
                self._rest = memoryview(block)
            part = self._rest[: len(buffer) - filled]
            buffer[filled : filled + len(part)] = part
            self._rest = self._rest[len(part) :]
            filled += len(part)
        self.bytes_read += filled
        return filled


class Unpacked:
    """A stream of bytes, unpacked if it begins like gzip, and checked to its last byte.

    Attributes:
        is_gzip: whether it is unpacked.

    Raises:
        BadFileError: it has no byte, and its name says gzip.
    """

    def __init__(self, raw: _Hashed | Blocks, name: str) -> None:
        """Begin to read.

        Args:
            raw: the stream.
            name: what errors call it.
        """
        self._raw = raw
        self._name = name
        self._packed = io.BufferedReader(raw, CHUNK_BYTES)
        beginning = self._packed.peek(2)[:2]
        if not beginning and name.endswith(".gz"):
            raise BadFileError(
                f"{name} is a gzip file of 0 bytes: it was cut off. Deliver it again."
            )
        self.is_gzip = beginning == GZIP_MAGIC

    def packed_blocks(self) -> Iterator[bytes]:
        """The stream as it is, in blocks of about 1 MB."""
        while block := self._packed.read(CHUNK_BYTES):
            yield block

    def blocks(self) -> Iterator[bytes]:
        """The unpacked content in blocks of about 1 MB.

        Raises:
            BadFileError: the packing is damaged, or blows up.
        """
        if not self.is_gzip:
            yield from self.packed_blocks()
            return
        stream = GzipFile(fileobj=self._packed, mode="rb")
        unpacked = 0
        while block := self._next(stream):
            unpacked += len(block)
            refuse_bomb(self._name, self._raw.bytes_read, unpacked)
            yield block

    def _next(self, stream: gzip.GzipFile) -> bytes:
        try:
            return stream.read(CHUNK_BYTES)
        except EOFError as error:
            raise BadFileError(
                f"{self._name}: input ended early after {self._raw.bytes_read:,} bytes: the "
                "gzip file is cut off. It is tried again when its bytes change."
            ) from error
        except DAMAGED as error:
            raise BadFileError(
                f"{self._name}: damaged gzip data near byte {self._raw.bytes_read:,} ({error}). "
                "It is tried again when its bytes change."
            ) from error


def refuse_bomb(name: str, packed: int, unpacked: int) -> None:
    """Stop before a small file fills the disk.

    Args:
        name: what is unpacked.
        packed: bytes of it that were read.
        unpacked: bytes that came out.

    Raises:
        BadFileError: nothing that is sent for good packs as tightly.
    """
    if unpacked >= BOMB_FLOOR and unpacked > BOMB_RATIO * packed:
        raise BadFileError(
            f"{name} unpacks to more than {BOMB_RATIO} times its size: nothing that edX sends "
            "does. Look at it, and deliver it again unpacked if it is right."
        )


class DeliveredFile:
    """One file of a package, open for one reading from start to end.

    Gzip is recognised by its first bytes, whatever the name says. ``finish`` must be called
    after the last byte: it knows whether the file was whole and stayed the same.

    Raises:
        BadFileError: the file is no regular file, or its packing is damaged.
        FileChangedError: the file went away or changed while it was read.
        PermissionError: the file may not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = _open_regular(path)
        self.fingerprint = Fingerprint.of(os.fstat(self._descriptor))
        self._file = os.fdopen(self._descriptor, "rb", buffering=0)
        self._hashed = _Hashed(self._file)
        self._unpacked = Unpacked(self._hashed, path.name)
        self.is_gzip = self._unpacked.is_gzip
        # What is not packed is its own content: there is no need to hash it twice.
        self._content_sha256 = hashlib.sha256() if self.is_gzip else self._hashed.sha256
        self.content_bytes = 0

    @property
    def bytes_total(self) -> int:
        """Size of the file as it lies on the disk."""
        return self.fingerprint.size

    @property
    def bytes_read(self) -> int:
        """How much of it was read so far; the same unit as ``bytes_total``."""
        return self._hashed.bytes_read

    @property
    def sha256(self) -> str:
        """Hash of the delivered bytes; complete after ``finish``."""
        return self._hashed.sha256.hexdigest()

    @property
    def content_sha256(self) -> str:
        """Hash of the unpacked bytes; complete after ``finish``."""
        return self._content_sha256.hexdigest()

    def blocks(self) -> Iterator[bytes]:
        """The unpacked content in blocks of about 1 MB."""
        for block in self._unpacked.blocks():
            if self.is_gzip:
                self._content_sha256.update(block)
            self.content_bytes += len(block)
            yield block

    def packed_blocks(self) -> Iterator[bytes]:
        """The file as it lies on the disk, in place of its content, for who unpacks it."""
        self._content_sha256 = self._hashed.sha256
        for block in self._unpacked.packed_blocks():
            self.content_bytes += len(block)
            yield block

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from the middle of the file as it lies on the disk; they are not hashed."""
        return os.pread(self._descriptor, length, offset)

    def chunks(self, longest: int = LONGEST_LINE) -> Iterator[Chunk]:
        """The content as lines; a byte order mark at the start is left out.

        Args:
            longest: lines of more bytes come as ``TooLong``.
        """
        splitter = _LineSplitter(longest)
        first = True
        for block in self.blocks():
            if first and block.startswith(BYTE_ORDER_MARK):
                block = splitter.skip(block, BYTE_ORDER_MARK)  # noqa: PLW2901 - the same block
            first = False
            chunk = splitter.feed(block)
            if chunk.lines:
                yield chunk
        last = splitter.end()
        if last.lines:
            yield last

    def finish(self) -> None:
        """Check that the file is the one that was opened, unchanged.

        Raises:
            FileChangedError: it is not; what was read must be thrown away.
        """
        try:
            now = Fingerprint.of(self.path.stat())
        except OSError as error:
            raise FileChangedError(f"{self.path.name} went away while it was read.") from error
        still_open = Fingerprint.of(os.fstat(self._descriptor))
        if not now == still_open == self.fingerprint:
            raise FileChangedError(f"{self.path.name} changed while it was read; reading again.")

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes as they lie on the disk."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """The cheap fingerprint of a file, or of every file below a folder.

    Raises:
        OSError: the file, or the folder itself, cannot be looked at.
    """
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        return str(Fingerprint.of(status))
    digest = hashlib.sha256()
    # What cannot be looked at has a print of its own: what can be is no less there.
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(path, onerror=unreadable.append):
        folders.sort()
        for name in sorted(files):
            inner = Path(folder, name)
            digest.update(
                f"{inner.relative_to(path)}\0{_print_of(inner)}\n".encode(errors="surrogateescape")
            )
    for error in unreadable:
        digest.update(f"{error.filename}\0{error.errno}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _print_of(path: Path) -> str:
    try:
        return str(Fingerprint.of(path.lstat()))
    except OSError as error:
        return f"error {error.errno}"


def _open_regular(path: Path) -> int:
    try:
        # Without O_NONBLOCK a named pipe among the files would stop the worker for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise FileChangedError(f"{path.name} is no longer there.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadFileError(f"{path.name} is no regular file. Remove it from the package.")
    return descriptor


class _LineSplitter:
    """Cuts blocks into lines and remembers what is left between two blocks."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest: list[bytes] = []
        self._rest_length = 0
        self._line = 1
        self._offset = 0

    def skip(self, block: bytes, prefix: bytes) -> bytes:
        self._offset += len(prefix)
        return block.removeprefix(prefix)

    def feed(self, block: bytes) -> Chunk:
        head, newline, tail = block.partition(b"\n")
        if not newline:
            self._keep(block)
            return Chunk(self._line, self._offset, [])
        lines: list[bytes | TooLong] = [self._finished(head)]
        whole, _, rest = tail.rpartition(b"\n")
        if b"\n" in tail:
            lines += whole.split(b"\n")
        chunk = Chunk(self._line, self._offset, lines)
        self._line += len(lines)
        self._offset += _length_of(lines)
        self._keep(rest)
        return chunk

    def end(self) -> Chunk:
        lines = [self._finished(b"")] if self._rest_length else []
        return Chunk(self._line, self._offset, lines)

    def _keep(self, piece: bytes) -> None:
        if self._rest_length <= self._longest:
            self._rest.append(piece)
        self._rest_length += len(piece)

    def _finished(self, last: bytes) -> bytes | TooLong:
        self._keep(last)
        length, joined = self._rest_length, b"".join(self._rest)
        self._rest, self._rest_length = [], 0
        return TooLong(joined[:KEPT_OF_TOO_LONG], length) if length > self._longest else joined


def _length_of(lines: list[bytes | TooLong]) -> int:
    return sum((line.length if isinstance(line, TooLong) else len(line)) + 1 for line in lines)
