"""What is promised about course structures, one promise per test."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.services.deliveries import COURSE, DATABASE, SECOND, STEM, Deliveries

ENTRY = '<course org="DemoX" course="Bees101" url_name="2016_T1"/>'
TREE = """<course display_name="Bees" start="2016-02-01T00:00:00Z" end="2016-03-01T00:00:00Z">
  <chapter url_name="c1" display_name="One"/>
  <chapter url_name="c2"><sequential url_name="s2"><vertical url_name="v2">
    <video url_name="film"/><html url_name="page"/><problem url_name="quiz" weight="2"/>
    <problem url_name="try"/><discussion url_name="talk"/><poll url_name="p"/>
  </vertical></sequential></chapter>
</course>"""
CHAPTER = '<chapter display_name="First"><sequential url_name="s1"/></chapter>'
PLAIN: dict[str, str] = {"course": ENTRY, "course__2016_T1": TREE, "chapter__c1": CHAPTER}


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, ["course_structure"])


def ingested(house: Deliveries, folder: str = STEM, **files: str) -> Any:
    house.olx(folder, **(PLAIN | files))
    house.ingest()
    return house.only("course_structure")


def tree_of(house: Deliveries, name: str = STEM) -> Any:
    return json.loads((house.settings.www_path / f"course_structure/{name}.json").read_bytes())


def blocks(house: Deliveries, columns: str) -> list[Any]:
    return house.query(f"SELECT {columns} FROM course_structure.blocks ORDER BY order_index")


def info(house: Deliveries, columns: str) -> list[Any]:
    return house.query(f"SELECT {columns} FROM course_structure.courses")


def tags(node: Any) -> list[str]:
    return [node["tag"], *(tag for child in node["children"] for tag in tags(child))]


# --- what comes out ---------------------------------------------------------------------------


def test_the_tree_for_the_web_has_the_originals_shape(house):
    ingested(house)
    tree = tree_of(house)
    assert (tree["tag"], tree["display_name"]) == ("course", "Bees")
    assert tree["children"][0] == {
        "tag": "chapter",
        "url_name": "c1",
        "display_name": "First",
        "children": [{"tag": "sequential", "url_name": "s1", "children": []}],
    }


def test_the_tree_lies_under_the_originals_name_and_the_one_its_readers_ask_for(house):
    ingested(house, "DemoX-PSYC1030.1x-2016_T1")
    names = {path.name for path in (house.settings.www_path / "course_structure").iterdir()}
    assert names == {"DemoX-PSYC1030.1x-2016_T1.json", "DemoX-PSYC10301x-2016-T1.json"}


def test_every_block_is_a_row_with_its_place_and_the_id_that_events_use(house):
    ingested(house)
    found = blocks(house, "block_type, url_name, depth, position")
    assert found[:4] == [
        ("course", "2016_T1", 0, 0),
        ("chapter", "c1", 1, 0),
        ("sequential", "s1", 2, 0),
        ("chapter", "c2", 1, 1),
    ]
    assert ("block-v1:DemoX+Bees101+2016_T1+type@video+block@film",) in blocks(house, "block_id")


def test_a_course_is_counted_as_course_profile_wants_it(house):
    ingested(house)
    columns = (
        "nchapters, nvideos, nhtmls, nassessments, nsummative_assessments, "
        "nformative_assessments, nincontent_discussions, nactivities"
    )
    assert info(house, columns) == [(2, 1, 1, 2, 1, 1, 1, 1)]


def test_dates_are_those_of_the_course_element_before_the_policys(house):
    policy = json.dumps({"course/2016_T1": {"start": '"2015-01-01T00:00:00Z"', "end": "x"}})
    house.deliver(f"{STEM}/policies/2016_T1/policy.json", policy)
    ingested(house)
    assert info(house, '"start", "end"') == [
        (datetime(2016, 2, 1, tzinfo=UTC), datetime(2016, 3, 1, tzinfo=UTC))
    ]


def test_dates_in_quotes_are_taken_from_the_policy_when_the_course_has_none(house):
    policy = json.dumps({"course/2016_T1": {"start": '"2015-01-01T00:00:00Z"'}})
    house.deliver(f"{STEM}/policies/2016_T1/policy.json", policy)
    ingested(house, course__2016_T1="<course/>")
    assert info(house, '"start", "end"') == [(datetime(2015, 1, 1, tzinfo=UTC), None)]
    assert tree_of(house)["policy"] == json.loads(policy)


def test_the_course_id_is_the_one_of_the_dumps(house):
    house.table("student_courseenrollment", "id course_id", "1 DemoX/Bees101/2016_T1")
    ingested(house)
    assert info(house, "course_id, database") == [("DemoX/Bees101/2016_T1", DATABASE)]
    assert set(blocks(house, "course_id")) == {("DemoX/Bees101/2016_T1",)}


def test_without_dumps_the_course_id_is_the_structures(house):
    ingested(house)
    assert info(house, "course_id") == [(COURSE,)]


def test_edge_and_production_are_two_structures(house):
    for site in ("prod", "edge"):
        house.table("auth_user", "id", "1", site=site)
    house.olx(f"{STEM}-course-prod-analytics", **PLAIN)
    house.olx(f"{STEM}-course-prod-edge-analytics", **PLAIN)
    house.ingest()
    assert sorted(info(house, "site, database")) == [
        ("edge", f"{DATABASE}_Edge"),
        ("prod", DATABASE),
    ]
    assert tree_of(house, f"{STEM}-edge") == tree_of(house, STEM)


def test_a_new_delivery_replaces_the_structure(house):
    ingested(house)
    house.day = SECOND
    house.olx(**PLAIN | {"course__2016_T1": "<course/>"})
    house.ingest()
    assert blocks(house, "block_type") == [("course",)]
    assert tree_of(house)["children"] == []


def test_a_structure_that_comes_again_unchanged_is_not_read_again(house):
    ingested(house)
    assert house.ingest() == 0


def test_a_file_of_a_course_that_changes_brings_the_course_again(house):
    ingested(house)
    house.deliver(f"{STEM}/chapter/c1.xml", "<chapter/>")
    house.ingest()
    assert tree_of(house)["children"][0]["children"] == []


# --- faults inside a course -------------------------------------------------------------------

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "{}">]><chapter n="&b;"/>'.format(
    "&a;" * 99
)
THEFT = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><chapter><html>&a;</html></chapter>'


@pytest.mark.parametrize(
    ("chapter", "told"),
    [
        pytest.param(BOMB, "document type", id="entities that grow"),
        pytest.param(THEFT, "document type", id="an entity that reads a file"),
        pytest.param("<chapter", "Not well-formed", id="cut"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("<a>" * 1000 + "</a>" * 1000, "", id="very deep"),
        pytest.param("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "", id="bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_noted_and_the_rest_of_the_course_is_kept(
    house, chapter, told
):
    row = ingested(house, chapter__c1=chapter)
    assert row.state == "done"
    assert "video" in tags(tree_of(house))
    assert "root:" not in json.dumps(tree_of(house))
    notes = house.notes("course_structure")
    assert any(note.startswith("chapter/c1.xml") and told in note for note in notes)


def test_pointers_in_a_circle_are_cut_and_noted(house):
    row = ingested(
        house,
        chapter__c1='<chapter><sequential url_name="s1"/></chapter>',
        sequential__s1='<sequential><chapter url_name="c1"/></sequential>',
    )
    assert row.state == "done"
    assert any("points to itself" in note for note in house.notes("course_structure"))
    assert tags(tree_of(house)).count("chapter") <= 3


def test_a_file_that_points_to_itself_is_read_once(house):
    row = ingested(house, chapter__c1='<chapter><chapter url_name="c1"/></chapter>')
    assert (row.state, tags(tree_of(house)).count("video")) == ("done", 1)


@pytest.mark.parametrize(
    "url_name", ["../../../secret", "/etc/passwd", "..", "a/../../../secret", "x" * 2000, "a\tb"]
)
def test_a_pointer_never_leads_out_of_the_course(house, url_name):
    house.deliver("secret.xml", '<chapter display_name="secret"/>')
    tree = f'<course><chapter url_name="{url_name}"/></course>'
    row = ingested(house, course__2016_T1=tree)
    assert row.state == "done"
    assert "secret" not in [child.get("display_name") for child in tree_of(house)["children"]]


def test_a_link_never_leads_out_of_the_course(house):
    secret = house.deliver("secret.xml", '<chapter display_name="secret"/>')
    folder = house.olx(**PLAIN)
    (folder / "chapter/c1.xml").unlink()
    (folder / "chapter/c1.xml").symlink_to(secret)
    house.ingest()
    assert "secret" not in json.dumps(tree_of(house))


def test_a_named_pipe_in_a_course_stops_nobody(house):
    folder = house.olx(**PLAIN)
    (folder / "chapter/c1.xml").unlink()
    os.mkfifo(folder / "chapter/c1.xml")
    house.ingest()
    assert house.only("course_structure").state == "done"


def test_a_pointer_to_nothing_is_kept_under_its_own_tag_and_noted(house):
    house.olx(course=ENTRY, course__2016_T1=TREE)
    house.ingest()
    assert tree_of(house)["children"][0]["display_name"] == "One"
    assert any("there is none" in note for note in house.notes("course_structure"))


@pytest.mark.parametrize("policy", ["", "{", "[]", "5", '{"course/2016_T1": 5}', "NaN"])
def test_a_policy_that_cannot_be_used_does_not_cost_the_course(house, policy):
    house.deliver(f"{STEM}/policies/2016_T1/policy.json", policy)
    assert ingested(house).state == "done"
    assert info(house, "nchapters") == [(2,)]


@pytest.mark.parametrize("name", ["</script><script>", "'; DROP TABLE x; --", "=1+1", "🐝"])
def test_a_hostile_title_is_a_title(house, name):
    escaped = name.replace("<", "&lt;")
    ingested(house, chapter__c1=f'<chapter display_name="{escaped}"/>')
    assert tree_of(house)["children"][0]["display_name"] == name
    assert (name,) in blocks(house, "display_name")


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"course": "<course"}, id="a cut entry"),
        pytest.param({"course": "<html/>"}, id="another element"),
        pytest.param({"course": ENTRY}, id="an entry that points to nothing"),
        pytest.param({"course": BOMB.replace("chapter", "course")}, id="an entry of entities"),
    ],
)
def test_a_folder_without_a_usable_course_is_set_aside_with_a_remedy(house, files):
    house.olx(**files)
    house.ingest()
    row = house.only("course_structure")
    assert row.state == "failed"
    assert "Unpack the course archive again" in row.message
    assert not (house.settings.www_path / "course_structure").exists()


def test_a_folder_that_is_damaged_later_leaves_the_last_structure(house):
    ingested(house)
    house.deliver(f"{STEM}/course.xml", "<course")
    house.ingest()
    assert info(house, "nchapters") == [(2,)]
    assert tree_of(house)["display_name"] == "Bees"


@pytest.mark.parametrize("folder", ["'; DROP TABLE x; --", "a b", "é", "%2e%2e", "-rf"])
def test_a_folder_name_is_only_a_name(house, folder):
    assert ingested(house, folder).state == "done"
    written = [path for path in house.settings.www_path.rglob("*") if path.is_file()]
    assert all(path.parent.name == "course_structure" for path in written)
    assert all(path.name.isascii() for path in written)
