"""What is promised about edited lines: everything around them stays where it was."""

from hypothesis import given
from hypothesis import strategies as st

from optimus.package.edits import Edit, Edits, sha256_of
from optimus.package.files import Chunk, TooLong

Lines = list[bytes | TooLong]
LINES = st.lists(st.binary(max_size=4) | st.builds(TooLong, st.just(b"x"), st.just(99)), min_size=1)


@given(LINES, st.sets(st.integers(-2, 20)), st.integers(1, 3), st.integers(0, 9))
def test_lines_keep_their_numbers_and_offsets(
    lines: Lines, places: set[int], first: int, offset: int
) -> None:
    chunk = Chunk(first, offset, lines)
    delivered = {number: line for number, _, line in chunk.numbered()}
    edits = Edits(
        Edit(place, sha256_of(line), b"edited")
        for place in places
        if isinstance(line := delivered.get(place, b""), bytes)
    )
    pieces = edits.apply(chunk)
    found = [record for piece in pieces for record in piece.numbered()]
    assert [record[:2] for record in found] == [record[:2] for record in chunk.numbered()]
    edited = {
        number for number in places & delivered.keys() if isinstance(delivered[number], bytes)
    }
    for number, _, line in found:
        assert line == (b"edited" if number in edited else delivered[number])
    assert edits.count == len(edited)
    assert all(piece.lines for piece in pieces)


def test_a_line_that_is_no_longer_the_same_is_taken_as_delivered() -> None:
    edits = Edits([Edit(1, sha256_of(b"a"), b"x"), Edit(2, sha256_of(b"b"), b"y")])
    assert edits.apply(Chunk(1, 0, [b"changed", b"b"]))[0].lines == [b"changed"]
    assert (edits.count, edits.stale) == (1, [1])
    assert (edits.delivered_sha256(1), edits.delivered_sha256(2)) == (None, sha256_of(b"b"))


def test_a_second_reading_is_edited_alike_and_counted_once() -> None:
    edits = Edits([Edit(1, sha256_of(b"a"), b"x")])
    twice = [edits.apply(Chunk(1, 0, [b"a"])) for _ in range(2)]
    assert (twice[0], edits.count) == (twice[1], 1)
