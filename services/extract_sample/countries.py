"""An address for each country: it tells the country, and nothing else of anybody."""

import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import maxminddb

from optimus.errors import BadFileError

SETTINGS = ("GEOIP_COUNTRY_DB", "GEOIP_CITY_DB")
LIBRARY = Path(__file__).parents[1] / "ip_to_country" / "lib"
NETWORKS_PER_TICK = 10_000


def representatives(
    options: Mapping[str, Any], countries: set[str], tick: Callable[[], None]
) -> dict[str, str]:
    """An address of each country, of the largest network that a database has for it.

    The largest, because it is least likely to be of another country in another database.

    Args:
        options: may name databases; else those that ip_to_country finds by itself are asked.
        countries: ISO 3166 codes.
        tick: called at least once a second.

    Returns:
        Addresses by country; without those that no database knows.

    Raises:
        BadFileError: a database cannot be read.
    """
    named = [Path(options[name]) for name in SETTINGS if options[name]]
    found: dict[str, str] = {}
    for path in named or sorted(LIBRARY.glob("*.mmdb")):
        missing = countries - set(found)
        if missing:
            found |= _largest(path, missing, tick)
    return found


def _largest(path: Path, countries: set[str], tick: Callable[[], None]) -> dict[str, str]:
    sizes: dict[str, tuple[int, int]] = {}
    addresses: dict[str, str] = {}
    try:
        with maxminddb.open_database(path) as reader:
            for number, (network, record) in enumerate(reader):
                country = _country(record)
                size = network.version, network.prefixlen
                if country in countries and network.is_global and size < sizes.get(country, (9, 0)):
                    sizes[country] = size
                    # The first address of a network is nobody's.
                    addresses[country] = str(network[min(1, network.num_addresses - 1)])
                if number % NETWORKS_PER_TICK == 0:
                    tick()
    except (OSError, maxminddb.InvalidDatabaseError, struct.error) as error:
        raise BadFileError(
            f"{path} is no address database that can be read. Put a fresh copy of it there."
        ) from error
    return addresses


def _country(record: object) -> str:
    if not isinstance(record, dict):
        return ""
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else country
    return str(code or record.get("country_code") or "")
