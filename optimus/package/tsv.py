"""The ``.sql`` files of a data package: a header, then rows of TAB-separated cells.

Rows end at a line feed and nowhere else; the caller splits them. A bad row is handed to
``on_reject`` and the file goes on. Of every file: lines = header + rows + rejects + blank.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from optimus.errors import BadFileError, BadRecordError
from optimus.package.cells import (
    Cell,
    decode_cell,
    ends_in_backslash,
    is_bytes_literal,
    read_bytes_literal,
    split_row,
    unescape,
)
from optimus.package.columns import Findings, arrow_type, blank_column, convert_column
from optimus.package.foreign import BYTE_ORDER_MARK, foreign_content
from optimus.package.tables import (
    KNOWN_TABLES,
    ColumnType,
    canonical_table,
    column_type,
    drift,
    exposed_columns,
    is_blanked,
)

__all__ = [
    "Cell",
    "Counts",
    "Line",
    "OnReject",
    "OnRepair",
    "TableReader",
    "decode_cell",
    "parse_header",
    "split_row",
]

Line = tuple[int, int, bytes]
"""Line number, byte offset, and the line without its line feed."""

OnReject = Callable[[int, int, str, str, bytes], None]
"""Takes line number, byte offset, reason, detail and the raw line of a row not kept."""

OnRepair = Callable[[int, int, str, bytes], None]
"""Takes line number, byte offset, reason and the raw line of a row kept with a loss."""

MAX_COLUMNS = 4096
KEY = "id"
BATCH_ROWS = 20_000
BATCH_BYTES = 32 * 1024 * 1024

_NAME = re.compile(rb"[a-z_][a-z0-9_]{0,63}")
_JSON_START = re.compile(rb"\s*[{\[]")
_SQL_START = re.compile(
    rb"\s*(?:insert +into|create +(?:table|database)|drop +table|lock +tables|use +|--|/\*)",
    re.IGNORECASE,
)


@dataclass
class Counts:
    """What became of every line of a file, and what was changed on the way.

    Attributes:
        lines: lines read; the sum of header, rows, rejects and blank.
        header: 1, or 0 for a file without content.
        rows: rows given out.
        rejects: rows handed to ``on_reject``.
        blank: lines that hold nothing but spaces.
        replaced_utf8: replacement characters put where bytes were not UTF-8.
        odd_escapes: backslashes before a byte that means nothing, both kept.
        unusable_datetimes: cells that hold no date of the calendar, now null.
        blanked: cells of a column that is kept without its values.
        rejects_by_reason: rejects, by reason.
    """

    lines: int = 0
    header: int = 0
    rows: int = 0
    rejects: int = 0
    blank: int = 0
    replaced_utf8: int = 0
    odd_escapes: int = 0
    unusable_datetimes: int = 0
    blanked: int = 0
    rejects_by_reason: Counter[str] = field(default_factory=Counter)


def parse_header(line: bytes) -> list[str]:
    """Read the column names of a file, in lower case.

    Raises:
        BadFileError: this is no header. The sentence names positions, never what stands
            there: where the header is missing, a learner does.
    """
    line = line.removeprefix(BYTE_ORDER_MARK)
    _refuse_foreign_content(line)
    if line.count(b"\t") >= MAX_COLUMNS:
        raise BadFileError(
            f"header: the first line has more than {MAX_COLUMNS} cells; fetch the file again"
        )
    names = [cell.strip().lower() for cell in line.split(b"\t")]
    for position, name in enumerate(names, start=1):
        if not name:
            raise BadFileError(
                f"header: column {position} of {len(names)} has no name; fetch the file again"
            )
        if not _NAME.fullmatch(name):
            raise BadFileError(
                f"identifier: cell {position} of the first line is not a column name (letters, "
                "digits and underscores, at most 64), so the header is missing or damaged; "
                "fetch the file again"
            )
    for position, name in enumerate(names, start=1):
        first = names.index(name) + 1
        if first != position:
            raise BadFileError(
                f"header: columns {first} and {position} have the same name (case does not "
                "count); rename one, or ask for a new delivery"
            )
    return [name.decode("ascii") for name in names]


def _refuse_foreign_content(line: bytes) -> None:
    foreign = foreign_content(line)
    if foreign is None and _JSON_START.match(line):
        foreign = "it is JSON; restore the ending that says what it is"
    if foreign is None and _SQL_START.match(line):
        foreign = "it is a dump of SQL statements; load it with the mysql client"
    if foreign is not None:
        raise BadFileError(f"header: this is not a table of TAB-separated rows: {foreign}")


class TableReader:
    """Reads the rows of one file as Arrow record batches.

    The header is read when the reader is made, so that ``schema`` can be used before the
    first row. A file without content is a table without rows.

    Attributes:
        header: the column names as delivered, in lower case; empty for an empty file.
        schema: the columns given out. ``user_id_map.id`` is given out as ``user_id``.
        drift: how the header differs from the known columns of the table.
        counts: what became of the lines so far; final when the batches are used up.
        notes: sentences about the file as a whole.
        lines: the lines of the batch that was given out last, one for each of its rows.
    """

    def __init__(
        self,
        lines: Iterable[Line],
        table: str,
        on_reject: OnReject,
        on_repair: OnRepair,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._lines = iter(lines)
        self._table = canonical_table(table)
        self._on_reject = on_reject
        self._on_repair = on_repair
        self._batch_rows = batch_rows
        self._holds_literals: bool | None = None
        self.counts = Counts()
        self.notes: list[str] = []
        self.lines: list[Line] = []
        self._header_line = self._find_header_line()
        # Such a file went through a conversion of line ends, which gave every row one more CR.
        self._ends_in_return = self._header_line.endswith(b"\r")
        self.header = parse_header(self._header_line) if self.counts.header else []
        # Without a header nothing has drifted.
        self.drift = drift(self._table, self.header or list(KNOWN_TABLES.get(self._table, {})))
        self.schema = self._make_schema()

    def read_batches(self) -> Iterator[pa.RecordBatch]:
        """Give the rows, in the order of the file; a batch holds at least one."""
        for lines in self._gather():
            batch = self._build(lines)
            if batch is not None:
                self.counts.rows += batch.num_rows
                yield batch

    def _find_header_line(self) -> bytes:
        for _, _, raw in self._lines:
            self.counts.lines += 1
            line = raw.removeprefix(BYTE_ORDER_MARK)
            if line.strip(b" \r"):
                self.counts.header = 1
                return line
            self.counts.blank += 1
        return b""

    def _make_schema(self) -> pa.Schema:
        names = exposed_columns(self._table, self.header)
        for old, new in zip(self.header, names, strict=True):
            if old != new:
                self.notes.append(f"column {old} is kept as {new}, its name today")
        if not self.header:
            names = list(KNOWN_TABLES.get(self._table, {}))
            self.notes.append("the file is empty: a table without rows")
        if self._table not in KNOWN_TABLES:
            self.notes.append("the table is not known: every column is kept as text")
        return pa.schema(
            [pa.field(name, arrow_type(column_type(self._table, name))) for name in names]
        )

    def _gather(self) -> Iterator[list[Line]]:
        """Collect the lines of one batch; few when they are long, so that memory is bounded."""
        lines: list[Line] = []
        size = 0
        for line in self._lines:
            self.counts.lines += 1
            if not line[2].strip(b" \r"):
                self.counts.blank += 1
                continue
            lines.append(line)
            size += len(line[2])
            if len(lines) >= self._batch_rows or size >= BATCH_BYTES:
                yield lines
                lines, size = [], 0
        if lines:
            yield lines

    def _build(self, lines: list[Line]) -> pa.RecordBatch | None:
        findings = Findings()
        kept: list[Line] = []
        rows: list[list[bytes]] = []
        rejects: list[tuple[Line, str, str]] = []
        for line in lines:
            try:
                cells, odd_escapes = self._read_row(line[2])
            except BadRecordError as error:
                rejects.append((line, error.reason, error.detail))
                continue
            if odd_escapes:
                findings.remarks.append((len(rows), "odd_escape", odd_escapes))
            kept.append(line)
            rows.append(cells)
        batch = self._convert(rows, findings) if rows else None
        rejects += [(kept[row], *why) for row, why in findings.rejects.items()]
        self._tell_rejects(rejects)
        self._tell_remarks(kept, findings)
        if batch is not None and findings.rejects:
            batch = batch.filter(
                pa.array([row not in findings.rejects for row in range(len(rows))], pa.bool_())
            )
            kept = [line for row, line in enumerate(kept) if row not in findings.rejects]
        self.lines = kept
        return batch if batch is not None and batch.num_rows else None

    def _read_row(self, raw: bytes) -> tuple[list[bytes], int]:
        if raw == self._header_line:
            raise BadRecordError("repeated_header")
        if self._ends_in_return:
            raw = raw.removesuffix(b"\r")
        width = len(self.header)
        # Counting first keeps a line of a million TABs from becoming a million cells.
        if (found := raw.count(b"\t") + 1) != width and b"\\\t" not in raw:
            raise _wrong_width(found, width)
        if self._holds_literals is False and b"\\" not in raw:
            return raw.split(b"\t"), 0
        if ends_in_backslash(raw):
            raise BadRecordError("trailing_backslash")
        cells = split_row(raw)
        if len(cells) != width:
            raise _wrong_width(len(cells), width)
        return self._meant(cells)

    def _meant(self, cells: list[bytes]) -> tuple[list[bytes], int]:
        if self._holds_literals is None:
            self._holds_literals = all(map(is_bytes_literal, cells))
            if self._holds_literals:
                self.notes.append("the cells are written as b'...', as in November 2022")
        if self._holds_literals:
            cells = [read_bytes_literal(cell) for cell in cells]
        odd_escapes = 0
        for index, cell in enumerate(cells):
            if b"\\" in cell:
                cells[index], odd = unescape(cell)
                odd_escapes += odd
        return cells, odd_escapes

    def _convert(self, rows: list[list[bytes]], findings: Findings) -> pa.RecordBatch:
        columns = [
            blank_column(cells, findings)
            if is_blanked(self._table, name)
            else convert_column(name, column_type(self._table, name), cells, findings)
            for name, cells in zip(self.schema.names, zip(*rows, strict=True), strict=True)
        ]
        batch = pa.RecordBatch.from_arrays(columns, schema=self.schema)
        self._reject_without_id(batch, findings)
        return batch

    def _reject_without_id(self, batch: pa.RecordBatch, findings: Findings) -> None:
        """A known table's own key cannot be missing: such a row is cut off or shifted."""
        if KEY not in batch.schema.names or not batch.column(KEY).null_count:
            return
        if column_type(self._table, KEY) is ColumnType.INTEGER:
            for row, value in enumerate(batch.column(KEY)):
                if not value.is_valid:
                    findings.rejects.setdefault(row, ("type", f"column {KEY} is empty"))

    def _tell_rejects(self, rejects: list[tuple[Line, str, str]]) -> None:
        rejects.sort(key=lambda reject: reject[0][0])
        for (number, offset, raw), reason, detail in rejects:
            self.counts.rejects += 1
            self.counts.rejects_by_reason[reason] += 1
            self._on_reject(number, offset, reason, detail, raw)

    def _tell_remarks(self, kept: list[Line], findings: Findings) -> None:
        repaired: set[tuple[int, str]] = set()
        for row, kind, number in findings.remarks:
            if row in findings.rejects:
                continue
            if kind == "odd_escape":
                self.counts.odd_escapes += number
            elif kind == "blanked":
                self.counts.blanked += number
            elif kind == "replaced_utf8":
                self.counts.replaced_utf8 += number
                repaired.add((row, kind))
            else:
                self.counts.unusable_datetimes += number
                repaired.add((row, kind))
        for row, kind in sorted(repaired):
            number, offset, raw = kept[row]
            self._on_repair(number, offset, kind, raw)


def _wrong_width(found: int, expected: int) -> BadRecordError:
    return BadRecordError("column_count", f"{found} cells, the header has {expected} columns")
