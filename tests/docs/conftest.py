"""The package of the demo, ingested: what the examples are about."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from optimus.sample import SamplePlan, SampleReport, write_package
from optimus.sample.geo import write_geo_database
from tests.house import House


@dataclass(frozen=True)
class Demo:
    """What `make demo` leaves behind.

    Attributes:
        house: the installation.
        report: what the writer of the package says.
        config: a settings file for the commands.
    """

    house: House
    report: SampleReport
    config: Path


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    report = write_package(folder / "sample", SamplePlan())
    write_geo_database(folder / "city.mmdb")
    house = House(folder, data_paths=[report.root], geoip_city_db=folder / "city.mmdb")
    house.ingest()
    config = folder / "config.py"
    config.write_text(
        f"DATA_PATHS = [{str(report.root)!r}]\n"
        f"STATE_PATH = {str(house.settings.state_path)!r}\n"
        f"LAKE_PATH = {str(house.settings.lake_path)!r}\n"
        f"EXPORT_PATH = {str(house.settings.export_path)!r}\n"
        f"WWW_PATH = {str(house.settings.www_path)!r}\n"
        f"GEOIP_CITY_DB = {str(folder / 'city.mmdb')!r}\n"
    )
    return Demo(house, report, config)
