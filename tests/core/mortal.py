"""Queues and services that do what a test needs: record, die, meddle."""

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from optimus.queue.records import Claim, Result
from optimus.queue.store import Queue
from optimus.registry import Registry
from optimus.scanner import scan
from optimus.scheduler import Scheduler
from optimus.service import FileRun
from optimus.worker import Worker
from services.clickstream.service import Clickstream
from tests.house import House

LOG = "demox-edx-events-2014-03-04.log"
OTHER = "demox-edx-events-2014-03-05.log"
LONG_ENOUGH = 0.2
"""Seconds in which a worker that need not wait for another has done its work."""


class KilledError(BaseException):
    """The process ends here."""


class Clock:
    """The time, as the test says."""

    def __init__(self, now: float = 2_000_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class MortalQueue(Queue):
    """Calls ``deed`` before or after one of its steps (``before reserve``, ``after commit``)."""

    def __init__(self, path: Path, at: str, deed: Callable[[], None], now: Clock) -> None:
        super().__init__(path, now)
        self.at = at
        self.deed = deed

    def _reached(self, at: str) -> None:
        if at == self.at:
            self.at = ""
            self.deed()

    def reserve(self, claim: Claim, *content: Any, **more: Any) -> str | None:
        self._reached("before reserve")
        reservation = super().reserve(claim, *content, **more)
        self._reached("after reserve")
        return reservation

    def commit(self, claim: Claim, result: Result) -> None:
        self._reached("before commit")
        super().commit(claim, result)
        self._reached("after commit")


class Meddled(Clickstream):
    """Tracking logs, with something that happens when a file has been read."""

    def __init__(self, meddle: Callable[[FileRun], None]) -> None:
        self._meddle = meddle

    def ingest(self, run: FileRun) -> None:
        super().ingest(run)
        self._meddle(run)


class MortalHouse(House):
    """A house of tracking logs whose time and whose accidents the test decides."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, ["clickstream"], **settings)
        self.clock = Clock()
        self._others: list[Thread] = []
        self.queue.close()
        self.queue = Queue(self.settings.queue_place, self.clock)

    def interrupt(self, at: str, deed: Callable[[], None]) -> None:
        """Let something happen once, at a step of the next items."""
        self.queue.close()
        self.queue = MortalQueue(self.settings.queue_path, at, deed, self.clock)

    def meanwhile(self, at: str, deed: Callable[[], None]) -> None:
        """Let another worker do something at that step; it may have to wait for this one."""
        other = Thread(target=deed)

        def begin() -> None:
            other.start()
            other.join(LONG_ENOUGH)

        self._others.append(other)
        self.interrupt(at, begin)

    def ingest(self) -> int:
        items = super().ingest()
        while self._others:
            self._others.pop().join()
        return items

    def meddle(self, meddle: Callable[[FileRun], None]) -> None:
        """Let something happen whenever a file has been read."""
        self.registry = Registry((Meddled(meddle),), self.registry.lake_tables)

    def calm(self) -> None:
        """Let nothing more happen."""
        self.registry = Registry((Clickstream(),), self.registry.lake_tables)

    def die(self) -> None:
        raise KilledError

    def ingest_until_killed(self) -> None:
        try:
            self.ingest()
        except KilledError:
            return
        raise AssertionError("nobody was killed")

    def restart(self) -> int:
        """Start again after a crash, with nothing left running, and do all there is."""
        self.clock.now += 1000
        scheduler = Scheduler(self.settings, self.registry, self.queue)
        self.queue.take_over(scheduler.owner)
        return self.ingest_all()

    def ingest_all(self) -> int:
        """Ingest until nothing waits, however long that takes."""
        items = self.ingest()
        while any(row.state == "queued" for row in self.sources("clickstream")):
            self.clock.now += 1000
            items += self.ingest()
        return items

    def scan(self) -> None:
        """Only look at the package."""
        scan(self.settings, self.registry, self.queue, settle_seconds=0)

    def claim(self) -> Claim:
        claim = self.queue.claim("clickstream", "another worker")
        assert claim is not None
        return claim

    def do(self, claim: Claim) -> None:
        """Work on one item, as a worker process of its own."""
        queue = Queue(self.settings.queue_place, self.clock)
        Worker(self.settings, self.registry, queue).do(claim, lambda progress: True)
        queue.close()

    def supersede(self) -> None:
        """Let the lease of what runs end, and another worker claim it."""
        self.clock.now += 100
        queue = Queue(self.settings.queue_place, self.clock)
        queue.expire()
        assert queue.claim("clickstream", "successor") is not None
        queue.close()

    def events(self) -> list[tuple[Any, ...]]:
        """What the lake holds: source and event type of every event."""
        return self.query("SELECT source, event_type FROM logs.clickstream ORDER BY ALL")

    def source(self, name: str = LOG) -> Any:
        """The queue's row of a log."""
        [found] = [row for row in self.sources("clickstream") if row.name == name]
        return found

    def leftovers(self) -> list[str]:
        """Files that should not be there: hidden ones, in any folder that is written to."""
        folders = (self.settings.lake_path, self.settings.state_path / "rejects")
        return [path.name for folder in folders for path in folder.rglob(".*")]


def event(kind: str) -> dict[str, Any]:
    """An event whose type is all that matters."""
    return {"event_type": kind, "time": "2014-03-04T05:06:07+00:00"}
