"""What people say about themselves; made up again whenever it is needed, never remembered."""

from dataclasses import dataclass
from random import Random

from optimus.sample.people import Person
from optimus.sample.words import FAMILY_NAMES, GIVEN_NAMES

GENDERS = ("m", "f", "o", "", None)
GENDER_SHARES = (42, 40, 3, 8, 7)
LEVELS = ("p", "m", "b", "a", "hs", "jhs", "el", "none", "other", "", None, "p_se")
LEVEL_SHARES = (4, 22, 30, 8, 18, 3, 1, 1, 2, 4, 6, 1)
BIRTH_YEARS = (1941, 2001)
NO_BIRTH_YEAR = 0.15
NO_COUNTRY = 0.1
UNCONFIRMED = 0.08
STAFF_EVERY = 150
ODD_EVERY = 11
ODD_BIRTH_YEARS = ("", 1850, 2999, 1900)
ODD_NAMES = ("><", "Null", 'Ann "Bee" O\'Hive', "🐝 Maja", "tab\there")
GOALS = ("", None, "To learn about rivers.", "My boss asked me to")
ODD_GOALS = ('C:\\notes\nthen "fly"', "100% \\ and \\n", "Line\u2028separator")
ADDRESSES = (None, "", "1 River Road")
ODD_ADDRESSES = ("12 Bridge St\r\nUpstream\r\n4000", "Flat 3\n\tMill Lane")
JOINED_DAYS = (70, 900)


@dataclass(frozen=True, slots=True)
class Profile:
    """One row of the profile table, and what else comes from the registration form.

    Attributes:
        birth_year: a number, None or, in odd profiles, a blank text.
        joined_days: days from the account's making to the first day with logs.
    """

    name: str
    email: str
    gender: str | None
    birth_year: int | str | None
    level: str | None
    country: str | None
    city: str | None
    goals: str | None
    address: str | None
    bio: str | None
    joined_days: int
    is_confirmed: bool
    is_staff: bool


def make_profile(person: Person, seed: int, *, odd: bool) -> Profile:
    """Make up the profile of somebody; ``odd`` allows awkward texts and years."""
    dice = Random(f"{seed}/profile/{person.number}")
    place = person.places[0]
    is_odd = odd and person.number % ODD_EVERY == 0
    name = f"{dice.choice(GIVEN_NAMES)} {dice.choice(FAMILY_NAMES)}"
    year: int | str | None = dice.randint(*BIRTH_YEARS)
    if dice.random() < NO_BIRTH_YEAR:
        year = None
    if is_odd:
        year = ODD_BIRTH_YEARS[person.number // ODD_EVERY % len(ODD_BIRTH_YEARS)]
    return Profile(
        name=dice.choice(ODD_NAMES) if is_odd else name,
        email=f"learner{person.number}@mail.example",
        gender=dice.choices(GENDERS, GENDER_SHARES)[0],
        birth_year=year,
        level=dice.choices(LEVELS, LEVEL_SHARES)[0],
        country=dice.choice((None, "")) if dice.random() < NO_COUNTRY else place.country,
        city=place.city,
        goals=dice.choice(ODD_GOALS if is_odd else GOALS),
        address=dice.choice(ODD_ADDRESSES if is_odd else ADDRESSES),
        bio="I like rivers.\rReally." if is_odd else None,
        joined_days=dice.randint(*JOINED_DAYS),
        is_confirmed=dice.random() >= UNCONFIRMED,
        is_staff=person.number % STAFF_EVERY == 0,
    )
