"""CSV files: whole or not at all, with a copy of the newest under a name that stays."""

import csv
import filecmp
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from optimus.outputs.staging import Staging

STAMP = "%m%d%Y-%H%M%S"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def export_csv(
    staging: Staging,
    folder: Path,
    name: str,
    made: datetime,
    table: tuple[Sequence[str], Iterable[Sequence[Any]]],
) -> None:
    """Stage ``<name>_<time>.csv`` and ``latest/<name>.csv``; nothing if that would not change.

    Args:
        staging: where the files wait to be published.
        folder: the export folder.
        name: their name without time and ending.
        made: the time in the name (UTC).
        table: column names and rows.
    """
    names, rows = table
    latest = folder / "latest" / f"{name}.csv"
    # The file with the time comes first: if only one of the two appears, the next try sees by
    # ``latest`` that it must write again.
    stamped = folder / f"{name}_{made.strftime(STAMP)}.csv"
    staged = staging.path_for(stamped)
    with staged.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([_cell(value) for value in row] for row in rows)
    if latest.is_file() and filecmp.cmp(latest, staged, shallow=False):
        staging.drop(stamped)
    else:
        staging.copy(stamped, latest)


def _cell(value: Any) -> Any:
    """Null is an empty cell; a text must not be taken for a formula by a spreadsheet."""
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
