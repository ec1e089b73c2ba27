"""The services that are there: found by folder, checked, in dependency order."""

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from optimus.errors import ServiceDefinitionError
from optimus.outputs.catalog import LakeTables
from optimus.service import (
    MONGODB,
    MYSQL,
    DerivedService,
    FileService,
    PeriodicService,
    Service,
)
from optimus.settings import ROOT, Settings

SERVICES_FOLDER = ROOT / "services"
LAKE = "lake"


@dataclass(frozen=True)
class Registry:
    """The services.

    Attributes:
        services: those that run, each after those it needs.
        lake_tables: the tables of all there are.
        ignored: those that do not run, as the original spells them.
    """

    services: tuple[Service, ...]
    lake_tables: tuple[LakeTables, ...]
    ignored: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Service:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Service]:
        return {service.name: service for service in self.services}

    def all_needs(self, service: Service) -> set[str]:
        """All services that must be at rest before it may start."""
        found: set[str] = set()
        waiting = list(service.needs)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self[name].needs
        return found


def options_of(service: Service, settings: Settings) -> dict[str, Any]:
    """The settings that a service is shown."""
    return {name: getattr(settings, name.lower()) for name in service.options}


def outputs_of(service: Service, settings: Settings) -> str:
    """What a service writes to with these settings: the lake, and the servers in use."""
    in_use = {MYSQL: settings.sql_server, MONGODB: settings.mongo_server}
    return ", ".join([LAKE, *(name for name in service.servers if in_use[name] is not None)])


def stamp_of(service: DerivedService, settings: Settings) -> str:
    """What the result of a derived service depends on besides the work of its needs."""
    outputs = outputs_of(service, settings)
    stamp = service.stamp(options_of(service, settings))
    return stamp if outputs == LAKE else f"{stamp} {outputs}"


def every_service() -> list[Service]:
    """Find, check and order the services, also those that do not run.

    Raises:
        ServiceDefinitionError: a folder does not hold a usable service, a need is unknown,
            or needs go in a circle.
    """
    found = [_load(folder) for folder in sorted(SERVICES_FOLDER.iterdir()) if _is_service(folder)]
    return _ordered(found)


def load_registry(settings: Settings) -> Registry:
    """Find, check and order the services, those of IGNORE_SERVICES left out.

    Raises:
        ServiceDefinitionError: a folder does not hold a usable service, a need is unknown,
            or needs go in a circle.
    """
    ordered = every_service()
    ignored = {name.casefold() for name in settings.ignore_services}
    running = [
        service
        for service in ordered
        if not {service.name.casefold(), service.spelled.casefold()} & ignored
        and (service.in_the_lake or outputs_of(service, settings) != LAKE)
        and service.is_used(options_of(service, settings))
    ]
    tables = tuple(tables for service in ordered for tables in service.lake_tables)
    others = tuple(service.spelled for service in ordered if service not in running)
    return Registry(tuple(_bridged(running, ordered)), tables, others)


def _is_service(folder: Path) -> bool:
    return (folder / "service.py").is_file()


def _load(folder: Path) -> Service:
    try:
        module = importlib.import_module(f"services.{folder.name}.service")
    except Exception as error:
        raise ServiceDefinitionError(
            f"services/{folder.name}/service.py cannot be imported: {type(error).__name__}: {error}"
        ) from error
    classes = [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, FileService | DerivedService | PeriodicService)
        and found.__module__ == module.__name__
    ]
    if len(classes) != 1:
        raise ServiceDefinitionError(
            f"services/{folder.name}/service.py must define one service; it defines {len(classes)}."
        )
    for attribute in ("name", "spelled", "title"):
        if not isinstance(getattr(classes[0], attribute, None), str):
            raise ServiceDefinitionError(
                f"services/{folder.name}: the class must say its {attribute}."
            )
    if classes[0].name != folder.name:
        raise ServiceDefinitionError(
            f"services/{folder.name}: the service calls itself {classes[0].name!r}; its name "
            "must be the folder's."
        )
    try:
        service: Service = classes[0]()
    except TypeError as error:
        raise ServiceDefinitionError(f"services/{folder.name}: {error}.") from error
    return service


def _ordered(services: Iterable[Service]) -> list[Service]:
    by_name = {service.name: service for service in services}
    for service in by_name.values():
        unknown = [need for need in service.needs if need not in by_name]
        if unknown:
            raise ServiceDefinitionError(
                f"services/{service.name} needs {', '.join(unknown)}: there is no such service."
            )
    graph = {service.name: sorted(service.needs) for service in by_name.values()}
    try:
        return [by_name[name] for name in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ServiceDefinitionError(
            f"The services need each other in a circle: {circle}."
        ) from error


def _bridged(running: list[Service], everything: list[Service]) -> list[Service]:
    """Let needs of a service that is left out become needs of those that need it."""
    by_name = {service.name: service for service in everything}
    kept = {service.name for service in running}

    def through(name: str) -> set[str]:
        if name in kept:
            return {name}
        return {found for need in by_name[name].needs for found in through(need)}

    for service in running:
        needs = sorted({found for need in service.needs for found in through(need)})
        service.needs = tuple(needs)  # type: ignore[misc] # this instance's view of the world
    return running
