"""What is promised about one try at one file: its order, and how it can end."""

import errno
import logging
from pathlib import Path

import pytest

from optimus.outputs.lake import LakeFile
from optimus.outputs.staging import Staging
from optimus.package.files import DeliveredFile
from optimus.queue.store import Queue
from optimus.worker import Worker
from tests.core.mortal import LOG, MortalHouse, event

SECRET = "learner@example.org"


@pytest.fixture
def house(tmp_path: Path) -> MortalHouse:
    return MortalHouse(tmp_path)


def disk_is_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", "/lake/part.parquet")


# --- order ------------------------------------------------------------------------------------


def test_a_try_reserves_before_it_publishes_and_commits_last(house, monkeypatch):
    steps: list[str] = []

    def recorded(owner: type, name: str) -> None:
        real = getattr(owner, name)

        def step(*arguments: object, **named: object) -> object:
            steps.append(name)
            return real(*arguments, **named)

        monkeypatch.setattr(owner, name, step)

    recorded(Queue, "claim")
    recorded(DeliveredFile, "__init__")
    recorded(LakeFile, "close")
    recorded(DeliveredFile, "finish")
    recorded(Queue, "reserve")
    recorded(Staging, "publish")
    recorded(Queue, "commit")
    house.log(LOG, event("a"))
    house.ingest()
    order = ["claim", "__init__", "close", "finish", "reserve", "publish", "commit"]
    assert steps == order


def test_a_reader_sees_nothing_of_a_file_before_it_was_reserved(house):
    seen: list[object] = []
    house.interrupt("before reserve", lambda: seen.extend(house.events()))
    house.log(LOG, event("a"))
    house.ingest()
    assert (seen, house.events()) == ([], [(LOG, "a")])


def test_the_ledger_of_a_file_adds_up(house):
    house.log(LOG, event("a"), event("a"), "no json", "", event("b"))
    house.ingest()
    counts = house.source().counts
    found = {name: counts[name] for name in ("lines", "rows", "rejects", "blank", "repeats")}
    assert found == {"lines": 4, "rows": 3, "rejects": 1, "blank": 1, "repeats": 1}


# --- a lost claim -----------------------------------------------------------------------------


def test_a_worker_that_lost_its_claim_publishes_nothing(house):
    house.interrupt("before reserve", house.supersede)
    house.log(LOG, event("a"))
    house.ingest()
    assert (house.events(), house.leftovers()) == ([], [])


def test_a_worker_that_lost_its_claim_leaves_the_row_to_its_successor(house):
    house.interrupt("before reserve", house.supersede)
    house.log(LOG, event("a"))
    house.ingest()
    assert (house.source().state, house.source().owner) == ("running", "successor")


def test_a_worker_that_lost_its_claim_publishes_no_rejects_of_a_bad_file(house):
    house.meddle(lambda run: house.supersede())
    house.log(LOG, *["no json"] * 200)
    house.ingest()
    assert house.leftovers() == []
    assert not list((house.settings.state_path / "rejects").rglob("*.jsonl"))


def test_while_a_stalled_worker_holds_a_file_its_successor_waits_uncharged(house):
    outcomes: list[tuple[str, int]] = []

    def successor() -> None:
        house.clock.now += 100
        house.queue.expire()
        house.do(house.claim())
        outcomes.append((house.source().reason, house.source().attempts))

    house.interrupt("before reserve", successor)
    house.log(LOG, event("a"))
    house.ingest()
    assert outcomes == [("unavailable", 1)]
    house.ingest_all()
    assert house.events() == [(LOG, "a")]


# --- stop -------------------------------------------------------------------------------------


def stop_in_mid_file(house: MortalHouse) -> None:
    house.log(LOG, *[event("a")] * 5)
    house.scan()
    worker = Worker(house.settings, house.registry, house.queue)
    worker.do(house.claim(), lambda progress: False)


def test_a_stop_gives_the_file_back_uncharged_and_publishes_nothing(house):
    stop_in_mid_file(house)
    assert (house.source().state, house.source().attempts) == ("queued", 0)
    assert (house.events(), house.leftovers()) == ([], [])


def test_a_stopped_file_is_ingested_by_the_next_start(house):
    stop_in_mid_file(house)
    house.restart()
    assert len(house.events()) == 5


# --- outages ----------------------------------------------------------------------------------


def test_a_full_disk_delays_a_file_and_never_fails_it(house, monkeypatch):
    house.log(LOG, event("a"))
    with monkeypatch.context() as full:
        full.setattr(LakeFile, "write", disk_is_full)
        for _ in range(10):
            house.ingest()
            house.clock.now += 1000
        assert (house.source().state, house.source().attempts) == ("queued", 0)
    house.ingest()
    assert house.events() == [(LOG, "a")]


def test_a_full_disk_leaves_the_old_rows_and_no_torn_file(house, monkeypatch):
    house.log(LOG, event("old"))
    house.ingest()
    house.log(LOG, event("new"))
    monkeypatch.setattr(LakeFile, "close", disk_is_full)
    house.ingest()
    assert (house.events(), house.leftovers()) == ([(LOG, "old")], [])


def test_a_full_disk_is_told_in_a_sentence_that_names_the_place(house, monkeypatch):
    monkeypatch.setattr(LakeFile, "write", disk_is_full)
    house.log(LOG, event("a"))
    house.ingest()
    assert house.source().message.startswith("/lake/part.parquet: No space left on device.")


def test_a_disk_that_fills_while_it_publishes_only_delays_the_file(house, monkeypatch):
    house.log(LOG, event("a"))
    with monkeypatch.context() as full:
        full.setattr("optimus.outputs.staging.to_disk", disk_is_full)
        house.ingest()
        assert (house.source().state, house.events()) == ("queued", [])
    house.ingest_all()
    assert house.events() == [(LOG, "a")]


def test_a_file_that_may_not_be_read_waits_until_it_may(house, monkeypatch):
    house.log(LOG, event("a"))

    def refused(path: Path) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as locked:
        locked.setattr("optimus.package.files._open_regular", refused)
        house.ingest()
        assert (house.source().state, house.source().attempts) == ("queued", 0)
        assert "Permission denied" in house.source().message
    house.ingest_all()
    assert house.events() == [(LOG, "a")]


# --- defects ----------------------------------------------------------------------------------


def defect(_: object) -> None:
    raise KeyError(SECRET)


def test_a_defect_of_a_service_is_tried_again_and_then_set_aside(house):
    house.meddle(defect)
    house.log(LOG, event("a"))
    tries = house.ingest_all()
    assert (house.source().state, tries) == ("failed", house.settings.max_attempts)


def test_a_defect_publishes_nothing(house):
    house.meddle(defect)
    house.log(LOG, event("a"))
    house.ingest()
    assert (house.events(), house.leftovers()) == ([], [])


def test_a_file_that_failed_by_a_defect_is_ingested_after_a_retry(house):
    house.meddle(defect)
    house.log(LOG, event("a"))
    house.ingest_all()
    house.calm()
    house.queue.retry()
    house.ingest()
    assert house.events() == [(LOG, "a")]


def test_a_defect_is_told_by_kind_and_place_and_never_by_a_learners_data(house, caplog):
    house.meddle(defect)
    house.log(LOG, event("a"))
    with caplog.at_level(logging.DEBUG):
        house.ingest()
    assert house.source().message.startswith("KeyError at test_worker.py:")
    assert SECRET not in house.source().message + caplog.text


def test_a_ledger_that_does_not_add_up_publishes_nothing(house):
    def lose_a_line(run) -> None:
        run.counts["lines"] += 1

    house.meddle(lose_a_line)
    house.log(LOG, event("a"))
    house.ingest()
    assert house.events() == []
    assert (house.source().state, house.source().reason) == ("failed", "ledger")
