"""What is promised about the package as a whole."""

import hashlib
import os
import stat
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import maxminddb
import pytest

from optimus.errors import UsageError
from optimus.sample import SamplePlan, SampleReport, tree, write_package
from optimus.sample.geo import write_geo_database
from optimus.sample.places import PLACES
from tests.sample.packages import Package, read_event

PLAN = SamplePlan(courses=4, learners=60, days=3, events=4_000)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> SampleReport:
    return write_package(tmp_path_factory.mktemp("sample") / "package", PLAN)


def digests(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def test_the_same_plan_gives_the_same_bytes(report, tmp_path):
    write_package(tmp_path / "again", PLAN)
    assert digests(tmp_path / "again") == digests(report.root)


@pytest.mark.parametrize("surroundings", [{"PYTHONHASHSEED": "7", "TZ": "Pacific/Auckland"}])
def test_hash_seed_and_time_zone_do_not_matter(report, tmp_path, surroundings):
    program = (
        "import sys; from pathlib import Path; from optimus.sample import *;"
        f"write_package(Path(sys.argv[1]), SamplePlan({PLAN.courses}, {PLAN.learners}, "
        f"{PLAN.days}, {PLAN.events}))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "elsewhere")]
    house = Path(__file__).parents[2]
    subprocess.run(command, env={**os.environ, **surroundings}, cwd=house, check=True)
    assert digests(tmp_path / "elsewhere") == digests(report.root)


def test_without_the_fast_compressor_the_lines_are_the_same(report, tmp_path, monkeypatch):
    monkeypatch.setattr(tree, "isal_zlib", None)
    slow = write_package(tmp_path / "slow", PLAN)
    assert list(Package(slow.root).lines()) == list(Package(report.root).lines())


def test_another_seed_gives_other_people(report, tmp_path):
    write_package(tmp_path / "other", replace(PLAN, seed=2))
    ours, theirs = digests(report.root), digests(tmp_path / "other")
    accounts = [name for name in ours if "-auth_user-" in name]
    assert accounts
    assert all(ours[name] != theirs[name] for name in accounts)


def test_the_report_counts_what_is_on_the_disk(report):
    files = [path for path in report.root.rglob("*") if path.is_file() and not path.is_symlink()]
    # Links to folders are not followed by rglob, so that nothing is counted twice.
    assert report.files == len(files)
    assert report.bytes == sum(path.stat().st_size for path in files)
    lines = list(Package(report.root).lines())
    assert report.events == len(lines)
    assert report.broken_lines == sum(read_event(line) is None for _, line in lines)


def test_about_as_many_events_are_written_as_planned(report):
    assert report.events == pytest.approx(PLAN.events, rel=0.05)


def test_the_report_names_courses_learners_and_days(report):
    assert report.courses == (
        "course-v1:RiverU+Bees101+2016_T1",
        "RiverU/Hives2.1x/1T2016",
        "course-v1:RiverU+Bees101+2016_T1-trial",
        "course-v1:RiverU+Moss103+2016_T1",
    )
    assert (report.learners, report.days) == (60, 3)


def test_a_package_without_quirks_has_no_broken_line(tmp_path):
    clean = write_package(tmp_path / "clean", replace(PLAN, quirks=False, gzip=False, events=900))
    package = Package(clean.root)
    assert clean.broken_lines == 0
    assert len(package.events) == clean.events
    assert len(package.distinct_events) == clean.events
    assert all(line.startswith(b"{") for _, line in package.lines())
    assert not list(clean.root.rglob("*.failed"))
    assert all(path.suffix == ".log" for path in package.log_paths())


def test_every_kind_of_broken_line_occurs_once(report):
    broken = [line for _, line in Package(report.root).lines() if read_event(line) is None]
    assert len(broken) == len(set(broken)) == 13


def test_odd_lines_are_kept(report):
    package = Package(report.root)
    lines = [line for _, line in package.lines()]
    assert any(line.startswith(b"Feb ") for line in lines)
    assert any(b"logger.py" in line[:100] for line in lines)
    assert any(line.endswith(b"\r") and read_event(line) for line in lines)
    assert len(package.distinct_events) < len(package.events)
    text = b"\n".join(lines)
    for odd in (b"\\ud83d", b"123456789012345678901234567890", b'"$set"', b'"not a time"'):
        assert odd in text


def test_days_have_one_file_per_site(report):
    names = [path.name for path in Package(report.root).log_paths()]
    assert names == [
        f"riveru-{site}-events-2016-02-0{day}.log.gz"
        for site in ("edge", "edx")
        for day in (1, 2, 3)
    ]


def test_compressed_files_carry_no_time_and_no_name(report):
    for path in Package(report.root).log_paths():
        assert path.read_bytes()[:8] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00"


def test_latest_is_a_relative_link(report):
    assert (report.root / "clickstream_logs/latest").readlink() == Path("events")
    assert (report.root / "database_state/latest").readlink() == Path("2016-02-04")


def test_nobody_else_may_read_the_files(report):
    for path in report.root.rglob("*"):
        if not path.is_symlink():
            expected = 0o750 if path.is_dir() else 0o640
            assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="name another folder"):
        write_package(tmp_path, PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"courses": 0}, "from 1 to"),
        ({"learners": 3}, "at least 15"),
        ({"days": 0}, "at least 1 day"),
        ({"events": 0}, "at least 1 event"),
        ({"start": date(1999, 1, 1)}, "another start"),
    ],
)
def test_an_impossible_plan_is_refused_with_the_remedy(wrong, sentence):
    with pytest.raises(UsageError, match=sentence):
        SamplePlan(**wrong)


@pytest.mark.parametrize(
    "plan",
    [
        SamplePlan(courses=1, learners=5, days=1, events=1),
        SamplePlan(courses=2, learners=10, days=1, events=300, quirks=False),
        SamplePlan(courses=5, learners=25, days=40, events=200),
    ],
)
def test_tiny_packages_are_written_as_well(tmp_path, plan):
    written = write_package(tmp_path / "tiny", plan)
    lines = [line for _, line in Package(written.root).lines()]
    assert written.events == len(lines)
    assert written.broken_lines == sum(read_event(line) is None for line in lines)


def test_progress_is_told_up_to_the_end(tmp_path):
    told: list[tuple[int, int]] = []
    written = write_package(
        tmp_path / "package",
        SamplePlan(courses=1, learners=30, days=2, events=45_000),
        lambda done, total: told.append((done, total)),
    )
    assert told == sorted(told)
    assert len(told) >= 3
    assert told[-1] == (written.events, written.events)


def test_the_address_database_knows_the_places_of_learners(report, tmp_path):
    write_geo_database(tmp_path / "places.mmdb")
    home = {place.prefix: place for place in PLACES}
    seen: Counter[str] = Counter()
    with maxminddb.open_database(tmp_path / "places.mmdb") as database:
        assert database.metadata().database_type == "Optimus-Sample-City"
        for event in Package(report.root).events:
            address = str(event.body.get("ip", "")).split(",")[0]
            place = next((home[prefix] for prefix in home if address.startswith(prefix)), None)
            if place is None:
                continue
            record: Any = database.get(address)
            assert (record is not None) is place.is_known
            if record is not None:
                assert record["country"]["iso_code"] == place.country
                seen[place.country] += 1
    assert len(seen) >= 5


def test_the_address_database_has_city_and_subdivision(tmp_path):
    write_geo_database(tmp_path / "places.mmdb")
    with maxminddb.open_database(tmp_path / "places.mmdb") as database:
        record: Any = database.get("11.20.1.1")
        assert record["country"]["names"]["en"] == "Australia"
        assert record["subdivisions"][0]["iso_code"] == "QLD"
        assert record["city"]["names"]["en"] == "Brisbane"
        assert database.get("2d00:5a3e:1::2") is not None
        assert database.get("7.44.1.1") is None
        assert database.get("10.0.2.2") is None
