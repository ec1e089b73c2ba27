"""What is promised about zips and tars that are damaged, odd, or made to do harm."""

import io
import struct
import subprocess
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.errors import BadFileError
from services.extract.members import Member, Members
from services.extract.tars import unpack_tar
from services.extract.zips import Zip
from tests.services.packing import Arrivals, tarred, zipped

WEEK = "riveru-2016-03-06.zip"
ARCHIVE = "RiverU-Bees101-2016_T1-course-prod-analytics"


def opened(content: bytes) -> Zip:
    return Zip(lambda offset, length: content[offset : offset + length], len(content), WEEK)


def read(content: bytes) -> dict[str, bytes]:
    """All members of a zip, and their bytes."""
    archive = opened(content)
    return {member.name: b"".join(archive.blocks(member)) for member in archive.members}


def planned(*names: str) -> list[Member]:
    return list(Members(opened(made(*((name.encode(), b"x") for name in names))), WEEK))


def record(name: bytes, data: bytes, flags: int = 0, method: int = 0) -> bytes:
    """A stored member with the header that stands before it."""
    numbers = (20, flags, method, 0, 0, zlib.crc32(data), len(data), len(data), len(name), 0)
    return struct.pack("<4s5H3I2H", b"PK\3\4", *numbers) + name + data


def listed(name: bytes, data: bytes, begin: int, **said: int) -> bytes:
    """What the list at the end says of it; ``said`` is what it says otherwise."""
    fields = {
        "made": 3 << 8, "needed": 20, "flags": 0, "method": 0, "time": 0, "date": 0,
        "crc": zlib.crc32(data), "packed": len(data), "size": len(data), "name": len(name),
        "extra": 0, "comment": 0, "disk": 0, "internal": 0, "external": 0, "offset": begin,
    }  # fmt: skip
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", *(fields | said).values()) + name


def end(count: int, length: int, offset: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, length, offset, 0)


def made(*files: tuple[bytes, bytes], **said: int) -> bytes:
    """A zip, byte by byte; ``said`` is what its list says otherwise of the last member."""
    body, lines = b"", b""
    for number, (name, data) in enumerate(files, 1):
        lines += listed(name, data, len(body), **(said if number == len(files) else {}))
        body += record(name, data)
    return body + lines + end(len(files), len(lines), len(body))


# --- zips -------------------------------------------------------------------------------------


@given(st.dictionaries(st.text("abc", min_size=1, max_size=5), st.binary(max_size=3000)))
def test_a_zip_is_read_as_python_wrote_it(files):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert read(zipped(files, method)) == files


@pytest.mark.parametrize("more", range(6))
def test_large_members_come_in_small_blocks_and_whole(more):
    content = bytes((2 << 20) + more)
    archive = opened(zipped({"a": content}))
    blocks = list(archive.blocks(archive.members[0]))
    assert b"".join(blocks) == content
    assert max(map(len, blocks)) <= 1 << 20


def test_a_zip_that_was_written_as_a_stream_is_read():
    class Stream(io.RawIOBase):
        content = b""

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.content += bytes(data)
            return len(data)

    stream = Stream()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b"content")
    assert read(stream.content) == {"a": b"content"}


def test_names_in_any_of_the_spellings_of_zips_are_understood():
    assert list(read(made(("ü".encode(), b""), (b"\x84", b"")))) == ["ü", "ä"]


BIG = struct.pack("<HHQQQ", 1, 24, 7, 7, 0)


def in_64_bits(count: int = 1) -> bytes:
    """A zip that says all its numbers in 64 bits, as those of more than 4 GB do."""
    wide = {"packed": 0xFFFFFFFF, "size": 0xFFFFFFFF, "offset": 0xFFFFFFFF, "extra": len(BIG)}
    body = record(b"a", b"content")
    listing = listed(b"a", b"content", 0, **wide) + BIG
    numbers = (44, 45, 45, 0, 0, 1, count, len(listing), len(body))
    end64 = struct.pack("<4sQ2H2I4Q", b"PK\6\6", *numbers)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(body) + len(listing), 1)
    return body + listing + end64 + locator + end(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)


def test_zips_of_more_than_four_gigabytes_are_understood():
    assert read(in_64_bits()) == {"a": b"content"}


def test_a_zip_that_tells_two_counts_is_refused():
    with pytest.raises(BadFileError, match="two stories"):
        read(in_64_bits(count=2))


WHOLE = zipped({"a/b.sql": b"content" * 40, "c.sql": b"more"})


def test_a_zip_cut_anywhere_is_refused():
    for length in range(len(WHOLE)):
        with pytest.raises(BadFileError):
            read(WHOLE[:length])


def test_no_changed_byte_of_a_zip_changes_what_is_read():
    expected = read(WHOLE)
    for at in range(len(WHOLE)):
        changed = WHOLE[:at] + bytes([WHOLE[at] ^ 0x10]) + WHOLE[at + 1 :]
        try:
            found = read(changed)
        except BadFileError:
            continue
        assert found == expected, f"byte {at}"


A, B = (b"a", b"content of a"), (b"b", b"content of b")
INNER = record(*B)
SHARED = record(b"a", INNER)
SHARING = listed(b"a", INNER, 0) + listed(*B, len(SHARED) - len(INNER))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(b"before" + WHOLE, "bytes where none belong", id="bytes before it"),
        pytest.param(WHOLE + b"behind", "ends otherwise", id="bytes behind it"),
        pytest.param(made(A, B, crc=1), "is not what the zip's list says", id="another crc"),
        pytest.param(made(A, B, size=3), "checksum", id="a size that is a lie"),
        pytest.param(made(A, B, packed=99), "shares its bytes", id="longer than there is"),
        pytest.param(made(A, B, offset=0), "share their bytes", id="two in one place"),
        pytest.param(made(A, B, flags=1), "encrypted as a zip", id="encrypted"),
        pytest.param(made(A, B, method=12), "method 12", id="bzip2"),
        pytest.param(
            SHARED + SHARING + end(2, len(SHARING), len(SHARED)),
            "shares its bytes",
            id="one inside another",
        ),
        pytest.param(WHOLE[:-12] + b"\3" + WHOLE[-11:], "ends otherwise", id="a wrong count"),
        pytest.param(b"no zip at all" * 10, "is no zip", id="no zip"),
        pytest.param(b"", "is no zip", id="nothing"),
    ],
)
def test_a_zip_that_is_not_what_it_says_is_refused(content, words):
    with pytest.raises(BadFileError, match=words):
        read(content)


def test_too_many_members_are_refused_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr("services.extract.zips.MOST_MEMBERS", 3)
    with pytest.raises(BadFileError, match="more than 3 members"):
        read(zipped(dict.fromkeys("abcd", b"")))


def test_a_zip_without_a_file_is_refused():
    with pytest.raises(BadFileError, match="holds no file"):
        Members(opened(zipped({"folder/": b""})), WEEK)


# --- names ------------------------------------------------------------------------------------

UNSAFE = [
    pytest.param("../../x", id="up"),
    pytest.param("a/../../x", id="up and down"),
    pytest.param("a/..", id="up at the end"),
    pytest.param("/etc/passwd", id="absolute"),
    pytest.param("//host/share", id="of a host"),
    pytest.param("C:\\x", id="of a drive"),
    pytest.param("C:x", id="of a drive's folder"),
    pytest.param("a\\..\\b", id="backslashes"),
    pytest.param("a\nb", id="a line end"),
    pytest.param("a\x7fb", id="a control character"),
    pytest.param("x" * 256, id="too long for a file"),
    pytest.param("/".join(["x" * 200] * 6), id="too long"),
    pytest.param("a/" * 32 + "x", id="too deep"),
]


@pytest.mark.parametrize(
    "name",
    [
        *UNSAFE,
        pytest.param("a/...gpg", id="up once it is decrypted"),
        pytest.param("a/...xml.tar.gz", id="up once it is unpacked"),
        pytest.param("a/...xml.tar.gz.gpg", id="up after both"),
    ],
)
def test_a_name_in_a_zip_that_no_file_may_have_is_refused(name):
    with pytest.raises(BadFileError, match=r"riveru-2016-03-06\.zip: the name .* in it"):
        planned("good.sql", name)


@pytest.mark.parametrize("name", [*UNSAFE, pytest.param("a\0b", id="a zero")])
def test_a_name_in_a_tar_that_no_file_may_have_is_refused(tmp_path, name):
    content = tar_of({name: b"x"}, tarfile.PAX_FORMAT)
    if name == "a\0b":
        content = tar_of({"é": b"x"}, tarfile.PAX_FORMAT).replace("é".encode(), b"\0b")
    with pytest.raises(BadFileError, match="in it"):
        untar(content, tmp_path)


@pytest.mark.parametrize("name", ["", ".", ".gpg", ".xml.tar.gz", "./.gpg"])
def test_a_file_without_a_name_is_refused(name):
    with pytest.raises(BadFileError, match="without a name"):
        planned(name)


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("a.sql", "a.sql"), id="the same"),
        pytest.param(("a.sql", "A.SQL"), id="capital letters"),
        pytest.param(("a.sql", "./a.sql"), id="by a detour"),
        pytest.param(("a.sql", "a.sql.gpg"), id="one of them encrypted"),
        pytest.param((f"{ARCHIVE}.xml.tar.gz", ARCHIVE), id="an archive and its folder"),
        pytest.param(
            tuple(unicodedata.normalize(form, "é.sql") for form in ("NFC", "NFD")),
            id="another form of a letter",
        ),
    ],
)
def test_two_members_that_would_be_one_file_are_refused(names):
    with pytest.raises(BadFileError, match="twice"):
        planned(*names)


@pytest.mark.parametrize(
    ("names", "published"),
    [
        (["top/a", "top/ora/b"], ["a", "ora/b"]),
        (["top/top/a"], ["top/a"]),
        (["ora/a", "ora/b"], ["ora/a", "ora/b"]),
        (["course/course.xml", "course/x"], ["course/course.xml", "course/x"]),
        (["a", "top/b"], ["a", "top/b"]),
        (["top"], ["top"]),
    ],
)
def test_a_top_folder_is_taken_away_unless_it_means_something(names, published):
    assert [str(member.path) for member in planned(*names)] == published


# --- tars -------------------------------------------------------------------------------------


def tar_of(files: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def untar(content: bytes, folder: Path) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
    """The files that a tar became, and what was left out."""
    left_out: list[tuple[str, str]] = []
    target = folder / "archive"
    for _ in unpack_tar(io.BytesIO(content), target, "x.tar", lambda *left: left_out.append(left)):
        continue
    files = (path for path in target.rglob("*") if not path.is_dir())
    return {str(path.relative_to(target)): path.read_bytes() for path in files}, left_out


LONG = "/".join(["a" * 60] * 2)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tars_of_all_kinds_are_unpacked(tmp_path, form):
    files = {
        "a": b"",
        "b/c": b"x" * 512,
        f"{LONG}/{'b' * 90}": b"y" * 700,
        "é/ü": b"z",
        "b/C": b"!",
    }
    assert untar(tar_of(files, form), tmp_path) == (files, [])


def test_the_tar_of_the_system_is_unpacked_sparse_files_left_out(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "course.xml").write_bytes(b"<course/>")
    (source / "link").symlink_to("course.xml")
    (source / "twin").hardlink_to(source / "course.xml")
    with (source / "sparse").open("wb") as file:
        for at in range(0, 40 << 20, 1 << 20):
            file.seek(at)
            file.write(b"x")
    for form in ("gnu", "posix"):
        tar = subprocess.run(
            ["tar", "-cS", f"--format={form}", "--sort=name", "-C", source, "."],
            capture_output=True,
            check=True,
        ).stdout
        (tmp_path / form).mkdir()
        files, left_out = untar(tar, tmp_path / form)
        assert files == {"course.xml": b"<course/>"}
        assert sorted(why for _, why in left_out) == [
            "a hard link",
            "a sparse file",
            "a symbolic link",
        ]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"6", b"S", b"?"])
def test_what_is_no_plain_file_is_left_out_and_named(tmp_path, kind):
    entry = tarfile.TarInfo("odd")
    entry.type, entry.linkname = kind, "/etc/passwd"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry)
        archive.addfile(tarfile.TarInfo("after"))
    files, left_out = untar(buffer.getvalue(), tmp_path)
    assert (files, [name for name, _ in left_out]) == ({"after": b""}, ["odd"])


def test_a_name_that_is_not_unicode_is_left_out(tmp_path):
    files, left_out = untar(tar_of({"a\udcff": b"x", "b": b"y"}), tmp_path)
    assert (files, left_out) == ({"b": b"y"}, [("a\udcff", "a name that is not UTF-8")])


def test_a_tar_cut_anywhere_is_refused_even_between_two_files(tmp_path):
    whole = tar_of({"a": b"x" * 600, "b": b"y"})
    last_of_zeros = len(whole.rstrip(b"\0")) // 512 * 512 + 1024
    for length in range(0, last_of_zeros, 256):
        (folder := tmp_path / str(length)).mkdir()
        with pytest.raises(BadFileError, match="cut off"):
            untar(whole[:length], folder)


def with_checksum(header: bytes) -> bytes:
    total = sum(header[:148]) + sum(header[156:512]) + 8 * 32
    return header[:148] + f"{total:06o}\0 ".encode() + header[156:]


def changed(at: int, field: bytes) -> Callable[[bytes], bytes]:
    """Write something else into the first header, and make its checksum right."""
    return lambda tar: with_checksum(tar[:at] + field + tar[at + len(field) :])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda tar: b"X" + tar[1:], "damaged", id="a changed name"),
        pytest.param(lambda tar: tar + b"more", "goes on behind its end", id="more behind it"),
        pytest.param(changed(124, b"-0000000001"), "damaged", id="a size below nothing"),
        pytest.param(changed(124, b"\x80" + b"\xff" * 11), "cut off", id="an endless size"),
        pytest.param(changed(124, b"\xff" * 12), "damaged", id="an endless size below nothing"),
        pytest.param(changed(156, b"L"), "damaged", id="a name without a file"),
    ],
)
def test_a_tar_that_is_not_what_it_says_is_refused(tmp_path, change, words):
    with pytest.raises(BadFileError, match=words):
        untar(change(tar_of({"a": b""})), tmp_path)


def test_a_name_of_a_gigabyte_does_not_fill_the_memory(tmp_path):
    header = changed(124, b"10000000000\0")(changed(156, b"x")(tar_of({"a": b""})))
    with pytest.raises(BadFileError, match="more than a megabyte"):
        untar(header[:512] + bytes(2 << 20), tmp_path)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("services.extract.tars.MOST_ENTRIES", 3)
    with pytest.raises(BadFileError, match="more than 3 files"):
        untar(tar_of(dict.fromkeys("abcd", b"")), tmp_path)


# --- whole deliveries -------------------------------------------------------------------------


def archive_with(**files: bytes) -> bytes:
    return zipped({f"{ARCHIVE}.xml.tar.gz": tarred(files), "good.sql": b"good"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(archive_with(**{"../../evil": b"x"}), "leads out of its folder", id="path"),
        pytest.param(archive_with(**{"a": b"x", "a/b": b"y"}), "two files of one name", id="file"),
        pytest.param(archive_with(**{"a": b"x", "./a": b"y"}), "two files of one name", id="twice"),
        pytest.param(zipped({"a": b"x", "a/b": b"y"}), "two files of one name", id="in a zip"),
        pytest.param(zipped({"good.sql": b"good", "../evil": b"x"}), "leads out", id="zip path"),
        pytest.param(
            zipped({f"{ARCHIVE}.xml.tar.gz": tarred({"a": b"x" * 9999})[:-9]}), "cut", id="cut"
        ),
        pytest.param(
            zipped({f"{ARCHIVE}.xml.tar.gz": b"no tar" * 200}), "damaged, or no tar", id="no tar"
        ),
    ],
)
def test_one_bad_member_refuses_the_whole_delivery(tmp_path, content, words):
    (house := tmp_path / "house").mkdir()
    arrivals = Arrivals(house)
    arrivals.deliver(WEEK, content)
    arrivals.ingest()
    assert arrivals.only().state == "failed"
    assert words in arrivals.only().message
    assert (arrivals.published(), arrivals.left_aside()) == ({}, [])
    assert not list(tmp_path.rglob("evil"))
