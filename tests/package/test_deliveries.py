"""What is promised about finding what edX delivers."""

from datetime import date

import pytest

from optimus.package.deliveries import find_deliveries, org_of, parse_delivery
from optimus.package.names import FileKind


@pytest.mark.parametrize(
    ("name", "kind", "org", "day"),
    [
        ("riveru-2016-03-06.zip", FileKind.package_zip, "riveru", date(2016, 3, 6)),
        ("River-U-2016-03-06.ZIP", FileKind.package_zip, "river-u", date(2016, 3, 6)),
        (
            "riveru-edx-events-2016-03-06.log.gz.gpg",
            FileKind.events,
            "riveru",
            date(2016, 3, 6),
        ),
        ("riveru-edge-events-2016-03-06.log.gz", FileKind.events, "riveru", date(2016, 3, 6)),
        ("2013-01-01_RiverU.log.gz.gpg", FileKind.events, "riveru", date(2013, 1, 1)),
    ],
)
def test_deliveries_are_known_by_their_names(name, kind, org, day):
    found = parse_delivery(name)
    assert found
    assert (found.kind, org_of(found), found.day) == (kind, org, day)


@pytest.mark.parametrize(
    "name",
    [
        "riveru-2016-02-30.zip",
        "riveru.zip",
        ".riveru-2016-03-06.zip",
        "riveru-2016-03-06.zip.part",
        "riveru-2016-03-06.zip.1a2b3c4d",
        "riveru-edx-events-2016-03-06.log",
        "riveru-edx-events-2016-03-06.log.failed.gpg",
        "RiverU-Bees101-1-auth_user-prod-analytics.sql.gpg",
        "notes.txt",
    ],
)
def test_what_is_no_delivery_is_left_alone(name):
    assert parse_delivery(name) is None


def test_deliveries_are_found_in_any_subfolder_and_the_rest_is_told(tmp_path):
    for path in ("email-opt-in/riveru-2016-03-06.zip", "riveru-2016-03-06.zip", "notes.txt"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    remarks: list[str] = []
    found = find_deliveries([tmp_path], remarks)
    assert sorted(file.source for file in found) == [
        "email-opt-in/riveru-2016-03-06.zip",
        "riveru-2016-03-06.zip",
    ]
    assert remarks == [f"{tmp_path / 'notes.txt'} is no delivery; left alone."]


def test_the_same_name_in_two_folders_makes_two_sources(tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
        (folder / "riveru-2016-03-06.zip").write_bytes(b"")
    first, second = find_deliveries(folders, [])
    assert first.source == "riveru-2016-03-06.zip"
    assert second.source.startswith("riveru-2016-03-06.zip@")


def test_a_folder_that_is_not_there_is_told(tmp_path):
    remarks: list[str] = []
    assert find_deliveries([tmp_path / "none"], remarks) == []
    assert "DELIVERY_PATHS" in remarks[0]
