"""A world around the real queue: a clock, a folder of files, a lake, and fake workers.

The workers go through the steps of ``optimus.worker`` one at a time, so that anything may
happen between two of them. Content is a number; content 0 is damaged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from optimus.errors import LostClaimError
from optimus.queue.records import Claim, Observed, Result
from optimus.queue.store import LEASE_SECONDS, Queue
from optimus.servers import SqlServer

SERVICE = "logs"
DAMAGED = 0
MAX_ATTEMPTS = 5
SUCCESSES = ("done", "copy", "unchanged")
LONG_ENOUGH = 60
"""Turns in which a fair worker brings three sources to their end, however often they fail."""


@dataclass
class Try:
    """What one worker is doing: the next step, and what it has found out so far."""

    claim: Claim
    step: str = "open"
    content: int = DAMAGED
    mark: int = 0
    twin: str | None = None


class World:
    """Every method is something that may happen; all promises are asserted on the way.

    Attributes:
        disk: content and mark of each delivered file; a new mark is a new fingerprint.
        lake: what each source has published.
        tries: the workers that are at work, zombies too.
        held: the claims that are valid, by source: epoch and end of the lease.
        claims: every claim there ever was.
        struck: sources that failed or died through no fault of their content.
    """

    def __init__(self, place: Path | SqlServer) -> None:
        self.now = 1_000_000.0
        self.queue = Queue(place, now=lambda: self.now)
        self.disk: dict[str, tuple[int, int]] = {}
        self.lake: dict[str, int] = {}
        self.tries: dict[str, Try] = {}
        self.held: dict[str, tuple[int, float]] = {}
        self.struck: set[str] = set()
        self.claims: list[Claim] = []
        self.names: set[str] = set()
        self.epochs: dict[str, int] = {}
        self.tried: dict[str, str] = {}
        self._marks = 0

    def rows(self) -> dict[str, Any]:
        return {row.name: row for row in self.queue.sources()}

    def holds(self, claim: Claim) -> bool:
        return self.held.get(claim.name, (0, 0.0))[0] == claim.epoch

    # -- files -------------------------------------------------------------------------------

    def deliver(self, name: str, content: int) -> None:
        self._marks += 1
        self.disk[name] = content, self._marks

    def scan(self) -> None:
        seen = [
            Observed(SERVICE, SERVICE, "file", name, fingerprint=f"{mark}", path=name)
            for name, (_, mark) in self.disk.items()
        ]
        self.names |= set(self.disk)
        self.queue.observe(seen)
        self.queue.vanish(SERVICE, {item.identity for item in seen})

    # -- workers -----------------------------------------------------------------------------

    def claim(self, worker: str) -> bool:
        claim = self.queue.claim(SERVICE, f"house:{worker}")
        if claim is None:
            return False
        name = claim.name
        assert name not in self.held, "two claims of one source"
        assert claim.epoch > self.epochs.get(name, 0), "the epoch must rise"
        self.epochs[name] = claim.epoch
        self.held[name] = claim.epoch, self.now + LEASE_SECONDS
        self.claims.append(claim)
        if any(other.claim.name == name for other in self.tries.values()):
            # A stalled predecessor still holds the lock of this source.
            self.queue.release(claim, "unavailable", "still held", 15.0)
            del self.held[name]
            return True
        self.tried[name] = claim.fingerprint
        self.tries[worker] = Try(claim)
        return True

    def step(self, worker: str) -> None:
        if self._is_locked_out(worker):
            return
        attempt = self.tries[worker]
        getattr(self, f"_{attempt.step}")(worker, attempt)

    def finish(self, worker: str) -> None:
        while worker in self.tries and not self._is_locked_out(worker):
            self.step(worker)

    def _is_locked_out(self, worker: str) -> bool:
        """One try at a time holds the service's lock from its reservation to its commit."""
        others = [attempt for other, attempt in self.tries.items() if other != worker]
        is_held = any(other.step in ("publish", "commit") for other in others)
        return self.tries[worker].step == "reserve" and is_held

    def _open(self, worker: str, attempt: Try) -> None:
        if attempt.claim.name not in self.disk:
            self.release(worker, "changed", 15.0)
            return
        attempt.content, attempt.mark = self.disk[attempt.claim.name]
        if attempt.claim.done_sha256 == sha256(attempt.content):
            self._commit_as(worker, Result("unchanged", sha256=sha256(attempt.content)))
        else:
            attempt.step = "reserve"

    def _reserve(self, worker: str, attempt: Try) -> None:
        if attempt.content == DAMAGED:
            self._end(worker, lambda claim: self.queue.reject(claim, "damaged", "damaged"))
        elif self.disk.get(attempt.claim.name) != (attempt.content, attempt.mark):
            self.release(worker, "changed", 15.0)
        elif self.holds(attempt.claim):
            attempt.twin = self._reserved(attempt)
            attempt.step = "publish"
        else:
            with pytest.raises(LostClaimError):
                self._reserved(attempt)
            del self.tries[worker]

    def _reserved(self, attempt: Try) -> str | None:
        claim = attempt.claim
        return self.queue.reserve(claim, sha256(attempt.content), [claim.name], self._content_of)

    def _content_of(self, published: Sequence[str]) -> str | None:
        return next((sha256(self.lake[path]) for path in published if path in self.lake), None)

    def _publish(self, _worker: str, attempt: Try) -> None:
        mine = [attempt.claim.name] if attempt.twin is None else []
        self.lake |= dict.fromkeys(mine, attempt.content)
        for path in {*attempt.claim.published} - {*mine}:
            self.lake.pop(path, None)
        attempt.step = "commit"

    def _commit(self, worker: str, attempt: Try) -> None:
        published, outcome = ([], "copy") if attempt.twin else ([attempt.claim.name], "done")
        result = Result(outcome, sha256=sha256(attempt.content), published=published)
        self._commit_as(worker, result)

    def _commit_as(self, worker: str, result: Result) -> None:
        claim = self.tries.pop(worker).claim
        if self.holds(claim):
            self.queue.commit(claim, result)
            del self.held[claim.name]
        with pytest.raises(LostClaimError):
            self.queue.commit(claim, result)

    def release(self, worker: str, reason: str, delay: float) -> None:
        self._end(worker, lambda claim: self.queue.release(claim, reason, reason, delay))

    def defect(self, worker: str) -> None:
        self.struck.add(self.tries[worker].claim.name)
        self._end(worker, lambda claim: self.queue.fail(claim, "defect", "KeyError", MAX_ATTEMPTS))

    def die(self, worker: str, *, noticed: bool) -> None:
        self.struck.add(self.tries[worker].claim.name)
        if noticed:
            self._end(worker, lambda claim: self.queue.died(claim, "died"))
        else:
            del self.tries[worker]

    def _end(self, worker: str, how: Callable[[Claim], None]) -> None:
        claim = self.tries.pop(worker).claim
        if self.holds(claim):
            how(claim)
            del self.held[claim.name]
        else:
            self._change_nothing(claim, how)

    def _change_nothing(self, claim: Claim, how: Callable[[Claim], None]) -> None:
        before = tuple(self.rows()[claim.name])
        how(claim)
        assert tuple(self.rows()[claim.name]) == before, "a lost claim changed the row"

    def haunt(self) -> None:
        """The claims that were lost are used once more: none of them can do anything."""
        for claim in [claim for claim in self.claims[-3:] if not self.holds(claim)]:
            for deed in (self.queue.still_mine, self._reserve_again, self._commit_again):
                with pytest.raises(LostClaimError):
                    deed(claim)
            self._change_nothing(claim, lambda claim: self.queue.release(claim, "x", "x", 0.0))
            self._change_nothing(claim, lambda claim: self.queue.reject(claim, "x", "x"))
            self._change_nothing(claim, lambda claim: self.queue.renew([(claim, {})]))

    def _reserve_again(self, claim: Claim) -> None:
        self.queue.reserve(claim, sha256(1), [claim.name], self._content_of)

    def _commit_again(self, claim: Claim) -> None:
        self.queue.commit(claim, Result(sha256=sha256(1)))

    # -- time and the operator ---------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        late = {name for name, (_, lease) in self.held.items() if lease < self.now}
        assert self.queue.expire() == len(late)
        self.struck |= late
        for name in late:
            del self.held[name]

    def renew(self, worker: str) -> None:
        claim = self.tries[worker].claim
        self.queue.renew([(claim, {"done": 1, "total": 2, "rows": 3})])
        if self.holds(claim):
            self.held[claim.name] = claim.epoch, self.now + LEASE_SECONDS

    def restart(self) -> None:
        """The daemon was killed, its workers with it, and starts again."""
        self.tries.clear()
        assert self.queue.take_over("house") == len(self.held)
        self.struck |= set(self.held)
        self.held.clear()

    def rest(self) -> None:
        """No more faults: whatever waits gets its turn, until nothing waits."""
        for _ in range(len(self.tries)):  # Whoever holds the lock lets the next one go on.
            for worker in list(self.tries):
                self.finish(worker)
        assert not self.tries
        for _ in range(LONG_ENOUGH):
            self.scan()
            waiting = [row.not_before for row in self.rows().values() if row.state == "queued"]
            if not waiting and not self.held:
                return
            # After the clock was put back, the end of a lease may be a day away.
            leases = [lease for _, lease in self.held.values()]
            self.pass_time(max(self.now, *waiting, *leases) - self.now + LEASE_SECONDS + 1)
            if self.claim("fair") and "fair" in self.tries:
                self.finish("fair")
        raise AssertionError("a fair worker does not come to an end")


def sha256(content: int) -> str:
    return f"hash of {content}"
