"""Reading a zip without believing it: every number in it is checked against its bytes.

The archive is one run of members with their list at its end: nothing before the first,
nothing behind the last, no two that share a byte. What is packed otherwise than stored or
deflated is refused, and so is what is encrypted by the zip itself.
"""

import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NoReturn

from optimus.errors import BadFileError
from optimus.package.files import CHUNK_BYTES, refuse_bomb
from services.extract.paths import shown

MOST_MEMBERS = 200_000
LONGEST_LIST = 64 << 20
LONGEST_COMMENT = 0xFFFF
STORED, DEFLATED = 0, 8
ENCRYPTED = 0x2041
WITH_DATA_DESCRIPTOR = 0x08
UNIX, MAC = 3, 19
IN_EXTRA_16, IN_EXTRA_32 = 0xFFFF, 0xFFFFFFFF
ZIP64_EXTRA = 1

_END = struct.Struct("<4s4H2IH")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_LISTED = struct.Struct("<4s2BHHH2HIIIHHHHHII")
_LOCAL = struct.Struct("<4sHHH2HIIIHH")


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One member, as the list at the end has it.

    Attributes:
        raw_name: its name in bytes.
        offset: where its own header begins.
        packed: bytes in the archive.
        size: bytes unpacked.
        crc: checksum of the unpacked bytes.
        method: how it is packed.
        kind: type of file, as in Unix modes; 0 where nobody says.
    """

    raw_name: bytes
    offset: int
    packed: int
    size: int
    crc: int
    method: int
    kind: int

    @property
    def name(self) -> str:
        """Its name; folders end in a slash."""
        try:
            return self.raw_name.decode()
        except UnicodeDecodeError:
            return self.raw_name.decode("cp437")

    @property
    def is_folder(self) -> bool:
        """Whether it is no file but a folder."""
        return self.name.endswith("/") or self.kind == stat.S_IFDIR

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file: neither a link nor a device."""
        return self.kind in {0, stat.S_IFREG}


class Zip:
    """A zip.

    Attributes:
        members: all of them, as they follow each other.
        position: how far it was read.
    """

    def __init__(self, read_at: Callable[[int, int], bytes], size: int, name: str) -> None:
        """Read the list of members.

        Args:
            read_at: gives bytes of the file from an offset on, so many.
            size: bytes of the file.
            name: what errors call it.

        Raises:
            BadFileError: it is no zip, is damaged, or is made to do harm.
        """
        self._read_at = read_at
        self._name = name
        self.position = 0
        count, offset, length, end = self._find_list(size)
        if count > MOST_MEMBERS or length > LONGEST_LIST:
            self._refuse(f"holds more than {MOST_MEMBERS:,} members")
        if offset + length != end:
            self._refuse("has bytes where none belong, or lacks some")
        self.members = sorted(
            self._listed(read_at(offset, length), count), key=lambda member: member.offset
        )
        if self.members and self.members[0].offset:
            self._refuse("has bytes before its first member")
        begins = [member.offset for member in self.members]
        self._ends = dict(pairwise([*begins, offset]))
        if len(self._ends) < len(begins):
            self._refuse("has members that share their bytes")

    def _find_list(self, size: int) -> tuple[int, int, int, int]:
        """Count of the members; offset and length of their list; where it must end."""
        tail_at = max(size - _END.size - LONGEST_COMMENT, 0)
        tail = self._read_at(tail_at, size - tail_at)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            self._refuse("is no zip, or was cut off")
        _, disk, disk_of_list, here, count, length, offset, comment = _END.unpack_from(tail, at)
        if at + _END.size + comment != len(tail) or here != count or disk or disk_of_list:
            self._refuse("ends otherwise than a zip does")
        end = tail_at + at
        locator = self._read_at(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
        if not locator.startswith(b"PK\6\7"):
            return count, offset, length, end
        _, _, end64, _ = _LOCATOR.unpack(locator)
        big = self._read_at(end64, _END64.size)
        if len(big) < _END64.size or end64 + _END64.size != end - _LOCATOR.size:
            self._refuse("ends otherwise than a zip does")
        magic, _, _, _, _, _, here64, count64, length64, offset64 = _END64.unpack(big)
        agree = (
            count in {count64, IN_EXTRA_16}
            and length in {length64, IN_EXTRA_32}
            and offset in {offset64, IN_EXTRA_32}
        )
        if magic != b"PK\6\6" or here64 != count64 or not agree:
            self._refuse("tells two stories of its own length")
        return count64, offset64, length64, end64

    def _listed(self, data: bytes, count: int) -> Iterator[ZipMember]:
        at = 0
        for _ in range(count):
            if len(data) - at < _LISTED.size or data[at : at + 4] != b"PK\1\2":
                self._refuse("has a damaged list of members")
            fields = _LISTED.unpack_from(data, at)
            host, flags, method = fields[2], fields[4], fields[5]
            crc, packed, size = fields[8:11]
            name_length, extra_length, comment_length = fields[11:14]
            mode, offset = fields[16] >> 16, fields[17]
            begin = at + _LISTED.size
            name = data[begin : begin + name_length]
            extra = data[begin + name_length : begin + name_length + extra_length]
            size, packed, offset = self._widened(extra, (size, packed, offset))
            at = begin + name_length + extra_length + comment_length
            if flags & ENCRYPTED:
                self._refuse("is encrypted as a zip; edX encrypts the members with gpg")
            if method not in {STORED, DEFLATED}:
                self._refuse(f"is packed with method {method}; only 0 and 8 are understood")
            kind = stat.S_IFMT(mode) if host in {UNIX, MAC} else 0
            yield ZipMember(name, offset, packed, size, crc, method, kind)
        if at != len(data):
            self._refuse("has a damaged list of members")

    def _widened(self, extra: bytes, numbers: tuple[int, ...]) -> Iterator[int]:
        """Those numbers that did not fit into 32 bits stand in an extra field."""
        field = b""
        while len(extra) >= 4:  # noqa: PLR2004 - its kind and its length
            kind, length = struct.unpack_from("<HH", extra)
            if kind == ZIP64_EXTRA:
                field = extra[4 : 4 + length]
            extra = extra[4 + length :]
        for number in numbers:
            if number != IN_EXTRA_32:
                yield number
                continue
            if len(field) < 8:  # noqa: PLR2004 - bytes of a number
                self._refuse("has a damaged list of members")
            yield int.from_bytes(field[:8], "little")
            field = field[8:]

    def blocks(self, member: ZipMember) -> Iterator[bytes]:
        """The unpacked bytes of a member.

        Raises:
            BadFileError: it is damaged, or takes what belongs to another.
        """
        where = f"{self._name}: {shown(member.name)}"
        begin = self._begin(member, where)
        unpack = zlib.decompressobj(-zlib.MAX_WBITS) if member.method == DEFLATED else None
        crc = size = 0
        for block in _unpacked(self._packed(begin, member.packed), unpack, where):
            crc = zlib.crc32(block, crc)
            size += len(block)
            refuse_bomb(where, self.position - begin, size)
            yield block
        if crc != member.crc or size != member.size:
            raise BadFileError(f"{where} is damaged: its checksum does not fit. Fetch it again.")

    def _begin(self, member: ZipMember, where: str) -> int:
        """Where the bytes of a member begin: behind a header that says the same as the list."""
        header = self._read_at(member.offset, _LOCAL.size)
        if len(header) < _LOCAL.size:
            raise BadFileError(f"{where} is cut off. Fetch it again.")
        magic, _, flags, method, _, _, crc, _, _, name_length, extra_length = _LOCAL.unpack(header)
        name = self._read_at(member.offset + _LOCAL.size, name_length)
        same = (magic, method, name) == (b"PK\3\4", member.method, member.raw_name)
        same_crc = crc == member.crc or flags & WITH_DATA_DESCRIPTOR
        if not same or not same_crc or flags & ENCRYPTED:
            raise BadFileError(f"{where} is not what the zip's list says of it. Fetch it again.")
        begin: int = member.offset + _LOCAL.size + name_length + extra_length
        if begin + member.packed > self._ends[member.offset]:
            raise BadFileError(f"{where} shares its bytes with another member. Fetch it again.")
        return begin

    def _packed(self, begin: int, length: int) -> Iterator[bytes]:
        self.position, end = begin, begin + length
        while self.position < end:
            block = self._read_at(self.position, min(CHUNK_BYTES, end - self.position))
            if not block:
                return
            self.position += len(block)
            yield block

    def _refuse(self, fault: str) -> NoReturn:
        raise BadFileError(f"{self._name} {fault}. Nothing of it is published; fetch it again.")


def _unpacked(
    packed: Iterator[bytes], unpack: "zlib._Decompress | None", where: str
) -> Iterator[bytes]:
    """Blocks of about 1 MB, whatever they were packed to."""
    if unpack is None:
        yield from packed
        return
    try:
        for block in packed:
            rest = block
            while rest and not unpack.eof:
                yield unpack.decompress(rest, CHUNK_BYTES)
                rest = unpack.unconsumed_tail
        yield unpack.flush()
    except zlib.error as error:
        raise BadFileError(f"{where} is damaged ({error}). Fetch it again.") from error
