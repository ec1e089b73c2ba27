"""Whatever happens in whatever order, the queue keeps its promises (reliability.md §7)."""

import shutil
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from optimus.queue.store import LEASE_SECONDS, Queue
from optimus.servers import SqlServer
from tests.core.queue_world import DAMAGED, MAX_ATTEMPTS, SUCCESSES, World, sha256

ALL_NAMES = ["a.log", "b.log", "c.log"]
NAMES = st.sampled_from(ALL_NAMES)
CONTENTS = st.integers(DAMAGED, 3)
WORKERS = ("one", "two")
WORKER = st.sampled_from(WORKERS)
STEPS = st.integers(1, 4)
ENDS = st.sampled_from(["go on", "stop", "outage", "defect", "death", "silent death"])
JUMPS = st.sampled_from([1.0, 11.0, 400.0, 3600.0, -50.0, -100_000.0])


class QueueModel(RuleBasedStateMachine):
    """Two workers, three files, four contents, and everything that may go wrong."""

    new_queue: ClassVar[Callable[[], Path | SqlServer]]

    def __init__(self) -> None:
        super().__init__()
        self.world = World(type(self).new_queue())

    # -- rules -------------------------------------------------------------------------------

    @rule(name=NAMES, content=CONTENTS, seen=st.booleans())
    def deliver(self, name: str, content: int, seen: bool) -> None:
        self.world.deliver(name, content)
        if seen:
            self.world.scan()

    @rule(name=NAMES, seen=st.booleans())
    def remove(self, name: str, seen: bool) -> None:
        self.world.disk.pop(name, None)
        if seen:
            self.world.scan()

    @rule()
    def scan(self) -> None:
        self.world.scan()

    @rule(worker=WORKER, steps=STEPS)
    def work(self, worker: str, steps: int) -> None:
        if worker not in self.world.tries:
            self.world.claim(worker)
        for _ in range(steps):
            if worker in self.world.tries:
                self.world.step(worker)

    @rule(worker=WORKER)
    def work_to_the_end(self, worker: str) -> None:
        if worker not in self.world.tries:
            self.world.claim(worker)
        self.world.finish(worker)

    @precondition(lambda self: self.world.tries)
    @rule(end=ENDS)
    def break_off(self, end: str) -> None:
        self._break_off(next(iter(self.world.tries)), end)

    def _break_off(self, worker: str, end: str) -> None:
        if end == "go on":
            self.world.finish(worker)
        elif end in ("stop", "outage"):
            self.world.release(worker, end, 0.0 if end == "stop" else 15.0)
        elif end == "defect":
            self.world.defect(worker)
        else:
            self.world.die(worker, noticed=end == "death")

    @precondition(lambda self: self.world.tries)
    @rule()
    def renew(self) -> None:
        self.world.renew(next(iter(self.world.tries)))

    @rule()
    def haunt(self) -> None:
        self.world.haunt()

    @rule(seconds=JUMPS)
    def jump_in_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @rule()
    def retry(self) -> None:
        self.world.queue.retry()
        assert not [row for row in self.world.rows().values() if row.state == "failed"]

    @precondition(lambda self: self.world.tries)
    @rule(content=CONTENTS, new=st.booleans(), steps=STEPS)
    def stall_and_be_superseded(self, content: int, new: bool, steps: int) -> None:
        zombie = next(iter(self.world.tries))
        name = self.world.tries[zombie].claim.name
        if new:
            self.world.deliver(name, content)
            self.world.scan()
        self.world.pass_time(LEASE_SECONDS + 1)
        self.work(next(worker for worker in WORKERS if worker != zombie), steps)

    @rule(name=NAMES, first=CONTENTS, second=CONTENTS, steps=STEPS, die=st.booleans())
    def old_content_returns(
        self, name: str, first: int, second: int, steps: int, die: bool
    ) -> None:
        for content, to_the_end in ((first, True), (second, False)):
            self.world.deliver(name, content)
            self.world.scan()
            if "one" not in self.world.tries:
                self.world.claim("one")
            if to_the_end:
                self.world.finish("one")
        for _ in range(steps):
            if "one" in self.world.tries:
                self.world.step("one")
        if die and "one" in self.world.tries:
            self.world.die("one", noticed=True)
        self.world.deliver(name, first)
        self.world.scan()

    @rule(name=NAMES, twin=NAMES, content=CONTENTS, steps=st.integers(0, 3))
    def copy_while_the_original_changes(
        self, name: str, twin: str, content: int, steps: int
    ) -> None:
        self.world.rest()
        self.world.deliver(twin, self.world.disk.get(name, (content, 0))[0])
        self.world.scan()
        self.work("one", steps)
        self.world.deliver(name, content)
        self.world.scan()
        self.work_to_the_end("two")

    @rule(
        content=CONTENTS, new=CONTENTS, steps=st.integers(0, 2), end=ENDS, times=st.integers(1, 3)
    )
    def change_while_it_is_tried(
        self, content: int, new: int, steps: int, end: str, times: int
    ) -> None:
        name = ALL_NAMES[0]
        self.world.rest()
        self.world.deliver(name, content)
        for number in range(times):
            self.world.scan()
            self.work("one", steps)
            if number == times - 1:
                self.world.deliver(name, new)
                self.world.scan()
            if "one" in self.world.tries:
                self._break_off("one", end)
            self.world.pass_time(LEASE_SECONDS + 1)

    @rule(content=CONTENTS, steps=st.lists(STEPS, min_size=3, max_size=6))
    def crash_among_equals(self, content: int, steps: list[int]) -> None:
        for name in ALL_NAMES:
            self.world.deliver(name, content)
        self.world.scan()
        for number in steps:
            self.work("one", number)
            if "one" in self.world.tries:
                self.world.die("one", noticed=True)
            self.world.pass_time(2.0)

    # -- invariants --------------------------------------------------------------------------

    @invariant()
    def every_promise_holds(self) -> None:
        rows = self.world.rows()
        assert set(rows) == self.world.names, "a row is never deleted"
        running = {name for name, row in rows.items() if row.state == "running"}
        assert running == set(self.world.held), "running means held"
        self._check_counters(rows)
        self._check_done(rows)

    def _check_counters(self, rows: dict[str, Any]) -> None:
        for row in rows.values():
            assert row.done_gen <= row.run_gen <= row.gen
            assert row.epoch == self.world.epochs.get(row.name, 0)
            assert 0 <= row.attempts <= MAX_ATTEMPTS
            assert row.state != "queued" or row.attempts < MAX_ATTEMPTS
            if row.state in ("done", "failed"):
                assert row.gen == row.run_gen, "an observed change was forgotten"
                assert row.fingerprint == self.world.tried[row.name]

    def _check_done(self, rows: dict[str, Any]) -> None:
        by_id = {row.id: row for row in rows.values()}
        for row in rows.values():
            if row.state != "done":
                continue
            assert row.done_gen == row.gen
            if row.copy_of is None:
                assert sha256(self.world.lake[row.name]) == row.sha256
            else:
                assert row.name not in self.world.lake
                assert sha256(self.world.lake[by_id[row.copy_of].name]) == row.sha256

    # -- the end -----------------------------------------------------------------------------

    def teardown(self) -> None:
        world = self.world
        world.rest()
        for name, (content, _) in world.disk.items():
            state = world.rows()[name].state
            if content == DAMAGED:
                assert state == "failed"
            elif name not in world.struck:
                assert state == "done"
        world.queue.retry()
        world.rest()
        self.every_promise_holds()
        self._every_content_counts_once()
        runs = Counter(
            (run.source_id, run.epoch) for run in world.queue.runs() if run.outcome in SUCCESSES
        )
        assert not runs or max(runs.values()) == 1
        world.queue.close()

    def _every_content_counts_once(self) -> None:
        world, rows = self.world, self.world.rows()
        names = {row.id: row.name for row in rows.values()}
        published = list(world.lake.values())
        for name, (content, _) in world.disk.items():
            if content != DAMAGED:
                assert rows[name].state == "done"
                assert world.lake[names.get(rows[name].copy_of, name)] == content
                assert published.count(content) == 1


def no_order_of_events_breaks_a_promise(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        QueueModel,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            # To shrink an example of this size takes minutes: add Phase.shrink to have one.
            phases=[Phase.generate],
            report_multiple_bugs=False,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_order_of_events_breaks_a_promise_of_the_queue(tmp_path, monkeypatch):
    empty = tmp_path / "empty.sqlite"
    Queue(empty).close()
    numbers = count()

    def new_queue() -> Path:
        path: Path = tmp_path / f"{next(numbers)}.sqlite"
        shutil.copyfile(empty, path)
        return path

    monkeypatch.setattr(QueueModel, "new_queue", staticmethod(new_queue), raising=False)
    no_order_of_events_breaks_a_promise(examples=40, steps=40)


def test_nor_of_the_queue_in_mysql(mariadb, monkeypatch):
    Queue(mariadb.server).close()

    def new_queue() -> SqlServer:
        for table in ("run", "source"):
            mariadb.execute(f"DELETE FROM api.{table}")
        server: SqlServer = mariadb.server
        return server

    monkeypatch.setattr(QueueModel, "new_queue", staticmethod(new_queue), raising=False)
    no_order_of_events_breaks_a_promise(examples=10, steps=30)
