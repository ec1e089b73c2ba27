"""What is promised about addresses, databases and their records, one promise per test."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from services.ip_to_country.addresses import first_public_address
from services.ip_to_country.databases import city_of, country_of, subdivision_of
from tests.house import House
from tests.services.geo_house import (
    AUSTRALIA,
    BRISBANE,
    BUILT,
    ENGLAND,
    LATER,
    LONDON,
    countries,
    deliver,
    house_with,
    service_of,
    write_database,
)

PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mmdb"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return house_with(tmp_path)


@pytest.fixture
def library(house: House) -> Path:
    return service_of(house).library


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("81.2.69.160", "81.2.69.160", id="IPv4"),
        pytest.param("2A02:CF40:0::1", "2a02:cf40::1", id="IPv6 in a longer spelling"),
        pytest.param("81.2.69.160, 1.120.0.7", "81.2.69.160", id="a list: the client is first"),
        pytest.param("10.1.2.3, unknown, 1.120.0.7", "1.120.0.7", id="a list: first public one"),
        pytest.param("81.2.69.160:52011", "81.2.69.160", id="a port"),
        pytest.param("[2a02:cf40::1]:443", "2a02:cf40::1", id="an IPv6 address with a port"),
        pytest.param('"[2a02:cf40::1]"', "2a02:cf40::1", id="in quotes"),
        pytest.param("::ffff:81.2.69.160", "81.2.69.160", id="IPv4 mapped into IPv6"),
        pytest.param("2002:5102:45a0::1", "81.2.69.160", id="IPv4 tunnelled in IPv6"),
        pytest.param("2a02:cf40::1%eth0", "2a02:cf40::1", id="with a zone"),
        pytest.param("192.168.1.5", None, id="private"),
        pytest.param("100.64.0.1", None, id="of a carrier"),
        pytest.param("127.0.0.1", None, id="loopback"),
        pytest.param("::1", None, id="IPv6 loopback"),
        pytest.param("::ffff:10.0.0.1", None, id="private, mapped"),
        pytest.param("fe80::1", None, id="link-local"),
        pytest.param("203.0.113.9", None, id="for documentation"),
        pytest.param("2001:db8::1", None, id="IPv6 for documentation"),
        pytest.param("224.0.0.1", None, id="multicast"),
        pytest.param("081.2.69.160", None, id="ambiguous zeros"),
        pytest.param("81.2.69", None, id="too short"),
        pytest.param("81.2.69.999", None, id="out of range"),
        pytest.param("localhost", None, id="a name"),
        pytest.param(",,", None, id="commas only"),
    ],
)
def test_the_first_public_address_of_a_text_counts(text: str, address: str | None) -> None:
    assert first_public_address(text) == address


# --- which database is asked ---------------------------------------------------------------------


def test_a_city_database_alone_tells_everything(house: House, library: Path) -> None:
    write_database(library / "any.mmdb", kind="Test-City")
    deliver(house, LONDON)
    house.ingest()
    columns = "country, subdivision, city, database"
    [row] = house.query(f"SELECT {columns} FROM logs.ip_country")
    assert row == ("GB", "ENG", "London", "Test-City")


def test_with_both_databases_the_country_database_tells_the_country(
    house: House, library: Path
) -> None:
    write_database(library / "country.mmdb", {"81.2.69.0/24": {"country": {"iso_code": "IE"}}})
    write_database(library / "city.mmdb", kind="Test-City")
    deliver(house, LONDON, BRISBANE)
    house.ingest()
    rows = house.query("SELECT country, city, database FROM logs.ip_country ORDER BY country")
    assert rows == [("AU", None, "Test-City"), ("IE", "London", "Test-Country")]


def test_the_newest_database_in_the_folder_is_asked(house: House, library: Path) -> None:
    write_database(library / "a.mmdb", {"81.2.69.0/24": AUSTRALIA}, built=LATER)
    write_database(library / "b.mmdb", built=BUILT)
    deliver(house, LONDON)
    house.ingest()
    assert countries(house) == {LONDON: "AU"}


def test_a_configured_database_is_asked_in_place_of_the_folder(tmp_path: Path) -> None:
    path = write_database(tmp_path / "elsewhere" / "mine.mmdb", kind="Mine")
    house = house_with(tmp_path, geoip_country_db=path)
    write_database(tmp_path / "lib" / "country.mmdb", {"81.2.69.0/24": AUSTRALIA}, built=LATER)
    deliver(house, LONDON)
    house.ingest()
    assert countries(house) == {LONDON: "GB"}


@pytest.mark.parametrize("setting", ["geoip_country_db", "geoip_city_db"])
def test_a_configured_file_that_is_missing_is_named_with_its_setting(
    tmp_path: Path, setting: str
) -> None:
    house = house_with(tmp_path, **{setting: tmp_path / "gone.mmdb"})
    deliver(house, LONDON)
    house.ingest()
    [source] = house.sources("ip_to_country")
    assert source.state == "failed"
    assert source.message.startswith(f"{setting.upper()}: {tmp_path}/gone.mmdb: there is no such")


def test_a_configured_file_that_is_no_database_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "page.mmdb").write_text("<html>Please sign in</html>")
    house = house_with(tmp_path, geoip_city_db=tmp_path / "page.mmdb")
    deliver(house, LONDON)
    house.ingest()
    [source] = house.sources("ip_to_country")
    assert source.state == "failed"
    assert source.message.startswith(f"GEOIP_CITY_DB: {tmp_path}/page.mmdb is not an .mmdb")


def test_a_configured_file_that_is_put_there_later_is_taken_by_itself(tmp_path: Path) -> None:
    house = house_with(tmp_path, geoip_country_db=tmp_path / "late.mmdb")
    deliver(house, LONDON)
    house.ingest()
    write_database(tmp_path / "late.mmdb")
    house.ingest()
    assert countries(house) == {LONDON: "GB"}


def test_other_files_in_the_folder_are_left_alone_and_named(house: House, library: Path) -> None:
    write_database(library / "country.mmdb")
    write_database(library / "networks.mmdb", kind="Test-ASN")
    (library / "half.mmdb").write_bytes(b"\0" * 100)
    deliver(house, LONDON)
    house.ingest()
    assert countries(house) == {LONDON: "GB"}
    assert house.notes("ip_to_country") == [
        "half.mmdb in lib/ is no country or city database.",
        "networks.mmdb in lib/ is no country or city database.",
    ]


def test_a_damaged_database_fails_the_run_without_telling_an_address(
    house: House, library: Path
) -> None:
    path = write_database(library / "country.mmdb", ip_version=4)
    content = path.read_bytes()
    at = content.index(b"\0" * 16) + 16
    path.write_bytes(content[:at] + b"\xff" * 8 + content[at + 8 :])
    deliver(house, LONDON, BRISBANE)
    house.ingest()
    [source] = house.sources("ip_to_country")
    assert source.state == "failed"
    assert source.message == f"{path} is damaged. Put a fresh copy of it there."


def test_a_database_of_ipv4_only_does_not_know_ipv6(house: House, library: Path) -> None:
    write_database(library / "country.mmdb", ip_version=4)
    deliver(house, LONDON, "2a02:cf40::1")
    house.ingest()
    assert countries(house) == {"2a02:cf40::1": None, LONDON: "GB"}


# --- what a record says --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "country"),
    [
        pytest.param({"country": {"iso_code": "AU"}}, "AU", id="nested"),
        pytest.param({"country_code": "AU"}, "AU", id="flat"),
        pytest.param({"country": "AU"}, "AU", id="the code itself"),
        pytest.param({"country": "Australia", "country_code": "AU"}, "AU", id="name and code"),
        pytest.param({"registered_country": {"iso_code": "RO"}}, None, id="registered only"),
        pytest.param({"country_code": "ZZ"}, None, id="the code for unknown"),
        pytest.param({"country": {}}, None, id="nothing in it"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_both_shapes_of_records_tell_the_country(
    record: dict[str, Any], country: str | None
) -> None:
    assert country_of(record) == country


def test_the_largest_subdivision_and_the_english_name_are_taken() -> None:
    assert (subdivision_of(ENGLAND), city_of(ENGLAND)) == ("ENG", "London")


@pytest.mark.parametrize("record", [{}, {"subdivisions": [], "city": {}}, {"city": ""}])
def test_a_record_without_places_tells_none(record: dict[str, Any]) -> None:
    assert (subdivision_of(record), city_of(record)) == (None, None)


# --- the stamp -----------------------------------------------------------------------------------


def test_the_stamp_names_kind_build_and_size_of_the_databases(house: House, library: Path) -> None:
    assert service_of(house).stamp({}) == "none"
    write_database(library / "country.mmdb")
    kind, built, nodes = service_of(house).stamp({}).split()
    assert (kind, int(built)) == ("Test-Country", BUILT.timestamp())
    assert int(nodes) > 0


def test_the_stamp_of_an_unreadable_file_is_no_error(house: House, tmp_path: Path) -> None:
    assert service_of(house).stamp({"GEOIP_CITY_DB": tmp_path / "gone.mmdb"}) == "unreadable"


# --- databases as they are published -------------------------------------------------------------

IN_ALL = {"81.2.69.160": "GB", "2001:218::1": "JP", "67.43.156.1": "BT", "8.8.8.8": None}


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="shared/data/mmdb is not there")
@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("GeoIP2-City-Test", {"214.0.1.1": "AU", "214.1.1.1": None, "50.114.0.1": None}),
        ("GeoIP2-Country-Test", {"214.0.1.1": None, "214.1.1.1": None, "50.114.0.1": "US"}),
        ("GeoLite2-City-Test", {"89.160.20.112": "SE", "50.114.0.1": None}),
        ("GeoLite2-Country-Test", {"89.160.20.112": "SE", "50.114.0.1": "US"}),
    ],
)
def test_published_databases_are_understood(
    house: House, library: Path, name: str, others: dict[str, str | None]
) -> None:
    library.mkdir()
    shutil.copy(PUBLISHED / f"{name}.mmdb", library)
    deliver(house, *IN_ALL, *others)
    house.ingest()
    assert countries(house) == IN_ALL | others
