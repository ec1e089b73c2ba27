"""The tables of a sample: rows of its learners, as files of a database package."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from optimus.outputs.catalog import Table, literal, quote
from optimus.package.cells import write_cell
from optimus.package.tables import KNOWN_TABLES
from services.extract_sample.documents import Documents
from services.extract_sample.pseudonyms import Pseudonyms
from services.extract_sample.sample import Sample
from services.extract_sample.tables import BY_USER_ID, KEPT, LINKS, ORA, WHOLE

ROWS_AT_ONCE = 1_000
LEARNERS = "learner"


def write_tables(sample: Sample, folder: Path) -> None:
    """Write every table of the course run."""
    left_out = []
    for table in sample.tables():
        if _is_understood(sample, table):
            _write_table(sample, table, folder)
        else:
            left_out.append(table.name)
    if left_out:
        sample.note(f"left out, because nobody knows what is in them: {', '.join(left_out)}.")


def _is_understood(sample: Sample, table: Table) -> bool:
    """Whether it is known whose the rows are, and what of them names nobody."""
    if sample.pseudonyms:
        return not KEPT.get(table.name, {}).keys().isdisjoint(_columns(table))
    return table.name in KNOWN_TABLES or BY_USER_ID.partition("=")[0] in _columns(table)


def _write_table(sample: Sample, table: Table, folder: Path) -> None:
    kinds = KEPT.get(table.name, {})
    columns = [name for name in _columns(table) if not sample.pseudonyms or name in kinds]
    forms = [_form(sample.pseudonyms, kinds.get(name, "")) for name in columns]
    chosen = ", ".join(map(quote, columns))
    rows = sample.connection.sql(
        f"SELECT {chosen} FROM ({_selection(sample, table)}) ORDER BY file_row_number"  # noqa: S608 - quoted
    )
    path = folder / ("ora" if table.name.startswith(ORA) else "") / sample.file_name(table.name)
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("\t".join(columns) + "\n")
        for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                cells = (form(value) for form, value in zip(forms, row, strict=True))
                file.write("\t".join(map(write_cell, cells)) + "\n")
            sample.run.counts["rows"] += batch.num_rows
            sample.run.tick(rows=batch.num_rows)


def _form(pseudonyms: Pseudonyms | None, kind: str) -> Callable[[Any], Any]:
    """What is made of the values of a column."""
    if pseudonyms is None:
        return lambda value: value
    if kind == "state":
        documents = Documents(pseudonyms)
        return lambda text: None if text is None else documents.state(text)
    return lambda value: pseudonyms.of(kind, value)


def _selection(sample: Sample, table: Table) -> str:
    """SQL of the rows of a table that are the learners'."""
    conditions = [
        _condition(sample, *link.split("="))
        for link in LINKS.get(table.name, BY_USER_ID).split()
        if link.partition("=")[0] in _columns(table)
    ]
    wanted = " OR ".join(conditions) or str(LINKS.get(table.name) == WHOLE)
    return (
        f"SELECT * FROM read_parquet({literal(str(table.files[0]))}, file_row_number = true, "  # noqa: S608 - quoted
        f"hive_partitioning = false) WHERE {wanted}"
    )


def _condition(sample: Sample, column: str, target: str) -> str:
    """SQL that says whether a cell stands in a column of a row that is the learners'."""
    name, _, target_column = target.partition(".")
    table = sample.run.catalog.table(sample.course.run.database, name)
    if name == LEARNERS:
        source = LEARNERS
    elif table is None or target_column not in _columns(table):
        return "false"
    else:
        source = f"({_selection(sample, table)})"
    return f"{_key(column)} IN (SELECT {_key(target_column)} FROM {source})"  # noqa: S608 - our names


def _key(column: str) -> str:
    """SQL of a cell as it is compared: ids of submissions are met with dashes and without."""
    text = f"CAST({quote(column)} AS VARCHAR)"
    return f"replace({text}, '-', '')" if column.endswith("uuid") else text


def _columns(table: Table) -> list[str]:
    return list(pq.read_schema(table.files[0]).names)
