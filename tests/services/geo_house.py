"""A house with address databases, for the tests of the countries of addresses."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from services.ip_to_country.service import IpToCountry
from tests.house import House

BRISBANE, LONDON, NOWHERE = "1.120.0.7", "81.2.69.160", "93.184.215.14"
BUILT = datetime(2014, 6, 3, tzinfo=UTC)
LATER = datetime(2019, 6, 3, tzinfo=UTC)
AUSTRALIA = {"country": {"iso_code": "AU"}}
ENGLAND = {
    "country": {"iso_code": "GB"},
    "subdivisions": [{"iso_code": "ENG"}, {"iso_code": "WBK"}],
    "city": {"names": {"en": "London", "fr": "Londres"}},
}
NETWORKS: dict[str, dict[str, Any]] = {"1.120.0.0/13": AUSTRALIA, "81.2.69.0/24": ENGLAND}


class DatedWriter(MMDBWriter):
    """Writes databases that were built at a given time."""

    built = BUILT

    def _build_meta(self) -> Any:
        return super()._build_meta() | {"build_epoch": int(self.built.timestamp())}


def write_database(
    path: Path,
    networks: Mapping[str, Mapping[str, Any]] = NETWORKS,
    kind: str = "Test-Country",
    built: datetime = BUILT,
    ip_version: int = 6,
) -> Path:
    writer = DatedWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6, database_type=kind)
    writer.built = built
    for network, record in networks.items():
        writer.insert_network(IPSet([network]), dict(record))
    path.parent.mkdir(exist_ok=True)
    writer.to_db_file(str(path))
    return path


def service_of(house: House) -> IpToCountry:
    service = house.registry["ip_to_country"]
    assert isinstance(service, IpToCountry)
    return service


def house_with(folder: Path, **settings: Any) -> House:
    house = House(folder, ["clickstream", "ip_to_country"], **settings)
    # Whoever runs the tests may have a real database in the real folder.
    service_of(house).library = folder / "lib"
    return house


def deliver(house: House, *ips: str, day: str = "2014-03-04") -> None:
    time = f"{day}T05:06:07+00:00"
    house.log(f"demox-edx-events-{day}.log", *[{"time": time, "ip": ip} for ip in ips])


def countries(house: House) -> dict[str, str | None]:
    return dict(house.query("SELECT ip, country FROM logs.ip_country ORDER BY ip"))


def counts(house: House) -> tuple[int, int, int]:
    found = house.runs("ip_to_country")[-1].counts
    return found["rows"], found["looked_up"], found["with_country"]
