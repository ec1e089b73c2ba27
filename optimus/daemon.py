"""The daemon in the foreground: one per state folder, stopped by a signal, seen over REST."""

import fcntl
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvicorn
from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from optimus.api.app import create_app
from optimus.attempt import mark_of
from optimus.errors import AlreadyRunningError, SettingsError
from optimus.outputs.staging import INCOMING, make_folder, sweep
from optimus.queue.reading import QueueReader
from optimus.scheduler import Scheduler, Wishes, owner_of
from optimus.settings import Settings

log = logging.getLogger(__name__)

WATCHED_EVENTS = ("created", "modified", "moved", "deleted", "closed")


@contextmanager
def single_instance(state_path: Path) -> Iterator[None]:
    """Hold the state folder for this process.

    Raises:
        AlreadyRunningError: another living process holds it.
    """
    make_folder(state_path)
    # Append mode: opening the file must not wipe the number of the process that holds it.
    with (state_path / "daemon.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"{state_path} is held by {holder(state_path) or 'another process'}. "
                "Stop it first, or use another STATE_PATH."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}\n")
        lock.flush()
        yield


def holder(state_path: Path) -> str | None:
    """Which process holds the state folder; None when none does."""
    path = state_path / "daemon.lock"
    if not path.exists():
        return None
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return lock.read().strip() or "another process"
    return None


def sweep_leftovers(settings: Settings, queue: QueueReader) -> None:
    """Remove what interrupted tries left; only by the process that holds the state folder.

    The lake may be shared with daemons that work from other state folders: what they are
    writing stays.
    """
    ours = owner_of(settings)
    at_work = [
        mark_of(row.identity, row.epoch)
        for row in queue.sources(states=["running"])
        if not str(row.owner).startswith(ours)
    ]
    folders = (
        settings.lake_path,
        settings.export_path,
        settings.www_path,
        settings.state_path,
        settings.publish_folder / INCOMING,
    )
    removed = sweep((folder for folder in folders if folder.is_dir()), at_work)
    if removed:
        log.warning("%d unfinished files of interrupted tries were removed", removed)


def stop_on_signals(wishes: Wishes) -> None:
    """SIGTERM and SIGINT ask for a stop; a second one ends the process at once."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if wishes.stop.is_set():
            os._exit(1)
        wishes.stop.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


def serve(scheduler: Scheduler) -> None:
    """Run until told to stop: scans, file events, REST.

    Raises:
        SettingsError: the address of the API cannot be used.
    """
    settings = scheduler.settings
    listener = _listener(settings.api_host, settings.api_port)
    app = create_app(scheduler.queue, scheduler.registry, scheduler.wishes, settings)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    )
    api = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    api.start()
    watching = _watch(settings, scheduler.wishes)
    host, port = listener.getsockname()[:2]
    log.info("running; the state is told at http://%s:%d/status", host, port)
    try:
        scheduler.run_for_ever()
    finally:
        server.should_exit = True
        for observer in watching:
            observer.stop()
        api.join(timeout=2)
        log.info("stopped")


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"API_HOST, API_PORT: {host}:{port} cannot be used ({error.strerror}). "
            "Another program may have it: choose another API_PORT."
        ) from error
    return listener


class _AskForScan(FileSystemEventHandler):
    """File events only shorten the wait for the next scan; they may be missed."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in WATCHED_EVENTS and INCOMING not in Path(str(event.src_path)).parts:
            self._wishes.scan.set()


def _watch(settings: Settings, wishes: Wishes) -> list[BaseObserver]:
    observers: list[BaseObserver] = []
    for root in (*settings.data_paths, *settings.delivery_paths):
        if root.is_dir():
            observer = Observer()
            observer.schedule(_AskForScan(wishes), str(root), recursive=True)
            observer.daemon = True
            observer.start()
            observers.append(observer)
    return observers
