"""Where a delivery is published: which data folder is its org's, and what is newest there."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

from optimus.package.deliveries import org_of, parse_delivery
from optimus.package.layout import LOGS_FOLDER, STATE_FOLDER, day_in, latest_folder
from optimus.package.names import parse_name, safe_file_name

LATEST, EVENTS = "latest", "events"
OPT_IN = "email_opt_in"


def base_of(package: Path, org: str) -> Path:
    """The data folder of an org: its own, or the whole where that is its own or no other org is.

    Args:
        package: the folder that deliveries are published to.
        org: as in names; blank where a name tells none.
    """
    own = package / safe_file_name(org.casefold()) if org else package
    if own.is_dir():
        return own
    if package.name.casefold() == own.name:
        return package
    streams = [package / LOGS_FOLDER, package / STATE_FOLDER]
    is_taken = any(stream.is_dir() for stream in streams)
    return package if is_taken and set(_orgs_in(package)) <= {org.casefold()} else own


def opt_in_base(package: Path, org: str) -> Path:
    """The data folder of an org's e-mail preferences: their zip is called like the package."""
    return package / f"{safe_file_name(org.casefold())}-{OPT_IN}"


def _orgs_in(base: Path) -> Iterator[str]:
    """The orgs that the names of logs and packages tell."""
    states, logs = base / STATE_FOLDER, base / LOGS_FOLDER
    for folder in states.iterdir() if states.is_dir() else ():
        name = parse_delivery(f"{folder.name}.zip")
        if name:
            yield org_of(name)
    for folder in (logs, logs_folder(logs)):
        for path in folder.rglob("*.log*"):
            name = parse_name(path.name)
            if name and (org := org_of(name)):
                yield org


def logs_folder(logs: Path) -> Path:
    """Where logs are published to: what ``latest`` is, or the folder that it will point to."""
    latest = logs / LATEST
    # A single folder in a folder is a wrapping; behind a link it may be a server's.
    found = latest.resolve() if latest.is_symlink() else latest_folder(logs, [])
    return found if found and found.is_dir() else logs / EVENTS


def may_point_to_events(logs: Path) -> bool:
    """Whether the folder of logs is new, so that nothing is hidden by a new ``latest``."""
    return {path.name for path in logs.iterdir() if not path.name.startswith(".")} <= {EVENTS}


def is_newest(states: Path, day: date) -> bool:
    """Whether no package there is of a later day, nor what ``latest`` points to."""
    latest = states / LATEST
    names = [path.name for path in states.iterdir() if path.is_dir()]
    if latest.is_symlink():
        names += latest.readlink().parts
    return all(found <= day for name in names if (found := day_in(name)))
