"""A house whose package is delivered piece by piece, for the tests of the services."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optimus.attempt import rejects_path
from optimus.outputs.rejects import Reject, read_rejects
from tests.house import House

STEM = "DemoX-Bees101-2016_T1"
DATABASE = "DemoX_Bees101_2016_T1"
KEY = "Bees101_2016_T1"
COURSE = "course-v1:DemoX+Bees101+2016_T1"
SUFFIX = {"prod": "prod-analytics", "edge": "prod-edge-analytics"}
FIRST, SECOND = "2016-02-07", "2016-02-14"


class Deliveries(House):
    """What edX sends, in the form it has after decryption.

    Attributes:
        day: the date of the database packages that are delivered now.
    """

    def __init__(self, folder: Path, services: Iterable[str] = (), **settings: Any) -> None:
        super().__init__(folder, services, **settings)
        self.day = FIRST

    @property
    def state(self) -> Path:
        """The folder of the database package."""
        return self.package / "database_state" / f"demox-{self.day}"

    def deliver(self, name: str, content: bytes | str) -> Path:
        path = self.state / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def table(
        self, table: str, header: str, *rows: str, stem: str = STEM, site: str = "prod"
    ) -> Path:
        """A dump; columns and cells are parted by single spaces."""
        lines = (line.replace(" ", "\t") for line in (header, *rows))
        name = f"{stem}-{table}-{SUFFIX[site]}.sql"
        return self.deliver(name, "".join(f"{line}\n" for line in lines))

    def forum(self, *posts: str, site: str = "prod") -> Path:
        return self.deliver(f"{STEM}-{site}.mongo", "".join(f"{post}\n" for post in posts))

    def olx(self, folder: str = STEM, **files: str) -> Path:
        """A course folder; ``course__run`` stands for ``course/run.xml``."""
        root = self.state / folder
        for name, content in files.items():
            self.deliver(f"{folder}/{name.replace('__', '/')}.xml", content)
        return root

    def only(self, service: str) -> Any:
        """The one source of a service."""
        [found] = self.sources(service)
        return found

    def rejects(self, service: str) -> list[Reject]:
        """What was set aside of the one source of a service."""
        path = rejects_path(self.settings, service, self.only(service).identity)
        return list(read_rejects(path))

    def reasons(self, service: str) -> list[str]:
        return [reject.reason for reject in self.rejects(service)]
