"""Keys that the tests of deliveries share: making one takes a second."""

from collections.abc import Iterator

import pytest

from tests.services.packing import Key


@pytest.fixture(scope="session")
def key() -> Iterator[Key]:
    made = Key()
    yield made
    made.remove()


@pytest.fixture(scope="session")
def locked_key() -> Iterator[Key]:
    made = Key("correct horse battery staple")
    yield made
    made.remove()
