"""What the queue promises about lines that were set aside, wherever it lives."""

import pytest

from optimus.package.edits import Edit, sha256_of
from optimus.queue.records import TOO_MANY_REJECTS, Result
from optimus.queue.store import Queue
from tests.core.queue_steps import A, B, X, claimed, done, file, row, taken

TORN = sha256_of(b"torn")


def edit(line: int, text: bytes = b"mended") -> Edit:
    return Edit(line, TORN, text)


def accepted(queue: Queue, version: str = X) -> dict[str, int]:
    return dict(queue.acceptances()[row(queue, A).id, version].reasons)


def test_edits_and_the_wish_to_ingest_again_come_into_force_together(queue):
    done(queue, taken(queue, A), X)
    assert queue.replay(row(queue, A).id, [edit(7), edit(3)])
    assert queue.edits(row(queue, A).id) == [edit(3), edit(7)]
    assert claimed(queue).done_sha256 is None


def test_bytes_are_kept_as_they_are_however_many(queue):
    done(queue, taken(queue, A), X)
    text = bytes(range(256)) * 4096
    queue.replay(row(queue, A).id, [edit(1, text)])
    assert queue.edits(row(queue, A).id) == [edit(1, text)]


def test_while_a_source_is_being_ingested_it_is_not_replayed(queue):
    taken(queue, A)
    assert not queue.replay(row(queue, A).id, [edit(1)])
    assert queue.edits(row(queue, A).id) == []


def test_a_replay_does_not_end_the_rest_of_a_file_that_settles(queue, clock):
    done(queue, taken(queue, A), X)
    queue.observe([file(A, "2")], settle_seconds=10)
    queue.replay(row(queue, A).id)
    assert queue.claim("logs", "worker") is None
    clock.now += 10
    assert queue.claim("logs", "worker") is not None


def test_a_later_edit_of_a_line_takes_the_place_of_the_earlier(queue):
    done(queue, taken(queue, A), X)
    for one in (edit(1), edit(2), edit(1, b"better"), edit(2, b"torn")):
        queue.replay(row(queue, A).id, [one])
    assert queue.edits(row(queue, A).id) == [edit(1, b"better")]


def test_edits_of_one_source_are_not_those_of_another(queue):
    done(queue, taken(queue, A), X)
    done(queue, taken(queue, A, B), "hash of y")
    queue.replay(row(queue, A).id, [edit(1)])
    queue.replay(row(queue, B).id, [edit(1, b"b")])
    assert queue.edits(row(queue, A).id) == [edit(1)]


def test_edits_that_did_not_fit_end_with_the_commit(queue):
    done(queue, taken(queue, A), X)
    queue.replay(row(queue, A).id, [edit(1), edit(2)])
    queue.commit(claimed(queue), Result(sha256=X, stale_edits=[2]))
    assert queue.edits(row(queue, A).id) == [edit(1)]


def test_an_acceptance_is_of_the_bytes_that_were_counted(queue):
    done(queue, taken(queue, A), X)
    queue.accept_rejects(row(queue, A), {"not_json": 2})
    claim = taken(queue, A, content="2")
    queue.reject(claim, TOO_MANY_REJECTS, "too many", {"sha256": "hash of y"})
    queue.accept_rejects(row(queue, A), {"bad_utf8": 3})
    assert (accepted(queue), accepted(queue, "hash of y")) == ({"not_json": 2}, {"bad_utf8": 3})


def test_what_is_accepted_adds_up_by_reason(queue):
    done(queue, taken(queue, A), X)
    queue.accept_rejects(row(queue, A), {"not_json": 2})
    queue.accept_rejects(row(queue, A), {"not_json": 3, "bad_utf8": 1})
    assert accepted(queue) == {"not_json": 3, "bad_utf8": 1}


@pytest.mark.parametrize(("reason", "queued"), [(TOO_MANY_REJECTS, True), ("bad_file", False)])
def test_only_what_failed_for_too_many_rejects_is_queued_by_an_acceptance(queue, reason, queued):
    queue.reject(taken(queue, A), reason, "", {"sha256": X})
    assert queue.accept_rejects(row(queue, A), {"not_json": 2}) == queued
    assert row(queue, A).state == ("queued" if queued else "failed")


def test_an_acceptance_does_not_queue_what_was_tried_again_meanwhile(queue):
    queue.reject(taken(queue, A), TOO_MANY_REJECTS, "", {"sha256": X})
    seen = row(queue, A)
    queue.retry()
    queue.reject(claimed(queue), TOO_MANY_REJECTS, "", {"sha256": "hash of y"})
    assert not queue.accept_rejects(seen, {"not_json": 2})
    assert row(queue, A).state == "failed"
