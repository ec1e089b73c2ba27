"""Rows that go into a lake file and, where MySQL is in use, into a table there.

A row that MySQL cannot hold as it is goes into neither: both always have the same rows.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa

from optimus.outputs.lake import LakeFile
from optimus.outputs.mysql import Refused, StagedTable
from optimus.package.tsv import Line

Patiently = Callable[[Callable[[], None]], None]
"""Does something, and tells progress while it lasts."""

OnRefused = Callable[[Line, str], None]
"""Takes the line of a row that MySQL refused, and why."""


@dataclass
class _Loading:
    """A batch on its way into MySQL."""

    rows: pa.RecordBatch
    lines: Sequence[Line]
    refused: Future[list[Refused]]


class TableOutput:
    """One table of one delivery; usable in a ``with`` block.

    The server loads a batch while the next one is read.
    """

    def __init__(
        self,
        file: LakeFile,
        table: StagedTable | None,
        on_refused: OnRefused,
        patiently: Patiently = lambda action: action(),
    ) -> None:
        """Write into both.

        Args:
            file: the lake file.
            table: the table in MySQL; None where there is none.
            on_refused: told of every row that MySQL cannot hold.
            patiently: does what may take the server long.
        """
        self._file = file
        self._table = table
        self._on_refused = on_refused
        self._patiently = patiently
        self._loader = ThreadPoolExecutor(1, thread_name_prefix="mysql")
        self._loading: _Loading | None = None
        self.refused = 0

    def write(self, rows: pa.RecordBatch, lines: Sequence[Line]) -> None:
        """Add rows.

        Args:
            rows: the rows.
            lines: the line of each of them.

        Raises:
            OutputUnavailableError: the server is gone, or has no space.
            BadFileError: MySQL can hold no table like this.
        """
        if self._table is None:
            self._file.write(rows)
            return
        self._settle()
        self._loading = _Loading(rows, lines, self._loader.submit(self._table.load, rows))

    def _settle(self) -> None:
        """Wait for the batch that is under way, and give the lake what MySQL has taken."""
        if self._loading is None:
            return
        loading, self._loading = self._loading, None
        details = {refused.row: refused.detail for refused in loading.refused.result()}
        for row, detail in sorted(details.items()):
            self._on_refused(loading.lines[row], detail)
        rows = loading.rows
        if details:
            self.refused += len(details)
            rows = rows.filter(pa.array([n not in details for n in range(rows.num_rows)]))
        self._file.write(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Last in, first out: what is under way is taken in before the table and the file end.
        with ExitStack() as stack:
            stack.push(self._file)
            stack.callback(self._loader.shutdown)
            if kind is None:
                stack.callback(self._end)
            stack.__exit__(kind, error, traceback)

    def _end(self) -> None:
        self._settle()
        if self._table is not None:
            # Its keys are built now.
            self._patiently(self._table.close)
