"""The queue's database, and the questions that change nothing in it."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select

from optimus.package.edits import Edit
from optimus.queue.databases import database_at, transaction
from optimus.queue.migrations import migrate
from optimus.queue.records import SENDERS_OWN, Changes
from optimus.queue.tables import acceptance, edit, run, source
from optimus.servers import SqlServer
from optimus.touches import EVERYTHING

PASSING = ("stopped", "changed")
"""Reasons for waiting that go away by themselves."""
CHANGING = ("done", "copy")
"""Outcomes of a run that may have changed an output."""


class QueueReader:
    """The queue as everybody may see it. Safe to use from several processes at once."""

    def __init__(self, place: Path | SqlServer, now: Callable[[], float] | None = None) -> None:
        """Open the queue, creating or upgrading it.

        Args:
            place: the SQLite file, or the server with the database ``api``.
            now: tells the time as Unix seconds; by default the clock of the place.

        Raises:
            SettingsError: the queue belongs to a newer version, or waits for ``migrate``.
            OutputUnavailableError: the file cannot be written, the server not be reached.
        """
        self._database = database_at(place)
        self._now = now or self._database.now
        migrate(self._database)

    def now(self) -> float:
        """The queue's time, as Unix seconds."""
        return self._now()

    def close(self) -> None:
        """Let go of all connections."""
        self._database.writing.dispose()
        self._database.reading.dispose()

    def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        with transaction(self._database, self._database.reading) as connection:
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

    def edits(self, source_id: int) -> list[Edit]:
        """The lines of a source that an operator has edited, with learners' data."""
        query = select(edit).where(edit.c.source_id == source_id).order_by(edit.c.line)
        return [Edit(row.line, row.sha256, row.text) for row in self._rows(query)]

    def acceptances(self, source_id: int | None = None) -> dict[tuple[int, str], Row[Any]]:
        """What operators have let stay out, by id of the source and hash of its bytes.

        Args:
            source_id: only of this source.
        """
        query = select(acceptance)
        if source_id is not None:
            query = query.where(acceptance.c.source_id == source_id)
        return {(row.source_id, row.sha256): row for row in self._rows(query)}

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
        query = select(run, source.c.name.label("source_name")).join_from(
            run, source, run.c.source_id == source.c.id
        )
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


def counted_sha256(row: Row[Any]) -> str:
    """Hash of the delivered bytes that the counts of a source are about; blank if not known.

    The column ``sha256`` is of what was last done, and the counts may be of a later failure.
    """
    return row.counts.get("sha256") or row.sha256 or ""
