"""What is promised about the worker processes: nobody's death takes others along."""

import os
import signal
from pathlib import Path

import pytest

from optimus.pool import Pool
from tests.core.commands import until
from tests.core.mortal import LOG, OTHER, MortalHouse, event

SECONDS_OF_WORK = b'{"event_type": "a", "event": "%s"}\n' % (b"x" * 80) * 500_000


@pytest.fixture
def house(tmp_path: Path) -> MortalHouse:
    return MortalHouse(tmp_path)


@pytest.fixture
def pool(house):
    pool = Pool(house.settings, house.queue)
    yield pool
    pool.stop(timeout=0.0)


def at_work(house: MortalHouse, pool: Pool) -> int:
    """Start a process on a long log, wait until it is in the middle, and give its number."""
    (house.latest_logs / LOG).write_bytes(SECONDS_OF_WORK)
    house.scan()
    pool.start(house.claim())

    def is_in_the_middle() -> bool:
        pool.poll(0.1)
        return any(progress.done for _, progress in pool.running)

    until(is_in_the_middle)
    number = pool._children[0].process.pid
    assert number is not None
    return number


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_that_is_killed_charges_its_file_and_the_next_file_is_ingested(house, pool):
    os.kill(at_work(house, pool), signal.SIGKILL)
    until(lambda: pool.poll(0.1) != [])
    assert (house.source().state, house.source().attempts) == ("queued", 1)
    assert house.source().reason == "worker_died"
    (house.latest_logs / LOG).unlink()
    house.log(OTHER, event("b"))
    house.scan()
    pool.start(house.claim())
    until(lambda: pool.poll(0.1) != [])
    assert house.events() == [(OTHER, "b")]


def test_a_worker_that_makes_no_progress_is_replaced_and_its_file_charged(house, pool):
    number = at_work(house, pool)
    os.kill(number, signal.SIGSTOP)
    pool._children[0].moved_at -= house.settings.stall_seconds + 1
    until(lambda: pool.poll(0.1) != [])
    assert (house.source().state, house.source().attempts) == ("queued", 1)
    assert not is_alive(number)


def test_a_stop_while_a_worker_is_still_starting_charges_nobody(house, pool):
    house.log(LOG, event("a"))
    house.scan()
    pool.start(house.claim())
    pool.stop(timeout=5.0)
    assert (house.source().state, house.source().attempts) == ("queued", 0)


def test_a_stop_ends_also_a_worker_that_does_not_listen(house, pool):
    number = at_work(house, pool)
    os.kill(number, signal.SIGSTOP)
    pool.stop(timeout=0.3)
    assert not is_alive(number)
    assert (house.source().state, house.source().attempts) == ("queued", 0)


def test_what_is_running_keeps_its_lease(house, pool):
    at_work(house, pool)
    house.clock.now += 50
    pool._renewed_at = 0.0
    pool.poll(0.0)
    house.clock.now += 50
    assert house.queue.expire() == 0
    assert house.source().progress["done"] > 0
