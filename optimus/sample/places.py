"""The addresses sample learners come from.

The IPv4 blocks are routable by their number but in nobody's public use, and the IPv6
block is not given out yet: no real visitor is ever meant.
"""

from dataclasses import dataclass
from random import Random

PRIVATE_ADDRESSES = ("10.0.2.2", "172.18.0.1", "192.168.1.20", "127.0.0.1")


@dataclass(frozen=True, slots=True)
class Place:
    """One network and where it is.

    Attributes:
        prefix: the address up to the part that differs, ``11.20.`` or ``2d00:5a3e:``.
        share: how many learners live here, relative to the other places.
        offset: hours that local time is ahead of UTC.
        is_known: whether the sample's address database knows the network.
    """

    prefix: str
    country: str
    country_name: str
    region: str
    region_name: str
    city: str
    share: int
    offset: int
    is_known: bool = True

    @property
    def network(self) -> str:
        """The network in the usual notation, such as ``11.20.0.0/16``."""
        return f"{self.prefix}:/32" if ":" in self.prefix else f"{self.prefix}0.0/16"

    def address(self, dice: Random) -> str:
        """Draw one address of the network, as text."""
        if ":" in self.prefix:
            return f"{self.prefix}{dice.randint(1, 4000):x}::{dice.randint(1, 65000):x}"
        return f"{self.prefix}{dice.randint(0, 255)}.{dice.randint(1, 254)}"


PLACES = (
    Place("11.20.", "AU", "Australia", "QLD", "Queensland", "Brisbane", 20, 10),
    Place("11.21.", "AU", "Australia", "NSW", "New South Wales", "Sydney", 12, 10),
    Place("21.40.", "US", "United States", "MA", "Massachusetts", "Boston", 12, -5),
    Place("21.41.", "US", "United States", "CA", "California", "Fresno", 10, -8),
    Place("22.60.", "IN", "India", "KA", "Karnataka", "Bengaluru", 14, 5),
    Place("26.12.", "GB", "United Kingdom", "ENG", "England", "Leeds", 7, 0),
    Place("28.33.", "BR", "Brazil", "BA", "Bahia", "Salvador", 6, -3),
    Place("29.70.", "DE", "Germany", "SN", "Saxony", "Leipzig", 4, 1),
    Place("30.15.", "NG", "Nigeria", "LA", "Lagos", "Lagos", 4, 1),
    Place("33.80.", "JP", "Japan", "13", "Tokyo", "Tokyo", 3, 9),
    Place("55.90.", "MX", "Mexico", "JAL", "Jalisco", "Guadalajara", 3, -6),
    Place("2d00:5a3e:", "NZ", "New Zealand", "WGN", "Wellington", "Wellington", 4, 12),
    Place("7.44.", "FJ", "Fiji", "C", "Central", "Suva", 2, 12, is_known=False),
    Place("6.45.", "PK", "Pakistan", "PB", "Punjab", "Multan", 2, 5, is_known=False),
)
SHARES = tuple(place.share for place in PLACES)


def draw_place(dice: Random) -> Place:
    """Draw a place, the likelier the more learners live there."""
    return dice.choices(PLACES, SHARES)[0]
