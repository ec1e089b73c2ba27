"""Commands that ask: status, query, and the one wish that goes with them, retry."""

import csv
import itertools
import json
import sys
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
from rich.console import Console
from rich.markup import escape

from optimus.daemon import holder
from optimus.display import plain_table, table_of_problems, table_of_rows
from optimus.errors import UsageError
from optimus.outputs.catalog import Catalog, check_one_select
from optimus.queue.databases import database_at
from optimus.queue.reading import counted_sha256
from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.settings import Settings

LIST_TABLES = (
    "\nThe tables are listed by: "
    'query "select table_schema, table_name from information_schema.tables"'
)
ROWS_AT_ONCE = 1000
ROWS_SHOWN = 200
WHAT_NOW = "The daemon takes them up; without one, run 'once'."


def show_status(settings: Settings, out: Console, *, as_json: bool) -> None:
    """Print how many items each service has in each state, and what needs a look."""
    registry, owner = load_registry(settings), holder(settings.state_path)
    if not database_at(settings.queue_place).exists():
        if as_json:
            services: dict[str, Any] = {service.name: {} for service in registry.services}
            print_json({"running": owner, "services": services, "problems": []})
        else:
            out.print("Nothing has been ingested yet: 'once' or 'run' begins.")
        return
    queue = Queue(settings.queue_place)
    states, problems = queue.states(), queue.problems()
    if as_json:
        print_json(
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
    queue = existing_queue(settings)
    rows = [row for row in queue.sources() if name in row.name]
    if not rows:
        raise UsageError(f"No item is called {name!r}.")
    agreed = queue.acceptances()
    ledgers = [_ledger(row, agreed.get((row.id, counted_sha256(row)))) for row in rows]
    if as_json:
        print_json(ledgers)
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


def _ledger(row: Any, acceptance: Any) -> dict[str, Any]:
    ledger = {
        "service": row.service,
        "file": row.name,
        "path": row.path,
        "state": row.state,
        "message": row.message,
        "sha256": row.sha256,
        "completed": row.completed_date,
        **row.counts,
    }
    if acceptance is not None:
        ledger |= {"accepted": acceptance.reasons, "accepted_on": acceptance.accepted}
    return ledger


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


def retry_items(
    settings: Settings, service: str | None, name: str | None, out: Console, *, done: bool
) -> None:
    """Queue items again: those that failed, or also those that are done.

    Raises:
        UsageError: no item fits, or all that is done was meant by mistake.
    """
    if done and not (service or name):
        raise UsageError("--done goes with a name or --service: say what to ingest again.")
    count = existing_queue(settings).retry(service, name, done=done)
    if not count:
        raise UsageError("Nothing fits; 'status' lists what there is.")
    out.print(f"Queued again: {count}. {WHAT_NOW}")


def existing_queue(settings: Settings) -> Queue:
    """The queue, if something was ever ingested.

    Raises:
        UsageError: there is none.
    """
    if not database_at(settings.queue_place).exists():
        raise UsageError("There is no queue yet: run 'once' or 'run' first.")
    return Queue(settings.queue_place)


def print_json(value: Any) -> None:
    """Print JSON for a script, and nothing else."""
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
