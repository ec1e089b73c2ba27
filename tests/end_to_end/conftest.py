"""The packages that the end-to-end tests ingest, written once for all of them."""

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from optimus.sample import SamplePlan, SampleReport, write_package
from optimus.sample.geo import write_geo_database
from tests.end_to_end.installation import ASIDE, Installation

PLAN = SamplePlan(learners=150, events=12_000, days=7, quirks=True)
SMALL_PLAN = SamplePlan(learners=40, events=1_500, days=2, quirks=True)


@dataclass(frozen=True)
class Ingested:
    """An installation that has ingested the sample package.

    Attributes:
        report: what the writer of the sample says it wrote.
        seconds: how long ingesting took.
    """

    installation: Installation
    report: SampleReport
    seconds: float


@pytest.fixture(scope="session")
def geo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("geo") / "city.mmdb"
    write_geo_database(path)
    return path


@pytest.fixture(scope="session")
def ingested(tmp_path_factory: pytest.TempPathFactory, geo_database: Path) -> Ingested:
    """The sample, ingested. Look at it only: tests that change something take a copy."""
    folder = tmp_path_factory.mktemp("ingested")
    report = write_package(folder / "package", PLAN)
    installation = Installation(folder, folder / "package", geo_database, IGNORE_SERVICES=ASIDE)
    begun = time.monotonic()
    installation.once()
    return Ingested(installation, report, time.monotonic() - begun)


@pytest.fixture
def fresh(tmp_path: Path, geo_database: Path) -> Installation:
    """An installation of a test's own, with the same package, nothing ingested yet."""
    write_package(tmp_path / "package", PLAN)
    return Installation(tmp_path, tmp_path / "package", geo_database, IGNORE_SERVICES=ASIDE)


@pytest.fixture
def unread(tmp_path: Path, geo_database: Path) -> Installation:
    """The same with a small package."""
    write_package(tmp_path / "package", SMALL_PLAN)
    return Installation(tmp_path, tmp_path / "package", geo_database, IGNORE_SERVICES=ASIDE)


@pytest.fixture
def small(unread: Installation) -> Installation:
    """An installation of a test's own that has ingested a small package."""
    unread.once()
    return unread
