"""What is promised about the queue, one promise per test; in any order: test_queue_model.py."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from optimus.errors import LostClaimError, SettingsError
from optimus.queue.records import SENDERS_OWN, Claim, Observed, Result, back_off
from optimus.queue.store import DEATHS_ALLOWED, LEASE_SECONDS, Queue
from tests.core.queue_steps import A, B, X, claimed, done, file, reserved, row, taken

# --- observing --------------------------------------------------------------------------------


def test_a_new_source_is_queued(queue):
    assert queue.observe([file(A)]) == 1
    assert row(queue, A).state == "queued"


def test_a_source_seen_again_unchanged_stays_as_it_is(queue):
    done(queue, taken(queue, A), X)
    assert queue.observe([file(A)]) == 0
    assert row(queue, A).state == "done"


def test_a_changed_source_is_queued_again(queue):
    done(queue, taken(queue, A), X)
    assert queue.observe([file(A, "2")]) == 1
    assert (row(queue, A).state, row(queue, A).gen) == ("queued", 2)


def test_a_moved_source_is_not_queued_and_its_new_place_is_known(queue):
    done(queue, taken(queue, A), X)
    moved = Observed("logs", "Logs", "file", A, fingerprint="1", path="/elsewhere/a.log")
    assert queue.observe([moved]) == 0
    assert row(queue, A).path == "/elsewhere/a.log"


def test_two_services_may_want_the_same_file(queue):
    other = Observed("counts", "Counts", "file", A, fingerprint="1")
    assert queue.observe([file(A), other]) == 2


def test_a_file_that_settles_cannot_be_claimed_yet(queue, clock):
    queue.observe([file(A)], settle_seconds=10)
    assert queue.claim("logs", "worker") is None
    clock.now += 10
    assert queue.claim("logs", "worker") is not None


def test_a_file_that_changes_again_settles_anew(queue, clock):
    queue.observe([file(A)], settle_seconds=10)
    clock.now += 9
    queue.observe([file(A, "2")], settle_seconds=10)
    clock.now += 9
    assert queue.claim("logs", "worker") is None


def test_a_name_longer_than_255_characters_is_a_source_of_its_own(queue):
    stem = "x" * 300
    queue.observe([file(f"{stem}1"), file(f"{stem}2")])
    assert len(queue.sources()) == 2


def test_what_waits_and_is_no_longer_there_is_gone(queue):
    queue.observe([file(A), file(B)])
    assert queue.vanish("logs", {file(A).identity}) == 1
    assert row(queue, B).state == "gone"


def test_what_is_done_and_archived_away_stays_done(queue):
    done(queue, taken(queue, A), X)
    queue.vanish("logs", set())
    assert row(queue, A).state == "done"


def test_what_was_gone_and_returns_is_queued(queue):
    queue.observe([file(A)])
    queue.vanish("logs", set())
    queue.observe([file(A)])
    assert row(queue, A).state == "queued"


# --- claims -----------------------------------------------------------------------------------


def test_a_source_is_claimed_by_one_worker_only(queue):
    taken(queue, A)
    assert queue.claim("logs", "another") is None


def test_two_connections_never_claim_the_same_source(place, queue, clock):
    other = Queue(place, now=clock)
    queue.observe([file(f"{number}.log") for number in range(20)])
    claims = [side.claim("logs", "worker") for _ in range(10) for side in (queue, other)]
    other.close()
    assert len({claim.name for claim in claims if claim}) == 20


def test_the_source_that_has_waited_longest_comes_first(queue, clock):
    queue.observe([file(B)])
    clock.now += 1
    queue.observe([file(A)])
    claim = queue.claim("logs", "worker")
    assert claim is not None
    assert claim.name == B


def test_a_claim_of_a_service_leaves_the_others_alone(queue):
    queue.observe([file(A)])
    assert queue.claim("counts", "worker") is None


def test_a_lost_claim_can_neither_reserve_nor_commit_nor_publish_rejects(queue, clock):
    zombie = taken(queue, A)
    clock.now += LEASE_SECONDS + 1
    queue.expire()
    for deed in (
        lambda: reserved(queue, zombie, X, {}),
        lambda: queue.commit(zombie, Result(sha256=X)),
        lambda: queue.still_mine(zombie),
    ):
        with pytest.raises(LostClaimError):
            deed()


def test_a_lost_claim_stays_lost_after_the_source_was_claimed_again(queue, clock):
    zombie = taken(queue, A)
    clock.now += LEASE_SECONDS + 1
    queue.expire()
    assert queue.claim("logs", "successor") is not None
    with pytest.raises(LostClaimError):
        queue.commit(zombie, Result(sha256=X))


def test_a_renewed_claim_does_not_expire(queue, clock):
    claim = taken(queue, A)
    clock.now += LEASE_SECONDS - 1
    queue.renew([(claim, {"done": 1, "total": 2, "rows": 3})])
    clock.now += LEASE_SECONDS - 1
    assert queue.expire() == 0


def test_a_clock_that_goes_back_expires_nothing(queue, clock):
    taken(queue, A)
    clock.now -= 1_000_000
    assert queue.expire() == 0


def test_a_start_takes_back_only_what_its_own_state_folder_left_running(queue):
    queue.observe([file(A), file(B)])
    queue.claim("logs", "host:/mine:17")
    queue.claim("logs", "host:/other:18")
    assert queue.take_over("host:/mine") == 1
    assert (row(queue, A).state, row(queue, B).state) == ("queued", "running")


# --- ends of a try ----------------------------------------------------------------------------


def test_a_commit_counts_once(queue):
    claim = taken(queue, A)
    done(queue, claim, X)
    with pytest.raises(LostClaimError):
        queue.commit(claim, Result(sha256=X))


ENDS: dict[str, Callable[[Queue, Claim], None]] = {
    "commit": lambda queue, claim: queue.commit(claim, Result(sha256=X)),
    "release": lambda queue, claim: queue.release(claim, "stopped", "stopped", 0),
    "fail": lambda queue, claim: queue.fail(claim, "defect", "defect", 1),
    "reject": lambda queue, claim: queue.reject(claim, "damaged", "damaged"),
    "died": lambda queue, claim: queue.died(claim, "died"),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_change_during_the_work_is_not_forgotten_however_it_ends(queue, end):
    claim = taken(queue, A)
    queue.observe([file(A, "2")])
    ENDS[end](queue, claim)
    assert (row(queue, A).state, row(queue, A).attempts) == ("queued", 0)


def test_a_change_during_the_work_is_not_forgotten_when_the_last_lease_runs_out(queue, clock):
    queue.observe([file(A)])
    for _ in range(DEATHS_ALLOWED):
        assert queue.claim("logs", "worker") is not None
        clock.now += LEASE_SECONDS + 1
        if row(queue, A).attempts == DEATHS_ALLOWED:
            queue.observe([file(A, "2")])
        queue.expire()
    assert (row(queue, A).state, row(queue, A).attempts) == ("queued", 0)


def test_a_stop_charges_no_attempt(queue):
    queue.release(taken(queue, A), "stopped", "Stopped by the operator.", 0)
    assert (row(queue, A).state, row(queue, A).attempts) == ("queued", 0)


def test_outages_alone_never_fail_a_source(queue, clock):
    queue.observe([file(A)])
    for _ in range(20):
        claim = queue.claim("logs", "worker")
        queue.release(claim, "unavailable", "no space", 15)
        clock.now += 15
    assert row(queue, A).state == "queued"


def test_failures_of_an_unknown_kind_end_after_so_many_attempts(queue, clock):
    queue.observe([file(A)])
    for _ in range(4):
        queue.fail(claimed(queue), "defect", "KeyError", 4)
        clock.now += 1000
    assert row(queue, A).state == "failed"


def test_each_failure_waits_longer_up_to_five_minutes():
    assert [back_off(attempts) for attempts in range(1, 8)] == [1, 4, 16, 64, 256, 300, 300]


def test_three_deaths_set_a_source_aside(queue, clock):
    queue.observe([file(A)])
    for _ in range(3):
        queue.died(claimed(queue), "killed")
        clock.now += 1000
    assert row(queue, A).state == "failed"


def test_a_retry_starts_from_the_beginning(queue):
    queue.reject(taken(queue, A), "damaged", "damaged")
    assert queue.retry() == 1
    assert (row(queue, A).state, row(queue, A).attempts) == ("queued", 0)


def test_a_retry_of_a_name_takes_it_literally(queue):
    queue.reject(taken(queue, A), "damaged", "damaged")
    assert queue.retry(name="%") == 0


def test_a_retry_leaves_alone_what_is_done_and_what_is_gone(queue):
    done(queue, taken(queue, A), X)
    queue.observe([file(B)])
    queue.vanish("logs", {file(A).identity})
    assert queue.retry() == 0


def test_what_edx_itself_could_not_make_is_a_problem_and_no_failure(queue):
    queue.reject(taken(queue, A), SENDERS_OWN, "edX could not make this file.")
    assert [row.name for row in queue.problems()] == [A]
    assert queue.failures() == []


# --- what others read -------------------------------------------------------------------------


def test_a_newer_queue_is_refused_and_left_as_it_is(place, queue):
    with queue._write() as connection:
        connection.execute(text("UPDATE schema_version SET version = 99"))
    with pytest.raises(SettingsError, match="version 99"):
        Queue(place)


def test_old_readers_find_the_columns_of_the_original_in_its_order(queue):
    done(queue, taken(queue, A), X)
    with queue._write() as connection:
        found = connection.execute(text("SELECT * FROM ingestor"))
        assert list(found.keys()) == [
            "id",
            "service_name",
            "type",
            "meta",
            "started",
            "completed",
            "created",
            "started_date",
            "completed_date",
        ]
        assert found.one()[1:6] == ("Logs", "file", "/a.log", 1, 1)
