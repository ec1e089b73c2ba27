"""Looking through the data folders, and telling the queue what each service wants."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

from optimus.package.deliveries import find_deliveries
from optimus.package.files import fingerprint
from optimus.package.inventory import CourseOnSite
from optimus.package.layout import Package, PackageFile, read_package
from optimus.queue.records import WAITING, Observed
from optimus.queue.store import Queue
from optimus.registry import LAKE, Registry, options_of, outputs_of
from optimus.service import FileService, InspectingService
from optimus.settings import Settings


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
    look = _Look(settings, queue, settle_seconds)
    inspecting = [each for each in registry.services if isinstance(each, InspectingService)]
    for service in inspecting:
        look.offer(service, package)
    for service in inspecting:
        look.hold_back(service, package)
    for other in registry.services:
        if isinstance(other, FileService) and other not in inspecting:
            look.offer(other, package)
    return Scan(look.files, look.queued, (*package.remarks, *look.remarks))


class _Look:
    """One look through the data folders, as far as it has come."""

    def __init__(self, settings: Settings, queue: Queue, settle_seconds: float) -> None:
        self._settings = settings
        self._queue = queue
        self._settle_seconds = settle_seconds
        self._is_waiting = False
        self.remarks: list[str] = []
        self.files = self.queued = 0

    def offer(self, service: FileService, package: Package) -> None:
        """Tell the queue what a service wants of the package."""
        outputs = outputs_of(service, self._settings)
        seen = [
            observed
            for file in service.wants(package)
            if (observed := _observed(service, file, outputs, self.remarks)) is not None
        ]
        self.queued += self._queue.observe(seen, self._settle_seconds)
        if not self._is_waiting:
            self._queue.vanish(service.name, {observed.identity for observed in seen})
        self.files += len(seen)

    def hold_back(self, service: InspectingService, package: Package) -> None:
        """Take out of the package what other services may not have yet."""
        rows = {row.name: row for row in self._queue.sources(service.name)}
        for file in service.wants(package):
            row = rows.get(file.source)
            if row is None or row.state in (*WAITING, "gone"):
                self._is_waiting = True
                _take_out(package, file.base)
            elif row.state == "done":
                options = options_of(service, self._settings)
                held = service.held_back(self._settings.lake_path, file, options)
                self.remarks += held.values()
                _take_out(package, file.base, held)


def _take_out(package: Package, base: Path, courses: Container[CourseOnSite] | None = None) -> None:
    """Take these course runs of a data folder out of the package; all of it when None."""

    def is_meant(file: PackageFile) -> bool:
        if file.base != base or courses is None:
            return file.base == base
        return file.course is not None and (file.course.stem, file.course.site) in courses

    for files in (package.state, package.course_folders):
        files[:] = [file for file in files if not is_meant(file)]


def whole_package(settings: Settings) -> Package:
    """What lies in the data folders, what ``import-legacy`` has written, and what arrived."""
    package = read_package(
        settings.data_paths, settings.clickstream_prefix, settings.dbstate_prefix
    )
    if settings.legacy_path.is_dir():
        package.logs.extend(read_package([settings.legacy_path]).logs)
    arrivals = list(settings.delivery_paths)
    if settings.fetched_path.is_dir():
        arrivals.append(settings.fetched_path)
    package.deliveries.extend(find_deliveries(arrivals, package.remarks))
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
