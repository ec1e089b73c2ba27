"""A whole house in a temporary folder: a package, a queue, the services, a lake.

The rules of what may run are the scheduler's own; only its worker processes are left out.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from optimus.outputs.catalog import Catalog
from optimus.queue.store import Queue
from optimus.registry import SERVICES_FOLDER, load_registry
from optimus.scheduler import Scheduler
from optimus.settings import FixedSettings
from optimus.worker import Worker


def with_everything_in_use() -> FixedSettings:
    """Settings that leave something to do to every service there is."""
    return FixedSettings(
        mongo_host=SecretStr("localhost"),
        delivery_paths=[Path("deliveries")],
        s3_sources=["s3://bucket/prefix"],
        sample_courses=["DemoX_Bees101_2016_T1"],
    )


class House:
    """What a data package becomes, without a daemon.

    Attributes:
        package: the data folder.
        settings: with every path below the temporary folder.
        registry: the services.
        queue: their queue.
    """

    def __init__(self, folder: Path, services: Iterable[str] = (), **settings: Any) -> None:
        """Build it empty, or go on with what lies in the folder.

        Args:
            folder: where everything lies.
            services: names of those that run; all when none is named.
            settings: what differs from the defaults.
        """
        self.package = folder / "package"
        self.latest_logs.mkdir(parents=True, exist_ok=True)
        everyone = {path.parent.name for path in SERVICES_FOLDER.glob("*/service.py")}
        paths = {f"{name}_path": folder / name for name in ("state", "lake", "export", "www")}
        ignored = sorted(everyone - set(services)) if services else []
        fixed = {"workers": 1, "settle_seconds": 0, "ignore_services": ignored, **paths}
        self.settings = FixedSettings(**{"data_paths": [self.package], **fixed, **settings})
        self.registry = load_registry(self.settings)
        self.queue = Queue(self.settings.queue_place)

    @property
    def latest_logs(self) -> Path:
        """The folder of the tracking logs."""
        return self.package / "clickstream_logs" / "latest"

    def log(self, name: str, *lines: str | Mapping[str, Any]) -> Path:
        """Deliver a tracking log; lines that are no text are written as JSON."""
        path = self.latest_logs / name
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        return path

    def ingest(self) -> int:
        """Scan the package, and do all that may be done now.

        Returns:
            How many items were worked on.
        """
        scheduler = Scheduler(self.settings, self.registry, self.queue)
        scheduler._settle, scheduler._look = 0, f"house {self.queue.now()}"
        worker = Worker(self.settings, self.registry, self.queue)
        items = 0
        scheduler._scan()
        while True:
            scheduler._queue_derived()
            claim = scheduler._claim()
            if claim is not None:
                worker.do(claim, lambda progress: True)
                items += 1
                scheduler._is_fed |= self.registry[claim.service].feeds_the_package
            elif scheduler._is_fed:
                scheduler._scan()
            else:
                return items

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a statement over the lake; moments are aware datetimes in UTC."""
        catalog = Catalog(self.settings.lake_path, self.registry.lake_tables)
        with catalog.connect(self.settings.state_path / "spill") as connection:
            # fetchall() would need another library for the zone of a moment.
            table = connection.sql(sql).to_arrow_table()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def sources(self, service: str) -> list[Any]:
        """The queue's rows of a service: state, counts, message and so on."""
        return list(self.queue.sources(service))

    def runs(self, service: str) -> list[Any]:
        """The history of a service, oldest first."""
        return [run for run in self.queue.runs() if run.service == service]

    def notes(self, service: str) -> list[str]:
        """What the latest try of a service told the operator."""
        return list(self.runs(service)[-1].notes)
