"""A small address database in the shape of the well-known city databases."""

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

from optimus.sample.places import PLACES, Place

DATABASE_TYPE = "Optimus-Sample-City"
FILE_MODE = 0o640


def write_geo_database(path: Path) -> None:
    """Write the address database of the sample's networks.

    Two of the networks are left out, so that "unknown" happens.

    Args:
        path: the ``.mmdb`` file to write; its folder is made when absent.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    writer = MMDBWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type=DATABASE_TYPE,
        languages=["en"],
        description={"en": "Where the made-up learners of the sample package live"},
    )
    for number, place in enumerate(PLACES):
        if place.is_known:
            writer.insert_network(IPSet([place.network]), _record(place, number))
    path.touch(mode=FILE_MODE)
    writer.to_db_file(str(path))


def _record(place: Place, number: int) -> dict[str, object]:
    country = {
        "geoname_id": 9_000_000 + number,
        "iso_code": place.country,
        "names": {"en": place.country_name},
    }
    return {
        "city": {"geoname_id": 9_100_000 + number, "names": {"en": place.city}},
        "country": country,
        "registered_country": country,
        "subdivisions": [
            {
                "geoname_id": 9_200_000 + number,
                "iso_code": place.region,
                "names": {"en": place.region_name},
            }
        ],
    }
