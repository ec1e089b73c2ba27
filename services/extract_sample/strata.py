"""How many learners of each stratum a sample has.

A stratum is: certified or not, the mode of enrolment, viewed or not. Most of those who enrol
never come; without the last a small sample may hold hardly anybody who did.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Stratum(NamedTuple):
    """Learners who are alike, named as in person_course; no mode is blank."""

    certified: int
    mode: str
    viewed: int


def quotas(
    strata: Mapping[Stratum, int], size: int, passing: float | None = None
) -> dict[Stratum, int]:
    """Share the places of a sample out.

    Args:
        strata: how many learners there are of each.
        size: how many there shall be in the sample; of fewer learners all are in it.
        passing: share of them that are certified, as far as there are enough of these and of
            the others; None: as among all.
    """
    if passing is None:
        return share_out(strata, size)
    certified = {stratum: count for stratum, count in strata.items() if stratum.certified}
    others = {stratum: count for stratum, count in strata.items() if not stratum.certified}
    size = min(size, sum(strata.values()))
    places = max(round(passing * size), size - sum(others.values()))
    places = min(places, sum(certified.values()))
    return share_out(certified, places) | share_out(others, size - places)


def share_out(strata: Mapping[Stratum, int], places: int) -> dict[Stratum, int]:
    """Give each stratum places in proportion; what is left goes to the largest remainders."""
    total = sum(strata.values())
    places = min(places, total)
    given = {stratum: places * count // total for stratum, count in strata.items()}
    by_remainder = sorted(
        strata, key=lambda stratum: (-(places * strata[stratum] % total), stratum)
    )
    for stratum in by_remainder[: places - sum(given.values())]:
        given[stratum] += 1
    return given
