"""What the command ``check`` says of deliveries."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from optimus.errors import OptimusError
from services.extract.desk import rights_of
from services.extract.gpg import Gpg

GOOD, LOOK, BAD = "good", "look", "bad"
USELESS = {"e": "has expired", "r": "was revoked"}
Finding = tuple[str, str]


def findings(options: Mapping[str, Any]) -> Iterable[Finding]:
    """Look at all that unpacking depends on."""
    yield from _gpg(options)
    yield from _passphrase(options["GPG_PASSPHRASE_FILE"])
    for folder in options["DELIVERY_PATHS"]:
        yield _deliveries(folder)
    yield from _publishing(options)


def _gpg(options: Mapping[str, Any]) -> Iterator[Finding]:
    home = options["GPG_HOME"]
    gpg = Gpg(home, options["GPG_PASSPHRASE_FILE"])
    try:
        yield GOOD, f"{gpg.version()}."
        keys = gpg.secret_keys()
    except OptimusError as error:
        yield BAD, str(error)
        return
    where = home or "the home of the daemon's user"
    if not keys:
        yield BAD, f"GPG_HOME: there is no secret key in {where}. Import the one for edX."
    for validity in keys:
        if validity in USELESS:
            yield LOOK, f"GPG_HOME: a key in {where} {USELESS[validity]}; tell edX of a new one."
        else:
            yield GOOD, f"A secret key is in {where}."


def _passphrase(file: Path | None) -> Iterator[Finding]:
    if file is None:
        return
    if not os.access(file, os.R_OK):
        yield BAD, f"GPG_PASSPHRASE_FILE: {file} cannot be read. Mend the setting, or give access."
    elif stat.S_IMODE(file.stat().st_mode) & 0o077:
        yield LOOK, f"GPG_PASSPHRASE_FILE: others may read {file}. Run: chmod 600 {file}"
    else:
        yield GOOD, f"The passphrase is in {file}."


def _deliveries(folder: Path) -> Finding:
    if os.access(folder, os.R_OK | os.X_OK) and folder.is_dir():
        return GOOD, f"Deliveries arrive in {folder}."
    return BAD, f"DELIVERY_PATHS: {folder} is no folder that can be read. Make it, or mend it."


def _publishing(options: Mapping[str, Any]) -> Iterator[Finding]:
    data_paths = options["DATA_PATHS"]
    folder = options["PUBLISH_PATH"] or data_paths[0]
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(existing, os.W_OK | os.X_OK):
        yield GOOD, f"They are published to {folder}."
    else:
        yield BAD, f"PUBLISH_PATH: {existing} cannot be written to. Give the daemon's user access."
    if folder not in data_paths:
        yield LOOK, f"PUBLISH_PATH: {folder} is not among DATA_PATHS: nobody reads it here."
    try:
        group = rights_of(options).group
    except OptimusError as error:
        yield BAD, str(error)
        return
    if group is not None and os.geteuid() and group not in os.getgroups():
        yield BAD, f"PUBLISH_GROUP: the daemon's user is not in {options['PUBLISH_GROUP']}. Add it."
