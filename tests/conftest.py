"""Servers that the tests share: one of each per test process, empty before every test."""

from collections.abc import Iterator

import pytest

from tests.servers import MariaDb, MongoDb


@pytest.fixture(scope="session")
def running_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    server = MariaDb(tmp_path_factory.mktemp("mariadb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mariadb(running_mariadb: MariaDb) -> MariaDb:
    running_mariadb.empty()
    return running_mariadb


@pytest.fixture(scope="session")
def running_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDb]:
    server = MongoDb(tmp_path_factory.mktemp("mongodb"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mongodb(running_mongodb: MongoDb) -> MongoDb:
    running_mongodb.empty()
    return running_mongodb
