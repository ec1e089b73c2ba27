"""How what is delivered becomes files: decrypted, unpacked, hashed and counted on the way."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from optimus.errors import BadFileError
from optimus.package.files import CHUNK_BYTES, Blocks, Unpacked, refuse_bomb
from services.extract.gpg import Gpg
from services.extract.tars import open_new, unpack_tar

ENCRYPTED = ".gpg"
MOST_BYTES = 1 << 40
"""No delivery is unpacked to more."""


def is_encrypted(name: str) -> bool:
    """Whether a name says that the file is encrypted."""
    return name.lower().endswith(ENCRYPTED)


def plain_name(name: str) -> str:
    """A name without the ending that says so."""
    return name[: -len(ENCRYPTED)] if is_encrypted(name) else name


@dataclass
class Content:
    """What went through: how many bytes, and their hash."""

    size: int = 0
    _sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> str:
        """The hash of all of it."""
        return self._sha256.hexdigest()

    def through(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Look at blocks as they pass."""
        for block in blocks:
            self._sha256.update(block)
            self.size += len(block)
            yield block


@dataclass
class Unpacking:
    """The unpacking of one delivery.

    Attributes:
        name: of the delivery.
        packed: its bytes.
        gpg: decrypts.
        tick: is called at least once a second.
        unpacked: bytes that were written so far.
    """

    name: str
    packed: int
    gpg: Gpg
    tick: Callable[[], None]
    unpacked: int = 0

    def opened(self, blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
        """The bytes of a file, decrypted if its name says that it is encrypted."""
        for block in self.gpg.decrypt(blocks, name) if is_encrypted(name) else blocks:
            self.tick()
            yield block

    def save(self, blocks: Iterable[bytes], path: Path) -> Content:
        """Write a new file."""
        content = Content()
        for _ in self._written(content.through(blocks), path):
            continue
        return content

    def save_packed(self, packed: Unpacked, path: Path, name: str) -> Content:
        """Write a new file as it is packed, and unpack it all the same to see that it is whole."""
        content = Content()
        written = self._written(content.through(packed.packed_blocks()), path)
        for _ in Unpacked(Blocks(written), name).blocks():
            continue
        return content

    def save_folder(
        self,
        blocks: Iterable[bytes],
        folder: Path,
        name: str,
        left_out: Callable[[str, str], None],
    ) -> Content:
        """Unpack a tar into a new folder.

        Args:
            blocks: the tar, gzip or not.
            folder: where to.
            name: what errors call it.
            left_out: takes the name of what is no plain file, and the reason.

        Returns:
            The bytes of the files, and the hash of the tar as it was packed.
        """
        content = Content()
        unpacked = Unpacked(Blocks(content.through(blocks)), name).blocks()
        stream = io.BufferedReader(Blocks(unpacked), CHUNK_BYTES)
        before = self.unpacked
        for count in unpack_tar(stream, folder, name, left_out):
            self._count(count)
        content.size = self.unpacked - before
        return content

    def _written(self, blocks: Iterable[bytes], path: Path) -> Iterator[bytes]:
        with open_new(path) as file:
            for block in blocks:
                file.write(block)
                self._count(len(block))
                yield block

    def _count(self, count: int) -> None:
        self.unpacked += count
        refuse_bomb(self.name, self.packed, self.unpacked)
        if self.unpacked > MOST_BYTES:
            raise BadFileError(f"{self.name} unpacks to more than {MOST_BYTES:,} bytes.")
        self.tick()
