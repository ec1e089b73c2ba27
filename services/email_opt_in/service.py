"""Email Opt-in: which learners agreed to get mail, as edX delivers it.

In     database_state/latest/<org>-email_opt_in-<suffix>.csv
Out    lake/email_opt_in/<org>/delivered=<date>.parquet, one a delivery
Waits  for nothing; email_crm waits for us
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from optimus.errors import BadFileError, BadRecordError
from optimus.outputs.catalog import LakeTables
from optimus.package.columns import parse_boolean, parse_datetime, parse_integer
from optimus.package.files import TooLong
from optimus.package.layout import Package, PackageFile
from optimus.package.names import FileKind, safe_file_name
from optimus.package.tsv import Line
from optimus.service import FileRun, FileService, described_schema
from optimus.touches import EVERYTHING
from services.email_opt_in.records import LONGEST_RECORD, Record, read_records

ROWS_PER_BATCH = 5_000
TEXT = pa.string()
SCHEMA = described_schema(
    ("line", pa.int64(), "Line in the delivered file where the record begins, from 1."),
    ("site", TEXT, "prod or edge."),
    ("user_id", pa.int64(), "auth_user.id; null in files from before 2017."),
    ("username", TEXT, "auth_user.username; null in files from before 2017."),
    ("email", TEXT, "The address, as delivered."),
    ("full_name", TEXT, "The name, as delivered."),
    ("course_id", TEXT, "The course run."),
    ("is_opted_in_for_email", pa.bool_(), "What the learner chose, or True."),
    (
        "preference_set_datetime",
        pa.timestamp("us", "UTC"),
        "When the learner chose; 2014-12-01 00:00:00 stands for never.",
    ),
)
NEEDED = ("email", "full_name", "course_id", "is_opted_in_for_email", "preference_set_datetime")
DELIVERED = (*NEEDED, "user_id", "username")
"""The columns that are kept; files from before 2017 lack the last two."""


class EmailOptIn(FileService):
    """Preferences of the learners of an organisation, in all its course runs."""

    name = "email_opt_in"
    spelled = "EmailOptIn"
    title = "Email preferences"
    lake_tables = (
        LakeTables(
            pattern="email_opt_in/{org}/delivered={day}.parquet",
            schema="email_opt_in",
            table="{org}",
            newest=True,
            empty=SCHEMA,
            about="One row per learner and course run, from an organisation's newest delivery.",
        ),
    )

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take the preferences of every organisation."""
        return package.of_kind(FileKind.email_opt_in)

    def ingest(self, run: FileRun) -> None:
        """Type the rows; what cannot be typed goes to the rejects."""
        path = f"email_opt_in/{_organisation(run.file)}/delivered={run.file.delivered}.parquet"
        rows = _rows(run)
        with run.lake.open(path, SCHEMA) as output:
            while batch := list(islice(rows, ROWS_PER_BATCH)):
                output.write(pa.RecordBatch.from_pylist(batch, SCHEMA))
                run.counts["rows"] += len(batch)
                run.tick(rows=len(batch))
        # The file does not say which of its course runs have changed.
        run.touches.add(EVERYTHING)


def _organisation(file: PackageFile) -> str:
    """The organisation in the name of a file, spelled alike in all deliveries."""
    organisation = file.path.name.rpartition("-email_opt_in")[0].casefold()
    return safe_file_name(organisation) + ("_edge" if file.site == "edge" else "")


def _rows(run: FileRun) -> Iterator[dict[str, Any]]:
    """The rows of a file whose first record names the columns."""
    records = read_records(_lines(run))
    header = _parse_header(run, next(records, None))
    for record in records:
        run.counts["lines"] += 1
        number, offset, raw = record.line
        try:
            row = parse_record(header, record)
        except BadRecordError as error:
            run.reject(number, offset, error.reason, error.detail, raw)
            continue
        if row["preference_set_datetime"] is None:
            run.repair(number, offset, "unusable_datetime", raw)
        run.counts["replaced_utf8"] += record.replaced_utf8
        yield {"line": number, "site": run.file.site, **row}


def _lines(run: FileRun) -> Iterator[Line]:
    """The lines of the file; those that are too long for a record are set aside."""
    for chunk in run.chunks(LONGEST_RECORD):
        for number, offset, line in chunk.numbered():
            raw = line.head if isinstance(line, TooLong) else line
            if len(raw) > LONGEST_RECORD:
                run.counts["lines"] += 1
                run.reject(number, offset, "row_too_long", f"over {LONGEST_RECORD:,} bytes", raw)
            else:
                yield number, offset, raw


def _parse_header(run: FileRun, record: Record | None) -> list[str]:
    header = [cell.strip().lower() for cell in (record and record.cells) or ()]
    missing = [name for name in NEEDED if name not in header]
    if missing or len(set(header)) < len(header):
        raise BadFileError(
            f"{run.file.path.name}: the first line does not name each column once "
            f"(missing: {', '.join(missing) or 'none'}). Fetch the file again."
        )
    unknown = [name for name in header if name not in DELIVERED]
    if unknown:
        run.note(f"Columns not known before, left out: {', '.join(unknown)}.")
    return header


def parse_record(header: list[str], record: Record) -> dict[str, Any]:
    """Turn a record into the values of a row.

    Args:
        header: name of each cell.
        record: the cells.

    Returns:
        Columns of ``SCHEMA``; a moment that no calendar has is null.

    Raises:
        BadRecordError: its quoting is broken, it has other than as many cells as the header, or a
            cell is not of its column's type.
    """
    if record.cells is None:
        raise BadRecordError("quoting", "a quote is not closed, or a bare return is not quoted")
    if len(record.cells) != len(header):
        raise BadRecordError("column_count", f"{len(record.cells)} cells, not {len(header)}")
    row: dict[str, Any] = {
        name: cell for name, cell in zip(header, record.cells, strict=True) if name in DELIVERED
    }
    return row | {
        "user_id": _user_id(row),
        "is_opted_in_for_email": _boolean(row["is_opted_in_for_email"]),
        "preference_set_datetime": _moment(row["preference_set_datetime"]),
    }


def _user_id(row: Mapping[str, str]) -> int | None:
    if "user_id" not in row:
        return None
    try:
        return parse_integer(row["user_id"].strip().encode())
    except ValueError:
        raise BadRecordError("type", "column user_id is not a 64-bit integer") from None


def _boolean(cell: str) -> bool:
    try:
        return parse_boolean(cell.strip().encode())
    except ValueError:
        raise BadRecordError("type", "column is_opted_in_for_email is not a boolean") from None


def _moment(cell: str) -> datetime | None:
    try:
        return parse_datetime(cell.strip().encode())
    except ValueError:
        return None
