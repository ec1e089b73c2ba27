"""What edX delivers, as it arrives: package zips, and logs that are compressed and encrypted."""

import re
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

from optimus.package.layout import PackageFile, distinct_sources, is_unicode, listing
from optimus.package.names import FileKind, PackageName, parse_name

PACKAGE_ZIP = re.compile(r"(?P<org>.+?)-(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})\.zip", re.IGNORECASE)
PACKED_LOG = (".log.gz.gpg", ".log.gpg", ".log.gz")


def parse_delivery(filename: str) -> PackageName | None:
    """Read the name of one delivered file, without its folder; None if it is no delivery.

    ``<org>-<date>.zip`` is a package; the stem is the org. Logs are named as in the package.
    """
    zipped = PACKAGE_ZIP.fullmatch(filename)
    if zipped and not filename.startswith("."):
        day = _date(zipped["day"])
        if day is None:
            return None
        return PackageName(FileKind.package_zip, zipped["org"], "prod", day=day, logical=filename)
    name = parse_name(filename) if filename.lower().endswith(PACKED_LOG) else None
    return name if name and name.kind is FileKind.events and not name.failed else None


def org_of(name: PackageName) -> str:
    """The org that a name of a delivery or a log tells, in small letters; blank if none."""
    is_course = name.kind is FileKind.events and not name.suffix
    return (name.stem.partition("-")[0] if is_course else name.stem).casefold()


def find_deliveries(roots: Iterable[Path], remarks: list[str]) -> list[PackageFile]:
    """Every delivered file below the folders; nothing is opened, only listed.

    Args:
        roots: the folders of the setting DELIVERY_PATHS, and that of fetched files.
        remarks: takes sentences about what the operator should look at.
    """
    found = []
    for root in roots:
        if not root.is_dir():
            remarks.append(f"DELIVERY_PATHS: {root} is no folder. Make it, or mend the setting.")
            continue
        for path in _files_below(root, remarks):
            name = parse_delivery(path.name)
            if name is None:
                if not path.name.startswith("."):
                    remarks.append(f"{path} is no delivery; left alone.")
                continue
            found.append(
                PackageFile(
                    path=path,
                    base=root,
                    source=path.relative_to(root).as_posix(),
                    kind=name.kind,
                    day=name.day,
                    site=name.site,
                )
            )
    return distinct_sources(found)


def _files_below(folder: Path, remarks: list[str]) -> Iterator[Path]:
    for entry in listing(folder, remarks):
        path = Path(entry.path)
        if not is_unicode(entry.name):
            remarks.append(f"{folder}: the name {entry.name!a} is not UTF-8. Rename it.")
        elif entry.is_dir(follow_symlinks=False):
            yield from _files_below(path, remarks)
        else:
            yield path


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
