"""Logging, set up once per process: one line per event, no learner's data in any."""

import logging
import logging.handlers
from pathlib import Path

from optimus.outputs.staging import make_folder

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
BYTES_PER_FILE = 10_000_000
FILES_KEPT = 10


def log_to_files(state_path: Path, *, rotate: bool) -> None:
    """Send everything from INFO on to ``<state>/logs/ingestor.log``.

    Args:
        state_path: the state folder.
        rotate: whether this process renames full files; exactly one process does.
    """
    folder = state_path / "logs"
    make_folder(folder)
    path = folder / "ingestor.log"
    handler: logging.Handler
    if rotate:
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=BYTES_PER_FILE, backupCount=FILES_KEPT
        )
    else:
        handler = logging.handlers.WatchedFileHandler(path)
    _add(handler)


def log_to_terminal() -> None:
    """Send everything from INFO on to standard error as well."""
    _add(logging.StreamHandler())


def _add(handler: logging.Handler) -> None:
    handler.setFormatter(logging.Formatter(FORMAT))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
