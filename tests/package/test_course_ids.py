"""Where a course id is found, and where none is invented: one promise per test."""

import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.package.course_ids import (
    CourseHint,
    course_id_from_stem,
    course_id_in_block,
    course_id_in_url,
    find_course_id,
    split_course_id,
    stem_of,
    valid_course_id,
)

NEW = "course-v1:RiverU+Bees101+2016_T1"
OLD = "RiverU/Bees1.01x/2013_Fall"
CCX = "ccx-v1:RiverU+Bees101+2016_T1+ccx@7"
BLOCK = "block-v1:RiverU+Bees101+2016_T1+type@problem+block@0a1b"
OTHER = "course-v1:RiverU+Ants+2017"

PARTS = st.from_regex(r"[A-Za-zéß日0-9_][A-Za-zéß日0-9_\-.~]{0,12}", fullmatch=True)
NEW_IDS = st.builds("course-v1:{}+{}+{}".format, PARTS, PARTS, PARTS)
CCX_IDS = st.builds("ccx-v1:{}+{}+{}+ccx@{}".format, PARTS, PARTS, PARTS, st.integers(min_value=0))
# An org called v1 would be a path of the API: the one thing that an old id cannot spell.
OLD_IDS = st.builds("{}/{}/{}".format, PARTS.map("U{}".format), PARTS, PARTS)
IDS = NEW_IDS | CCX_IDS | OLD_IDS
URL_LIKE = st.lists(
    st.sampled_from([*"/?&=#+%@:. ", "%2B", "%3A", "%252F", "/courses/", "course_id=", "/course/"])
    | st.sampled_from([NEW, OLD, CCX, BLOCK, "ccx-block-v1:", "library-v1:", "i4x://", "v1", ".."])
    | st.text(max_size=4)
).map("".join)


def find(
    context: object = None,
    event: object = None,
    event_type: object = None,
    page: object = None,
    path: object = None,
    referer: object = None,
) -> tuple[str | None, str | None]:
    payload = event if event is None or isinstance(event, bytes) else json.dumps(event).encode()
    return find_course_id(context, payload, event_type, page, path, referer)


@pytest.mark.parametrize(
    ("text", "course_id"),
    [
        pytest.param(NEW, NEW, id="new style"),
        pytest.param(OLD, OLD, id="old style"),
        pytest.param(CCX, CCX, id="a CCX"),
        pytest.param(f" {NEW}\r\n", NEW, id="white space around"),
        pytest.param("course-v1%3ARiverU%2BBees101%2B2016_T1", NEW, id="encoded once"),
        pytest.param("RiverU%252FBees1.01x%252F2013_Fall%0A", OLD, id="encoded twice"),
        pytest.param(
            "course-v1:Über+日本+2016.T1~a:b", "course-v1:Über+日本+2016.T1~a:b", id="script"
        ),
    ],
)
def test_an_id_is_accepted_as_the_platform_spells_it(text, course_id):
    assert valid_course_id(text) == course_id


@pytest.mark.parametrize(
    "text",
    [
        *(None, "", 7, ["a/b/c"], {"course_id": NEW}, b"a/b/c", True),
        *("RiverU/Bees101", "RiverU/Bees101/T1/about", "RiverU/Bees101/", "//", "a/b c/d"),
        *("course-v1:RiverU+Bees101", "course-v1:RiverU+Bees101+T1+more", "course-v1:a/b/c"),
        *("course-v1:RiverU Bees101 T1", "course-v1:++", "ccx-v1:a+b+c", "ccx-v1:a+b+c+ccx@x"),
        *("library-v1:RiverU+Lib", "library-v1:a/b/c", BLOCK, "i4x://RiverU/Bees/problem/x"),
        *("courses/v1/blocks", "v1/blocks/x", "v0.1/blocks/x", "../../etc", "a/../b"),
        *("course-v1:..+..+..", "a/b/\N{HONEYBEE}", "a/b/c\x00", "course-v1:a+b+c\nd"),
        "course-v1%2525253Aa+b+c",
    ],
)
def test_what_is_no_course_id_is_refused(text):
    assert valid_course_id(text) is None


@pytest.mark.parametrize(
    ("url", "course_id"),
    [
        (f"/courses/{OLD}", OLD),
        (f"/courses/{OLD}/courseware/abc/def/2", OLD),
        (f"/courses/{NEW}/discussion/forum?ajax=1&page=1", NEW),
        (f"https://courses.riveru.example/courses/{NEW}#top", NEW),
        (f'/courses/{OLD}"', OLD),
        (f"/courses/{CCX}/info", CCX),
        ("/courses/RiverU%2FBees1.01x%2F2013_Fall/info", OLD),
        ("/courses/course-v1%253ARiverU%252BBees101%252B2016_T1/info", NEW),
        ("/courses/course-v1:RiverU%20Bees101%202016_T1/info", NEW),
        (f"https://learning.riveru.example/learning/course/{NEW}/home", NEW),
        (f"https://learning.riveru.example/course/{NEW}/{BLOCK}", NEW),
        (f"/api/courses/v1/courses/{NEW}/", NEW),
        (f"/api/courses/v1/blocks/{BLOCK}", NEW),
        ("/api/courses/v2/blocks/?course_id=course-v1%3ARiverU%2BBees101%2B2016_T1&depth=all", NEW),
        ("/change_enrollment?course_id=course-v1:RiverU+Bees101+2016_T1", NEW),
        ("/change_enrollment?course_id=course-v1%3ARiverU Bees101 2016_T1", NEW),
        ("/register?course_id=RiverU%2FBees1.01x%2F2013_Fall&enrollment_action=enroll", OLD),
        (f"/course_modes/choose/{NEW}/", NEW),
        (f"/course/{OLD}", OLD),
        (f"https://studio.riveru.example/course/{OLD}", OLD),
        (f"/settings/details/{NEW}", NEW),
        (f"/settings/details/{OLD}?x=1", OLD),
        (f"/settings/advanced/{OLD}", OLD),
        (f"/import/{OLD}", OLD),
        (f"/import_status/{OLD}/course.tar.gz", OLD),
        (f"/export/{NEW}?_accept=application/x-tgz", NEW),
        (f"/container/{BLOCK}", NEW),
        (f"/preview/xblock/{BLOCK}/handler/check", NEW),
        (f"/xblock/{quote(BLOCK)}", NEW),
        ("/xblock/ccx-block-v1:RiverU+Bees101+2016_T1+ccx@7+type@html+block@x", CCX),
    ],
)
def test_a_url_names_its_course(url, course_id):
    assert course_id_in_url(url) == course_id


@pytest.mark.parametrize(
    "url",
    [
        *("", "/", "x_module", "/dashboard", "/event", "/courses", "/courses/", "/courses//"),
        *("/api/courses/v1/blocks/", "/api/courses/v1/blocks/x/y/z", "/api/courses/v0.1/a/b/c"),
        *("/courses/RiverU/Bees101", "/courses/RiverU/Bees101/", "/courses/RiverU/Bees101?next=x"),
        *(
            "/courses/a/b/c d/",
            "/courses/a/../b/",
            "/courses/course-v1:a+b/c/d",
            "/courses/%FF/b/c",
        ),
        *("/courses/library-v1:RiverU+Lib/x/y", "/library/library-v1:RiverU+Lib"),
        "/course/RiverU.Bees101.2014_T2/branch/draft/block/2014_T2",
        "https://www.riveru.example/course/subject/biology/insects",
        "/xblock/i4x:;_;_RiverU;_Bees101;_problem;_x/handler/check",
        "/courses/course-v1:RiverU+Bees101+2016_T1+branch@draft/info",
        "/static/course-v1",
    ],
)
def test_a_url_that_names_no_whole_course_gives_none(url):
    assert course_id_in_url(url) is None


@given(
    IDS,
    st.sampled_from(["", "https://courses.riveru.example"]),
    st.sampled_from(["", "/", "/courseware/a/b/", "?a=b&c=d", "#x", '"']),
    st.sampled_from([str, quote, quote_plus, lambda text: quote(quote_plus(text))]),
)
def test_an_id_put_into_a_url_is_found_again(course_id, host, rest, spelled):
    assert course_id_in_url(f"{host}/courses/{spelled(course_id)}{rest}") == course_id


@given(IDS, st.sampled_from([quote_plus, lambda text: quote_plus(quote_plus(text))]))
def test_an_id_put_into_a_query_is_found_again(course_id, spelled):
    assert course_id_in_url(f"/enroll?a=b&course_id={spelled(course_id)}&c=d") == course_id


@given(URL_LIKE)
def test_whatever_the_url_the_answer_is_a_valid_id_or_none(url):
    course_id = course_id_in_url(url)
    assert course_id is None or valid_course_id(course_id) == course_id


@pytest.mark.parametrize(
    ("block_id", "course_id"),
    [
        pytest.param(BLOCK, NEW, id="new style"),
        pytest.param(quote(BLOCK), NEW, id="encoded"),
        pytest.param(f"\n{BLOCK}", NEW, id="with a leading newline"),
        pytest.param("ccx-block-v1:a+b+c+ccx@7+type@html+block@x", "ccx-v1:a+b+c+ccx@7", id="CCX"),
        pytest.param("i4x://RiverU/Bees101/problem/x", None, id="old style, which names no run"),
        pytest.param("lib-block-v1:a+b+c+type@html+block@x", None, id="of a library"),
        pytest.param("block-v1:RiverU+Bees101", None, id="cut"),
        pytest.param("block-v1:a+b+c", None, id="without a type"),
        pytest.param("0a1b2c", None, id="no key at all"),
    ],
)
def test_a_block_names_its_course_if_it_names_the_run(block_id, course_id):
    assert course_id_in_block(block_id) == course_id


@pytest.mark.parametrize(
    ("fields", "hint"),
    [
        pytest.param({"context": f"{NEW}\n", "page": f"/courses/{OLD}"}, (NEW, "context"), id="1"),
        pytest.param(
            {"context": "", "event": {"course_id": NEW}, "event_type": f"/courses/{OLD}/"},
            (NEW, "event"),
            id="2 the payload",
        ),
        pytest.param(
            {"context": "junk", "event_type": f"/courses/{NEW}/", "page": f"/courses/{OLD}"},
            (NEW, "event_type"),
            id="3 an implicit event",
        ),
        pytest.param(
            {"event_type": "problem_check", "page": f"/courses/{NEW}", "path": f"/courses/{OLD}"},
            (NEW, "page"),
            id="4 the page",
        ),
        pytest.param(
            {"page": "x_module", "path": f"/courses/{OLD}/x", "event": {"id": BLOCK}},
            (OLD, "path"),
            id="5 the path",
        ),
        pytest.param(
            {"event": {"problem_id": BLOCK}, "referer": f"/courses/{OLD}"},
            (NEW, "block"),
            id="6 a block, which the referer must not outdo",
        ),
        pytest.param({"referer": f"https://x.example/courses/{OLD}/"}, (OLD, "referer"), id="7"),
        pytest.param({"event_type": f"see /courses/{OLD}/"}, (None, None), id="no path, no id"),
        pytest.param({}, (None, None), id="nowhere"),
    ],
)
def test_the_first_place_with_a_valid_id_wins(fields, hint):
    assert find(**fields) == hint


def test_a_find_says_what_its_two_halves_are():
    assert find(context=NEW) == CourseHint(course_id=NEW, source="context")


@pytest.mark.parametrize("times", [0, 1, 2])
def test_a_payload_may_be_an_object_or_its_json_text_encoded_once_or_twice(times):
    course: object = {"course_id": NEW}
    block: object = {"usage_key": BLOCK}
    for _ in range(times):
        course, block = json.dumps(course), json.dumps(block)
    assert find(event=course) == (NEW, "event")
    assert find(event=block) == (NEW, "block")


@pytest.mark.parametrize(
    "event",
    [
        pytest.param("course_id=course-v1%3ARiverU%2BBees101%2B2016_T1", id="form text"),
        pytest.param([{"course_id": NEW}, BLOCK], id="a list"),
        pytest.param(json.dumps({"course_id": NEW, "id": BLOCK})[:-3], id="cut text"),
        pytest.param({"course_id": {"a": NEW}, "id": [BLOCK]}, id="other types"),
        pytest.param({"answer": BLOCK, "course_id": "junk"}, id="other keys"),
        pytest.param(b'{"course_id": ', id="no JSON"),
        pytest.param(b'{"course_id": "\xff"}', id="no UTF-8"),
        pytest.param(b'"\\ud800 course_id block-v1"', id="half a character"),
        pytest.param(b"[" * 5000 + b"course_id", id="deep nesting"),
    ],
)
def test_a_payload_without_a_plain_answer_gives_none(event):
    assert find(event=event) == (None, None)


@pytest.mark.parametrize("odd", [7, 1.5, True, [NEW], {"a": NEW}, b"x"])
def test_a_field_of_another_type_is_passed_over(odd):
    found = find(context=odd, event_type=odd, page=odd, path=odd, referer=f"/courses/{NEW}/")
    assert found == (NEW, "referer")


@given(*[st.none() | URL_LIKE] * 5, st.none() | st.binary() | URL_LIKE.map(json.dumps))
def test_whatever_the_event_the_answer_is_a_valid_id_with_its_source_or_neither(
    context, event_type, page, path, referer, event
):
    payload = event.encode() if isinstance(event, str) else event
    course_id, source = find_course_id(context, payload, event_type, page, path, referer)
    assert (course_id is None) == (source is None)
    assert course_id is None or valid_course_id(course_id) == course_id


@pytest.mark.timeout(10)
@pytest.mark.parametrize("unit", ["block-v1:", "/courses/", "%25", "a+", ".", "/course-v1:", "v1-"])
def test_a_hostile_text_costs_no_more_than_its_length(unit):
    # Where a search starts again at every character, this runs into the time limit.
    assert find(referer=unit * 7_000, page=unit * 7_000, event={"id": unit * 7_000}) == (None, None)


def test_a_very_long_text_is_not_looked_at():
    assert course_id_in_url(f"/courses/{NEW}/?x={'y' * (1 << 16)}") is None


@pytest.mark.parametrize(
    ("course_id", "stem", "split"),
    [
        (NEW, "RiverU-Bees101-2016_T1", ("RiverU", "Bees101", "2016_T1")),
        (OLD, "RiverU-Bees1.01x-2013_Fall", ("RiverU", "Bees1.01x", "2013_Fall")),
        (CCX, "RiverU-Bees101-2016_T1-ccx-7", ("RiverU", "Bees101", "2016_T1")),
        ("course-v1:A+Bü~1+2016-T1", "A-B_~1-2016-T1", ("A", "Bü~1", "2016-T1")),
    ],
)
def test_an_id_gives_its_stem_and_its_parts(course_id, stem, split):
    assert stem_of(course_id) == stem
    assert split_course_id(course_id) == split


def test_what_is_no_id_has_no_parts():
    assert split_course_id("RiverU-Bees101") is None


@pytest.mark.parametrize(
    ("stem", "known", "course_id"),
    [
        pytest.param("A-B-1", ["A/B/1", "course-v1:A+B+10"], "A/B/1", id="known"),
        pytest.param("A-B-1", ["A/B/1", "course-v1:A+B+1"], "course-v1:A+B+1", id="new before old"),
        pytest.param("A-B-C-1", ["course-v1:A-B+C+1"], "course-v1:A-B+C+1", id="org with a dash"),
        pytest.param("A-B-1", ["course-v1:A+B+10"], "course-v1:A+B+1", id="whole stems only"),
        pytest.param("A-B-C-1", [], "course-v1:A+B-C+1", id="guessed"),
        pytest.param("A-B-1-ccx-7", [], "ccx-v1:A+B+1+ccx@7", id="guessed CCX"),
        pytest.param("A-B", [], None, id="too short"),
        pytest.param("A--", [], None, id="empty parts"),
        pytest.param("A-B b-1", [], None, id="not the stem of any id"),
    ],
)
def test_a_stem_gives_the_known_course_else_a_guess(stem, known, course_id):
    assert course_id_from_stem(stem, known) == course_id


@given(IDS, st.lists(IDS))
def test_a_known_course_is_found_by_its_stem(course_id, others):
    found = course_id_from_stem(stem_of(course_id), [*others, course_id])
    assert found is not None
    assert stem_of(found) == stem_of(course_id)


@given(st.text(max_size=60))
def test_a_guess_from_a_stem_is_a_valid_id_with_that_stem_or_none(stem):
    guess = course_id_from_stem(stem)
    if guess is not None:
        assert valid_course_id(guess) == guess
        assert split_course_id(guess) is not None
