"""What is promised about the cells of the ``.sql`` files."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.package.cells import is_bytes_literal, read_bytes_literal, unescape, write_cell
from optimus.package.columns import Findings, arrow_type, convert_column
from optimus.package.tables import ColumnType
from optimus.package.tsv import decode_cell, split_row
from tests.package.reading import ENROLLMENT, GOOD, Reading, enrollment

# --- text ----------------------------------------------------------------------------------------


def cells_by_the_book(row: bytes) -> list[bytes]:
    """Section 2.1 of the package reference, one byte at a time."""
    meaning = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"0": b"\0", b"\\": b"\\", b"\t": b"\t"}
    cells, position = [b""], 0
    while position < len(row):
        byte, following = row[position : position + 1], row[position + 1 : position + 2]
        if byte == b"\t":
            cells.append(b"")
        elif byte == b"\\":
            cells[-1] += meaning.get(following, byte + following)
            position += 1
        else:
            cells[-1] += byte
        position += 1
    return cells


@given(row=st.lists(st.sampled_from([b"\\", b"\t", b"n", b"0", b"N", b"\xc3"])).map(b"".join))
def test_rows_come_apart_as_the_reference_says(row):
    assert [unescape(cell)[0] for cell in split_row(row)] == cells_by_the_book(row)


@given(value=st.binary())
def test_whatever_python_wrote_as_a_bytes_literal_is_read(value):
    assert read_bytes_literal(repr(value).encode()) == value
    assert is_bytes_literal(repr(value).encode())


@given(raw=st.binary())
def test_a_cell_alone_means_what_it_means_in_a_row(raw):
    raw = raw.replace(b"\n", b"").replace(b"\t", b"").rstrip(b"\\")
    cell = decode_cell(raw)
    reading = Reading(b"a_column\tanother\n" + raw + b"\t1")
    assert reading.rows == [[cell and cell.text, "1"]]
    assert reading.counts.odd_escapes == (cell.odd_escapes if cell else 0)
    assert reading.counts.replaced_utf8 == (cell.replaced_utf8 if cell else 0)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(rb"C:\\new", r"C:\new", id="a doubled backslash before an n"),
        pytest.param(rb"a\nb\tc\rd\0e", "a\nb\tc\rd\0e", id="the four escapes"),
        pytest.param(b"a\\\tb", "a\tb", id="a backslash before a real TAB"),
        pytest.param(b"a\rb\xe2\x80\xa8c", "a\rb\u2028c", id="bytes that end lines elsewhere"),
        pytest.param(b"a\0b", "a\0b", id="a raw NUL"),
        pytest.param(b'"', '"', id="a quotation mark"),
        pytest.param(b"", "", id="a blank"),
        pytest.param(b"None", "None", id="the word None"),
    ],
)
def test_a_text_cell_means(raw, text):
    assert decode_cell(raw) == (text, 0, 0)


def test_the_word_null_is_null_and_a_blank_is_not():
    assert decode_cell(b"NULL") is None
    assert decode_cell(b"Null") == ("Null", 0, 0)


@pytest.mark.parametrize("raw", [rb"\N", rb"\x41", rb"\\\q"])
def test_an_escape_that_means_nothing_is_kept_and_counted(raw):
    cell = decode_cell(raw)
    assert cell is not None
    assert cell.text == raw.decode().replace("\\\\", "\\")
    assert cell.odd_escapes == 1


def test_bytes_that_are_no_text_are_replaced_counted_and_told():
    line = GOOD.replace(b"honor", b"hon\xffor \xef\xbf\xbd")
    reading = enrollment(GOOD, line)
    assert reading.column("mode") == ["honor", "hon\ufffdor \ufffd"]
    assert reading.counts.replaced_utf8 == 1
    assert reading.repairs == [(3, len(ENROLLMENT) + len(GOOD) + 2, "replaced_utf8", line)]


# --- types ---------------------------------------------------------------------------------------


NUMBER_LIKE = st.text("0123456789+-.eExX_ naif").map(str.encode)
CELL = st.one_of(
    NUMBER_LIKE,
    st.integers(-(2**65), 2**65).map(lambda number: str(number).encode()),
    st.floats().map(lambda number: repr(number).encode()),
    st.datetimes().map(lambda moment: str(moment).encode()),
    st.sampled_from([b"", b"NULL", b"None", b"0", b"1", b"true", b"0000-00-00 00:00:00"]),
)


@pytest.mark.parametrize("kind", ColumnType)
@given(cells=st.lists(CELL, min_size=1, max_size=5))
def test_a_cell_means_the_same_in_any_company(kind, cells):
    together, alone = Findings(), []
    column = convert_column("c", kind, cells, together)
    for position, cell in enumerate(cells):
        findings = Findings()
        alone += convert_column("c", kind, [cell], findings).to_pylist()
        assert (position in together.rejects) == bool(findings.rejects)
    assert column.type == arrow_type(kind)
    assert column.to_pylist() == alone


def test_known_columns_get_their_types():
    reading = enrollment(GOOD)
    assert reading.rows == [
        [
            1,
            7,
            "RiverU/Bees101/2013_Fall",
            datetime(2013, 8, 20, 10, 11, 12, tzinfo=UTC),
            True,
            "honor",
        ]
    ]


def test_unknown_columns_and_all_digit_names_stay_text():
    content = b"id\tusername\tshoe_size\n1\t0042\t43\n"
    assert Reading(content, "auth_user").rows == [[1, "0042", "43"]]


@pytest.mark.parametrize("word", [b"NULL", b"", b"None", b"none", b"null"])
def test_a_word_for_nothing_is_null_where_no_text_belongs(word):
    reading = enrollment(b"\t".join([b"1", *[word] * 5]))
    assert reading.rows[0][:2] == [1, None]
    assert reading.rows[0][3:5] == [None, None]
    assert reading.rows[0][2] == (None if word == b"NULL" else word.decode())
    assert not reading.repairs


@pytest.mark.parametrize("word", [b"NULL", b"", b"None"])
def test_a_row_without_its_own_id_is_set_aside(word):
    reading = enrollment(b"\t".join([word, *[b"1"] * 5]))
    assert reading.rows == []
    assert reading.reasons == ["type"]


@pytest.mark.parametrize("number", [b"x", b"1.0", b" 1", b"0x1F", b"9223372036854775808", b"1_0"])
def test_a_row_with_an_impossible_integer_is_set_aside_without_telling_it(number):
    line = GOOD.replace(b"7\t", number + b"\t")
    reading = enrollment(GOOD, line, GOOD)
    [(row_number, offset, reason, detail, raw)] = reading.rejects
    assert (row_number, offset) == (3, len(ENROLLMENT) + len(GOOD) + 2)
    assert (reason, raw) == ("type", line)
    assert detail == "column user_id is not a 64-bit integer"
    assert reading.table.num_rows == 2


@pytest.mark.parametrize("number", [b"nan", b"inf", b"1e999", b"0,5"])
def test_a_row_with_a_number_that_is_none_is_set_aside(number):
    content = b"id\tgrade\n1\t" + number + b"\n2\t0.96999999999999997\n3\t1e-2\n"
    reading = Reading(content, "courseware_studentmodule")
    assert reading.rows == [[2, 0.97], [3, 0.01]]
    assert reading.reasons == ["type"]


@pytest.mark.parametrize(
    "moment", [b"0000-00-00 00:00:00", b"2015-02-30 00:00:00", b"last week", b"2015-02-03"]
)
def test_an_impossible_datetime_is_null_and_the_row_is_kept(moment):
    line = GOOD.replace(b"2013-08-20 10:11:12", moment)
    reading = enrollment(line, GOOD)
    assert reading.column("created") == [None, datetime(2013, 8, 20, 10, 11, 12, tzinfo=UTC)]
    assert reading.counts.unusable_datetimes == 1
    assert reading.repairs == [(2, len(ENROLLMENT) + 1, "unusable_datetime", line)]


def test_a_row_that_is_set_aside_is_not_also_repaired():
    reading = enrollment(b"x\t7\t\xff\\q\t0000-00-00 00:00:00\t1\thonor")
    assert not reading.repairs
    counts = reading.counts
    assert counts.unusable_datetimes == counts.replaced_utf8 == counts.odd_escapes == 0


def test_an_absurd_year_of_birth_stays_an_integer():
    reading = Reading(b"id\tyear_of_birth\n1\t14\n", "auth_userprofile")
    assert reading.rows == [[1, 14]]


def test_a_password_is_never_given_out():
    reading = Reading(b"id\tpassword\n1\tpbkdf2$secret\n2\t\n", "auth_user")
    assert reading.rows == [[1, None], [2, None]]
    assert reading.counts.blanked == 1
    assert not reading.repairs


# --- written -------------------------------------------------------------------------------------


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1))
def test_what_is_written_is_read_again(texts):
    row = "\t".join(map(write_cell, texts)).encode()
    assert b"\n" not in row
    cells = [decode_cell(cell) for cell in split_row(row)]
    assert [None if cell is None else cell.text for cell in cells] == [
        None if text == "NULL" else text for text in texts
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "NULL"),
        (True, "1"),
        (-7, "-7"),
        (0.1, "0.1"),
        (datetime(2016, 2, 3, 4, 5, 6, tzinfo=UTC), "2016-02-03 04:05:06"),
        (datetime(900, 2, 3, 4, 5, 6, 70, tzinfo=UTC), "0900-02-03 04:05:06.000070"),
    ],
)
def test_values_are_written_as_in_the_dumps(value, written):
    assert write_cell(value) == written
