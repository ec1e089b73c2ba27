"""What a course's blocks, counts and policies promise, one promise per test."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from optimus.package.olx import Block, Course, StructureCounts, count_structure, read_course

COURSE_ID = "course-v1:RiverU+Bees101+2016_T1"
ENTRY = '<course url_name="2016_T1" org="RiverU" course="Bees101">'
FEBRUARY = datetime(2016, 2, 1, tzinfo=UTC)
MARCH = datetime(2016, 3, 1, tzinfo=UTC)


@pytest.fixture
def read(tmp_path):
    def read_inline(body: str = "<wiki/>", entry: str = ENTRY, **files: str):
        for name, content in {"course.xml": f"{entry}{body}</course>", **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return read_course(tmp_path)

    return read_inline


def outline(course: Course) -> list[tuple[int, str]]:
    return [(block.depth, block.url_name) for block in course.blocks(COURSE_ID)]


def named(course: Course, url_name: str) -> Block:
    [block] = [block for block in course.blocks(COURSE_ID) if block.url_name == url_name]
    return block


@pytest.mark.parametrize(
    ("course_id", "course_block", "problem"),
    [
        (
            COURSE_ID,
            "block-v1:RiverU+Bees101+2016_T1+type@course+block@course",
            "block-v1:RiverU+Bees101+2016_T1+type@problem+block@wings",
        ),
        (
            "ccx-v1:RiverU+Bees101+2016_T1+ccx@5",
            "ccx-block-v1:RiverU+Bees101+2016_T1+ccx@5+type@course+block@course",
            "ccx-block-v1:RiverU+Bees101+2016_T1+ccx@5+type@problem+block@wings",
        ),
        (
            "RiverU/Bees101/2016_T1",
            "i4x://RiverU/Bees101/course/2016_T1",
            "i4x://RiverU/Bees101/problem/wings",
        ),
    ],
)
def test_block_ids_are_those_of_the_platform(read, course_id, course_block, problem):
    blocks = list(read('<problem url_name="wings"/>').blocks(course_id))
    assert [block.block_id for block in blocks] == [course_block, problem]
    assert [block.parent_id for block in blocks] == [None, course_block]


@pytest.mark.parametrize("course_id", ["", "Bees101", "a/b", "course-v1:a+b", "library-v1:a+b"])
def test_what_is_no_course_id_is_refused(read, course_id):
    with pytest.raises(ValueError, match="is not a course id"):
        read().blocks(course_id)


def test_blocks_come_from_top_to_bottom_with_their_places(read):
    course = read(
        '<chapter url_name="c1"><sequential url_name="s1"/><sequential url_name="s2"/></chapter>'
        '<wiki/><chapter url_name="c2"/>'
    )
    blocks = list(course.blocks(COURSE_ID))
    names = ["2016_T1", "c1", "s1", "s2", "c2"]
    assert [block.url_name for block in blocks] == names
    assert [block.order_index for block in blocks] == [0, 1, 2, 3, 4]
    assert [block.position for block in blocks] == [0, 0, 0, 1, 1]
    assert [block.depth for block in blocks] == [0, 1, 2, 2, 1]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('<wiki slug="s"/><textbook title="t"/><pdf_textbooks/>', id="course matters"),
        pytest.param('<x:y xmlns:x="urn:x" url_name="n"/>', id="a field in a namespace"),
        pytest.param('<tags xblock-family="xblock_asides.v1" url_name="n"/>', id="an aside"),
    ],
)
def test_what_only_describes_a_block_is_no_block(read, body):
    assert len(outline(read(body))) == 1


@pytest.mark.parametrize(
    "leaf",
    [
        "<problem {}><multiplechoiceresponse><choicegroup/></multiplechoiceresponse></problem>",
        '<video {}><source src="s"/><track/><transcript/><video_asset/></video>',
        "<openassessment {}><rubric><criterion/></rubric></openassessment>",
        '<made_here {}><option name="a"/></made_here>',
    ],
)
def test_the_inside_of_a_leaf_is_not_blocks(read, leaf):
    body = f"<vertical url_name='v'>{leaf.format('url_name=' + chr(34) + 'n' + chr(34))}</vertical>"
    assert outline(read(body)) == [(0, "2016_T1"), (1, "v"), (2, "n")]


@pytest.mark.parametrize(
    "container",
    [
        "chapter",
        "section",
        "sequential",
        "vertical",
        "unit",
        "split_test",
        "conditional",
        "randomize",
        "wrapper",
        "library_content",
        "itembank",
        "problemset",
        "videosequence",
    ],
)
def test_containers_hold_blocks_even_without_names(read, container):
    body = f'<{container} url_name="k"><show sources="s"/><problem name="p"/></{container}>'
    assert outline(read(body)) == [(0, "2016_T1"), (1, "k"), (2, "p")]


def test_an_unknown_block_holds_the_blocks_that_have_a_name(read):
    body = '<problem-builder url_name="b"><pb-mcq url_name="q"/><choice/></problem-builder>'
    assert outline(read(body)) == [(0, "2016_T1"), (1, "b"), (2, "q")]


def test_blocks_without_a_name_get_one_that_no_other_has(read):
    body = (
        '<html display_name="Read: me"/><html name="n" display_name="d"/><html slug="s"/><html/>'
        '<html url_name="n_2"/><html name="n"/>'
    )
    names = [name for _, name in outline(read(body))]
    assert names == ["2016_T1", "Read_me", "n", "s", "2016_T1_html_3", "n_2", "n_6"]


def test_one_name_may_be_used_by_two_kinds(read):
    course = read('<vertical url_name="x" a=""/><problem url_name="x" a=""/>')
    assert len(outline(course)) == 3
    assert course.faults == []


def test_a_block_that_appears_twice_is_one_block_and_noted(read):
    course = read(
        '<html url_name="x" a=""/><vertical url_name="v"><html url_name="x" a=""/></vertical>'
    )
    assert outline(course) == [(0, "2016_T1"), (1, "x"), (1, "v")]
    assert [(fault.path, fault.reason) for fault in course.faults] == [("html/x.xml", "repeated")]


INHERITING = (
    '<sequential url_name="s" graded="true" format="Homework" due="2016-02-01" start="2016-03-01">'
    '<vertical url_name="v"><problem url_name="p" {}/></vertical></sequential>'
)


def test_grading_and_dates_are_inherited_downwards(read):
    problem = named(read(INHERITING.format("")), "p")
    assert problem.graded
    assert problem.format == "Homework"
    assert (problem.due, problem.start) == (FEBRUARY, MARCH)
    assert problem.weight is None


@pytest.mark.parametrize(
    ("attribute", "field", "value"),
    [
        ('graded="False"', "graded", False),
        ('graded="null"', "graded", True),
        ('format="Exam"', "format", "Exam"),
        ('due="&quot;2016-03-01T00:00:00Z&quot;"', "due", MARCH),
        ('due=""', "due", FEBRUARY),
        ('due="soon"', "due", None),
        ('weight="2.0"', "weight", 2.0),
    ],
)
def test_what_a_block_says_itself_comes_first(read, attribute, field, value):
    assert getattr(named(read(INHERITING.format(attribute)), "p"), field) == value


def test_titles_are_kept_as_they_were_written(read):
    course = read('<html url_name="h" display_name="&quot;A&quot; &lt;b&gt; "/>')
    assert named(course, "h").display_name == '"A" <b> '


def test_an_old_policy_overrides_the_attributes_of_blocks_but_not_the_tree(read):
    policy = (
        '{"course/2016_T1": {"start": "2016-02-01"}, "chapter/c": {"start": "2016-03-01",'
        ' "display_name": "New", "graded": true, "format": "Lab", "due": null}}'
    )
    files = {"policies/2016_T1/policy.json": policy}
    course = read('<chapter url_name="c" display_name="Old" due="2016-02-01"/>', **files)
    chapter = named(course, "c")
    assert (chapter.display_name, chapter.start, chapter.due) == ("New", MARCH, FEBRUARY)
    assert (chapter.graded, chapter.format) == (True, "Lab")
    assert course.tree["children"][0]["display_name"] == "Old"


@pytest.mark.parametrize(
    "path",
    [
        "policies/2016_T1/policy.json",
        "policies/course/policy.json",
        "policies/2016_T1.json",
        "policies/another_run/policy.json",
    ],
)
@pytest.mark.parametrize("key", ["course/2016_T1", "course/another_run"])
def test_the_policy_is_found_in_any_place_and_under_the_only_key(read, path, key):
    content = f'{{"{key}": {{"start": "2016-02-01", "display_name": "Bees"}}, "chapter/c": {{}}}}'
    course = read(**{path: content})
    assert (course.start, course.display_name) == (FEBRUARY, "Bees")
    assert course.policy["display_name"] == "Bees"
    assert named(course, "2016_T1").start == FEBRUARY


def test_of_several_policies_in_one_tree_none_is_guessed(read):
    files = {f"policies/{run}/policy.json": '{"course/x": {"start": "2016"}}' for run in "ab"}
    assert read(**files).policy == {}


def test_of_several_courses_in_a_policy_none_is_guessed(read):
    files = {"policies/2016_T1/policy.json": '{"course/a": {"x": 1}, "course/b": {"x": 1}}'}
    assert read(**files).policy == {}


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"course/2016_T1": 7}', '{"a": NaN}', '{"a":' * 100 + "1" + "}" * 100],
)
def test_a_bad_policy_is_noted_and_the_course_is_kept(read, content):
    course = read(**{"policies/2016_T1/policy.json": content})
    assert [fault.reason for fault in course.faults] == ["bad_policy"]
    assert course.policy == {}


@pytest.mark.parametrize(
    "path", ["policies/2016_T1/grading_policy.json", "policies/x/grading_policy.json"]
)
def test_the_grading_policy_is_read(read, path):
    content = '{"GRADER": [], "GRADE_CUTOFFS": {"Pass": 0.6}}'
    assert read(**{path: content}).grading_policy["GRADE_CUTOFFS"] == {"Pass": 0.6}


@pytest.mark.parametrize(
    ("attribute", "start"),
    [
        ('start="2016-02-01"', FEBRUARY),
        ('start="null"', MARCH),
        ('start="unknown"', MARCH),
        ("", MARCH),
    ],
)
def test_the_start_is_the_attribute_else_the_policy(read, attribute, start):
    files = {"policies/r/policy.json": '{"course/r": {"start": "2016-03-01", "end": "never"}}'}
    course = read(entry=f'<course url_name="r" {attribute}>', **files)
    assert (course.start, course.end) == (start, None)


def count_children(read: Callable[[str], Course], children: str) -> StructureCounts:
    body = f"<chapter><sequential><vertical>{children}</vertical></sequential></chapter>"
    return count_structure(read(body).tree)


def test_the_children_of_verticals_are_counted_by_kind(read):
    children = '<video/><video/><html/><problem weight="1"/><problem/><discussion/><poll/><done/>'
    assert count_children(read, children) == StructureCounts(
        nchapters=1,
        nvideos=2,
        nhtmls=1,
        nassessments=2,
        nincontent_discussions=1,
        nactivities=2,
        nsummative_assessments=1,
        nformative_assessments=1,
    )


@pytest.mark.parametrize(
    ("weight", "n_summative"),
    [
        ("2.0", 1),
        (" 1 ", 1),
        ("&quot;0.5&quot;", 1),
        ("0", 0),
        ("0.0", 0),
        ("-1", 0),
        ("null", 0),
        ("", 0),
        ("nan", 0),
        ("inf", 0),
        ("1e999", 0),
        ("1_0", 0),
        ("two", 0),
    ],
)
def test_a_problem_is_summative_when_its_weight_is_a_number_above_0(read, weight, n_summative):
    counts = count_children(read, f'<problem weight="{weight}"/>')
    assert counts.nsummative_assessments == n_summative
    assert counts.nformative_assessments == 1 - n_summative


def test_chapters_are_counted_anywhere_but_inside_another(read):
    course = read("<chapter><chapter/></chapter><section><wrapper><chapter/></wrapper></section>")
    assert count_structure(course.tree).nchapters == 2


@pytest.mark.parametrize(
    "body",
    [
        "<sequential><vertical><video/></vertical></sequential>",
        "<chapter><vertical><video/></vertical></chapter>",
        "<chapter><sequential><video/></sequential></chapter>",
        "<chapter><sequential><vertical><wrapper/></vertical></sequential></chapter>",
        "<chapter><sequential><x><vertical><video/></vertical></x></sequential></chapter>",
    ],
)
def test_only_direct_children_of_chapter_sequential_vertical_are_counted(read, body):
    assert count_structure(read(body).tree).nvideos == 0
