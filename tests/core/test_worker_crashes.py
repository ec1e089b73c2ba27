"""What is promised about a kill at any instant, alone and among files of equal content."""

from pathlib import Path

import pytest

from optimus.worker import Worker
from tests.core.mortal import LOG, OTHER, KilledError, MortalHouse, event

THIRD = "demox-edx-events-2014-03-06.log"
STEPS = ["before reserve", "after reserve", "before commit", "after commit"]


@pytest.fixture
def house(tmp_path: Path) -> MortalHouse:
    return MortalHouse(tmp_path)


def killed_at(house: MortalHouse, step: str, name: str, *kinds: str) -> None:
    """Deliver a log, and die at a step of its ingestion."""
    house.log(name, *map(event, kinds))
    house.interrupt(step, house.die)
    house.ingest_until_killed()


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(house, step):
    killed_at(house, step, LOG, "a", "b")
    house.restart()
    assert house.events() == [(LOG, "a"), (LOG, "b")]
    assert (house.source().state, house.leftovers()) == ("done", [])


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_content_is_replaced_leaves_the_new_content(house, step):
    house.log(LOG, event("old"), event("older"))
    house.ingest()
    killed_at(house, step, LOG, "new")
    house.restart()
    assert house.events() == [(LOG, "new")]


@pytest.mark.parametrize("step", ["before reserve", "after reserve"])
def test_until_the_new_content_is_published_readers_see_the_old(house, step):
    house.log(LOG, event("old"))
    house.ingest()
    killed_at(house, step, LOG, "new")
    assert house.events() == [(LOG, "old")]


@pytest.mark.parametrize("rename", [1, 2])
def test_a_kill_between_two_renames_is_made_good(house, monkeypatch, rename):
    house.log(LOG, event("a"), "no json")
    real, renames = Path.replace, iter(range(1, 100))

    def replace(path: Path, target: Path) -> Path:
        if next(renames) == rename:
            raise KilledError
        return real(path, target)

    with monkeypatch.context() as mortal:
        mortal.setattr(Path, "replace", replace)
        house.ingest_until_killed()
    house.restart()
    assert (house.events(), house.source().counts["rejects"]) == ([(LOG, "a")], 1)


def test_a_file_that_kills_its_worker_three_times_rests_and_blocks_nobody(house):
    house.log(LOG, event("a"))
    for _ in range(3):
        house.interrupt("before reserve", house.die)
        house.ingest_until_killed()
        house.clock.now += 1000
        house.queue.expire()
    house.log(OTHER, event("b"))
    house.ingest()
    assert (house.source().state, house.events()) == ("failed", [(OTHER, "b")])


# --- files of equal content -------------------------------------------------------------------


def test_of_two_files_with_equal_content_one_counts_and_the_other_names_it(house):
    house.log(LOG, event("a"))
    house.ingest()
    house.log(OTHER, event("a"))
    house.ingest()
    assert house.events() == [(LOG, "a")]
    assert (house.source(OTHER).state, house.source(OTHER).reason) == ("done", "copy")
    assert LOG in house.source(OTHER).message


def test_a_later_change_of_the_first_brings_the_second_back(house):
    house.log(LOG, event("a"))
    house.log(OTHER, event("a"))
    house.ingest()
    house.log(LOG, event("b"))
    house.ingest_all()
    assert house.events() == [(LOG, "b"), (OTHER, "a")]


def test_empty_files_are_no_copies_of_each_other(house):
    house.log(LOG)
    house.log(OTHER)
    house.ingest()
    assert [row.reason for row in house.sources("clickstream")] == [None, None]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_of_the_first_never_loses_or_doubles_what_two_files_have(house, step):
    killed_at(house, step, LOG, "a")
    house.log(OTHER, event("a"))
    house.restart()
    assert len(house.events()) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_first_that_was_killed_and_then_removed_does_not_take_its_content_along(house, step):
    killed_at(house, step, LOG, "a")
    (house.latest_logs / LOG).unlink()
    house.log(OTHER, event("a"))
    house.restart()
    assert len(house.events()) == 1


@pytest.mark.parametrize("step", STEPS)
def test_a_file_that_becomes_a_copy_after_a_kill_leaves_nothing_of_its_own(house, step):
    killed_at(house, step, LOG, "a")
    house.log(OTHER, event("b"))
    house.log(LOG, event("b"))
    house.restart()
    assert [kind for _, kind in house.events()] == ["b"]


@pytest.mark.parametrize("first", STEPS)
@pytest.mark.parametrize("second", STEPS)
def test_two_kills_among_equal_files_lose_nothing_and_double_nothing(house, first, second):
    killed_at(house, first, LOG, "a")
    (house.latest_logs / LOG).unlink()
    house.clock.now += 1000
    house.queue.expire()
    house.log(OTHER, event("a"))
    house.interrupt(second, house.die)
    try:
        house.ingest()
    except KilledError:
        house.restart()
    assert [kind for _, kind in house.events()] == ["a"]


def change(house: MortalHouse) -> None:
    """Another worker ingests new content of the first log."""
    house.log(LOG, event("b"))
    house.scan()
    house.do(house.claim())


@pytest.mark.parametrize("step", STEPS)
def test_a_change_of_the_first_while_the_second_is_in_the_making_loses_nothing(house, step):
    house.log(LOG, event("a"))
    house.ingest()
    house.log(OTHER, event("a"))
    house.meanwhile(step, lambda: change(house))
    house.ingest_all()
    assert house.events() == [(LOG, "b"), (OTHER, "a")]


@pytest.mark.parametrize("step", ["before commit", "after commit"])
def test_a_touched_copy_counts_when_its_original_changes_meanwhile(house, step):
    house.log(LOG, event("a"))
    house.log(OTHER, event("a"))
    house.ingest()
    (house.latest_logs / OTHER).touch()
    house.meanwhile(step, lambda: change(house))
    house.ingest_all()
    assert house.events() == [(LOG, "b"), (OTHER, "a")]


def test_who_removes_the_remains_of_a_kill_never_removes_what_came_after_it(house):
    killed_at(house, "before commit", LOG, "a")
    house.clock.now += 1000
    house.queue.expire()
    house.log(LOG, event("b"))
    house.log(OTHER, event("a"))
    house.scan()
    first, other = house.claim(), house.claim()
    house.queue.release(first, "stopped", "", 0.0)
    house.meanwhile("after reserve", lambda: house.do(house.claim()))
    Worker(house.settings, house.registry, house.queue).do(other, lambda progress: True)
    house.ingest_all()
    assert house.events() == [(LOG, "b"), (OTHER, "a")]


def test_a_stalled_worker_that_publishes_late_doubles_nothing(house):
    house.log(LOG, event("a"))

    def lose_the_lease_to_a_file_of_equal_content() -> None:
        house.clock.now += 100
        house.queue.expire()
        house.log(OTHER, event("a"))
        house.scan()
        for _ in range(2):
            house.do(house.claim())

    house.meanwhile("after reserve", lose_the_lease_to_a_file_of_equal_content)
    house.ingest()
    house.ingest_all()
    assert len(house.events()) == 1
