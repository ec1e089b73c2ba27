"""Unpacking a tar: plain files and folders alone, below one folder, to its very end.

What is no plain file (a link, a device, a sparse file) is left out, and told. A tar ends with
two blocks of zeros: one that ends without them was cut off.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from optimus.errors import BadFileError
from optimus.package.layout import is_unicode
from services.extract.paths import safe_path

BLOCK = 512
ZEROS = bytes(BLOCK)
CHUNK_BLOCKS = 1 << 20
LONGEST_HEADER = 1 << 20
MOST_ENTRIES = 200_000
BASE_256 = b"\x80"
OCTAL, DECIMAL = re.compile(b"[0-7]+"), re.compile(b"[0-9]{1,19}")
PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
LEFT_OUT = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a named pipe",
    b"S": "a sparse file",
}
PLAIN, FOLDER = (b"0", b"\0", b"7"), b"5"
WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
LONG_NAME, LONG_TARGET, ABOUT_NEXT, ABOUT_ALL = b"L", b"K", b"x", b"g"


@dataclass(frozen=True)
class TarEntry:
    """What a header says.

    Attributes:
        name: path in the archive.
        kind: tar's letter for what it is.
        size: bytes that follow.
    """

    name: str
    kind: bytes
    size: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder; the oldest tars say so by a slash."""
        return self.kind == FOLDER or (self.kind in PLAIN and self.name.endswith("/"))

    @property
    def why_left_out(self) -> str | None:
        """Why it is not unpacked; None when it is."""
        if not is_unicode(self.name):
            return "a name that is not UTF-8"
        if self.kind in PLAIN or self.kind == FOLDER:
            return None
        return LEFT_OUT.get(self.kind, "of an unknown kind")


def unpack_tar(
    stream: IO[bytes], folder: Path, name: str, left_out: Callable[[str, str], None]
) -> Iterator[int]:
    """Unpack a tar into a folder of its own.

    Args:
        stream: the tar; ``read`` gives as many bytes as are asked for while there are any.
        folder: is made, and must not be there.
        name: what errors call the archive.
        left_out: takes the name of an entry that is no plain file, and the reason.

    Yields:
        How many bytes were written, again and again, and 0 after each entry.

    Raises:
        BadFileError: it is cut off or damaged, or made to do harm.
        FileExistsError: it holds two files of one name.
    """
    folder.mkdir(PRIVATE_FOLDER)
    for count, entry in enumerate(tar := _Tar(stream, name), 1):
        if count > MOST_ENTRIES:
            raise BadFileError(f"{name} holds more than {MOST_ENTRIES:,} files.")
        path = folder / safe_path(entry.name, name)
        if entry.why_left_out:
            left_out(entry.name, entry.why_left_out)
        elif entry.is_folder:
            path.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        else:
            path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
            with open_new(path) as file:
                for block in tar.content():
                    file.write(block)
                    yield len(block)
        yield 0
    _lift_single_folder(folder)


def open_new(path: Path) -> IO[bytes]:
    """A new file for us alone.

    Raises:
        FileExistsError: there is something of that name.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, PRIVATE_FILE), "wb")


def _lift_single_folder(folder: Path) -> None:
    """Where an archive is one folder, let what is in it take its place."""
    found = list(folder.iterdir())
    if len(found) == 1 and found[0].is_dir():
        aside = folder.with_name(".lifted")
        found[0].rename(aside)
        folder.rmdir()
        aside.rename(folder)


class _Tar:
    """The entries of a tar, one after another."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        while (header := self._block()) != ZEROS:
            entry = self._entry(header)
            self._expect(0 if entry.kind in WITHOUT_CONTENT else entry.size)
            yield entry
            for _ in self.content():
                continue
            self._read(self._padding)
        self._check_end()

    def content(self) -> Iterator[bytes]:
        """The bytes of the entry that came last; what is left of them is passed over."""
        while self._left:
            block = self._read(min(self._left, CHUNK_BLOCKS))
            self._left -= len(block)
            yield block

    def _expect(self, size: int) -> None:
        self._left, self._padding = size, -size % BLOCK

    def _entry(self, header: bytes) -> TarEntry:
        """The entry that begins here; headers that only say more about it are read as well."""
        said: dict[bytes, bytes] = {}
        while (kind := self._kind(header)) in {LONG_NAME, LONG_TARGET, ABOUT_NEXT, ABOUT_ALL}:
            text = self._text(self._number(header[124:136]))
            if kind == LONG_NAME:
                said[b"path"] = text.partition(b"\0")[0]
            elif kind == ABOUT_NEXT:
                said |= self._pax(text)
            header = self._block()
        if kind == b"S":
            self._skip_map(header)
        elif any(key.startswith(b"GNU.sparse.") for key in said):
            kind = b"S"
        told = said.get(b"size")
        size = self._number(header[124:136]) if told is None else self._decimal(told)
        return TarEntry(os.fsdecode(said.get(b"path") or _short_name(header)), kind, size)

    def _kind(self, header: bytes) -> bytes:
        """Its letter, once its checksum is right; that counts its own place as spaces."""
        counted = sum(header) - sum(header[148:156]) + 8 * ord(" ")
        if self._number(header[148:156]) != counted:
            self._refuse("is damaged, or no tar")
        return header[156:157]

    def _text(self, size: int) -> bytes:
        """What stands behind a header that is no entry."""
        if size > LONGEST_HEADER:
            self._refuse("has a name of more than a megabyte")
        self._expect(size)
        text = b"".join(self.content())
        self._read(self._padding)
        return text

    def _pax(self, text: bytes) -> dict[bytes, bytes]:
        """Keys and values: ``<length of all this> <key>=<value>`` and a line end, each."""
        found = {}
        while text:
            length = self._decimal(text.partition(b" ")[0])
            record, text = text[:length], text[length:]
            key, _, value = record.partition(b" ")[2].partition(b"=")
            if not record.endswith(b"\n") or not key:
                self._refuse("is damaged")
            found[key] = value[:-1]
        return found

    def _skip_map(self, header: bytes) -> None:
        """Blocks between the header of an old sparse file and its bytes."""
        more = header[482]
        while more:
            more = self._block()[504]

    def _number(self, field: bytes) -> int:
        """An octal number; in base 256 where its first bit says so."""
        if field.startswith(BASE_256):
            return int.from_bytes(field[1:], "big")
        digits = field.strip(b" \0") or b"0"
        if not OCTAL.fullmatch(digits):
            self._refuse("is damaged, or no tar")
        return int(digits, 8)

    def _decimal(self, digits: bytes) -> int:
        if not DECIMAL.fullmatch(digits):
            self._refuse("is damaged")
        return int(digits)

    def _check_end(self) -> None:
        if self._block() != ZEROS:
            self._refuse("is damaged: it goes on behind its end")
        while rest := self._stream.read(CHUNK_BLOCKS):
            if rest.strip(b"\0"):
                self._refuse("is damaged: it goes on behind its end")

    def _block(self) -> bytes:
        return self._read(BLOCK)

    def _read(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            self._refuse("ended early: it was cut off")
        return data

    def _refuse(self, fault: str) -> NoReturn:
        raise BadFileError(f"{self._name} {fault}. Nothing of it is published; fetch it again.")


def _short_name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0]
    is_posix = header[257:263] == b"ustar\0"
    return prefix + b"/" + name if is_posix and prefix else name
