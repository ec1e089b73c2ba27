"""What is promised about the countries of addresses, one promise per test."""

from pathlib import Path
from typing import Any

import pytest

from optimus.touches import EVERYTHING
from tests.house import House
from tests.services.geo_house import (
    AUSTRALIA,
    BRISBANE,
    BUILT,
    LATER,
    LONDON,
    NETWORKS,
    NOWHERE,
    countries,
    counts,
    deliver,
    house_with,
    service_of,
    write_database,
)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return house_with(tmp_path)


@pytest.fixture
def library(house: House) -> Path:
    return service_of(house).library


# --- without a database --------------------------------------------------------------------------


def test_without_a_database_the_run_ends_well_and_says_what_to_put_where(house: House) -> None:
    deliver(house, LONDON)
    house.ingest()
    [note] = house.notes("ip_to_country")
    assert note.startswith("No geo database: countries stay blank.")
    assert "services/ip_to_country/lib/" in note
    assert "GEOIP_COUNTRY_DB" in note
    assert not (house.settings.lake_path / "ip_country.parquet").exists()


def test_a_database_that_comes_later_is_asked_about_all_earlier_logs(
    house: House, library: Path
) -> None:
    deliver(house, LONDON)
    house.ingest()
    write_database(library / "country.mmdb")
    house.ingest()
    assert countries(house) == {LONDON: "GB"}


# --- what becomes a row --------------------------------------------------------------------------


def test_each_distinct_text_is_one_row(house: House, library: Path) -> None:
    write_database(library / "country.mmdb")
    deliver(house, LONDON, BRISBANE, LONDON, f"{LONDON}, 10.0.0.1")
    house.ingest()
    assert countries(house) == {
        BRISBANE: "AU",
        LONDON: "GB",
        f"{LONDON}, 10.0.0.1": "GB",
    }


@pytest.mark.parametrize(
    "line",
    [
        pytest.param({"ip": ""}, id="empty"),
        pytest.param({"ip": " \t"}, id="white space"),
        pytest.param({"ip": None}, id="null"),
        pytest.param({}, id="absent"),
    ],
)
def test_a_blank_text_is_no_row(house: House, library: Path, line: dict[str, Any]) -> None:
    write_database(library / "country.mmdb")
    house.log("demox-edx-events-2014-03-04.log", line)
    house.ingest()
    assert countries(house) == {}


def test_a_text_without_a_public_address_is_kept_without_a_country(
    house: House, library: Path
) -> None:
    write_database(library / "country.mmdb")
    deliver(house, "10.0.0.1", "nonsense")
    house.ingest()
    rows = house.query("SELECT ip, address, country, database FROM logs.ip_country ORDER BY ip")
    assert rows == [("10.0.0.1", None, None, None), ("nonsense", None, None, None)]


# --- what is looked up, and when -----------------------------------------------------------------


def test_only_texts_that_were_never_seen_are_looked_up(house: House, library: Path) -> None:
    write_database(library / "country.mmdb")
    deliver(house, LONDON, NOWHERE)
    house.ingest()
    assert counts(house) == (2, 2, 1)
    deliver(house, LONDON, NOWHERE, BRISBANE, day="2014-03-05")
    house.ingest()
    assert counts(house) == (3, 1, 2)


def test_a_log_without_new_texts_leaves_the_table_untouched(house: House, library: Path) -> None:
    write_database(library / "country.mmdb")
    deliver(house, LONDON)
    house.ingest()
    before = (house.settings.lake_path / "ip_country.parquet").stat().st_ino
    deliver(house, LONDON, day="2014-03-05")
    house.ingest()
    assert counts(house) == (1, 0, 1)
    assert house.runs("ip_to_country")[-1].published == []
    assert (house.settings.lake_path / "ip_country.parquet").stat().st_ino == before


def test_a_newer_database_is_asked_only_about_what_has_no_country(
    house: House, library: Path
) -> None:
    path = write_database(library / "country.mmdb")
    deliver(house, LONDON, NOWHERE, "10.0.0.1", "nonsense")
    house.ingest()
    sold = {"81.2.69.0/24": AUSTRALIA, "93.184.215.0/24": {"country": {"iso_code": "US"}}}
    write_database(path, sold, built=LATER)
    house.ingest()
    assert counts(house) == (4, 1, 2)
    assert countries(house) == {LONDON: "GB", NOWHERE: "US", "10.0.0.1": None, "nonsense": None}


def test_each_row_names_the_database_that_told_its_country(house: House, library: Path) -> None:
    path = write_database(library / "country.mmdb", kind="Old-Country")
    deliver(house, LONDON, NOWHERE)
    house.ingest()
    found = {**NETWORKS, "93.184.215.0/24": {"country": {"iso_code": "US"}}}
    write_database(path, found, kind="New-Country", built=LATER)
    house.ingest()
    rows = house.query("SELECT ip, database, database_built FROM logs.ip_country ORDER BY ip")
    assert rows == [(LONDON, "Old-Country", BUILT), (NOWHERE, "New-Country", LATER)]


def test_a_country_found_later_touches_all_courses(house: House, library: Path) -> None:
    path = write_database(library / "country.mmdb")
    deliver(house, NOWHERE)
    house.ingest()
    write_database(path, {"93.184.215.0/24": AUSTRALIA}, built=LATER)
    house.ingest()
    assert house.runs("ip_to_country")[-1].touches == [EVERYTHING]


def test_a_table_that_was_removed_is_made_anew_from_all_logs(house: House, library: Path) -> None:
    write_database(library / "country.mmdb")
    deliver(house, LONDON)
    house.ingest()
    (house.settings.lake_path / "ip_country.parquet").unlink()
    deliver(house, BRISBANE, day="2014-03-05")
    house.ingest()
    assert countries(house) == {BRISBANE: "AU", LONDON: "GB"}
    assert house.runs("ip_to_country")[-1].touches == [EVERYTHING]
