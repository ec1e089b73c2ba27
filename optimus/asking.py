"""Commands that ask: status, query, rejects, and the one wish that goes with them, retry."""

import base64
import csv
import itertools
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from rich.console import Console
from rich.markup import escape

from optimus.attempt import rejects_path
from optimus.daemon import holder
from optimus.display import plain_table, table_of_problems, table_of_rows
from optimus.errors import UsageError
from optimus.outputs.catalog import Catalog, check_one_select
from optimus.outputs.rejects import Reject, read_rejects
from optimus.queue.databases import database_at
from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.settings import Settings

LIST_TABLES = (
    "\nThe tables are listed by: "
    'query "select table_schema, table_name from information_schema.tables"'
)
ROWS_AT_ONCE = 1000
ROWS_SHOWN = 200
SHOWN_OF_A_LINE = 500
MASKS = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "<e-mail>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"), "<ip>"),
    (
        re.compile(r'("[^"]*(?:name|email|body|title|address|ip|text)"\s*:\s*)"(?:[^"\\]|\\.)*"?'),
        r"\1<masked>",
    ),
)
"""What is hidden of a JSON line unless ``--raw`` is given."""
LETTER = re.compile(r"[^\W\d_]")


def show_status(settings: Settings, out: Console, *, as_json: bool) -> None:
    """Print how many items each service has in each state, and what needs a look."""
    registry, owner = load_registry(settings), holder(settings.state_path)
    if not database_at(settings.queue_place).exists():
        if as_json:
            services: dict[str, Any] = {service.name: {} for service in registry.services}
            _print_json({"running": owner, "services": services, "problems": []})
        else:
            out.print("Nothing has been ingested yet: 'once' or 'run' begins.")
        return
    queue = Queue(settings.queue_place)
    states, problems = queue.states(), queue.problems()
    if as_json:
        _print_json(
            {
                "running": owner,
                "services": {s.name: states.get(s.name, {}) for s in registry.services},
                "problems": [
                    {
                        "service": p.service,
                        "item": p.name,
                        "state": p.state,
                        "reason": p.reason,
                        "message": p.message,
                    }
                    for p in problems
                ],
            }
        )
        return
    out.print(f"Running: {owner}." if owner else "Not running.")
    table = plain_table()
    table.add_column("service")
    columns = ("queued", "running", "done", "failed", "gone")
    for name in columns:
        table.add_column(name, justify="right")
    for service in registry.services:
        count = states.get(service.name, {})
        table.add_row(service.name, *(f"{count.get(name, 0):,}" for name in columns))
    out.print(table)
    for row in queue.sources(states=["running"]):
        done = row.progress or {}
        share = f"{done['done'] / done['total']:.0%}" if done.get("total") else "started"
        out.print(f"{row.service}: {escape(row.name)}: {share}, {done.get('rows', 0):,} rows")
    if problems:
        out.print(table_of_problems(problems))


def show_ledger(settings: Settings, name: str, out: Console, *, as_json: bool) -> None:
    """Print the whole ledger of every file whose name contains ``name``.

    Raises:
        UsageError: there is no such file.
    """
    rows = [row for row in _queue(settings).sources() if name in row.name]
    if not rows:
        raise UsageError(f"No item is called {name!r}.")
    ledgers = [_ledger(row) for row in rows]
    if as_json:
        _print_json(ledgers)
        return
    for ledger in ledgers:
        for what, value in ledger.items():
            if value is None:
                continue
            shown = f"{value:,}" if isinstance(value, int) else value
            if isinstance(value, dict):
                shown = ", ".join(f"{reason} {count:,}" for reason, count in value.items())
            out.print(f"{what:<20}{shown}", markup=False, highlight=False)
        out.print()


def _ledger(row: Any) -> dict[str, Any]:
    return {
        "service": row.service,
        "file": row.name,
        "path": row.path,
        "state": row.state,
        "message": row.message,
        "sha256": row.sha256,
        "completed": row.completed_date,
        **row.counts,
    }


def answer_query(settings: Settings, sql: str, out: Console, form: str) -> None:
    """Run one SELECT over the lake and print its rows.

    Args:
        settings: where the lake is.
        sql: the statement.
        out: the terminal.
        form: ``csv``, ``json``, or blank for a table of the first rows.

    Raises:
        UsageError: it is no single SELECT, or DuckDB refuses it.
    """
    check_one_select(sql)
    catalog = Catalog(settings.lake_path, load_registry(settings).lake_tables)
    connection = catalog.connect_confined(sql, settings.state_path / "spill")
    try:
        reader = connection.sql(sql).to_arrow_reader(ROWS_AT_ONCE)
        names = reader.schema.names
        if form == "csv":
            writer = csv.writer(sys.stdout)
            writer.writerow(names)
            writer.writerows(_rows(reader))
        elif form == "json":
            _print_json_rows(names, _rows(reader))
        else:
            _print_table(out, names, _rows(reader))
    except duckdb.Error as error:
        hint = LIST_TABLES if isinstance(error, duckdb.CatalogException) else ""
        raise UsageError(f"The query failed: {_short(str(error))}{hint}") from error
    finally:
        connection.close()


def _rows(reader: pa.RecordBatchReader) -> Iterator[tuple[Any, ...]]:
    for batch in reader:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _print_table(out: Console, names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    shown = list(itertools.islice(rows, ROWS_SHOWN))
    escaped = [["NULL" if cell is None else escape(str(cell)) for cell in row] for row in shown]
    out.print(table_of_rows([escape(name) for name in names], escaped))
    if next(rows, None) is not None:
        out.print(f"The first {ROWS_SHOWN} rows; --csv prints all of them.")


def _short(message: str) -> str:
    return message.split("\n\n", 1)[0]


def list_rejects(settings: Settings, service: str | None, out: Console, *, as_json: bool) -> None:
    """Print every file that has rejects or repaired records."""
    rows = [row for row in _queue(settings).sources(service) if _set_aside(row)]
    if as_json:
        _print_json([{"service": r.service, "file": r.name, **_set_aside(r)} for r in rows])
        return
    if not rows:
        out.print("Nothing was set aside.")
        return
    table = plain_table()
    for name in ("service", "file", "lines", "rejects", "reasons"):
        table.add_column(name, overflow="fold")
    for row in rows:
        counts = row.counts
        reasons = {**counts.get("reasons", {}), **counts.get("repairs", {})}
        table.add_row(
            row.service,
            escape(row.name),
            f"{counts.get('lines', 0):,}",
            f"{counts.get('rejects', 0):,}",
            ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items())),
        )
    out.print(table)


def rejects_by_reason(
    settings: Settings, service: str | None, out: Console, *, as_json: bool
) -> None:
    """Print how many records were set aside for each reason, over all files."""
    counted: Counter[tuple[str, str]] = Counter()
    for row in _queue(settings).sources(service):
        for reason, count in row.counts.get("reasons", {}).items():
            counted[row.service, reason] += count
    ordered = counted.most_common()
    if as_json:
        _print_json([{"service": s, "reason": r, "rejects": n} for (s, r), n in ordered])
        return
    rows = [(service_name, reason, f"{count:,}") for (service_name, reason), count in ordered]
    out.print(table_of_rows(["service", "reason", "rejects"], rows))


def show_rejects(  # noqa: PLR0913 - one argument per option of the command
    settings: Settings,
    name: str,
    out: Console,
    *,
    reason: str | None,
    limit: int,
    masked: bool,
    as_json: bool,
) -> None:
    """Print the rejects of the files whose name contains ``name``.

    Raises:
        UsageError: no file with rejects has such a name.
    """
    found = [
        (row.name, reject)
        for row in _queue(settings).sources()
        if name in row.name
        for reject in read_rejects(rejects_path(settings, row.service, row.identity))
        if reason in (None, reject.reason)
    ]
    if not found:
        raise UsageError(f"No rejects in a file called {name!r}; 'rejects list' names the files.")
    if as_json:
        _print_json([_as_record(file, reject) for file, reject in found[:limit]])
        return
    for file, reject in found[:limit]:
        kept = "kept after a repair: " if reject.kept else ""
        out.print(
            f"{file}, line {reject.line:,}, byte {reject.offset:,}: {kept}{reject.reason}"
            f"{': ' + reject.detail if reject.detail else ''}",
            style="bold",
            markup=False,
            highlight=False,
        )
        out.print(f"    {_text(reject, masked=masked)}", markup=False, highlight=False)
    if len(found) > limit:
        out.print(f"{len(found) - limit:,} more; --limit shows them.")


def retry_items(
    settings: Settings, service: str | None, name: str | None, out: Console, *, done: bool
) -> None:
    """Queue items again: those that failed, or also those that are done.

    Raises:
        UsageError: no item fits, or all that is done was meant by mistake.
    """
    if done and not (service or name):
        raise UsageError("--done goes with a name or --service: say what to ingest again.")
    count = _queue(settings).retry(service, name, done=done)
    if not count:
        raise UsageError("Nothing fits; 'status' lists what there is.")
    out.print(f"Queued again: {count}. The daemon takes them up; without one, run 'once'.")


def _queue(settings: Settings) -> Queue:
    if not database_at(settings.queue_place).exists():
        raise UsageError("There is no queue yet: run 'once' or 'run' first.")
    return Queue(settings.queue_place)


def _set_aside(row: Any) -> dict[str, Any]:
    return {name: row.counts[name] for name in ("reasons", "repairs") if row.counts.get(name)}


def _as_record(file: str, reject: Reject) -> dict[str, Any]:
    return {
        "file": file,
        "line": reject.line,
        "offset": reject.offset,
        "reason": reject.reason,
        "detail": reject.detail,
        "kept": reject.kept,
        "raw_base64": base64.b64encode(reject.raw).decode(),
    }


def _masked(text: str) -> str:
    """Hide learners' data: by key in JSON; in a table row nobody knows which cell is a name."""
    if "{" not in text:
        return LETTER.sub("x", text)
    for expression, mask in MASKS:
        text = expression.sub(mask, text)
    return text


def _text(reject: Reject, *, masked: bool) -> str:
    text = reject.raw[: 4 * SHOWN_OF_A_LINE].decode("utf-8", "replace")
    if masked:
        text = _masked(text)
    cut = " …" if len(text) > SHOWN_OF_A_LINE or len(reject.raw) > 4 * SHOWN_OF_A_LINE else ""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:SHOWN_OF_A_LINE]) + cut


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def _print_json_rows(names: list[str], rows: Iterator[tuple[Any, ...]]) -> None:
    """An array of objects, written a row at a time: a result may be larger than the memory."""
    separator = "["
    for row in rows:
        record = json.dumps(dict(zip(names, row, strict=True)), default=_plain, ensure_ascii=False)
        sys.stdout.write(f"{separator}\n  {record}")
        separator = ","
    sys.stdout.write("[]\n" if separator == "[" else "\n]\n")


def _plain(value: Any) -> Any:
    """What JSON has no form for: sums are decimals in DuckDB, moments become text."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)
