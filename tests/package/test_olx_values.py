"""What the text of a course attribute means."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.package.olx_values import depth_exceeds, flag, moment, number, plain_text, title

ANYTHING = st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.text())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-02-01T00:00:00Z", datetime(2016, 2, 1, tzinfo=UTC)),
        ('"2016-02-01T00:00:00Z"', datetime(2016, 2, 1, tzinfo=UTC)),
        ("2016-02-01T00:00:00+00:00", datetime(2016, 2, 1, tzinfo=UTC)),
        ("2016-02-01T00:00:00+0000", datetime(2016, 2, 1, tzinfo=UTC)),
        ("2016-02-01T10:00:00+10:00", datetime(2016, 2, 1, tzinfo=UTC)),
        ("2016-02-01T00:00:00.250000Z", datetime(2016, 2, 1, 0, 0, 0, 250000, tzinfo=UTC)),
        ("2016-02-01T00:00:00.5", datetime(2016, 2, 1, 0, 0, 0, 500000, tzinfo=UTC)),
        ("2016-02-01T05:30", datetime(2016, 2, 1, 5, 30, tzinfo=UTC)),
        ("2016-02-01 05:30:00 UTC", datetime(2016, 2, 1, 5, 30, tzinfo=UTC)),
        ("2016-02-01", datetime(2016, 2, 1, tzinfo=UTC)),
        ("February 25, 2013", datetime(2013, 2, 25, tzinfo=UTC)),
        ("December 12, 22:00, 2012", datetime(2012, 12, 12, 22, tzinfo=UTC)),
        ("Mar 3 2013", datetime(2013, 3, 3, tzinfo=UTC)),
        ("Sept. 1st, 2013 9:05:07 GMT", datetime(2013, 9, 1, 9, 5, 7, tzinfo=UTC)),
    ],
)
def test_dates_of_every_spelling_met_are_understood(text, expected):
    result = moment(text)
    assert result == expected
    assert result.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        '"null"',
        "soon",
        "February 25",
        "February 25, 25, 2013",
        "Smarch 1, 2013",
        "February 30, 2013",
        "March 1, 25:00, 2013",
        "2016-13-01",
        "0001-01-01T00:00:00+14:00",
        "\u0662\u0660\u0661\u0666-02-01",
        "1454284800",
        None,
        1454284800,
    ],
)
def test_what_is_no_whole_date_is_none(text):
    assert moment(text) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_date_written_as_iso_text_is_read_back(date):
    assert moment(f'"{date.isoformat()}"') == date


@given(ANYTHING)
def test_no_value_is_an_error(value):
    for read in (flag, moment, number, plain_text, title):
        read(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ('"True"', True), (True, True), ("false", False), (0, False), ("null", None)],
)
def test_booleans_are_understood_in_any_spelling(value, expected):
    assert flag(value) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2.0", 2.0),
        (".5", 0.5),
        ("1e2", 100.0),
        (3, 3.0),
        ("1,5", None),
        ("\u0663", None),
        (True, None),
    ],
)
def test_numbers_are_read_from_plain_digits_alone(value, expected):
    assert number(value) == expected


@pytest.mark.parametrize(("value", "expected"), [({}, False), ([[]], False), ([{"a": []}], True)])
def test_nesting_is_measured(value, expected):
    assert depth_exceeds(value, 1) is expected
