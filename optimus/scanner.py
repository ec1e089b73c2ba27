"""Looking through the data folders, and telling the queue what each service wants."""

import logging
from dataclasses import dataclass

from optimus.package.files import fingerprint
from optimus.package.layout import PackageFile, read_package
from optimus.queue.records import Observed
from optimus.queue.store import Queue
from optimus.registry import Registry
from optimus.service import FileService
from optimus.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scan:
    """What one look through the data folders found.

    Attributes:
        files: how many files and folders services want.
        queued: how many of them are new, changed or returned.
        remarks: sentences about what the operator should look at.
    """

    files: int
    queued: int
    remarks: tuple[str, ...]


def scan(settings: Settings, registry: Registry, queue: Queue, settle_seconds: float) -> Scan:
    """Look at every data folder, and queue what is new or changed.

    Args:
        settings: where to look.
        registry: the services to ask.
        queue: what to tell.
        settle_seconds: how long a new or changed file rests before it is read.
    """
    package = read_package(
        settings.data_paths, settings.clickstream_prefix, settings.dbstate_prefix
    )
    remarks = list(package.remarks)
    files = queued = 0
    for service in registry.services:
        if not isinstance(service, FileService):
            continue
        seen = [
            observed
            for file in service.wants(package)
            if (observed := _observed(service, file, remarks)) is not None
        ]
        queued += queue.observe(seen, settle_seconds)
        queue.vanish(service.name, {observed.identity for observed in seen})
        files += len(seen)
    return Scan(files, queued, tuple(remarks))


def _observed(service: FileService, file: PackageFile, remarks: list[str]) -> Observed | None:
    try:
        print_of_file = fingerprint(file.path)
    except OSError as error:
        remarks.append(f"{file.path} cannot be looked at: {error.strerror}.")
        return None
    return Observed(
        service=service.name,
        spelled=service.spelled,
        kind="file",
        name=file.source,
        fingerprint=print_of_file,
        path=str(file.path),
        facts=file.to_facts(),
    )
