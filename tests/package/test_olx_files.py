"""What keeps a course's files from doing harm, one promise per test."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.errors import BadFileError
from optimus.package import olx_files
from optimus.package.olx import Course, read_course


def write(folder: Path, body: str, files: Mapping[str, str | bytes]) -> Path:
    contents: dict[str, str | bytes] = {"course.xml": f"<course>{body}</course>", **files}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def read(tmp_path):
    def read_files(body: str, **files: str | bytes) -> Course:
        return read_course(write(tmp_path / "course", body, files))

    return read_files


def reasons(course: Course) -> list[tuple[str, str]]:
    return [(fault.path, fault.reason) for fault in course.faults]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"", "bad_xml", id="an empty file"),
        pytest.param(b"<problem>", "bad_xml", id="a cut file"),
        pytest.param(b"<problem>&nbsp;</problem>", "bad_xml", id="an HTML entity"),
        pytest.param(b"<x:problem/>", "bad_xml", id="an undeclared namespace"),
        pytest.param(b"<problem>\xff</problem>", "bad_xml", id="bytes that are not UTF-8"),
        pytest.param(b"<p>" * 100_000, "bad_xml", id="nesting without end"),
        pytest.param(b"<!DOCTYPE problem><problem/>", "xml_doctype", id="a document type"),
        pytest.param(
            "<!DOCTYPE problem><problem/>".encode("utf-16"), "xml_doctype", id="one in UTF-16"
        ),
        pytest.param(
            b'<!DOCTYPE p [<!ENTITY a SYSTEM "file:///etc/passwd">]><p>&a;</p>',
            "xml_doctype",
            id="an external entity",
        ),
        pytest.param(
            b'<!DOCTYPE p [<!ENTITY a "12345678"><!ENTITY b "&a;&a;&a;">]><p x="&b;"/>',
            "xml_doctype",
            id="an entity bomb",
        ),
        pytest.param(None, "missing_file", id="no file"),
    ],
)
def test_a_bad_file_leaves_a_stub_and_a_fault_and_the_rest_is_kept(read, content, reason):
    files = {} if content is None else {"problem/p.xml": content}
    course = read('<problem url_name="p"/><html/>', **files)
    assert reasons(course) == [("problem/p.xml", reason)]
    stub = {"tag": "problem", "children": [], "url_name": "p"}
    assert course.tree["children"] == [stub, {"tag": "html", "children": []}]


def test_the_words_of_a_document_type_inside_text_are_text(read):
    course = read(
        '<html url_name="h"/>', **{"html/h.xml": "<html><![CDATA[<!DOCTYPE html>]]></html>"}
    )
    assert course.faults == []


@pytest.mark.parametrize(
    "name",
    [
        "../../secret",
        "..:..:secret",
        "/etc/secret",
        "a/../../../secret",
        "a//b",
        "x" * 300,
        "x" * 2000,
    ],
)
def test_a_name_cannot_lead_out_of_the_course(tmp_path, name):
    (tmp_path / "secret.xml").write_text('<html leaked="yes"/>')
    body = f'<html url_name="{name}"/>'
    course = read_course(write(tmp_path / "course", body, {"html/a.xml": "<html/>"}))
    assert [fault.reason for fault in course.faults] == ["path"]
    assert "leaked" not in course.tree["children"][0]


def test_a_link_out_of_the_course_is_refused_and_one_inside_is_followed(tmp_path):
    (tmp_path / "secret.xml").write_text('<html leaked="yes"/>')
    body = '<html url_name="out"/><html url_name="in"/><html url_name="round"/>'
    folder = write(tmp_path / "course", body, {"html/real.xml": '<html ok="1"/>'})
    (folder / "html/out.xml").symlink_to(tmp_path / "secret.xml")
    (folder / "html/in.xml").symlink_to("real.xml")
    (folder / "html/round.xml").symlink_to("round.xml")
    course = read_course(folder)
    assert reasons(course) == [("html/out.xml", "path"), ("html/round.xml", "not_regular")]
    assert course.tree["children"][1]["ok"] == "1"


def test_drafts_are_never_read(read):
    files = {"drafts/vertical/v.xml": '<vertical draft="yes"/>'}
    course = read('<drafts url_name="vertical/v"/>', **files)
    assert reasons(course) == [("drafts/vertical/v.xml", "path")]


def test_only_regular_files_are_opened(read, tmp_path):
    (tmp_path / "course/html/folder.xml").mkdir(parents=True)
    os.mkfifo(tmp_path / "course/html/pipe.xml")
    course = read('<html url_name="pipe"/><html url_name="folder"/>')
    expected = [("html/pipe.xml", "not_regular"), ("html/folder.xml", "not_regular")]
    assert reasons(course) == expected


def test_a_file_over_the_limit_is_not_read(read, monkeypatch):
    monkeypatch.setattr(olx_files, "MAX_FILE_BYTES", 1000)
    course = read('<html url_name="h"/>', **{"html/h.xml": f"<html>{'x' * 1000}</html>"})
    assert reasons(course) == [("html/h.xml", "too_big")]


def test_files_over_the_limit_together_are_not_read(read, monkeypatch):
    monkeypatch.setattr(olx_files, "MAX_COURSE_BYTES", 200)
    course = read('<html url_name="h"/>', **{"html/h.xml": f"<html {' ' * 190}/>"})
    assert reasons(course) == [("html/h.xml", "too_big")]


@given(st.binary() | st.text().map(str.encode), st.text(max_size=20), st.binary())
def test_no_content_of_any_file_is_an_unexpected_error(content, name, policy):
    files = {"html/h.xml": content, "policies/course/policy.json": policy}
    body = f'<html url_name="h"/><html url_name={quoteattr(name)}/>'
    with tempfile.TemporaryDirectory() as folder:
        try:
            course = read_course(write(Path(folder), body, files))
        except BadFileError:
            return
    assert len(course.tree["children"]) == 2


def test_a_course_that_is_itself_noise_is_a_bad_file(tmp_path):
    with pytest.raises(BadFileError):
        read_course(write(tmp_path, "", {"course.xml": b"\x00\xff" * 100}))
