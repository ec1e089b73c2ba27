"""Every change of the queue's state, and nowhere else.

A source is ``queued``, ``running``, ``done``, ``failed`` or ``gone``; its row is never
deleted. ``gen`` rises when its bytes change, ``epoch`` at each claim: a worker whose epoch
is no longer the row's has lost its claim and can change nothing. A claim charges an
attempt, a release gives it back, so that only deaths and failures count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, or_, select, update

from optimus.errors import LostClaimError
from optimus.package.edits import Edit
from optimus.queue.databases import Hold, transaction
from optimus.queue.reading import QueueReader, counted_sha256
from optimus.queue.records import TOO_MANY_REJECTS, Claim, Observed, Result, back_off
from optimus.queue.tables import acceptance, config, edit, run, source
from optimus.queue.takeover import Original, continued, is_told_of_a_server_alone

LEASE_SECONDS = 60.0
DEATHS_ALLOWED = 3

ContentOf = Callable[[Sequence[str]], str | None]


class Queue(QueueReader):
    """The queue, with all that can happen to a source."""

    _original: Original | None = None

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        """A transaction that is alone, but for claims: they lock the rows that they take."""
        database = self._database
        with transaction(database, database.writing, serialised=True) as connection:
            yield connection

    def hold(self, claim: Claim) -> AbstractContextManager[Hold]:
        """Keep the workers of other hosts away from a source during a try.

        Raises:
            OutputUnavailableError: one of them still holds it.
        """
        return self._database.hold(claim.identity)

    def configure(self, name: str, value: str) -> None:
        """Tell others a setting, in the original's table ``config``."""
        with self._write() as connection:
            known = config.c.param_name == name
            if connection.execute(select(config.c.id).where(known)).first():
                connection.execute(update(config).where(known).values(param_value=value))
            else:
                connection.execute(config.insert().values(param_name=name, param_value=value))

    # -- what a scan saw ---------------------------------------------------------------------

    def observe(self, seen: Iterable[Observed], settle_seconds: float = 0.0) -> int:
        """Take in what a scan saw: new sources, changed ones, returned ones.

        Args:
            seen: the sources.
            settle_seconds: how long a new or changed source rests before it can be claimed.

        Returns:
            How many sources have become queued.
        """
        seen = list(seen)
        services = {item.service for item in seen}
        with self._write() as connection:
            rows = connection.execute(select(source).where(source.c.service.in_(services)))
            known = {row.identity: row for row in rows}
            new = [item for item in seen if item.identity not in known]
            queued = self._insert(connection, new, settle_seconds)
            for item in seen:
                row = known.get(item.identity)
                if row is None:
                    continue
                if is_told_of_a_server_alone(row, item):
                    # What the original completed, it has written there itself.
                    connection.execute(
                        update(source)
                        .where(source.c.id == row.id)
                        .values(fingerprint=item.fingerprint)
                    )
                elif row.fingerprint != item.fingerprint or row.state == "gone":
                    queued += self._changed(connection, row.id, item, settle_seconds)
                elif row.path != item.path or row.facts != item.facts:
                    connection.execute(
                        update(source)
                        .where(source.c.id == row.id)
                        .values(path=item.path, facts=item.facts)
                    )
        return queued

    def _insert(
        self, connection: Connection, items: Sequence[Observed], settle_seconds: float
    ) -> int:
        if not items:
            return 0
        if self._original is None:
            self._original = Original(connection)
        fresh, known_before = [], []
        for item in items:
            values = self._new_row(item, settle_seconds)
            before = self._original.row_of(item)
            if before is None:
                fresh.append(values)
            else:
                known_before.append(values | continued(before))
        for values in known_before:
            connection.execute(source.insert().values(**values))
        if fresh:
            connection.execute(source.insert(), fresh)
        return len(fresh) + [values["state"] for values in known_before].count("queued")

    def _new_row(self, item: Observed, settle_seconds: float) -> dict[str, Any]:
        return {
            "service": item.service,
            "spelled": item.spelled,
            "kind": item.kind,
            "name": item.name,
            "identity": item.identity,
            "path": item.path,
            "facts": item.facts,
            "fingerprint": item.fingerprint,
            "state": "queued",
            "gen": 1,
            "run_gen": 0,
            "done_gen": 0,
            "epoch": 0,
            "attempts": 0,
            "not_before": self._now() + settle_seconds,
            "counts": {},
            "published": [],
            "touches": [],
            "created": self._utc(),
        }

    def _changed(
        self, connection: Connection, source_id: int, item: Observed, settle_seconds: float
    ) -> bool:
        """Take in that a source has changed; whether that queues it."""
        row = connection.execute(
            select(source).where(source.c.id == source_id).with_for_update()
        ).one()
        values: dict[str, Any] = {
            "path": item.path,
            "facts": item.facts,
            "fingerprint": item.fingerprint,
            "gen": row.gen + 1,
        }
        waits: bool = row.state != "running"
        if waits:
            values |= _queued_again(self._now() + settle_seconds)
        connection.execute(update(source).where(source.c.id == row.id).values(**values))
        return waits

    def vanish(self, service: str, present: set[str]) -> int:
        """Mark as gone what waits or failed and is no longer in the package.

        Args:
            service: whose sources to look at.
            present: identities that the scan saw.
        """
        with self._write() as connection:
            rests = source.c.state.in_(("queued", "failed"))
            rows = connection.execute(
                select(source.c.id, source.c.identity).where(source.c.service == service, rests)
            ).all()
            missing = [row.id for row in rows if row.identity not in present]
            gone = 0
            for source_id in missing:
                gone += connection.execute(
                    update(source)
                    .where(source.c.id == source_id, rests)
                    .values(
                        state="gone", reason="gone", message="It is no longer in the data folders."
                    )
                ).rowcount
        return gone

    # -- claims ------------------------------------------------------------------------------

    def claim(self, service: str, owner: str) -> Claim | None:
        """Take the source of a service that has waited longest, if any may start now."""
        now = self._now()
        with transaction(self._database, self._database.writing) as connection:
            # Several daemons claim at the same time: each passes over what another one takes.
            row = connection.execute(
                select(source)
                .where(source.c.service == service, source.c.state == "queued")
                .where(source.c.not_before <= now)
                .order_by(source.c.not_before, source.c.id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if row is None:
                return None
            taken = connection.execute(
                update(source)
                .where(source.c.id == row.id, source.c.epoch == row.epoch)
                .where(source.c.state == "queued")
                .values(
                    state="running",
                    epoch=row.epoch + 1,
                    attempts=row.attempts + 1,
                    run_gen=row.gen,
                    owner=owner,
                    lease_until=now + LEASE_SECONDS,
                    started_date=self._utc(),
                    progress=None,
                )
            )
            if taken.rowcount != 1:
                return None
        return Claim(
            source_id=row.id,
            service=row.service,
            kind=row.kind,
            name=row.name,
            path=row.path,
            facts=row.facts,
            identity=row.identity,
            fingerprint=row.fingerprint,
            gen=row.gen,
            epoch=row.epoch + 1,
            attempts=row.attempts + 1,
            done_sha256=row.done_sha256,
            published=row.published,
            outputs=row.counts.get("outputs"),
            owner=owner,
            started=now,
        )

    def renew(self, claims: Iterable[tuple[Claim, dict[str, Any]]]) -> None:
        """Extend the leases of running work and store its progress."""
        with self._write() as connection:
            for claim, progress in claims:
                connection.execute(
                    update(source)
                    .where(*_mine(claim))
                    .values(lease_until=self._now() + LEASE_SECONDS, progress=progress)
                )

    def reserve(
        self,
        claim: Claim,
        content_sha256: str | None,
        published: Iterable[str] = (),
        content_of: ContentOf = lambda _published: None,
    ) -> str | None:
        """The last step before publishing: the claim still holds, and nothing else has this.

        Where equal content counts once, one try at a time may be between this and its commit.

        Args:
            claim: the try that is about to publish.
            content_sha256: hash of the unpacked content where equal content counts once.
            published: the lake files it is about to publish.
            content_of: tells from a source's lake files which content they hold now: after an
                interruption nobody else knows.

        Returns:
            Name of the source that already gives the same content, or None.

        Raises:
            LostClaimError: another worker has taken the source over.
        """
        with self._write() as connection:
            row = self._own_row(connection, claim)
            twin = None
            if content_sha256 is not None:
                twin = self._twin(connection, claim, content_sha256, content_of)
            # What becomes a copy itself takes its files away: its own copies lose them too.
            self._free_copies(connection, claim.source_id, None if twin else content_sha256)
            held = row.content_sha256
            if row.reserved_sha256 is not None:
                held = content_of(row.published)
            connection.execute(
                update(source)
                .where(source.c.id == claim.source_id)
                .values(
                    done_sha256=None,
                    content_sha256=held,
                    reserved_sha256=content_sha256,
                    copy_of=twin.id if twin else None,
                    # After a crash from here on, these may be there.
                    published=sorted({*row.published, *published}),
                )
            )
        return twin.name if twin else None

    def _twin(
        self, connection: Connection, claim: Claim, content_sha256: str, content_of: ContentOf
    ) -> Row[Any] | None:
        """Another source whose lake files hold this content."""
        others = connection.execute(
            select(source)
            .where(source.c.service == claim.service, source.c.id != claim.source_id)
            .where(
                or_(
                    source.c.content_sha256 == content_sha256,
                    source.c.reserved_sha256 == content_sha256,
                )
            )
            .order_by(source.c.id)
        )
        # The queue only suspects; after an interruption the lake alone knows what it holds.
        for other in others:
            if content_of(other.published) == content_sha256:
                return other
        return None

    def has_twin(self, claim: Claim, content_sha256: str, content_of: ContentOf) -> bool:
        """Whether another source seems to give this content; only ``reserve`` is sure."""
        with transaction(self._database, self._database.reading) as connection:
            return self._twin(connection, claim, content_sha256, content_of) is not None

    def still_mine(self, claim: Claim) -> None:
        """Check a claim.

        Raises:
            LostClaimError: another worker has taken the source over.
        """
        with self._write() as connection:
            self._own_row(connection, claim)

    def _free_copies(
        self, connection: Connection, original: int, content_sha256: str | None
    ) -> None:
        """What was a copy of content that is going to be replaced counts for itself again."""
        copies = connection.execute(
            select(source).where(source.c.copy_of == original).with_for_update()
        )
        for copy in copies.all():
            relied_on = copy.reserved_sha256 or copy.content_sha256
            if relied_on == content_sha256:
                continue
            values: dict[str, Any] = {"gen": copy.gen + 1, "copy_of": None, "done_sha256": None}
            if copy.state != "running":
                values |= _queued_again(self._now())
            connection.execute(update(source).where(source.c.id == copy.id).values(**values))

    def _own_row(self, connection: Connection, claim: Claim) -> Row[Any]:
        row = connection.execute(select(source).where(*_mine(claim))).first()
        if row is None:
            raise LostClaimError(claim.name)
        return row

    # -- how a try can end -------------------------------------------------------------------

    def commit(self, claim: Claim, result: Result) -> None:
        """Record a success. New bytes that arrived meanwhile queue the source again.

        Raises:
            LostClaimError: another worker has taken the source over.
        """
        with self._write() as connection:
            row = self._own_row(connection, claim)
            before = row.touches if result.outcome != "unchanged" else ()
            self._history(connection, claim, result, touches={*result.touches, *before})
            _delete_edits(connection, claim.source_id, result.stale_edits)
            values: dict[str, Any] = {
                "state": "done",
                "done_gen": claim.gen,
                "sha256": result.sha256,
                "attempts": 0,
                "owner": None,
                "lease_until": None,
                "progress": None,
                "reason": result.outcome if result.outcome == "copy" else None,
                "message": result.message,
                "completed_date": self._utc(),
            }
            if result.outcome != "unchanged":
                values |= {
                    "counts": dict(result.counts),
                    "published": list(result.published),
                    "touches": list(result.touches) if claim.kind == "file" else [],
                    "content_sha256": row.reserved_sha256,
                    "reserved_sha256": None,
                    # A copy whose original has changed meanwhile has to be looked at again.
                    "done_sha256": None
                    if result.outcome == "copy" and row.copy_of is None
                    else result.sha256,
                }
            if row.gen > claim.gen:
                values |= _queued_again(self._now())
            connection.execute(update(source).where(source.c.id == claim.source_id).values(values))

    def release(self, claim: Claim, reason: str, message: str, delay: float) -> None:
        """Give a source back unharmed and uncharged: a stop, an outage, a changing file."""
        self._end(claim, "released", "queued", reason, message, delay=delay, charged=False)

    def fail(self, claim: Claim, reason: str, message: str, max_attempts: int) -> None:
        """Record a failure that may pass: try again later, but not for ever."""
        state = "failed" if claim.attempts >= max_attempts else "queued"
        self._end(claim, "failed", state, reason, message, delay=back_off(claim.attempts))

    def reject(
        self, claim: Claim, reason: str, message: str, counts: Mapping[str, Any] | None = None
    ) -> None:
        """Record a failure that only other bytes or the operator can change."""
        self._end(claim, "failed", "failed", reason, message, counts=counts)

    def _end(  # noqa: PLR0913 - one private home for what the three endings share
        self,
        claim: Claim,
        outcome: str,
        state: str,
        reason: str,
        message: str,
        *,
        delay: float = 0.0,
        charged: bool = True,
        counts: Mapping[str, Any] | None = None,
    ) -> None:
        with self._write() as connection:
            row = connection.execute(select(source).where(*_mine(claim))).first()
            if row is None:
                return
            if charged:
                result = Result(outcome, counts=counts or {}, message=message)
                self._history(connection, claim, result)
            values: dict[str, Any] = {
                "state": state,
                "attempts": row.attempts if charged else max(row.attempts - 1, 0),
                "not_before": self._now() + delay,
                "owner": None,
                "lease_until": None,
                "progress": None,
                "reason": reason,
                "message": message,
            }
            if counts is not None:
                values["counts"] = dict(counts)
            if row.gen > claim.gen:
                values |= _queued_again(self._now())
            connection.execute(update(source).where(source.c.id == row.id).values(values))

    def died(self, claim: Claim, message: str) -> None:
        """Record that a worker died or hung on a source; three deaths and it rests."""
        self.fail(claim, "worker_died", message, DEATHS_ALLOWED)

    def expire(self) -> int:
        """Take back what a daemon that is no more left running; the attempt stays charged."""
        with self._write() as connection:
            left = connection.execute(
                select(source).where(
                    source.c.state == "running", source.c.lease_until < self._now()
                )
            ).all()
            for row in left:
                values: dict[str, Any] = {
                    "state": "failed" if row.attempts >= DEATHS_ALLOWED else "queued",
                    "not_before": self._now(),
                    "owner": None,
                    "lease_until": None,
                    "progress": None,
                    "reason": "interrupted",
                    "message": f"Interrupted {row.attempts} times before it was done.",
                }
                if row.gen > row.run_gen:
                    values |= _queued_again(self._now())
                connection.execute(update(source).where(source.c.id == row.id).values(**values))
        return len(left)

    def take_over(self, owner_prefix: str) -> int:
        """At start: what an earlier process of this state folder left running is free now."""
        with self._write() as connection:
            connection.execute(
                update(source)
                .where(source.c.state == "running", source.c.owner.startswith(owner_prefix))
                .values(lease_until=0.0)
            )
        return self.expire()

    def retry(
        self, service: str | None = None, name: str | None = None, *, done: bool = False
    ) -> int:
        """Queue failed sources again, as if they had never been tried.

        Args:
            service: only those of this service.
            name: only those whose logical name contains this text.
            done: those that are done as well.

        Returns:
            How many were queued.
        """
        held_up = and_(source.c.state == "queued", source.c.reason.is_not(None))
        states = ("failed", "done") if done else ("failed",)
        condition = [or_(source.c.state.in_(states), held_up)]
        if service:
            condition.append(source.c.service == service)
        if name:
            condition.append(source.c.name.contains(name, autoescape=True))
        with self._write() as connection:
            return connection.execute(
                update(source)
                .where(*condition)
                .values(**_queued_again(self._now()), done_sha256=None)
            ).rowcount

    def replay(self, source_id: int, edits: Iterable[Edit] = ()) -> bool:
        """Queue a source again, with these lines edited.

        Args:
            source_id: id of its row.
            edits: take the place of earlier edits of the same lines; one that changes nothing
                only takes those back.

        Returns:
            Whether that was done; while the source is being ingested it is not.
        """
        edits = list(edits)
        with self._write() as connection:
            row = connection.execute(
                select(source.c.state).where(source.c.id == source_id).with_for_update()
            ).one()
            if row.state == "running":
                return False
            values: dict[str, Any] = {"done_sha256": None}
            if row.state != "queued":
                values |= _queued_again(self._now())
            connection.execute(update(source).where(source.c.id == source_id).values(values))
            _delete_edits(connection, source_id, [one.line for one in edits])
            rows = [
                {"source_id": source_id, "line": one.line, "sha256": one.sha256, "text": one.text}
                for one in edits
                if not one.changes_nothing
            ]
            if rows:
                connection.execute(edit.insert(), rows)
        return True

    def accept_rejects(self, seen: Row[Any], counted: Mapping[str, int]) -> bool:
        """Agree that rejects of a source stay out, as long as its bytes stay what they are.

        Args:
            seen: the row of the source, as the operator saw it.
            counted: how many records of each reason.

        Returns:
            Whether the source is queued again: it had failed for too many rejects.
        """
        key = {"source_id": seen.id, "sha256": counted_sha256(seen)}
        same = and_(*(acceptance.c[name] == value for name, value in key.items()))
        with self._write() as connection:
            before = connection.execute(select(acceptance.c.reasons).where(same)).scalar() or {}
            connection.execute(delete(acceptance).where(same))
            connection.execute(
                acceptance.insert().values(
                    **key, reasons={**before, **counted}, accepted=self._utc()
                )
            )
            queued = connection.execute(
                update(source)
                .where(source.c.id == seen.id, source.c.epoch == seen.epoch)
                .where(source.c.state == "failed", source.c.reason == TOO_MANY_REJECTS)
                .values(**_queued_again(self._now()))
            )
        return queued.rowcount == 1

    def _history(
        self,
        connection: Connection,
        claim: Claim,
        result: Result,
        touches: Iterable[str] = (),
    ) -> None:
        started = datetime.fromtimestamp(claim.started, UTC).replace(tzinfo=None)
        connection.execute(
            run.insert().values(
                source_id=claim.source_id,
                service=claim.service,
                gen=claim.gen,
                epoch=claim.epoch,
                worker=claim.owner,
                started=started,
                ended=self._utc(),
                seconds=round(self._now() - claim.started, 3),
                outcome=result.outcome,
                message=result.message,
                counts=dict(result.counts),
                notes=list(result.notes),
                touches=sorted(touches),
                published=list(result.published),
                upto=result.upto,
                stamp=result.stamp,
            )
        )


def _delete_edits(connection: Connection, source_id: int, lines: Sequence[int]) -> None:
    if lines:
        connection.execute(
            delete(edit).where(edit.c.source_id == source_id, edit.c.line.in_(lines))
        )


def _mine(claim: Claim) -> tuple[Any, ...]:
    return (
        source.c.id == claim.source_id,
        source.c.epoch == claim.epoch,
        source.c.state == "running",
    )


def _queued_again(not_before: float) -> dict[str, Any]:
    return {
        "state": "queued",
        "attempts": 0,
        "not_before": not_before,
        "reason": None,
        "message": None,
    }
