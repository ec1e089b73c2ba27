"""What is promised of the whole way: a packed package tells the same as the unpacked one."""

import os
from pathlib import Path
from typing import Any

import pytest

from optimus.outputs.catalog import Catalog
from optimus.sample import SamplePlan, write_package
from services.extract.service import Extract
from tests.house import House
from tests.services.packing import Arrivals, Key, pack_log, pack_package

SERVICES = (
    "extract",
    "clickstream",
    "database_state",
    "discussion_forums",
    "course_structure",
    "ip_to_country",
    "time_finder",
    "person_course",
)
PLAN = SamplePlan(events=600, learners=40, days=2, courses=3, quirks=True)


@pytest.fixture(scope="module")
def houses(tmp_path_factory: pytest.TempPathFactory, key: Key) -> tuple[House, Arrivals]:
    """One that got the package as it is, and one that got it as edX delivers it."""
    folder = tmp_path_factory.mktemp("plain")
    write_package(folder / "sample", PLAN)
    plain = House(folder, SERVICES, data_paths=[folder / "sample"])
    plain.ingest()
    arrivals = Arrivals(tmp_path_factory.mktemp("packed"), SERVICES, gpg_home=key.home)
    [state] = (folder / "sample" / "database_state").glob("2016-*")
    pack_package(state, arrivals.arrivals / f"riveru-{state.name}.zip", key)
    for log in (folder / "sample" / "clickstream_logs" / "events").iterdir():
        pack_log(log, arrivals.arrivals / "riveru" / "edx" / f"{log.name}.gpg", key)
    arrivals.ingest()
    return plain, arrivals


def contents(house: House) -> dict[str, list[str]]:
    """The rows of every table as text, in an order that does not depend on where they are from."""
    catalog = Catalog(house.settings.lake_path, house.registry.lake_tables)
    tables = [table for table in catalog.tables() if table.schema != "packages"]
    with catalog.connect(house.settings.state_path / "spill", tables) as connection:
        return {
            table.qualified: sorted(
                str(row) for row in connection.table(table.qualified).to_arrow_table().to_pylist()
            )
            for table in tables
        }


def test_all_tables_hold_the_same(houses):
    plain, packed = map(contents, houses)
    assert packed.keys() == plain.keys()
    assert [name for name in plain if plain[name] != packed[name]] == []
    assert len(plain['"Person_Course"."personcourse"']) > 20


def test_the_web_finds_the_courses_under_the_same_names(houses):
    written: list[dict[str, Any]] = []
    for house in houses:
        folder = house.settings.www_path / "course_structure"
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]


def test_nothing_is_unpacked_twice(houses):
    _, packed = houses
    assert packed.ingest() == 0


# --- check ------------------------------------------------------------------------------------


def found(arrivals: Arrivals) -> list[tuple[str, str]]:
    service = Extract()
    options = {name: getattr(arrivals.settings, name.lower()) for name in service.options}
    return list(service.check(options))


def complaints(arrivals: Arrivals) -> list[str]:
    return [sentence for verdict, sentence in found(arrivals) if verdict != "good"]


def test_a_check_finds_nothing_wrong_where_nothing_is(tmp_path, locked_key):
    file = tmp_path / "passphrase"
    file.write_text(locked_key.passphrase)
    file.chmod(0o600)
    arrivals = Arrivals(tmp_path, gpg_home=locked_key.home, gpg_passphrase_file=file)
    sentences = [sentence for _, sentence in found(arrivals)]
    assert complaints(arrivals) == []
    assert sentences[0].startswith("gpg (GnuPG) 2")
    assert not any(locked_key.passphrase in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param(lambda path: {"gpg_home": path}, "no secret key", id="no key"),
        pytest.param(
            lambda path: {"gpg_passphrase_file": path / "nowhere"}, "cannot be read", id="no file"
        ),
        pytest.param(
            lambda path: {"gpg_passphrase_file": readable(path / "open")}, "chmod 600", id="open"
        ),
        pytest.param(
            lambda path: {"delivery_paths": [path / "nowhere"]}, "no folder", id="no deliveries"
        ),
        pytest.param(
            lambda path: {"publish_path": path / "elsewhere"},
            "not among DATA_PATHS",
            id="elsewhere",
        ),
        pytest.param(lambda path: {"publish_group": "nobody at all"}, "no group", id="no group"),
    ],
)
def test_a_check_says_what_is_wrong(tmp_path, key, change, words):
    settings = {"gpg_home": key.home} | change(tmp_path)
    [complaint] = complaints(Arrivals(tmp_path, **settings))
    assert words in complaint


def readable(path: Path) -> Path:
    path.write_text("secret")
    path.chmod(0o644)
    return path


def test_a_check_says_that_there_is_no_gpg(tmp_path, monkeypatch):
    arrivals = Arrivals(tmp_path)
    monkeypatch.setitem(os.environ, "PATH", "/nowhere")
    assert complaints(arrivals) == ["There is no program gpg. Install GnuPG."]


def test_it_runs_only_where_deliveries_arrive(tmp_path):
    def names(**settings: Any) -> set[str]:
        return {service.name for service in House(tmp_path, **settings).registry.services}

    assert "extract" not in names()
    assert "extract" in names(delivery_paths=[tmp_path])
    assert "extract" in names(s3_sources=["s3://course-data/riveru-"])
