"""A queue of its own, and a clock, for every test that asks for them.

Whatever is promised about the queue is promised wherever it lives.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from optimus.queue.store import Queue
from optimus.servers import SqlServer
from tests.core.mortal import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "mysql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | SqlServer:
    """Where the queue lives: every test that asks for it runs once for each."""
    if request.param == "sqlite":
        return tmp_path / "queue.sqlite"
    server: SqlServer = request.getfixturevalue("mariadb").server
    return server


@pytest.fixture
def queue(place: Path | SqlServer, clock: Clock) -> Iterator[Queue]:
    queue = Queue(place, now=clock)
    yield queue
    queue.close()
