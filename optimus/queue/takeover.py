"""Files that the original optimus_ingestor completed before us are not ingested again."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, inspect, select

from optimus.queue.records import Observed
from optimus.queue.tables import original

WRAPPINGS = (".gz", ".gpg")
TRACKING_LOG = ".log"
TAKEN_OVER = "taken_over"
"""Reason of what the original has done."""


class Original:
    """The rows that the original left, by the files they are about."""

    def __init__(self, connection: Connection) -> None:
        """Read them; there are none unless the original worked in the same database."""
        self._rows: dict[tuple[str, str], Row[Any]] = {}
        if not inspect(connection).has_table(original.name):
            return
        query = select(original).where(original.c.type == "file").order_by(original.c.id)
        for row in connection.execute(query):
            for key in _keys(str(row.service_name), str(row.meta)):
                self._rows[key] = row

    def row_of(self, item: Observed) -> Row[Any] | None:
        """The row that a new source continues, if the original knew the file."""
        if not self._rows or item.kind != "file":
            return None
        path = str(Path(item.path).resolve())
        found = (self._rows[key] for key in _keys(item.spelled, path) if key in self._rows)
        return next(found, None)


def _keys(service: str, path: str) -> list[tuple[str, str]]:
    """Names of a file that stay the same when it is packed, and for a log when it is moved.

    The name of a tracking log has its day in it; that of a dump is the same every week.
    """
    for wrapping in WRAPPINGS:
        path = path.removesuffix(wrapping)
    names = [path]
    if path.endswith(TRACKING_LOG):
        names.append(Path(path).name)
    return [(service.casefold(), name) for name in names]


def continued(before: Row[Any]) -> dict[str, Any]:
    """A source that the original knew keeps its row; what it completed is done."""
    values = {"id": before.id, "created": before.created}
    if not before.completed:
        return values
    return values | {
        "state": "done",
        "run_gen": 1,
        "done_gen": 1,
        "reason": TAKEN_OVER,
        "message": "The original ingested it; 'retry --done' with its name does it again.",
        "started_date": before.started_date,
        "completed_date": before.completed_date,
    }


def is_told_of_a_server_alone(row: Row[Any], item: Observed) -> bool:
    """Whether a file that the original completed is the same, and only the outputs changed."""
    return bool(
        row.reason == TAKEN_OVER
        and row.fingerprint != item.fingerprint
        and row.fingerprint.partition(" ")[0] == item.fingerprint.partition(" ")[0]
    )
