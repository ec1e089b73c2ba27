"""What is promised about the course structures of edX, one promise per test."""

import gzip
import json
from pathlib import Path

import pytest

from courses import get_all_courses
from services.edx_course_structure.service import LARGEST
from tests.services.deliveries import KEY, SECOND, STEM, SUFFIX, Deliveries

NAME = f"{STEM}-course_structure-{SUFFIX['prod']}.json"
BLOCKS = {
    "block-v1:DemoX+Bees101+2016_T1+type@course+block@course": {"category": "course"},
    "block-v1:DemoX+Bees101+2016_T1+type@html+block@h": {"category": "html"},
}
STRUCTURE = json.dumps(BLOCKS, indent=1)


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, ["edx_course_structure"])


def published(house: Deliveries) -> dict[str, bytes]:
    folder = house.settings.www_path / "edx_course_structure"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


def test_a_structure_is_copied_byte_for_byte_under_its_own_name(house):
    house.deliver(NAME, STRUCTURE)
    house.ingest()
    assert published(house) == {NAME: STRUCTURE.encode()}
    path = house.settings.www_path / "edx_course_structure" / NAME
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_blocks_are_counted(house):
    house.deliver(NAME, STRUCTURE)
    house.ingest()
    counts = house.only("edx_course_structure").counts
    assert (counts["lines"], counts["rows"]) == (2, 2)


def test_what_it_was_wrapped_in_is_no_part_of_the_name(house):
    house.deliver(f"{NAME}.gz", gzip.compress(STRUCTURE.encode()))
    house.ingest()
    assert published(house) == {NAME: STRUCTURE.encode()}


@pytest.mark.parametrize("wrapping", ["", ".gz"])
def test_the_list_of_courses_tells_the_name(house, wrapping):
    content = STRUCTURE.encode()
    house.deliver(f"{NAME}{wrapping}", gzip.compress(content) if wrapping else content)
    house.ingest()
    assert get_all_courses(house.settings)[KEY]["csjson"] in published(house)


def test_edge_and_production_are_two_files(house):
    names = {f"{STEM}-course_structure-{suffix}.json" for suffix in SUFFIX.values()}
    for name in names:
        house.deliver(name, STRUCTURE)
    house.ingest()
    assert set(published(house)) == names


def test_a_newer_delivery_takes_the_place_of_the_older(house):
    house.deliver(NAME, STRUCTURE)
    house.ingest()
    house.day = SECOND
    house.deliver(NAME, newer := STRUCTURE.replace("html", "video"))
    house.ingest()
    assert published(house) == {NAME: newer.encode()}


@pytest.mark.parametrize(
    "content",
    [
        pytest.param('{"a": {"x": NaN}}', id="no number"),
        pytest.param('{"a": {"x": "\\ud83d"}}', id="half a surrogate pair"),
        pytest.param('{"a": {"display_name": "<script>川"}}', id="a script"),
    ],
)
def test_whatever_the_platform_writes_is_a_structure(house, content):
    house.deliver(NAME, content)
    house.ingest()
    assert published(house) == {NAME: content.encode()}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"", "is not JSON", id="nothing"),
        pytest.param(STRUCTURE[:-9].encode(), "is not JSON", id="cut"),
        pytest.param(b'{"a": {"b": "\xff"}}', "is not JSON", id="no UTF-8"),
        pytest.param(b'{"a":' * 100_000, "is not JSON", id="very deep"),
        pytest.param(b"[]", "holds no object of blocks", id="a list"),
        pytest.param(b'{"a": 1}', "holds no object of blocks", id="numbers"),
        pytest.param(b"{}", "holds no block", id="no blocks"),
        pytest.param(b" " * (LARGEST + 1), "has more than", id="too large"),
    ],
)
def test_what_is_no_structure_fails_and_the_last_one_stays(house, content, told):
    house.deliver(NAME, STRUCTURE)
    house.ingest()
    house.day = SECOND
    house.deliver(NAME, content)
    house.ingest()
    states = {row.state: row.message for row in house.sources("edx_course_structure")}
    assert told in states["failed"]
    assert told == "has more than" or "Fetch it again" in states["failed"]
    assert published(house) == {NAME: STRUCTURE.encode()}


@pytest.mark.parametrize("stem", ["%2e%2e-a-b", "a b-c-d", "é-x-y", "'; DROP-x-y", "-rf-x-y"])
def test_a_name_is_only_a_name(house, stem):
    house.deliver(f"{stem}-course_structure-prod-analytics.json", STRUCTURE)
    house.ingest()
    [name] = published(house)
    assert name.isascii()
    assert not name.startswith(".")
    written = [path for path in house.settings.www_path.rglob("*") if path.is_file()]
    assert [path.parent.name for path in written] == ["edx_course_structure"]
