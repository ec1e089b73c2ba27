"""A queue of its own, and a clock, for every test that asks for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from optimus.queue.store import Queue
from tests.core.mortal import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock) -> Iterator[Queue]:
    queue = Queue(tmp_path / "queue.sqlite", now=clock)
    yield queue
    queue.close()
