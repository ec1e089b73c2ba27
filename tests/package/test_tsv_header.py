"""What is promised about the first line of the ``.sql`` files."""

import pytest

from optimus.errors import BadFileError
from optimus.package.tsv import MAX_COLUMNS, parse_header


def test_a_header_is_read_in_lower_case_without_mark_and_blanks():
    assert parse_header(b"\xef\xbb\xbfID\t User_Id \tkey\r") == ["id", "user_id", "key"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param(b"id\t\tname", "column 2 of 3 has no name", id="no name"),
        pytest.param(b"id\tname\tid", "columns 1 and 3 have the same name", id="twice"),
        pytest.param(b"id\tname\tName", "columns 2 and 3 have the same name", id="but for case"),
        pytest.param(b"id`, x); DROP TABLE y; --", "not a column name", id="an injection"),
        pytest.param(b"a" * 65, "not a column name", id="too long a name"),
        pytest.param(b"\t".join([b"a"] * (MAX_COLUMNS + 1)), "more than 4096", id="too many"),
        pytest.param(b"<!DOCTYPE html>", "HTML or XML", id="a web page"),
        pytest.param(b"<?xml version='1.0'?>", "HTML or XML", id="an XML error"),
        pytest.param(b'{"id": 1}', "JSON", id="JSON"),
        pytest.param(b"INSERT INTO `auth_user` VALUES", "SQL statements", id="SQL"),
        pytest.param(b"-- MySQL dump 10.13", "SQL statements", id="a mysqldump"),
        pytest.param(b"Traceback (most recent call last):", "error report", id="a traceback"),
        pytest.param(b"\x1f\x8b\x08", "gzip", id="gzip"),
        pytest.param(b"PK\x03\x04", "zip", id="zip"),
        pytest.param("id\tname".encode("utf-16"), "UTF-16", id="UTF-16"),
    ],
)
def test_what_is_no_header_is_refused_with_a_reason(line, words):
    with pytest.raises(BadFileError, match=words):
        parse_header(line)


def test_a_refused_header_is_not_quoted_because_it_may_be_a_learner():
    with pytest.raises(BadFileError) as refusal:
        parse_header(b"700123\totter_31\totter@example.org")
    assert "otter" not in str(refusal.value)
    assert "700123" not in str(refusal.value)
