"""Looking through the data folders, and telling the queue what each service wants."""

import logging
from dataclasses import dataclass

from optimus.package.files import fingerprint
from optimus.package.layout import Package, PackageFile, read_package
from optimus.queue.records import Observed
from optimus.queue.store import Queue
from optimus.registry import LAKE, Registry, outputs_of
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
    package = whole_package(settings)
    remarks = list(package.remarks)
    files = queued = 0
    for service in registry.services:
        if not isinstance(service, FileService):
            continue
        outputs = outputs_of(service, settings)
        seen = [
            observed
            for file in service.wants(package)
            if (observed := _observed(service, file, outputs, remarks)) is not None
        ]
        queued += queue.observe(seen, settle_seconds)
        queue.vanish(service.name, {observed.identity for observed in seen})
        files += len(seen)
    return Scan(files, queued, tuple(remarks))


def whole_package(settings: Settings) -> Package:
    """What lies in the data folders, and the logs that ``import-legacy`` has written."""
    package = read_package(
        settings.data_paths, settings.clickstream_prefix, settings.dbstate_prefix
    )
    if settings.legacy_path.is_dir():
        package.logs.extend(read_package([settings.legacy_path]).logs)
    return package


def _observed(
    service: FileService, file: PackageFile, outputs: str, remarks: list[str]
) -> Observed | None:
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
        # A server that is put to use is filled with what the lake has already.
        fingerprint=print_of_file if outputs == LAKE else f"{print_of_file} {outputs}",
        path=str(file.path),
        facts=file.to_facts(),
    )
