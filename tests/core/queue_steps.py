"""The steps that a worker takes with the queue, for the tests of what is promised about it."""

from collections.abc import Sequence
from typing import Any

from optimus.queue.records import Claim, Observed, Result
from optimus.queue.store import Queue

A, B, C = "a.log", "b.log", "c.log"
X, Y = "hash of x", "hash of y"
Lake = dict[str, str]


def file(name: str, content: str = "1") -> Observed:
    return Observed("logs", "Logs", "file", name, fingerprint=content, path=f"/{name}")


def claimed(queue: Queue) -> Claim:
    claim = queue.claim("logs", "worker")
    assert claim is not None
    return claim


def taken(queue: Queue, *names: str, content: str = "1") -> Claim:
    """Claim the last of these files; all of them are there."""
    queue.observe([file(name, content) for name in names])
    claim = claimed(queue)
    assert claim.name == names[-1]
    return claim


def reserved(queue: Queue, claim: Claim, content: str, lake: Lake) -> str | None:
    def content_of(published: Sequence[str]) -> str | None:
        return next((lake[path] for path in published if path in lake), None)

    return queue.reserve(claim, content, [claim.name], content_of)


def published(claim: Claim, content: str, twin: str | None, lake: Lake) -> None:
    lake.pop(claim.name, None)
    if twin is None:
        lake[claim.name] = content


def committed(queue: Queue, claim: Claim, content: str, twin: str | None) -> None:
    paths, outcome = ([], "copy") if twin else ([claim.name], "done")
    queue.commit(claim, Result(outcome, sha256=content, published=paths))


def done(queue: Queue, claim: Claim, content: str, lake: Lake | None = None) -> str | None:
    """Bring a try to its end, and tell the twin."""
    lake = {} if lake is None else lake
    twin = reserved(queue, claim, content, lake)
    published(claim, content, twin, lake)
    committed(queue, claim, content, twin)
    return twin


def row(queue: Queue, name: str) -> Any:
    [found] = [row for row in queue.sources() if row.name == name]
    return found
