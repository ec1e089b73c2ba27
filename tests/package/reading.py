"""A ``.sql`` file read to its end, for the tests of what is promised about it."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from optimus.package.tsv import TableReader

ENROLLMENT = b"id\tuser_id\tcourse_id\tcreated\tis_active\tmode"
GOOD = b"1\t7\tRiverU/Bees101/2013_Fall\t2013-08-20 10:11:12\t1\thonor"


class Reading:
    """The rows of a file, and all that was told of it."""

    def __init__(self, content: bytes, table: str = "notes", batch_rows: int = 20_000) -> None:
        self.rejects: list[tuple[int, int, str, str, bytes]] = []
        self.repairs: list[tuple[int, int, str, bytes]] = []
        self.reader = TableReader(
            lines_of(content),
            table,
            lambda *reject: self.rejects.append(reject),
            lambda *repair: self.repairs.append(repair),
            batch_rows,
        )
        self.batches = list(self.reader.read_batches())
        self.counts = self.reader.counts
        self.table = pa.Table.from_batches(self.batches, schema=self.reader.schema)

    @property
    def rows(self) -> list[list[Any]]:
        return [list(row.values()) for row in self.table.to_pylist()]

    @property
    def reasons(self) -> list[str]:
        return [reject[2] for reject in self.rejects]

    def column(self, name: str) -> list[Any]:
        return self.table.column(name).to_pylist()


def lines_of(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    parts = content.split(b"\n")
    for number, raw in enumerate(parts[:-1] if parts[-1] == b"" else parts, start=1):
        yield number, offset, raw
        offset += len(raw) + 1


def enrollment(*rows: bytes, batch_rows: int = 20_000) -> Reading:
    content = b"\n".join([ENROLLMENT, *rows]) + b"\n"
    return Reading(content, "student_courseenrollment", batch_rows)
