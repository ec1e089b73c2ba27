"""Whether a file holds what the store says that it holds."""

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

BLOCK = 1 << 20
ONE_PART = re.compile("[0-9a-f]{32}")
PARTS = re.compile("[0-9a-f]{32}-([1-9][0-9]*)")

Pulse = Callable[[], None]
"""Called after every block; may raise, so that a long reading can be stopped."""


class Hash(Protocol):
    """What takes in bytes and gives a digest."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""

    def digest(self) -> bytes:
        """The digest of all that was taken in."""


class Crc32:
    """The checksum of zip and gzip, in the shape of a hash."""

    def __init__(self) -> None:
        self._value = 0

    def update(self, data: bytes, /) -> None:
        """Take in more."""
        self._value = zlib.crc32(data, self._value)

    def digest(self) -> bytes:
        """The four bytes of the checksum, the highest first."""
        return self._value.to_bytes(4, "big")


HASHES: dict[str, Callable[[], Hash]] = {
    "ChecksumSHA256": hashlib.sha256,
    "ChecksumSHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "ChecksumCRC32": Crc32,
}
"""The store's own checksums that Python can compute, by their name in an answer."""


def count_of_parts(etag: str) -> int | None:
    """How many parts an object was uploaded in, by its ETag; None for one that was not."""
    parts = PARTS.fullmatch(etag)
    return int(parts[1]) if parts else None


def md5_of(path: Path, pulse: Pulse) -> str:
    """The ETag of an object that was uploaded in one piece."""
    with path.open("rb") as file:
        return _fed(_md5(), _blocks(file, path.stat().st_size), pulse).digest().hex()


def md5_of_parts(path: Path, sizes: Iterable[int], pulse: Pulse) -> str:
    """The ETag of an object that was uploaded in parts of these sizes."""
    with path.open("rb") as file:
        digests = [_fed(_md5(), _blocks(file, size), pulse).digest() for size in sizes]
    return f"{_fed(_md5(), digests, pulse).digest().hex()}-{len(digests)}"


def checksum_of(path: Path, name: str, pulse: Pulse) -> str:
    """A checksum of a file, as the store spells it.

    Args:
        path: the file.
        name: a key of ``HASHES``.
        pulse: called after every block.
    """
    with path.open("rb") as file:
        found = _fed(HASHES[name](), _blocks(file, path.stat().st_size), pulse)
    return b64encode(found.digest()).decode()


def _md5() -> Hash:
    return hashlib.md5(usedforsecurity=False)


def _fed(found: Hash, blocks: Iterable[bytes], pulse: Pulse) -> Hash:
    for block in blocks:
        found.update(block)
        pulse()
    return found


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (block := file.read(min(BLOCK, size))):
        size -= len(block)
        yield block
