"""The address databases in use, and what their records say."""

import re
import struct
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import maxminddb

from optimus.errors import BadFileError

COUNTRY_SETTING = "GEOIP_COUNTRY_DB"
CITY_SETTING = "GEOIP_CITY_DB"
COUNTRY_CODE = re.compile("[A-Z]{2}")
UNKNOWN_COUNTRY = "ZZ"
IPV6 = 6


@dataclass(frozen=True)
class Database:
    """One ``.mmdb`` file, as its metadata describes it."""

    path: Path
    kind: str
    built_at: datetime
    nodes: int
    ip_version: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the metadata of a file.

        Raises:
            BadFileError: there is no such file, or it is no address database.
        """
        try:
            # Not mapped into memory: a file that shrinks while it is replaced would take the
            # whole daemon with it, which asks for this twice a second.
            with maxminddb.open_database(path, maxminddb.MODE_FILE) as reader:
                metadata = reader.metadata()
            return cls(
                path=path,
                kind=str(metadata.database_type),
                built_at=datetime.fromtimestamp(metadata.build_epoch, UTC),
                nodes=int(metadata.node_count),
                ip_version=int(metadata.ip_version),
            )
        except FileNotFoundError as error:
            raise BadFileError(f"{path}: there is no such file") from error
        except OSError as error:
            raise BadFileError(f"{path} cannot be read ({error.strerror})") from error
        except (maxminddb.InvalidDatabaseError, ValueError, TypeError, OverflowError) as error:
            raise BadFileError(f"{path} is not an .mmdb address database") from error

    def holds(self, word: str) -> bool:
        """Whether its kind says that it is a ``country`` or a ``city`` database."""
        return word in self.kind.casefold()

    @property
    def stamp(self) -> str:
        """What tells this file from any other edition."""
        return f"{self.kind} {self.built_at.timestamp():.0f} {self.nodes}"


@dataclass(frozen=True)
class Choice:
    """The databases that are asked.

    Attributes:
        country: tells the country, and is asked first.
        city: tells subdivision and city, and the country where ``country`` does not.
        left_alone: names of files in the folder that are no country or city databases.
    """

    country: Database | None
    city: Database | None
    left_alone: tuple[str, ...] = ()

    @property
    def databases(self) -> tuple[Database, ...]:
        """Those that are there, in the order they are asked."""
        return tuple(database for database in (self.country, self.city) if database)

    @property
    def stamp(self) -> str:
        """What tells this choice from any other."""
        return ", ".join(database.stamp for database in self.databases) or "none"


def choose(options: Mapping[str, Any], folder: Path) -> Choice:
    """Find the databases: those of the settings, else the newest of each kind in a folder.

    Raises:
        BadFileError: a setting names a file that cannot be used.
    """
    found, left_alone = _in_folder(folder)
    return Choice(
        country=_configured(options, COUNTRY_SETTING) or _newest(found, "country"),
        city=_configured(options, CITY_SETTING) or _newest(found, "city"),
        left_alone=tuple(left_alone),
    )


def _configured(options: Mapping[str, Any], setting: str) -> Database | None:
    path = options.get(setting)
    if path is None:
        return None
    try:
        return Database.read(Path(path))
    except BadFileError as error:
        raise BadFileError(
            f"{setting}: {error}. Name a GeoLite2, GeoIP2 or DB-IP .mmdb file, or leave it out."
        ) from error


def _in_folder(folder: Path) -> tuple[list[Database], list[str]]:
    found: list[Database] = []
    left_alone: list[str] = []
    for path in sorted(folder.glob("*.mmdb")):
        try:
            database = Database.read(path)
        except BadFileError:
            left_alone.append(path.name)
            continue
        if any(database.holds(word) for word in ("country", "city")):
            found.append(database)
        else:
            left_alone.append(path.name)
    return found, left_alone


def _newest(found: Iterable[Database], word: str) -> Database | None:
    fitting = (database for database in found if database.holds(word))
    return max(fitting, key=lambda database: database.built_at, default=None)


class Answer(NamedTuple):
    """What the databases say of one address.

    Attributes:
        country: ISO 3166 code.
        subdivision: ISO 3166-2 code without the country, of the largest subdivision.
        city: English name.
        database: the one that told the country, else the first that was asked.
    """

    country: str | None
    subdivision: str | None
    city: str | None
    database: Database


class Lookup:
    """The chosen databases, open. To be used in a ``with`` block."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._readers: dict[Path, maxminddb.Reader] = {}
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        for database in self._choice.databases:
            reader = maxminddb.open_database(database.path)
            self._readers[database.path] = self._opened.enter_context(reader)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._opened.close()

    def find(self, address: str) -> Answer:
        """Ask for one public address.

        Raises:
            BadFileError: a database is damaged.
        """
        records = [(one, self._record(one, address)) for one in self._choice.databases]
        known = ((country_of(record), one) for one, record in records)
        country, database = next((pair for pair in known if pair[0]), (None, records[0][0]))
        place = records[-1][1] if self._choice.city else {}
        return Answer(country, subdivision_of(place), city_of(place), database)

    def _record(self, database: Database, address: str) -> Mapping[str, Any]:
        if ":" in address and database.ip_version != IPV6:
            return {}
        try:
            record = self._readers[database.path].get(address)
        except (maxminddb.InvalidDatabaseError, struct.error):
            # The library's own sentence quotes the address.
            raise BadFileError(
                f"{database.path} is damaged. Put a fresh copy of it there."
            ) from None
        return record if isinstance(record, dict) else {}


def country_of(record: Mapping[str, Any]) -> str | None:
    """The country of a record, nested as MaxMind writes it or flat as others do."""
    country = record.get("country")
    nested = country.get("iso_code") if isinstance(country, dict) else country
    for code in (nested, record.get("country_code")):
        if isinstance(code, str) and COUNTRY_CODE.fullmatch(code) and code != UNKNOWN_COUNTRY:
            return code
    return None


def subdivision_of(record: Mapping[str, Any]) -> str | None:
    """The code of the largest subdivision that a record names."""
    match record.get("subdivisions"):
        case [{"iso_code": str(code)}, *_]:
            return code or None
    return None


def city_of(record: Mapping[str, Any]) -> str | None:
    """The English name of a record's city."""
    match record.get("city"):
        case {"names": {"en": str(name)}} | str(name):
            return name or None
    return None
