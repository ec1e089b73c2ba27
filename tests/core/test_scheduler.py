"""What is promised about what may start now, and when derived work runs."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from optimus.package.layout import Package, PackageFile
from optimus.queue.records import Result
from optimus.queue.store import Queue
from optimus.registry import Registry
from optimus.scanner import scan
from optimus.scheduler import (
    PATIENCE_WITH_A_SERVER,
    Outages,
    Scheduler,
    Wishes,
    at_rest,
    order_of_claims,
    owner_of,
)
from optimus.service import (
    DerivedRun,
    DerivedService,
    FileRun,
    FileService,
    PeriodicService,
    Run,
    Service,
)
from optimus.touches import EVERYTHING
from optimus.worker import Worker
from tests.core.mortal import LOG, OTHER, Clock, event
from tests.house import House


class Clicks(FileService):
    """Takes logs; touches what their first line says."""

    name, spelled, title = "clicks", "Clicks", "Clicks"

    def wants(self, package: Package) -> Iterable[PackageFile]:
        return package.logs

    def ingest(self, run: FileRun) -> None:
        content = run.read(1000).decode()
        if "defect" in content:
            raise KeyError(content)
        run.touches.add(content.strip())


class Dumps(FileService):
    """Takes nothing of its own accord."""

    name, spelled, title = "dumps", "Dumps", "Dumps"

    def wants(self, package: Package) -> Iterable[PackageFile]:
        return package.state

    def ingest(self, run: FileRun) -> None:
        run.touches.add("dump")


class Times(DerivedService):
    """Remembers what it was told to do again."""

    name, spelled, title = "times", "Times", "Times"
    needs: ClassVar[tuple[str, ...]] = ("clicks",)
    told: ClassVar[list[frozenset[str] | None]] = []
    rules: ClassVar[str] = ""

    def stamp(self, options: Any) -> str:
        return self.rules

    def derive(self, run: DerivedRun) -> None:
        self.told.append(run.touched)
        run.touches.update(run.touched or {EVERYTHING})


class Report(Times):
    """Needs both kinds."""

    name, spelled, title = "report", "Report", "Report"
    needs: ClassVar[tuple[str, ...]] = ("times", "dumps")
    told: ClassVar[list[frozenset[str] | None]] = []


@pytest.fixture
def house(tmp_path, monkeypatch):
    house = House(tmp_path)
    house.registry = Registry((Clicks(), Dumps(), Times(), Report()), ())
    for service in (Times, Report):
        monkeypatch.setattr(service, "told", [])
    return house


def deliver_dump(house: House, content: str = "x") -> None:
    path = house.package / "database_state/latest/DemoX-Bees101-1-auth_user-prod-analytics.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


# --- rest -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_need_that_waits_or_runs_is_not_at_rest(state):
    assert not at_rest({"a", "b"}, {"a": {"done": 5}, "b": {state: 1}})


@pytest.mark.parametrize("state", ["done", "failed", "gone"])
def test_needs_that_have_come_to_an_end_are_at_rest(state):
    assert at_rest({"a", "b"}, {"a": {state: 1}, "other": {"running": 1}})


def test_who_needs_nobody_may_always_start():
    assert at_rest(set(), {"a": {"running": 1}})


def test_the_service_with_the_fewest_items_running_claims_first():
    services: list[Service] = [Clicks(), Dumps()]
    assert [s.name for s in order_of_claims(services, {"clicks": 2})] == ["dumps", "clicks"]


# --- derived work -----------------------------------------------------------------------------


def test_derived_work_runs_after_its_needs_and_once(house):
    house.log(LOG, "a")
    house.ingest()
    house.ingest()
    assert (len(Times.told), len(Report.told)) == (1, 1)
    services = [run.service for run in house.queue.runs()]
    assert services == ["clicks", "times", "report"]


def test_the_first_time_everything_is_done(house):
    house.log(LOG, "a")
    house.ingest()
    assert Times.told == [None]


def test_later_only_what_was_touched_is_done_again(house):
    house.log(LOG, "a")
    house.ingest()
    house.log(OTHER, "b")
    house.ingest()
    assert Times.told == [None, frozenset({"b"})]


def test_what_a_changed_file_touched_before_is_done_again_too(house):
    house.log(LOG, "a")
    house.ingest()
    house.log(LOG, "b and more")
    house.ingest()
    assert Times.told[-1] == frozenset({"a", "b and more"})


def test_a_week_with_new_dumps_and_no_new_clicks_runs_what_needs_both(house):
    house.log(LOG, "a")
    deliver_dump(house)
    house.ingest()
    deliver_dump(house, "other rows")
    house.ingest()
    assert (len(Times.told), len(Report.told)) == (1, 2)
    assert Report.told[-1] == frozenset({"dump"})


def test_new_clicks_without_dumps_run_what_needs_both(house):
    house.log(LOG, "a")
    house.ingest()
    assert len(Report.told) == 1


def test_nothing_new_runs_nothing(house):
    house.log(LOG, "a")
    house.ingest()
    assert house.ingest() == 0


def test_a_touched_file_of_equal_bytes_runs_nothing_derived(house):
    path = house.log(LOG, "a")
    house.ingest()
    path.touch()
    house.ingest()
    assert len(Times.told) == 1


def test_without_any_file_nothing_derived_runs(house):
    assert house.ingest() == 0


def test_new_rules_do_everything_again(house, monkeypatch):
    house.log(LOG, "a")
    house.ingest()
    monkeypatch.setattr(Times, "rules", "other rules")
    house.ingest()
    assert Times.told == [None, None]


def test_failed_files_do_not_hold_up_the_others_for_ever(house):
    house.log(LOG, "defect")
    house.log(OTHER, "b")
    house.ingest()
    assert Times.told == []
    for _ in range(house.settings.max_attempts):
        claim = house.queue.claim("clicks", "worker")
        if claim:
            house.queue.reject(claim, "defect", "")
        house.queue.retry()
    house.queue.reject(house.queue.claim("clicks", "worker"), "defect", "")
    house.ingest()
    assert len(Times.told) == 1


@pytest.mark.parametrize("is_running", [True, False])
def test_derived_work_waits_while_a_need_waits_or_runs(house, is_running):
    house.log(LOG, "a")
    house.ingest()
    house.log(OTHER, "b")
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    if is_running:
        assert house.queue.claim("clicks", "worker") is not None
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    scheduler._queue_derived()
    assert "queued" not in house.queue.states()["times"]
    assert [service.name for service in scheduler._may_start()] == (
        [] if is_running else ["clicks"]
    )


def test_derived_work_that_was_queued_waits_when_new_files_arrive_first(house):
    house.log(LOG, "a")
    house.ingest()
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    house.log(OTHER, "b")
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    house.queue.commit(house.queue.claim("clicks", "worker"), Result(touches=["b"]))
    scheduler._queue_derived()
    house.log("demox-edx-events-2014-03-06.log", "c")
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    assert [service.name for service in scheduler._may_start()] == ["clicks"]


def test_what_needs_derived_work_waits_while_that_waits(house):
    house.log(LOG, "a")
    house.ingest()
    deliver_dump(house)
    house.log(OTHER, "b")
    house.ingest()
    assert Report.told[-1] == frozenset({"b", "dump"})


def test_news_during_derived_work_are_seen_by_the_next(house, monkeypatch):
    house.log(LOG, "a")

    def derive(service: Times, run: DerivedRun) -> None:
        service.told.append(run.touched)
        if len(service.told) == 1:
            house.log(OTHER, "b")
            scan(house.settings, house.registry, house.queue, settle_seconds=0)

    monkeypatch.setattr(Times, "derive", derive)
    house.ingest()
    house.ingest()
    assert Times.told == [None, frozenset({"b"})]


# --- wishes -----------------------------------------------------------------------------------


def test_who_asks_for_a_scan_is_told_of_its_end(house):
    wishes = Wishes()
    assert wishes.ask_for_scan(timeout=0) is False
    assert wishes.scan.is_set()


def test_who_asks_during_a_scan_waits_for_the_next_one():
    wishes = Wishes()
    with wishes.scanning():
        assert wishes.ask_for_scan(timeout=0) is False
    assert wishes.scan.is_set()


def test_a_single_pass_waits_for_a_server_but_not_for_ever(house):
    house.log(LOG, event("a"))
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    scheduler._patience = PATIENCE_WITH_A_SERVER
    clock = Clock()
    scheduler.outages = Outages(clock)
    claim = house.queue.claim("clicks", "worker")
    house.queue.release(claim, "unavailable", "no space", delay=5)
    scheduler.outages.ended("clicks", "unavailable")
    assert scheduler._worth_waiting()
    clock.now += PATIENCE_WITH_A_SERVER + 1
    assert not scheduler._worth_waiting()


def test_a_service_whose_server_is_away_rests_longer_after_every_try():
    clock = Clock()
    outages = Outages(clock)
    for pause in (1, 4, 16, 60, 60):
        outages.ended("clicks", "unavailable")
        clock.now += pause - 0.5
        assert outages.rests("clicks")
        clock.now += 1
        assert not outages.rests("clicks")
    assert not outages.rests("dumps")


def test_files_that_fail_together_are_one_outage():
    clock = Clock()
    outages = Outages(clock)
    for _ in range(8):
        outages.ended("clicks", "unavailable")
    clock.now += 1.5
    assert not outages.rests("clicks")


def test_one_item_at_a_time_finds_out_whether_a_server_is_back(house):
    house.log(LOG, event("a"))
    house.log(OTHER, event("b"))
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    clock = Clock()
    scheduler.outages = Outages(clock)
    scheduler.outages.ended("clicks", "unavailable")
    assert scheduler._claim() is None
    clock.now += 2
    claim = scheduler._claim()
    assert claim is not None
    busy: Any = SimpleNamespace(claim=claim, progress=None)
    scheduler.pool._children.append(busy)
    assert scheduler._claim() is None
    scheduler.outages.ended("clicks", None)
    assert scheduler._claim() is not None


def test_what_works_again_rests_no_more():
    clock = Clock()
    outages = Outages(clock)
    outages.ended("clicks", "unavailable")
    outages.ended("dumps", "unavailable")
    clock.now += 10
    assert outages.seconds() == 10
    outages.ended("clicks", None)
    assert not outages.rests("clicks")
    assert outages.seconds() == 10
    outages.ended("dumps", "defect")
    assert outages.seconds() == 0


def test_a_single_pass_waits_for_a_short_back_off(house):
    house.log(LOG, event("a"))
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    claim = house.queue.claim("clicks", "worker")
    house.queue.fail(claim, "defect", "", max_attempts=5)
    assert Scheduler(house.settings, house.registry, house.queue)._worth_waiting()


def test_a_state_folder_is_not_taken_for_another_whose_name_begins_alike(house, tmp_path):
    other = house.settings.model_copy(update={"state_path": tmp_path / "state2"})
    assert not owner_of(other).startswith(owner_of(house.settings))


def test_what_needs_another_never_overtakes_it_however_the_moments_fall(house, monkeypatch):
    """A dump ends between the look at Report and the look at Summary."""

    class Summary(Times):
        name, spelled, title = "summary", "Summary", "Summary"
        needs: ClassVar[tuple[str, ...]] = ("report", "dumps")
        told: ClassVar[list[frozenset[str] | None]] = []

    house.registry = Registry((Clicks(), Dumps(), Times(), Report(), Summary()), ())
    house.log(LOG, "a")
    deliver_dump(house)
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    worker = Worker(house.settings, house.registry, house.queue)
    scheduler._scan()
    worker.do(house.queue.claim("clicks", "x"), lambda progress: True)
    scheduler._queue_derived()
    worker.do(house.queue.claim("times", "x"), lambda progress: True)
    dump, states = house.queue.claim("dumps", "x"), house.queue.states
    looks: list[str] = []

    def and_then_the_dump_ends():
        found = states()
        looks.append("look")
        if len(looks) == 2:
            worker.do(dump, lambda progress: True)
        return found

    monkeypatch.setattr(house.queue, "states", and_then_the_dump_ends)
    scheduler._queue_derived()
    assert house.sources("summary") == []


# --- services that let others find more -------------------------------------------------------


class Bringer(FileService):
    """Brings a log for every dump."""

    name, spelled, title = "bringer", "Bringer", "Bringer"
    feeds_the_package = True

    def wants(self, package: Package) -> Iterable[PackageFile]:
        return package.state

    def ingest(self, run: FileRun) -> None:
        logs = run.place.package / "clickstream_logs" / "latest"
        run.staging.write_bytes(logs / LOG, b"brought\n")


class Visitor(PeriodicService):
    """Remembers when it looked."""

    name, spelled, title = "visitor", "Visitor", "Visitor"
    options = ("S3_INTERVAL",)
    interval = "S3_INTERVAL"
    feeds_the_package = True
    looks: ClassVar[list[float]] = []

    def look(self, run: Run) -> None:
        self.looks.append(run.started.timestamp())
        run.counts["seen"] = 1


def test_what_a_service_brings_is_found_in_the_same_pass(house):
    house.registry = Registry((Bringer(), Clicks(), Times()), ())
    deliver_dump(house)
    house.ingest()
    assert [row.state for row in house.sources("clicks")] == ["done"]
    assert Times.told == [None]


def test_derived_work_waits_while_more_files_are_on_their_way(house):
    house.registry = Registry((Bringer(), Clicks(), Times()), ())
    house.log(LOG, "a")
    deliver_dump(house)
    scan(house.settings, house.registry, house.queue, settle_seconds=0)
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    worker = Worker(house.settings, house.registry, house.queue)
    bringing = house.queue.claim("bringer", "x")
    clicks = house.queue.claim("clicks", "x")
    worker.do(clicks, lambda progress: True)
    scheduler._queue_derived()
    assert scheduler._claim() is None
    worker.do(bringing, lambda progress: True)
    claim = scheduler._claim()
    assert claim is not None
    assert claim.service == "times"


@pytest.fixture
def visited(house, monkeypatch):
    monkeypatch.setattr(Visitor, "looks", [])
    house.registry = Registry((Visitor(), Clicks()), ())
    return house


def looks_after(house: House, clock: Clock, seconds: float) -> int:
    """How often the daemon has looked, once its clock has gone on."""
    clock.now += seconds
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    worker = Worker(house.settings, house.registry, house.queue)
    scheduler._scan()
    while (claim := scheduler._claim()) is not None:
        worker.do(claim, lambda progress: True)
    return len(Visitor.looks)


def test_a_periodic_service_looks_once_in_each_interval(visited):
    clock = Clock()
    clock.now -= clock.now % 3600
    visited.queue = Queue(visited.settings.queue_place, now=clock)
    assert [looks_after(visited, clock, seconds) for seconds in (0, 10, 3580, 10, 3600)] == [
        1,
        1,
        1,
        2,
        3,
    ]
    assert visited.sources("visitor")[0].counts["seen"] == 1


def test_a_single_pass_looks_once_however_often_it_scans(visited):
    visited.ingest()
    visited.ingest()
    assert len(Visitor.looks) == 2


def test_work_that_may_take_days_holds_nothing_up(visited):
    visited.registry = Registry((Visitor(), Clicks(), Times()), ())
    visited.log(LOG, "a")
    scheduler = Scheduler(visited.settings, visited.registry, visited.queue)
    scheduler._scan()
    visited.queue.claim("visitor", "x")
    worker = Worker(visited.settings, visited.registry, visited.queue)
    worker.do(visited.queue.claim("clicks", "x"), lambda progress: True)
    scheduler._queue_derived()
    claim = scheduler._claim()
    assert claim is not None
    assert claim.service == "times"
