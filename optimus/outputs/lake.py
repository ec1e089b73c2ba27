"""Writing the lake: one Parquet file per source, typed, checked before it is published."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from optimus.errors import OutputUnavailableError
from optimus.outputs.staging import Staging

ROWS_PER_GROUP = 50_000
PREFIX = "optimus."

Origin = Callable[[], Mapping[str, str]]
"""Names and values for the footer: source, gen, epoch, content and so on."""


class LakeWriter:
    """Stages Parquet files of one try below the lake's root."""

    def __init__(self, root: Path, staging: Staging, origin: Origin) -> None:
        """Write below ``root``.

        Args:
            root: the lake's folder.
            staging: where the files wait to be published.
            origin: asked when a file ends, for what its footer says of where it is from.
        """
        self.root = root
        self._staging = staging
        self._origin = origin
        self.relative_paths: list[str] = []

    def open(self, relative: str, schema: pa.Schema) -> "LakeFile":
        """Begin a file.

        Args:
            relative: its path below the lake.
            schema: its columns.
        """
        final = self.root / relative
        if not final.resolve().is_relative_to(self.root.resolve()):
            raise OutputUnavailableError(f"{relative} would lie outside the lake {self.root}.")
        self.relative_paths.append(relative)
        return LakeFile(self._staging.path_for(final), schema, self._origin)

    def write(self, relative: str, table: pa.Table) -> None:
        """Stage a table that is already in memory."""
        with self.open(relative, table.schema) as file:
            file.write(table)

    def rewrite(self, relative: str, change: Callable[[pa.RecordBatch], pa.RecordBatch]) -> None:
        """Send the rows of a staged file through ``change``, a batch at a time."""
        staged = self._staging.path_for(self.root / relative)
        again = staged.with_name(f"{staged.stem}.again{staged.suffix}")
        try:
            with (
                pq.ParquetFile(staged) as before,
                LakeFile(again, before.schema_arrow, self._origin) as after,
            ):
                for batch in before.iter_batches():
                    after.write(change(batch))
            again.replace(staged)
        finally:
            again.unlink(missing_ok=True)

    def newest(self, relative: str) -> Path:
        """Where to read what a file will hold: it may be staged, or in the lake already."""
        if relative in self.relative_paths:
            return self._staging.path_for(self.root / relative)
        return self.root / relative

    def staged_batches(self, relative: str, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Read back some columns of a staged file that is closed."""
        with pq.ParquetFile(self._staging.path_for(self.root / relative)) as file:
            yield from file.iter_batches(columns=columns)

    def drop(self, relative: str) -> None:
        """Take back a staged file: what it holds must not be published."""
        self.relative_paths.remove(relative)
        self._staging.drop(self.root / relative)


class LakeFile:
    """One Parquet file that is being written; usable in a ``with`` block."""

    def __init__(self, path: Path, schema: pa.Schema, origin: Origin) -> None:
        self._path = path
        self._origin = origin
        self._writer = pq.ParquetWriter(
            path, schema, compression="zstd", write_page_checksum=True, store_schema=True
        )
        self.schema = schema
        self.rows = 0
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows; they reach the disk a row group at a time."""
        self._waiting += rows.to_batches() if isinstance(rows, pa.Table) else [rows]
        self._waiting_rows += rows.num_rows
        self.rows += rows.num_rows
        if self._waiting_rows >= ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """End the file, and read its footer back to see that all rows are there.

        Raises:
            OutputUnavailableError: they are not.
        """
        self._flush()
        self._writer.add_key_value_metadata(
            {f"{PREFIX}{name}": value for name, value in self._origin().items()}
        )
        self._writer.close()
        stored = pq.read_metadata(self._path).num_rows
        if stored != self.rows:
            raise OutputUnavailableError(
                f"{self._path.name}: {self.rows:,} rows were written, {stored:,} are in the file. "
                "Check the disk."
            )

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, schema=self._waiting[0].schema)
            self._writer.write_table(table.cast(self.schema), row_group_size=ROWS_PER_GROUP)
        self._waiting, self._waiting_rows = [], 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._writer.close()


def footer(path: Path) -> dict[str, Any]:
    """What a lake file says of its origin; empty for a foreign file.

    Raises:
        OSError: there is no such file.
    """
    metadata = pq.read_metadata(path).metadata or {}
    return {
        name.decode().removeprefix(PREFIX): value.decode()
        for name, value in metadata.items()
        if name.startswith(PREFIX.encode())
    }
