"""Which versions of MySQL and MariaDB will do."""

import re
from dataclasses import dataclass

OLDEST = {"MySQL": (8, 0, 1), "MariaDB": (10, 6)}
TOO_OLD = (
    "is too old: it lacks SKIP LOCKED or a RENAME TABLE that happens as a whole. "
    "Install MySQL 8.0.1 or newer, or MariaDB 10.6 or newer."
)
# Old replication protocols made MariaDB write this before its version.
DISGUISE = "5.5.5-"


@dataclass(frozen=True)
class SqlVersion:
    """What a server is.

    Attributes:
        product: ``MySQL`` or ``MariaDB``.
        numbers: its version.
    """

    product: str
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.product} {'.'.join(map(str, self.numbers)) or 'of an unknown version'}"

    @property
    def is_too_old(self) -> bool:
        """Whether it lacks what the queue and the tables build on."""
        return self.numbers < OLDEST[self.product]


def parse_version(version: str, comment: str = "") -> SqlVersion:
    """Understand what a server says that it is, such as ``10.11.19-MariaDB-0+deb12u1``."""
    is_mariadb = "mariadb" in f"{version} {comment}".casefold()
    if is_mariadb:
        version = version.removeprefix(DISGUISE)
    return SqlVersion("MariaDB" if is_mariadb else "MySQL", numbers_of(version))


def numbers_of(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``(8, 0, 36)`` of ``8.0.36-0ubuntu0.22.04.1``."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in found[0].split(".")) if found else ()
