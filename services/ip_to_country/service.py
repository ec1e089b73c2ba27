"""IP to country: where in the world each event came from.

In     logs.clickstream.ip; country and city databases (.mmdb) of the settings or of lib/
Out    lake/ip_country.parquet: logs.ip_country, one row per distinct text ever seen
       MongoDB logs.clickstream: country, subdivision and city, or geo_attempt
Waits  for clickstream; person_course and daily_count wait for us
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from optimus.errors import BadFileError
from optimus.outputs.catalog import LakeTables
from optimus.service import MONGODB, DerivedRun, DerivedService
from optimus.touches import EVERYTHING
from services.ip_to_country.addresses import first_public_address
from services.ip_to_country.country_columns import IP_COUNTRY_SCHEMA
from services.ip_to_country.databases import CITY_SETTING, COUNTRY_SETTING, Lookup, choose
from services.ip_to_country.documents import Places, locate_documents
from services.ip_to_country.texts import Texts

TABLE = "ip_country.parquet"
LOGS_AT_ONCE = 20
NO_DATABASE = (
    "No geo database: countries stay blank. Put a GeoLite2, GeoIP2 or DB-IP .mmdb file into "
    f"services/ip_to_country/lib/ or name it in {COUNTRY_SETTING}."
)


class IpToCountry(DerivedService):
    """Countries of addresses. A text that has its country keeps it."""

    name = "ip_to_country"
    spelled = "IPToCountry"
    title = "Countries of addresses"
    needs = ("clickstream",)
    options = (COUNTRY_SETTING, CITY_SETTING)
    servers = (MONGODB,)
    lake_tables = (
        LakeTables(
            pattern=TABLE,
            schema="logs",
            table="ip_country",
            empty=IP_COUNTRY_SCHEMA,
            about="One row per distinct text of logs.clickstream.ip: its address and country.",
        ),
    )
    library: Path = Path(__file__).with_name("lib")
    """The folder looked through for databases that the settings do not name."""

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Name the databases in use: another one can know what these did not."""
        try:
            return choose(options, self.library).stamp
        except BadFileError:
            return "unreadable"

    def check(self, options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Tell which databases would be asked."""
        try:
            databases = choose(options, self.library).databases
        except BadFileError as error:
            return [("bad", str(error))]
        if not databases:
            return [("look", NO_DATABASE)]
        return [
            ("good", f"{database.kind} of {database.built_at:%Y-%m-%d} ({database.path.name}).")
            for database in databases
        ]

    def derive(self, run: DerivedRun) -> None:
        """Look up what was never looked up, and what earlier databases did not know.

        Raises:
            BadFileError: a setting names a file that cannot be used.
        """
        choice = choose(run.options, self.library)
        for name in choice.left_alone:
            run.note(f"{name} in {self.library.name}/ is no country or city database.")
        if not choice.databases:
            run.note(NO_DATABASE)
            return
        table = run.place.lake / TABLE
        with run.connect(()) as connection, Lookup(choice) as lookup:
            texts = Texts(connection, table)
            _gather(run, texts, table)
            run.counts["rows"], run.counts["with_country"], run.counts["looked_up"] = texts.counts()
            if run.counts["looked_up"]:
                _rewrite(run, texts, lookup)
            if run.mongodb is not None:
                places = Places(connection, run.lake.newest(TABLE), lookup)
                locate_documents(run, run.mongodb, places, self.name)


def _gather(run: DerivedRun, texts: Texts, table: Path) -> None:
    if run.fresh is None:
        texts.want_unresolved()
    files = run.fresh
    if files is None or not table.is_file():
        clickstream = run.catalog.table("logs", "clickstream")
        files = clickstream.files if clickstream else ()
    if not table.is_file():
        # The operator removes the table to have it made anew: any country may be another now.
        run.touches.add(EVERYTHING)
    run.progress.total = len(files)
    for first in range(0, len(files), LOGS_AT_ONCE):
        texts.want_new(files[first : first + LOGS_AT_ONCE])
        run.tick(min(first + LOGS_AT_ONCE, len(files)))


def _rewrite(run: DerivedRun, texts: Texts, lookup: Lookup) -> None:
    with run.lake.open(TABLE, IP_COUNTRY_SCHEMA) as file:
        for batch in texts.kept():
            file.write(batch.cast(IP_COUNTRY_SCHEMA))
            run.tick()
        for ips, retried in texts.wanted():
            rows = [_row(ip, lookup) for ip in ips]
            file.write(pa.RecordBatch.from_pylist(rows, schema=IP_COUNTRY_SCHEMA))
            resolved = [row.get("country") is not None for row in rows]
            if any(again and gained for again, gained in zip(retried, resolved, strict=True)):
                run.touches.add(EVERYTHING)
            run.counts["with_country"] += sum(resolved)
            run.tick(rows=len(rows))
    run.counts["rows"] = file.rows


def _row(ip: str, lookup: Lookup) -> dict[str, Any]:
    address = first_public_address(ip)
    if address is None:
        return {"ip": ip}
    answer = lookup.find(address)
    return {
        "ip": ip,
        "address": address,
        "country": answer.country,
        "subdivision": answer.subdivision,
        "city": answer.city,
        "database": answer.database.kind,
        "database_built": answer.database.built_at,
    }
