"""Where the files of a delivered package lie, and which course run each is about.

Under every data folder (or one level below it) are ``clickstream_logs`` and
``database_state``. ``latest`` in either may be a link, a folder, or a folder that holds
one folder; where there is none, all logs count, and the newest delivery by its date.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from optimus.package.names import (
    FileKind,
    PackageName,
    course_key_names,
    database_names,
    parse_name,
)

DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
LOGS_FOLDER = "clickstream_logs"
STATE_FOLDER = "database_state"


@dataclass(frozen=True)
class CourseRun:
    """One run of one course on one site, under the names that others know it by.

    Attributes:
        stem: org, course and run joined by dashes, as in the package's file names.
        site: ``prod`` or ``edge``: two installations that share no learner.
        database: the original's database name (``UQx_Think101x_1T2014``).
        key: the original's course id in table names (``Think101x_1T2014``).
    """

    stem: str
    site: str
    database: str
    key: str

    @property
    def discussion_table(self) -> str:
        """The original's forum collection (``UQx-Think101x-1T2014-prod``)."""
        return f"{self.stem}-{self.site}"


@dataclass(frozen=True)
class PackageFile:
    """One file, or one course folder, that a service may want.

    Attributes:
        path: where it lies.
        base: the folder that holds its stream; two bases never speak of the same source.
        source: its logical name: the same for every packing of the same content.
        kind: what it holds; None for an unpacked course folder.
        day: the day of the events of a tracking log, if its name says so.
        delivered: the date of the delivery it came with (database state only).
        site: ``prod`` or ``edge``.
        course: the course run it is about; None for tracking logs and org-wide files.
        table: the table of a dump.
        failed: edX could not make the file; it holds a notice, not data.
    """

    path: Path
    base: Path
    source: str
    kind: FileKind | None
    day: date | None = None
    delivered: date | None = None
    site: str = "prod"
    course: CourseRun | None = None
    table: str | None = None
    failed: bool = False

    def to_facts(self) -> dict[str, Any]:
        """Everything as plain JSON, for the queue."""
        facts = asdict(self)
        for name in ("path", "base", "day", "delivered"):
            facts[name] = None if facts[name] is None else str(facts[name])
        return facts

    @classmethod
    def from_facts(cls, facts: dict[str, Any]) -> "PackageFile":
        """What ``to_facts`` gave."""
        return cls(
            **facts
            | {
                "path": Path(facts["path"]),
                "base": Path(facts["base"]),
                "kind": FileKind(facts["kind"]) if facts["kind"] else None,
                "day": date.fromisoformat(facts["day"]) if facts["day"] else None,
                "delivered": date.fromisoformat(facts["delivered"]) if facts["delivered"] else None,
                "course": CourseRun(**facts["course"]) if facts["course"] else None,
            }
        )


@dataclass
class Package:
    """All that is in the data folders now.

    Attributes:
        logs: tracking logs, by name.
        state: files of the newest database state.
        course_folders: unpacked OLX folders of the newest database state.
        packages: the folders of the newest database state as a whole.
        deliveries: what has arrived and is not unpacked yet.
        remarks: sentences about what the operator should look at.
    """

    logs: list[PackageFile] = field(default_factory=list)
    state: list[PackageFile] = field(default_factory=list)
    course_folders: list[PackageFile] = field(default_factory=list)
    packages: list[PackageFile] = field(default_factory=list)
    deliveries: list[PackageFile] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def of_kind(self, kind: FileKind) -> Iterator[PackageFile]:
        """The files of the newest database state that hold ``kind``."""
        return (file for file in self.state if file.kind is kind)

    def courses(self) -> list[CourseRun]:
        """Every course run of the newest database state, by name."""
        found = {file.course for file in (*self.state, *self.course_folders) if file.course}
        return sorted(found, key=lambda course: (course.stem, course.site))


def read_package(
    roots: Iterable[Path], clickstream_prefix: str = "", dbstate_prefix: str = ""
) -> Package:
    """Look through the data folders; nothing is opened, only listed.

    Args:
        roots: the folders of the setting DATA_PATHS.
        clickstream_prefix: take only logs whose file name starts with this.
        dbstate_prefix: take only dumps and course folders whose name starts with this.
    """
    package = Package()
    deliveries: list[_Delivery] = []
    for root in roots:
        for base in _bases(root, package.remarks):
            _add_logs(package, base / LOGS_FOLDER, clickstream_prefix)
            deliveries += _newest_delivery(base / STATE_FOLDER, package.remarks)
    _add_state(package, deliveries, dbstate_prefix)
    package.packages = [_as_a_whole(delivery) for delivery in deliveries]
    for files in (package.logs, package.state, package.course_folders, package.packages):
        _keep_one_per_source(files, package.remarks)
    return package


@dataclass(frozen=True)
class _Delivery:
    """One database state: where it lies, and the day in its name."""

    base: Path
    folder: Path
    day: date | None


def _bases(root: Path, remarks: list[str]) -> list[Path]:
    """The folders that hold the two streams: the root itself or its direct subfolders."""
    if not root.is_dir():
        remarks.append(
            f"DATA_PATHS: {root} is no folder. Make it, or name the folder that holds "
            f"{LOGS_FOLDER}/ and {STATE_FOLDER}/."
        )
        return []
    candidates = [root, *(Path(entry.path) for entry in listing(root, remarks) if entry.is_dir())]
    found = [
        base
        for base in candidates
        if (base / LOGS_FOLDER).is_dir() or (base / STATE_FOLDER).is_dir()
    ]
    if not found:
        remarks.append(f"{root} holds neither {LOGS_FOLDER}/ nor {STATE_FOLDER}/: it is empty.")
    return found


def latest_folder(folder: Path, remarks: list[str]) -> Path | None:
    """Follow ``latest``; a folder that holds nothing but one plain folder is a wrapping."""
    latest = folder / "latest"
    if not latest.is_dir():
        if latest.is_symlink():
            remarks.append(f"{latest} points to a folder that is not there.")
        return None
    return _unwrapped(latest.resolve(), remarks)


def _unwrapped(folder: Path, remarks: list[str]) -> Path:
    entries = [entry for entry in listing(folder, remarks) if not entry.name.startswith(".")]
    if len(entries) == 1 and entries[0].is_dir():
        inner = Path(entries[0].path)
        if not (inner / "course.xml").is_file() and inner.name != "ora":
            return inner
    return folder


def listing(folder: Path, remarks: list[str]) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name; nothing, and a remark, when it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        remarks.append(f"{folder} cannot be read: {error.strerror}. Give the daemon's user access.")
        return []


def files_below(folder: Path, remarks: list[str]) -> Iterator[Path]:
    """Every file below, course folders and links to other folders left out."""
    for entry in listing(folder, remarks):
        path = Path(entry.path)
        if not is_unicode(entry.name):
            shown = ascii(entry.name)
            remarks.append(f"{folder}: the name {shown} is not UTF-8; left alone. Rename it.")
        elif not entry.is_dir(follow_symlinks=False):
            yield path
        elif not (path / "course.xml").is_file():
            yield from files_below(path, remarks)


def _remark_foreign(path: Path, remarks: list[str]) -> None:
    if not path.name.startswith("."):
        remarks.append(f"{path} is no file that belongs here; left alone.")


def is_unicode(name: str) -> bool:
    """Bytes that are no UTF-8 come as lone surrogates, which no database takes."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _add_logs(package: Package, folder: Path, prefix: str) -> None:
    if not folder.is_dir():
        return
    top = latest_folder(folder, package.remarks) or folder
    for path in files_below(top, package.remarks):
        name = parse_name(path.name)
        if name is None or name.kind is not FileKind.events:
            _remark_foreign(path, package.remarks)
            continue
        if not path.name.startswith(prefix):
            continue
        parent = path.parent.relative_to(top)
        package.logs.append(
            PackageFile(
                path=path,
                base=folder.parent,
                source=(parent / name.logical).as_posix(),
                kind=name.kind,
                day=name.day,
                site=name.site,
                failed=name.failed,
            )
        )


def _newest_delivery(folder: Path, remarks: list[str]) -> list[_Delivery]:
    if not folder.is_dir():
        return []
    latest = latest_folder(folder, remarks)
    if latest is not None:
        return [_Delivery(folder.parent, latest, day_in(latest.name) or day_in(latest.parent.name))]
    dated = dated_packages(folder.parent, remarks)
    if not dated:
        remarks.append(f"{folder} holds no 'latest' and no folder with a date in its name.")
        return []
    day, newest = dated[-1]
    return [_Delivery(folder.parent, newest, day)]


def dated_packages(base: Path, remarks: list[str]) -> list[tuple[date, Path]]:
    """The database packages in a data folder that have a date in their name, oldest first."""
    folder = base / STATE_FOLDER
    if not folder.is_dir():
        return []
    dated = [
        (day, Path(entry.path))
        for entry in listing(folder, remarks)
        if entry.is_dir() and (day := day_in(entry.name))
    ]
    return [(day, _unwrapped(found, remarks)) for day, found in sorted(dated)]


def day_in(name: str) -> date | None:
    """The first date in a name."""
    for found in DATE.findall(name):
        try:
            return date.fromisoformat(found)
        except ValueError:
            continue
    return None


def _add_state(package: Package, deliveries: list[_Delivery], prefix: str) -> None:
    named: list[tuple[_Delivery, Path, PackageName]] = []
    folders: list[tuple[_Delivery, Path]] = []
    for delivery in deliveries:
        for path in files_below(delivery.folder, package.remarks):
            name = parse_name(path.name)
            if name and name.kind is not FileKind.events and path.name.startswith(prefix):
                named.append((delivery, path, name))
            elif name is None or name.kind is FileKind.events:
                _remark_foreign(path, package.remarks)
        folders += [(delivery, path) for path in _course_folders(delivery.folder, prefix)]
    courses = _courses(named, folders)
    for delivery, path, name in named:
        delivered = delivery.day or _modified_on(path)
        package.state.append(
            PackageFile(
                path=path,
                base=delivery.base,
                source=f"{delivered}/{name.logical}",
                kind=name.kind,
                delivered=delivered,
                site=name.site,
                course=courses.get((name.stem, name.site)),
                table=name.table,
                failed=name.failed,
            )
        )
    _remark_packed_courses(named, folders, package.remarks)
    for delivery, path in folders:
        course = courses[_stem_and_site(path.name, named)]
        delivered = delivery.day or _modified_on(path)
        package.course_folders.append(
            PackageFile(
                path=path,
                base=delivery.base,
                source=f"{delivered}/{path.name}/",
                kind=None,
                delivered=delivered,
                site=course.site,
                course=course,
            )
        )


def _remark_packed_courses(
    named: list[tuple[_Delivery, Path, PackageName]],
    folders: list[tuple[_Delivery, Path]],
    remarks: list[str],
) -> None:
    """A course archive that nobody unpacked gives no structure: say so."""
    unpacked = {_stem_and_site(path.name, named) for _, path in folders}
    for _, path, name in named:
        if name.kind is FileKind.course_archive and (name.stem, name.site) not in unpacked:
            remarks.append(f"{path} is packed and is left alone. Unpack it into its own folder.")


def _course_folders(folder: Path, prefix: str) -> Iterator[Path]:
    for found in sorted(folder.rglob("course.xml")):
        inner = found.parent.relative_to(folder)
        if inner.name.startswith(prefix) and len(inner.parts) <= 2:  # noqa: PLR2004 - an archive's own folder, and the course in it
            yield found.parent


def _courses(
    named: list[tuple[_Delivery, Path, PackageName]], folders: list[tuple[_Delivery, Path]]
) -> dict[tuple[str, str], CourseRun]:
    pairs = {
        (name.stem, name.site) for _, _, name in named if name.kind is not FileKind.email_opt_in
    }
    pairs |= {_stem_and_site(path.name, named) for _, path in folders}
    databases, keys = database_names(pairs), course_key_names(pairs)
    return {pair: CourseRun(*pair, database=databases[pair], key=keys[pair]) for pair in pairs}


def _stem_and_site(
    folder_name: str, named: list[tuple[_Delivery, Path, PackageName]]
) -> tuple[str, str]:
    """The course a folder is about: the longest known stem that its name is or begins with."""
    archive = parse_name(f"{folder_name}.xml.tar.gz")
    if archive is not None and archive.kind is FileKind.course_archive:
        return archive.stem, archive.site
    dashed = re.sub(r"[^\w.-]", "-", folder_name)
    sites: dict[str, set[str]] = {}
    for _, _, name in named:
        if name.kind is not FileKind.email_opt_in:
            sites.setdefault(name.stem, set()).add(name.site)
    fitting = [stem for stem in sites if dashed == stem or dashed.startswith(f"{stem}-course")]
    if not fitting:
        return dashed, "edge" if dashed.endswith("-edge") else "prod"
    stem = max(fitting, key=len)
    return stem, "prod" if "prod" in sites[stem] else "edge"


def _as_a_whole(delivery: _Delivery) -> PackageFile:
    delivered = delivery.day or _modified_on(delivery.folder)
    return PackageFile(
        path=delivery.folder,
        base=delivery.base,
        source=f"{delivered}/",
        kind=None,
        delivered=delivered,
    )


def _modified_on(path: Path) -> date:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    except OSError:
        return date(1970, 1, 1)


def _keep_one_per_source(files: list[PackageFile], remarks: list[str]) -> None:
    """Make sources distinct.

    Of several packings of one content in one base the least packed is kept; the others
    would undo it at every scan. The same name in another base is another source.
    """
    kept: dict[tuple[str, Path], PackageFile] = {}
    order = {base: place for place, base in enumerate(dict.fromkeys(f.base for f in files))}

    def precedence(file: PackageFile) -> tuple[str, int, bool, int, Path]:
        packings = len(file.path.suffixes)
        return file.source, order[file.base], file.failed, packings, file.path

    for file in sorted(files, key=precedence):
        if file.path.suffix == ".gpg":
            remarks.append(f"{file.path} is encrypted and is left alone. Decrypt it.")
            continue
        winner = kept.setdefault((file.source, file.base), file)
        if winner is not file:
            remarks.append(f"{file.path} is left alone: {winner.path} is the same source.")
    files[:] = distinct_sources(kept.values())


def distinct_sources(files: Iterable[PackageFile]) -> list[PackageFile]:
    """The same name in another base is another source: mark all but the first."""
    taken: dict[str, Path] = {}
    distinct = []
    for file in files:
        if taken.setdefault(file.source, file.base) != file.base:
            mark = hashlib.sha256(os.fsencode(file.base)).hexdigest()[:8]
            file = replace(file, source=f"{file.source}@{mark}")  # noqa: PLW2901 - the same file
        distinct.append(file)
    return distinct
