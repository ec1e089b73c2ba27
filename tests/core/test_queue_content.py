"""What is promised about sources of equal content: exactly one of them counts."""

import pytest

from optimus.queue.records import Result
from tests.core.queue_steps import (
    A,
    B,
    Lake,
    X,
    Y,
    claimed,
    committed,
    done,
    file,
    published,
    reserved,
    row,
    taken,
)


@pytest.fixture
def lake() -> Lake:
    return {}


def test_of_two_sources_with_equal_content_the_second_names_the_first(queue, lake):
    done(queue, taken(queue, A), X, lake)
    assert done(queue, taken(queue, A, B), X, lake) == A


def test_a_copy_is_queued_again_when_the_content_of_the_original_changes(queue, lake):
    done(queue, taken(queue, A), X, lake)
    done(queue, taken(queue, A, B), X, lake)
    queue.observe([file(A, "2")])
    done(queue, claimed(queue), Y, lake)
    assert row(queue, B).state == "queued"
    assert done(queue, claimed(queue), X, lake) is None


def test_a_copy_stays_a_copy_when_the_original_is_only_touched(queue, lake):
    done(queue, taken(queue, A), X, lake)
    done(queue, taken(queue, A, B), X, lake)
    queue.observe([file(A, "2")])
    queue.commit(claimed(queue), Result("unchanged", sha256=X))
    assert row(queue, B).state == "done"


def test_a_copy_in_the_making_counts_when_the_original_changes_meanwhile(queue, lake):
    done(queue, taken(queue, A), X, lake)
    copy = taken(queue, A, B)
    assert reserved(queue, copy, X, lake) == A
    queue.observe([file(A, "2")])
    done(queue, claimed(queue), Y, lake)
    committed(queue, copy, X, A)
    again = claimed(queue)
    assert (again.name, again.done_sha256) == (B, None)
    assert done(queue, again, X, lake) is None


def test_a_copy_touched_while_its_original_changes_counts_in_the_end(queue, lake):
    done(queue, taken(queue, A), X, lake)
    done(queue, taken(queue, A, B), X, lake)
    queue.observe([file(B, "touched")])
    touched = claimed(queue)
    queue.observe([file(A, "2")])
    done(queue, claimed(queue), Y, lake)
    queue.commit(touched, Result("unchanged", sha256=X))
    again = claimed(queue)
    assert (again.name, again.done_sha256) == (B, None)
    assert done(queue, again, X, lake) is None


def test_after_a_kill_before_it_was_published_the_content_is_nobodys(queue, lake):
    killed = taken(queue, A)
    reserved(queue, killed, X, lake)
    queue.died(killed, "killed")
    assert done(queue, taken(queue, B), X, lake) is None


def test_after_a_kill_before_the_commit_what_was_published_counts(queue, lake):
    killed = taken(queue, A)
    published(killed, X, reserved(queue, killed, X, lake), lake)
    queue.died(killed, "killed")
    assert done(queue, taken(queue, B), X, lake) == A


def test_what_was_published_before_a_kill_is_remembered_to_be_taken_away(queue, lake, clock):
    killed = taken(queue, A)
    published(killed, X, reserved(queue, killed, X, lake), lake)
    queue.died(killed, "killed")
    clock.now += 1000
    assert claimed(queue).published == [A]
