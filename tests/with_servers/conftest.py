"""The sample package, ingested once by files alone and once with both servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from optimus.sample import SamplePlan, write_package
from optimus.sample.geo import write_geo_database
from tests.end_to_end.installation import Installation
from tests.servers import MariaDb, MongoDb
from tests.with_servers.town import Town

PLAN = SamplePlan(learners=120, events=8_000, days=5, quirks=True)
SMALL_PLAN = SamplePlan(courses=1, learners=60, events=4_000, days=3, quirks=True)


@pytest.fixture(scope="session")
def geo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("geo") / "city.mmdb"
    write_geo_database(path)
    return path


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package")
    write_package(path, PLAN)
    return path


@pytest.fixture(scope="session")
def embedded(
    tmp_path_factory: pytest.TempPathFactory, package: Path, geo_database: Path
) -> Installation:
    """The package, ingested without any server."""
    installation = Installation(tmp_path_factory.mktemp("embedded"), package, geo_database)
    installation.once()
    return installation


@pytest.fixture(scope="session")
def small_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one course only: for tests that ingest it again and again."""
    path = tmp_path_factory.mktemp("small")
    write_package(path, SMALL_PLAN)
    return path


@pytest.fixture(scope="module")
def ingested(
    tmp_path_factory: pytest.TempPathFactory,
    package: Path,
    geo_database: Path,
    running_mariadb: MariaDb,
    running_mongodb: MongoDb,
) -> Town:
    """The same package, ingested with both servers. Look at it only."""
    running_mariadb.empty()
    running_mongodb.empty()
    town = Town(tmp_path_factory.mktemp("town"), package, running_mariadb, running_mongodb)
    town.installation("host", geo_database).once()
    return town


@pytest.fixture
def town(tmp_path: Path, small_package: Path) -> Iterator[Town]:
    """Servers of the test's own, which it may stop, with nothing ingested yet."""
    folders = [tmp_path / name for name in ("mariadb", "mongodb")]
    for folder in folders:
        folder.mkdir()
    mariadb, mongodb = MariaDb(folders[0]), MongoDb(folders[1])
    mariadb.start()
    mongodb.start()
    yield Town(tmp_path, small_package, mariadb, mongodb)
    mariadb.stop()
    mongodb.stop()
