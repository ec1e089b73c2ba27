"""Countries in the documents of MongoDB: the same as in the lake, field by field."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb

from optimus.outputs.bson_documents import id_range
from optimus.outputs.lake import footer
from optimus.outputs.mongo import opened
from optimus.outputs.mongo_updates import (
    IdRange,
    Newcomers,
    fill_places,
    retry_places,
)
from optimus.servers import MongoServer
from optimus.service import DerivedRun
from services.ip_to_country.addresses import first_public_address
from services.ip_to_country.databases import Lookup

Place = Mapping[str, str]
FIELDS = ("country", "subdivision", "city")
KNOWN = (
    "SELECT ip, country, subdivision, city FROM read_parquet($1) WHERE ip IN (SELECT unnest($2))"
)


class Places:
    """Where texts of ``ip`` are: as the lake says, or the geo database for what it never saw."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, table: Path, geo_database: Lookup
    ) -> None:
        """Ask these.

        Args:
            connection: to read the table with.
            table: the file of ``logs.ip_country``; it need not be there.
            geo_database: for events that are in MongoDB alone.
        """
        self._connection = connection
        self._table = table
        self._geo_database = geo_database

    def __call__(self, texts: Sequence[str]) -> dict[str, Place | None]:
        """Country, subdivision and city of each text; None where nobody knows."""
        known = self._known(texts)
        return {text: known.get(text) or self._looked_up(text) for text in texts}

    def _known(self, texts: Sequence[str]) -> dict[str, Place]:
        if not self._table.is_file():
            return {}
        found = self._connection.execute(KNOWN, [str(self._table), list(texts)]).fetchall()
        return {ip: _place(values) for ip, *values in found if values[0]}

    def _looked_up(self, text: str) -> Place | None:
        address = first_public_address(text)
        if address is None:
            return None
        answer = self._geo_database.find(address)
        return _place([answer.country, answer.subdivision, answer.city]) if answer.country else None


def _place(values: Sequence[str | None]) -> Place:
    return {name: value for name, value in zip(FIELDS, values, strict=True) if value}


def locate_documents(run: DerivedRun, server: MongoServer, places: Places, service: str) -> None:
    """Give the documents their countries: those of new logs, and those that others wrote.

    Raises:
        OutputUnavailableError: the server is away.
    """
    newcomers = Newcomers(server, "logs", "clickstream", service)
    with opened(server, "logs", "clickstream") as collection:
        ranges: list[IdRange | None] = [None]
        if run.fresh is not None and not newcomers.have_come():
            ranges = list(_ranges(run.fresh))
        if run.fresh is None:
            # Another geo database may know what earlier ones did not.
            run.counts.update(_named(retry_places(collection, places, run.guard)))
        for of_a_log in ranges:
            run.counts.update(_named(fill_places(collection, places, run.guard, of_a_log)))
    newcomers.were_seen()


def _ranges(files: Sequence[Path]) -> Iterator[IdRange]:
    for file in files:
        yield id_range(footer(file)["identity"])


def _named(counts: Mapping[str, int]) -> dict[str, int]:
    return {f"documents_{name}": count for name, count in counts.items() if count}
