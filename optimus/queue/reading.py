"""The queue's database, and the questions that change nothing in it."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    and_,
    create_engine,
    event,
    func,
    or_,
    select,
)
from sqlalchemy.exc import DatabaseError

from optimus.errors import OutputUnavailableError
from optimus.queue.records import SENDERS_OWN, Changes
from optimus.queue.tables import migrate, run, source
from optimus.touches import EVERYTHING

PASSING = ("stopped", "changed")
"""Reasons for waiting that go away by themselves."""
CHANGING = ("done", "copy")
"""Outcomes of a run that may have changed an output."""


class QueueReader:
    """The queue as everybody may see it. Safe to use from several processes at once."""

    def __init__(self, path: Path, now: Callable[[], float] = time.time) -> None:
        """Open the queue, creating or upgrading it.

        Args:
            path: the SQLite file.
            now: tells the time as Unix seconds.

        Raises:
            SettingsError: the queue belongs to a newer version.
            OutputUnavailableError: the file cannot be written.
        """
        self._now = now
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputUnavailableError(
                f"STATE_PATH: {path.parent} cannot be made ({error.strerror}). "
                "Give the daemon's user the right to write there."
            ) from error
        self._writing = _sqlite(path, "BEGIN IMMEDIATE")
        self._reading = _sqlite(path, "BEGIN")
        try:
            migrate(self._writing)
        except DatabaseError as error:
            raise OutputUnavailableError(
                f"{path} cannot be used as the queue ({error.orig}). If the file is damaged, put "
                "its back-up there; without one, remove it: everything is ingested again."
            ) from error

    def close(self) -> None:
        """Let go of all connections."""
        self._writing.dispose()
        self._reading.dispose()

    def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        with self._reading.connect() as connection:
            return list(connection.execute(query).all())

    def states(self) -> dict[str, dict[str, int]]:
        """How many sources each service has in each state."""
        query = select(source.c.service, source.c.state, func.count().label("n"))
        found: dict[str, dict[str, int]] = {}
        for row in self._rows(query.group_by(source.c.service, source.c.state)):
            found.setdefault(row.service, {})[row.state] = row.n
        return found

    def next_start(self) -> float | None:
        """When the next queued source may start, as Unix seconds; None when none waits."""
        rows = self._rows(select(func.min(source.c.not_before)).where(source.c.state == "queued"))
        value: float | None = rows[0][0]
        return value

    def newest_run(self, services: Iterable[str]) -> int:
        """Id of the newest run of these services that changed an output; 0 when none did."""
        query = select(func.max(run.c.id)).where(
            run.c.service.in_(list(services)), run.c.outcome.in_(CHANGING)
        )
        return int(self._rows(query)[0][0] or 0)

    def changes(self, service: str, needs: Iterable[str], stamp: str) -> Changes:
        """What a derived service has to do again.

        Args:
            service: the derived service.
            needs: the services whose work counts.
            stamp: what else its result depends on; a new one means all is done again.
        """
        needs = list(needs)
        upto = self.newest_run(needs)
        last = self._rows(
            select(run.c.upto, run.c.stamp)
            .where(run.c.service == service, run.c.outcome == "done")
            .order_by(run.c.id.desc())
            .limit(1)
        )
        if not last or last[0].stamp != stamp:
            return Changes(None, None, upto)
        query = select(run.c.touches, run.c.published).where(
            run.c.service.in_(needs), run.c.outcome.in_(CHANGING)
        )
        rows = self._rows(query.where(run.c.id > last[0].upto, run.c.id <= upto))
        touches = {touch for row in rows for touch in row.touches}
        return Changes(
            touches=None if EVERYTHING in touches else frozenset(touches),
            published=tuple(path for row in rows for path in row.published),
            upto=upto,
        )

    def sources(
        self, service: str | None = None, states: Iterable[str] | None = None
    ) -> list[Row[Any]]:
        """The rows of ``source``, by service and name."""
        query = select(source).order_by(source.c.service, source.c.name)
        if service:
            query = query.where(source.c.service == service)
        if states is not None:
            query = query.where(source.c.state.in_(list(states)))
        return self._rows(query)

    def problems(self) -> list[Row[Any]]:
        """What failed, and what waits for something to be mended, by service and name."""
        held_up = and_(source.c.state == "queued", source.c.reason.not_in(PASSING))
        query = select(source).where(or_(source.c.state == "failed", held_up))
        return self._rows(query.order_by(source.c.service, source.c.name))

    def failures(self) -> list[Row[Any]]:
        """Problems, but for the files that edX itself could not make."""
        return [row for row in self.problems() if row.reason != SENDERS_OWN]

    def runs(self, since: int = 0) -> list[Row[Any]]:
        """The history after the run with this id, oldest first, with each source's name."""
        query = select(run, source.c.name.label("source_name")).join_from(run, source)
        return self._rows(query.where(run.c.id > since).order_by(run.c.id))

    def last_completed(self, service: str) -> datetime | None:
        """When a source of the service was last done (UTC, naive); None when none was."""
        query = select(func.max(source.c.completed_date)).where(source.c.service == service)
        found: datetime | None = self._rows(query)[0][0]
        return found

    def last_run_id(self) -> int:
        """Id of the newest row of the history; 0 when there is none."""
        return int(self._rows(select(func.max(run.c.id)))[0][0] or 0)

    def _utc(self) -> datetime:
        return datetime.fromtimestamp(self._now(), UTC).replace(tzinfo=None)


def _sqlite(path: Path, begin: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling would start every write as a read.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
