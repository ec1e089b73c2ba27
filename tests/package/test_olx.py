"""What reading a course's archive promises, one promise per test."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.errors import BadFileError
from optimus.package import olx_tree
from optimus.package.olx import (
    Course,
    StructureCounts,
    count_structure,
    find_course_folders,
    read_course,
)

ENTRY = '<course url_name="2016_T1" org="RiverU" course="Bees101"/>'
DEMO_COURSE = Path(__file__).parents[3] / "shared/data/olx/demo-course/course"


def write(folder: Path, files: Mapping[str, str | bytes]) -> Path:
    contents: dict[str, str | bytes] = {"course.xml": ENTRY, **files}
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture
def read(tmp_path):
    def read_files(body: str = "", **files: str | bytes):
        named = {"course/2016_T1.xml": f"<course>{body}</course>", **files}
        return read_course(write(tmp_path, named))

    return read_files


def reasons(course: Course) -> list[tuple[str, str]]:
    return [(fault.path, fault.reason) for fault in course.faults]


def test_the_tree_has_tag_children_attributes_and_the_policy(tmp_path):
    files = {
        "course/2016_T1.xml": '<course start="&quot;2016-02-01&quot;"><!-- x --><?y z?>'
        '<chapter url_name="week1"/><wiki slug="RiverU.Bees101"/></course>',
        "chapter/week1.xml": '<chapter display_name="Week 1"/>',
        "policies/2016_T1/policy.json": '{"course/2016_T1": {"display_name": "Bees"}}',
    }
    course = read_course(write(tmp_path, files))
    chapter = {"tag": "chapter", "children": [], "url_name": "week1", "display_name": "Week 1"}
    wiki = {"tag": "wiki", "children": [], "slug": "RiverU.Bees101"}
    assert course.tree == {
        "tag": "course",
        "children": [chapter, wiki],
        "url_name": "2016_T1",
        "org": "RiverU",
        "course": "Bees101",
        "start": '"2016-02-01"',
        "policy": {"course/2016_T1": {"display_name": "Bees"}},
    }
    assert (course.org, course.number, course.run) == ("RiverU", "Bees101", "2016_T1")
    assert course.faults == []


def test_a_course_without_policy_has_none_in_its_tree(read):
    course = read()
    assert "policy" not in course.tree
    assert (course.policy, course.grading_policy, course.faults) == ({}, {}, [])


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"course/2016_T1.xml": "<course><x/></course>"}, id="named by its run"),
        pytest.param({"course/course.xml": "<course><x/></course>"}, id="named course"),
        pytest.param({"course.xml": "<course><x/></course>"}, id="all in course.xml"),
        pytest.param({"course.xml": '<course url_name="a"><x/></course>'}, id="inline with name"),
        pytest.param(
            {
                "course.xml": "",
                "roots/2016_T1.xml": ENTRY,
                "course/2016_T1.xml": "<course><x/></course>",
            },
            id="in roots",
        ),
        pytest.param(
            {"course.xml": "<broken", "course/a.xml": "<course><x/></course>"},
            id="the only course file when course.xml is broken",
        ),
    ],
)
def test_the_course_element_is_found_where_exports_of_all_years_put_it(tmp_path, files):
    course = read_course(write(tmp_path, files))
    assert [child["tag"] for child in course.tree["children"]] == ["x"]


def test_a_course_element_with_settings_and_no_file_is_an_empty_course(tmp_path):
    course = read_course(
        write(tmp_path, {"course.xml": '<course url_name="r" start="2016-01-01"/>'})
    )
    assert course.run == "r"
    assert course.tree["children"] == []


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({}, id="a pointer to nothing"),
        pytest.param({"course.xml": "<library/>"}, id="a library"),
        pytest.param({"course.xml": ""}, id="an empty file"),
        pytest.param({"course/2016_T1.xml": "<course"}, id="a cut course file"),
    ],
)
def test_a_folder_without_a_usable_course_element_is_a_bad_file(tmp_path, files):
    with pytest.raises(BadFileError, match="Unpack the course archive again"):
        read_course(write(tmp_path, files))


def test_a_missing_folder_is_a_bad_file(tmp_path):
    with pytest.raises(BadFileError):
        read_course(tmp_path / "absent")


def test_the_file_wins_over_its_pointer_but_for_the_name(read):
    course = read(
        '<problem url_name="p" weight="1" a="pointer"/>',
        **{"problem/p.xml": '<problem url_name="other" weight="2"/>'},
    )
    [problem] = course.tree["children"]
    expected = {"tag": "problem", "children": [], "url_name": "p", "weight": "2", "a": "pointer"}
    assert problem == expected


def test_an_attribute_cannot_take_the_place_of_tag_or_children(read):
    [node] = read('<x tag="course" children="7"/>').tree["children"]
    assert node == {"tag": "x", "children": []}


def test_pointers_inside_inline_elements_are_followed(read):
    course = read(
        '<chapter url_name="c" display_name="Inline"><sequential><wrapper>'
        '<problem url_name="p"/></wrapper></sequential></chapter>',
        **{"problem/p.xml": '<problem weight="2"/>'},
    )
    [chapter] = course.tree["children"]
    [problem] = chapter["children"][0]["children"][0]["children"]
    assert problem["weight"] == "2"


def test_an_element_with_children_is_no_pointer(read):
    course = read('<html url_name="h"><p/></html>', **{"html/h.xml": "<html><b/></html>"})
    assert course.tree["children"][0]["children"] == [{"tag": "p", "children": []}]


def test_a_colon_in_a_name_is_a_folder(read):
    course = read('<video url_name="a:b"/>', **{"video/a/b.xml": '<video sub="s"/>'})
    [video] = course.tree["children"]
    assert (video["url_name"], video["sub"]) == ("a:b", "s")


def test_a_file_that_is_only_a_pointer_is_followed(read):
    files = {"html/a.xml": '<html url_name="b"/>', "html/b.xml": '<html filename="f"/>'}
    [node] = read('<html url_name="a"/>', **files).tree["children"]
    assert (node["url_name"], node["filename"]) == ("a", "f")


def test_a_file_that_names_itself_is_no_cycle(read):
    course = read('<done url_name="d"/>', **{"done/d.xml": '<done url_name="d"/>'})
    assert course.faults == []


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"a/1.xml": '<a><a url_name="1"/></a>'}, id="to itself"),
        pytest.param(
            {"a/1.xml": '<a><b url_name="2"/></a>', "b/2.xml": '<b><a url_name="1"/></b>'},
            id="to an ancestor",
        ),
        pytest.param(
            {"a/1.xml": '<a url_name="2"/>', "a/2.xml": '<a url_name="1"/>'}, id="each other"
        ),
    ],
)
def test_a_cycle_is_cut_and_noted_and_the_stub_stays(read, files):
    course = read('<a url_name="1"/><html/>', **files)
    assert reasons(course) == [("a/1.xml", "cycle")]
    assert [child["tag"] for child in course.tree["children"]] == ["a", "html"]


@pytest.mark.parametrize("element", ['<done url_name="d" align="left"/>', "<done/>"])
def test_an_inline_element_needs_no_file(read, element):
    assert read(element).faults == []


def test_a_course_too_deep_is_cut_and_can_still_be_written_and_counted(read):
    chain = {f"a/{i}.xml": f'<a><a url_name="{i + 1}"/></a>' for i in range(300)}
    course = read('<a url_name="0"/>' + "<b>" * 200 + "</b>" * 200, **chain)
    assert {fault.reason for fault in course.faults} == {"too_deep"}
    assert orjson.dumps(course.tree)
    assert count_structure(course.tree).nchapters == 0


def test_files_that_multiply_are_cut(read, monkeypatch):
    monkeypatch.setattr(olx_tree, "MAX_ELEMENTS", 1000)
    twice = {
        f"a/{i}.xml": f'<a><a url_name="{i + 1}"/><a url_name="{i + 1}"/></a>' for i in range(40)
    }
    assert {"too_many"} <= {fault.reason for fault in read('<a url_name="0"/>', **twice).faults}


def test_the_folders_that_hold_a_course_are_found_sorted(tmp_path):
    write(tmp_path / "b", {})
    write(tmp_path / "a", {})
    (tmp_path / "c").mkdir()
    (tmp_path / "course.xml").write_text(ENTRY)
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "oldest/roots").mkdir(parents=True)
    (tmp_path / "oldest/roots/2012.xml").write_text(ENTRY)
    expected = [tmp_path / "a", tmp_path / "b", tmp_path / "oldest"]
    assert find_course_folders(tmp_path) == expected
    assert find_course_folders(tmp_path / "absent") == []


Element = tuple[str, list[Any]]
ELEMENTS: st.SearchStrategy[Element] = st.recursive(
    st.sampled_from(["html", "problem"]).map(lambda tag: (tag, [])),
    lambda inner: st.tuples(st.sampled_from(["vertical", "wrapper"]), st.lists(inner, max_size=3)),
    max_leaves=12,
)


def spell(
    element: Element, is_split: Callable[[], bool], names: Iterator[int], files: dict[str, str]
) -> str:
    tag, children = element
    name = next(names)
    body = "".join(spell(child, is_split, names, files) for child in children)
    content = f'<{tag} url_name="{name}" display_name="{name}">{body}</{tag}>'
    if not is_split():
        return content
    files[f"{tag}/{name}.xml"] = content
    return f'<{tag} url_name="{name}"/>'


@given(st.lists(ELEMENTS, max_size=3), st.data())
def test_a_course_is_the_same_in_one_file_or_in_many(elements, choices):
    trees = []
    for is_split in (lambda: False, lambda: choices.draw(st.booleans())):
        names = count()
        files: dict[str, str] = {}
        body = "".join(spell(element, is_split, names, files) for element in elements)
        files["course.xml"] = f"<course><wiki/>{body}</course>"
        with tempfile.TemporaryDirectory() as folder:
            trees.append(read_course(write(Path(folder), files)).tree)
    assert trees[0] == trees[1]


@pytest.mark.skipif(not DEMO_COURSE.is_dir(), reason="the demo course is not in shared/data")
def test_the_demo_course_is_read_whole():
    course = read_course(DEMO_COURSE)
    kinds = Counter(block.block_type for block in course.blocks("course-v1:OpenedX+DemoX+Demo"))
    assert course.faults == []
    assert (kinds["chapter"], kinds["sequential"], kinds["vertical"]) == (6, 17, 58)
    assert (kinds["library_content"], kinds["problem"], kinds["video"]) == (1, 29, 11)
    assert course.start == datetime(2020, 1, 1, tzinfo=UTC)
    assert count_structure(course.tree) == StructureCounts(
        nchapters=6,
        nvideos=11,
        nhtmls=266,
        nassessments=23,
        nincontent_discussions=1,
        nactivities=12,
        nsummative_assessments=1,
        nformative_assessments=22,
    )
