"""Which texts of logs.clickstream.ip were looked up before, and which are to be."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from optimus.outputs.catalog import Table
from services.ip_to_country.country_columns import IP_COUNTRY_SCHEMA

ROWS_PER_BATCH = 10_000

WANT_UNRESOLVED = """
INSERT INTO wanted SELECT ip, true FROM known WHERE address IS NOT NULL AND country IS NULL
"""
WANT_NEW = r"""
INSERT INTO wanted
SELECT DISTINCT ip, false
FROM delivered ANTI JOIN known USING (ip) ANTI JOIN wanted USING (ip)
WHERE regexp_matches(ip, '\S')
"""
KEPT = "SELECT * FROM known ANTI JOIN wanted USING (ip)"


class Texts:
    """The texts of the table as it is, and those that are wanted in it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: Path) -> None:
        """Begin with nothing wanted.

        Args:
            connection: where the texts are compared; what does not fit goes to its disk.
            table: the file of logs.ip_country, which need not exist.
        """
        self._connection = connection
        files = (table,) if table.is_file() else ()
        known = Table("logs", "ip_country", files, empty=IP_COUNTRY_SCHEMA)
        connection.execute(f"CREATE TEMP VIEW known AS {known.select()}")
        connection.execute("CREATE TEMP TABLE wanted (ip VARCHAR, retried BOOLEAN)")

    def want_unresolved(self) -> None:
        """Look up again what has a public address and no country."""
        self._connection.execute(WANT_UNRESOLVED)

    def want_new(self, files: Sequence[Path]) -> None:
        """Look up what some files of logs.clickstream hold and the table does not."""
        delivered = Table("logs", "clickstream", tuple(files), "ip").select()
        self._connection.execute(f"CREATE OR REPLACE TEMP VIEW delivered AS {delivered}")
        self._connection.execute(WANT_NEW)

    def counts(self) -> tuple[int, int, int]:
        """Rows of the table, those with a country, and texts that are wanted."""
        rows, resolved = self._one_row("SELECT count(*), count(country) FROM known")
        (wanted,) = self._one_row("SELECT count(*) FROM wanted")
        return rows, resolved, wanted

    def kept(self) -> Iterator[pa.RecordBatch]:
        """The rows of the table that stay as they are."""
        return iter(self._connection.sql(KEPT).to_arrow_reader(ROWS_PER_BATCH))

    def wanted(self) -> Iterator[tuple[list[str], list[bool]]]:
        """The texts to look up, and for each whether that happens again."""
        for batch in self._connection.table("wanted").to_arrow_reader(ROWS_PER_BATCH):
            yield batch.column("ip").to_pylist(), batch.column("retried").to_pylist()

    def _one_row(self, sql: str) -> tuple[Any, ...]:
        return self._connection.execute(sql).fetchall()[0]
