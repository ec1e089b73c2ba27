"""What is promised about opening a delivered file and cutting it into lines."""

import gzip
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from optimus.errors import BadFileError, FileChangedError
from optimus.package import files
from optimus.package.files import (
    BYTE_ORDER_MARK,
    KEPT_OF_TOO_LONG,
    Blocks,
    Chunk,
    DeliveredFile,
    TooLong,
    Unpacked,
    fingerprint,
    hash_file,
)

IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextmanager
def opened(path: Path) -> Iterator[DeliveredFile]:
    file = DeliveredFile(path)
    try:
        yield file
    finally:
        file.close()


def chunks_of(path: Path, longest: int = 1 << 20) -> list[Chunk]:
    with opened(path) as file:
        return list(file.chunks(longest))


def written(folder: Path, content: bytes, name: str = "x.log") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# --- lines ------------------------------------------------------------------------------------

PIECES = st.lists(st.sampled_from([b"\n", b"\r", b"a", b"\xff", b"\0", b"long " * 3]), max_size=60)


@IN_ONE_FOLDER
@given(
    content=st.one_of(st.binary(max_size=300), PIECES.map(b"".join)),
    block=st.integers(4, 40),
    spare=st.integers(0, 20),
    packed=st.booleans(),
    marked=st.booleans(),
)
@example(content=b"", block=4, spare=0, packed=False, marked=True)
@example(content=b"abcd\n", block=4, spare=0, packed=False, marked=False)
@example(content=b"abcde\n\n", block=4, spare=0, packed=True, marked=False)
def test_lines_are_what_stands_between_line_feeds_wherever_the_blocks_end(
    tmp_path, content, block, spare, packed, marked
):
    longest = block + spare
    whole = BYTE_ORDER_MARK + content if marked else content
    start = len(BYTE_ORDER_MARK) if whole.startswith(BYTE_ORDER_MARK) else 0
    expected = whole[start:].split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    path = written(tmp_path, gzip.compress(whole) if packed else whole)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "CHUNK_BYTES", block)
        chunks = chunks_of(path, longest)
    numbers = [
        (number, offset, line) for chunk in chunks for number, offset, line in chunk.numbered()
    ]
    assert [number for number, _, _ in numbers] == list(range(1, len(expected) + 1))
    for (_, offset, line), text in zip(numbers, expected, strict=True):
        assert whole[offset : offset + len(text)] == text
        if isinstance(line, TooLong):
            assert line.length == len(text) > longest
            assert text.startswith(line.head)
        else:
            assert line == text
            assert len(text) <= longest


def test_an_empty_file_has_no_line(tmp_path):
    assert chunks_of(written(tmp_path, b"")) == []


def test_a_last_line_without_a_line_feed_is_a_line(tmp_path):
    assert chunks_of(written(tmp_path, b"a\nb"))[-1].lines == [b"b"]


def test_a_carriage_return_is_content(tmp_path):
    assert chunks_of(written(tmp_path, b"a\rb\r\n"))[0].lines == [b"a\rb\r"]


def test_a_byte_order_mark_is_left_out_and_counts_for_the_offsets(tmp_path):
    [chunk] = chunks_of(written(tmp_path, BYTE_ORDER_MARK + b"a\n"))
    assert (chunk.lines, chunk.offset) == ([b"a"], 3)


def test_a_byte_order_mark_inside_is_content(tmp_path):
    [chunk] = chunks_of(written(tmp_path, b"a\n" + BYTE_ORDER_MARK + b"b\n"))
    assert chunk.lines == [b"a", BYTE_ORDER_MARK + b"b"]


def test_of_a_line_of_many_megabytes_only_the_beginning_is_kept(tmp_path):
    length = 20 << 20
    path = written(tmp_path, b"a\n" + b"x" * length + b"\nb\n")
    lines = [line for chunk in chunks_of(path, longest=8 << 20) for line in chunk.lines]
    assert lines[0] == b"a"
    assert lines[2] == b"b"
    assert isinstance(lines[1], TooLong)
    assert (lines[1].length, len(lines[1].head)) == (length, KEPT_OF_TOO_LONG)


# --- packing, and what was read ---------------------------------------------------------------


def test_equal_content_has_one_content_hash_however_it_is_packed(tmp_path):
    content = b"a\nb\n"
    with opened(written(tmp_path, content, "x.log")) as plain:
        list(plain.blocks())
    with opened(written(tmp_path, gzip.compress(content), "x.log.gz")) as packed:
        list(packed.blocks())
    assert plain.content_sha256 == packed.content_sha256 == hashlib.sha256(content).hexdigest()
    assert (plain.is_gzip, packed.is_gzip) == (False, True)


@pytest.mark.parametrize("packed", [True, False])
def test_the_hash_of_a_read_file_is_that_of_its_bytes_on_the_disk(tmp_path, packed):
    path = written(tmp_path, gzip.compress(b"a" * 5000) if packed else b"a" * 5000)
    with opened(path) as file:
        list(file.blocks())
        assert file.sha256 == hash_file(path)
        assert file.bytes_read == file.bytes_total == path.stat().st_size
        assert file.content_bytes == 5000


def test_a_file_can_be_taken_as_it_lies_on_the_disk(tmp_path):
    packed = gzip.compress(b"a" * 5000)
    with opened(written(tmp_path, packed)) as file:
        assert b"".join(file.packed_blocks()) == packed
        assert file.content_sha256 == file.sha256 == hashlib.sha256(packed).hexdigest()
        assert file.content_bytes == len(packed)


def test_the_middle_of_a_file_can_be_read_while_it_is_read(tmp_path):
    with opened(written(tmp_path, b"0123456789")) as file:
        assert file.read_at(3, 4) == b"3456"
        assert file.read_at(8, 100) == b"89"
        assert b"".join(file.blocks()) == b"0123456789"


@given(st.lists(st.binary(max_size=5)), st.booleans())
def test_blocks_of_any_size_are_a_stream(blocks, is_packed):
    content = b"".join(blocks)
    stream = gzip.compress(content) if is_packed else content
    pieces = [stream[at : at + 3] for at in range(0, len(stream), 3)] if is_packed else blocks
    unpacked = Unpacked(Blocks([b"", *pieces, b""]), "x")
    assert unpacked.is_gzip == stream.startswith(b"\x1f\x8b")
    if unpacked.is_gzip == is_packed:
        assert b"".join(unpacked.blocks()) == content


@pytest.mark.parametrize("length", range(2, len(gzip.compress(b"abc" * 50))))
def test_a_cut_gzip_is_a_bad_file_and_the_sentence_names_it(tmp_path, length):
    path = written(tmp_path, gzip.compress(b"abc" * 50)[:length], "x.log.gz")
    with pytest.raises(BadFileError, match=r"x\.log\.gz"):
        chunks_of(path)


@IN_ONE_FOLDER
@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_any_damaged_byte_of_a_gzip_gives_the_same_content_or_a_bad_file(tmp_path, position, flip):
    content = b"".join(b"line %d\n" % number for number in range(50))
    packed = bytearray(gzip.compress(content, mtime=0))
    # The flags of the header may announce more fields; the first two bytes say what it is.
    packed[2 + position % (len(packed) - 2)] ^= flip
    path = written(tmp_path, bytes(packed))
    try:
        with opened(path) as file:
            assert b"".join(file.blocks()) == content
    except BadFileError:
        return


def test_what_ends_before_its_checksum_has_no_content_to_trust(tmp_path):
    path = written(tmp_path, gzip.compress(b"a\n" * 100)[:-8])
    with opened(path) as file, pytest.raises(BadFileError):
        list(file.chunks())


def test_a_packed_file_in_a_packed_file_is_unpacked_once(tmp_path):
    inner = gzip.compress(b"a\n")
    with opened(written(tmp_path, gzip.compress(inner))) as file:
        assert b"".join(file.blocks()) == inner


# --- what is no file, and what changes --------------------------------------------------------


def test_a_folder_is_no_regular_file(tmp_path):
    with pytest.raises(BadFileError, match="no regular file"):
        DeliveredFile(tmp_path)


def test_a_named_pipe_is_refused_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.log")
    with pytest.raises(BadFileError, match="no regular file"):
        DeliveredFile(tmp_path / "x.log")


def test_a_file_that_is_not_there_has_gone_away(tmp_path):
    with pytest.raises(FileChangedError):
        DeliveredFile(tmp_path / "x.log")


def test_a_refused_gzip_of_no_bytes_leaves_no_file_open(tmp_path):
    path = written(tmp_path, b"", "x.log.gz")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - no folder of ours
    for _ in range(5):
        with pytest.raises(BadFileError):
            DeliveredFile(path)
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208 - no folder of ours


def test_an_unchanged_file_finishes(tmp_path):
    with opened(written(tmp_path, b"a\n")) as file:
        list(file.chunks())
        file.finish()


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def touch(path: Path) -> None:
    os.utime(path, (1, 1))


def replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(path.read_bytes())
    new.replace(path)


def remove(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("change", [grow, truncate, touch, replace, remove])
def test_a_file_that_changed_while_it_was_read_does_not_finish(tmp_path, change):
    path = written(tmp_path, b"a\n" * 10)
    with opened(path) as file:
        list(file.chunks())
        change(path)
        with pytest.raises(FileChangedError):
            file.finish()


# --- fingerprints -----------------------------------------------------------------------------


def test_a_file_keeps_its_fingerprint_until_it_changes(tmp_path):
    path = written(tmp_path, b"a")
    before = fingerprint(path)
    assert fingerprint(path) == before
    grow(path)
    assert fingerprint(path) != before


def test_a_folder_changes_with_any_file_below_it(tmp_path):
    inner = tmp_path / "course" / "chapter"
    inner.mkdir(parents=True)
    prints = [fingerprint(tmp_path)]
    for change in (
        lambda: written(inner, b"a"),
        lambda: grow(inner / "x.log"),
        lambda: remove(inner / "x.log"),
    ):
        change()
        prints.append(fingerprint(tmp_path))
    assert prints[0] == prints[3]
    assert len(set(prints)) == 3


def test_a_folder_with_odd_names_links_and_pipes_has_a_fingerprint(tmp_path):
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "nowhere").symlink_to("/nowhere/at/all")
    os.mkfifo(tmp_path / "pipe")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n")).write_bytes(b"")
    assert fingerprint(tmp_path) == fingerprint(tmp_path)


def test_what_is_not_there_has_no_fingerprint(tmp_path):
    with pytest.raises(FileNotFoundError):
        fingerprint(tmp_path / "nothing")
