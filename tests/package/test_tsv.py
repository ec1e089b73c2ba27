"""What is promised about reading the ``.sql`` files."""

from collections.abc import Callable
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from optimus.package.cells import is_bytes_literal
from optimus.package.tables import KNOWN_TABLES
from optimus.package.tsv import TableReader, split_row
from tests.package.reading import ENROLLMENT, GOOD, Reading, enrollment, lines_of


def cell_as_python_writes_it(text: str) -> bytes:
    for plain, escaped in (("\\", "\\\\"), ("\r", "\\r"), ("\t", "\\t"), ("\n", "\\n")):
        text = text.replace(plain, escaped)
    return text.encode()


def cell_as_mysql_writes_it(text: str) -> bytes:
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0")):
        text = text.replace(plain, escaped)
    return text.encode()


def cell_as_the_studentmodule_job_writes_it(text: str) -> bytes:
    return text.replace("\n", "n").replace("\\", "\\\\").replace("\t", "\\\t").encode()


def cell_as_the_faulty_month_writes_it(text: str) -> bytes:
    return repr(cell_as_python_writes_it(text)).encode()


# Python's own writer never lets a NUL through, and NULL in a cell cannot be told from null.
TEXT = st.text(
    st.one_of(
        st.sampled_from("\t\n\r\\nrt0N'\"b\u2028\u0085\N{HONEYBEE}"),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    )
).filter(lambda text: text != "NULL")
ROWS = st.integers(2, 4).flatmap(
    lambda width: st.lists(
        st.lists(st.none() | TEXT, min_size=width, max_size=width), min_size=1, max_size=6
    )
)


def written(
    rows: list[list[str | None]], writer: Callable[[str], bytes]
) -> tuple[bytes, list[bytes]]:
    header = b"\t".join(b"column_%d" % number for number in range(len(rows[0])))
    return header, [
        b"\t".join(writer("NULL" if cell is None else cell) for cell in row) for row in rows
    ]


# --- what was written is read --------------------------------------------------------------------


@pytest.mark.parametrize("writer", [cell_as_python_writes_it, cell_as_mysql_writes_it])
@given(rows=ROWS, batch_rows=st.integers(1, 3))
def test_any_text_comes_back_as_it_was_written(writer, rows, batch_rows):
    header, lines = written(rows, writer)
    assume(not all(map(is_bytes_literal, split_row(lines[0]))))
    reading = Reading(b"\n".join([header, *lines]), batch_rows=batch_rows)
    assert reading.rows == rows
    assert reading.counts.odd_escapes == 0
    assert not reading.rejects


@given(rows=ROWS)
def test_any_text_of_the_faulty_month_comes_back_as_it_was_written(rows):
    header, lines = written(rows, cell_as_the_faulty_month_writes_it)
    assert Reading(b"\n".join([header, *lines])).rows == rows


@given(rows=ROWS)
def test_a_tab_after_a_backslash_is_data(rows):
    rows = [[cell and cell.replace("\n", "n") for cell in row] for row in rows]
    assume("NULL" not in [cell for row in rows for cell in row])
    header, lines = written(rows, cell_as_the_studentmodule_job_writes_it)
    assume(not all(map(is_bytes_literal, split_row(lines[0]))))
    assert Reading(b"\n".join([header, *lines])).rows == rows


HOSTILE = st.lists(st.sampled_from([b"\t", b"\\", b"\r", b" ", b"\0", b"\xff", b"b'", b"'", b"1"]))
HOSTILE_LINE = HOSTILE.map(b"".join) | st.binary().map(lambda raw: raw.replace(b"\n", b""))
HOSTILE_ROW = st.lists(
    st.sampled_from([b"1", b"NULL", b"", b"x", b"2015-02-30 00:00:00", b"b'1'", b"\xff", b"\\N"]),
    min_size=5,
    max_size=7,
).map(b"\t".join)


@given(lines=st.lists(HOSTILE_LINE | HOSTILE_ROW | st.just(ENROLLMENT)), batch=st.integers(1, 4))
def test_every_line_is_a_row_a_reject_or_blank_whatever_it_holds(lines, batch):
    reading = enrollment(*lines, batch_rows=batch)
    counts = reading.counts
    assert counts.lines == len(lines) + 1
    assert counts.lines == counts.header + counts.rows + counts.rejects + counts.blank
    assert counts.rows == reading.table.num_rows
    assert counts.rejects == len(reading.rejects) == counts.rejects_by_reason.total()


# --- rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(GOOD + b"\t", "column_count", id="a cell too many"),
        pytest.param(b"1\t7", "column_count", id="cells missing"),
        pytest.param(b"1\t7\\\t8\t\t\t1", "column_count", id="a TAB that is data"),
        pytest.param(GOOD + b"\\", "trailing_backslash", id="a cut escape"),
        pytest.param(ENROLLMENT, "repeated_header", id="the header again"),
    ],
)
def test_a_bad_row_is_set_aside_and_the_rest_is_kept(line, reason):
    reading = enrollment(GOOD, line, GOOD)
    assert reading.reasons == [reason]
    assert reading.rejects[0][4] == line
    assert reading.counts.rejects_by_reason == {reason: 1}
    assert reading.table.num_rows == 2


def test_rejects_of_a_batch_come_in_the_order_of_the_file():
    reading = enrollment(b"x" + GOOD, b"1", b"y" + GOOD)
    assert [reject[0] for reject in reading.rejects] == [2, 3, 4]


def test_a_row_that_ends_in_a_whole_escape_is_kept():
    assert enrollment(GOOD + rb"\\").column("mode") == ["honor\\"]


def test_blank_lines_are_counted_and_nothing_else():
    reading = enrollment(b"", GOOD, b"  \r")
    assert reading.counts.blank == 2
    assert reading.counts.rows == 1
    assert not reading.rejects


def test_a_carriage_return_stays_in_its_cell():
    assert enrollment(GOOD + b"\r").column("mode") == ["honor\r"]


def test_a_file_whose_line_ends_were_converted_reads_like_the_original():
    content = b"\r\n".join([ENROLLMENT, GOOD, ENROLLMENT, GOOD, b""])
    reading = Reading(content, "student_courseenrollment")
    assert reading.rows == enrollment(GOOD, GOOD).rows
    assert reading.reasons == ["repeated_header"]


def test_a_cell_of_megabytes_is_kept_whole():
    state = b'{"x": "' + b"y" * 5_000_000 + b'"}'
    reading = Reading(b"id\tstate\n1\t" + state, "courseware_studentmodule")
    assert reading.column("state") == [state.decode()]


def test_long_rows_make_small_batches():
    row = b"1\t" + b"y" * 9_000_000
    reading = Reading(b"\n".join([b"id\tstate", *[row] * 5]), "courseware_studentmodule")
    assert [batch.num_rows for batch in reading.batches] == [4, 1]


def test_batches_hold_as_many_rows_as_asked_for():
    reading = enrollment(*[GOOD] * 5, batch_rows=2)
    assert [batch.num_rows for batch in reading.batches] == [2, 2, 1]


# --- the faulty month ----------------------------------------------------------------------------


def test_cells_written_as_bytes_literals_are_read_with_their_types():
    cells = [b"1", b"7", b"caf\xc3\xa9 it's", b"2022-11-08 10:11:12", b"0", b"NULL"]
    reading = enrollment(b"\t".join(repr(cell).encode() for cell in cells))
    moment = datetime(2022, 11, 8, 10, 11, 12, tzinfo=UTC)
    assert reading.rows == [[1, 7, "caf\xe9 it's", moment, False, None]]
    assert any("b'...'" in note for note in reading.reader.notes)


@pytest.mark.parametrize(
    "cell",
    [
        pytest.param(b"honor", id="no literal"),
        pytest.param(b"b'hon", id="a cut literal"),
        pytest.param(b"b'a' + b'b'", id="an expression"),
        pytest.param(rb"b'\xq1'", id="an escape Python does not write"),
        pytest.param(b"b'\xc3\xa9'", id="bytes Python would have escaped"),
    ],
)
def test_in_such_a_file_a_row_not_written_so_is_set_aside(cell):
    row = b"b'1'\tb'7'\tb'c'\tb'NULL'\tb'1'\t"
    reading = enrollment(row + b"b'honor'", row + cell)
    assert reading.reasons == ["bytes_literal"]
    assert reading.table.num_rows == 1


def test_a_cell_that_only_looks_like_a_literal_stays_text():
    assert enrollment(GOOD.replace(b"honor", b"b'honor'")).column("mode") == ["b'honor'"]


# --- whole files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"\n \r\n"])
def test_an_empty_file_of_a_known_table_is_that_table_without_rows(content):
    reading = Reading(content, "teams_courseteam")
    assert reading.reader.header == []
    assert reading.table.schema.names == list(KNOWN_TABLES["teams"])
    assert reading.table.num_rows == reading.counts.header == 0
    assert not reading.reader.drift
    assert len(reading.reader.notes) == 1


def test_an_empty_file_of_an_unknown_table_has_no_columns_and_says_so():
    reading = Reading(b"", "shoes")
    assert len(reading.reader.schema) == 0
    assert any("not known" in note for note in reading.reader.notes)


def test_a_file_of_a_header_only_has_its_schema_before_any_row():
    reader = TableReader(lines_of(ENROLLMENT), "student_courseenrollment", print, print)
    assert reader.schema.field("created").type == pa.timestamp("us", "UTC")
    assert list(reader.read_batches()) == []


def test_the_old_user_id_map_is_given_out_under_todays_name():
    reading = Reading(b"hash_id\tid\tusername\nab\t7\totter_31\n", "user_id_map")
    assert reading.reader.header == ["hash_id", "id", "username"]
    assert reading.table.to_pylist() == [{"hash_id": "ab", "user_id": 7, "username": "otter_31"}]
    assert any("user_id" in note for note in reading.reader.notes)


def test_a_reader_tells_how_the_header_drifted():
    reading = Reading(b"hash_id\tuser_id\tshoe_size\n", "user_id_map")
    assert reading.reader.drift.new == ["shoe_size"]
    assert reading.reader.drift.missing == ["username"]
