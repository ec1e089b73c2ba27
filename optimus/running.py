"""The two ways to ingest: for ever, and once."""

import json
import logging

from rich.console import Console

from optimus.daemon import serve, single_instance, stop_on_signals, sweep_leftovers
from optimus.display import (
    LiveDisplay,
    table_of_problems,
    table_of_services,
    totals_since,
)
from optimus.errors import OutputUnavailableError, SettingsError
from optimus.log import log_to_files, log_to_terminal
from optimus.queue.store import Queue
from optimus.registry import Registry, load_registry
from optimus.scheduler import Scheduler
from optimus.settings import Settings

log = logging.getLogger(__name__)


def run_daemon(settings: Settings, remarks: list[str]) -> None:
    """Ingest what arrives until a signal says stop.

    Args:
        settings: the settings.
        remarks: sentences about settings without effect, for the log.

    Raises:
        AlreadyRunningError: another process holds the state folder.
    """
    registry = load_registry(settings)
    with single_instance(settings.state_path):
        log_to_files(settings.state_path, rotate=True)
        log_to_terminal()
        for remark in remarks:
            log.warning("%s", remark)
        names = ", ".join(service.name for service in registry.services)
        log.info("services: %s", names)
        queue = _open_queue(settings, registry)
        sweep_leftovers(settings, queue)
        scheduler = Scheduler(settings, registry, queue)
        stop_on_signals(scheduler.wishes)
        serve(scheduler)
        queue.close()


def run_once(settings: Settings, out: Console) -> int:
    """Ingest all that can be, show it, and say how it went.

    Returns:
        The exit code: 1 when something failed, 3 when a server could not be reached.

    Raises:
        AlreadyRunningError: another process holds the state folder.
        SettingsError: none of the data folders is there.
    """
    if not (settings.awaits_deliveries or any(root.is_dir() for root in settings.data_paths)):
        missing = ", ".join(str(root) for root in settings.data_paths)
        raise SettingsError(
            f"DATA_PATHS: {missing}: no such folder. Name the folder that holds "
            "clickstream_logs/ and database_state/ in config.py, or try './ingestor.py demo'."
        )
    registry = load_registry(settings)
    with single_instance(settings.state_path):
        log_to_files(settings.state_path, rotate=True)
        queue = _open_queue(settings, registry)
        sweep_leftovers(settings, queue)
        since = queue.last_run_id()
        scheduler = ingest_all(settings, registry, queue, out)
        _tell(registry, queue, since, scheduler, out)
        reasons = {row.reason for row in queue.failures()}
        queue.close()
    if OutputUnavailableError.reason in reasons:
        return OutputUnavailableError.exit_code
    return 1 if reasons or scheduler.wishes.stop.is_set() else 0


def _open_queue(settings: Settings, registry: Registry) -> Queue:
    """Open the queue, and tell its other readers which services do not run."""
    queue = Queue(settings.queue_place)
    queue.configure("IGNORE_SERVICES", json.dumps(sorted(registry.ignored)))
    return queue


def ingest_all(settings: Settings, registry: Registry, queue: Queue, out: Console) -> Scheduler:
    """One pass over everything, with a live line per service."""
    scheduler = Scheduler(settings, registry, queue)
    stop_on_signals(scheduler.wishes)
    with LiveDisplay(out, queue, registry) as display:
        scheduler.run_once(display.look)
    return scheduler


def _tell(registry: Registry, queue: Queue, since: int, scheduler: Scheduler, out: Console) -> None:
    totals = totals_since(queue, since)
    problems = queue.problems()
    if totals:
        out.print(table_of_services(registry, totals, queue))
    elif scheduler.last_scan and scheduler.last_scan.files == 0:
        out.print("The data folders hold no file that any service wants.")
    elif not any(row.state == "queued" for row in problems):
        out.print("Nothing new: everything in the data folders has been ingested before.")
    for name, did in totals.items():
        if did.copies:
            out.print(
                f"{name}: copies of other files: {did.copies:,}; 'status NAME' tells of which."
            )
        for note in did.sentences():
            out.print(f"{name}: {note}", markup=False, highlight=False)
    for remark in scheduler.last_scan.remarks if scheduler.last_scan else ():
        out.print(remark, style="yellow", markup=False, highlight=False)
    if problems:
        out.print(table_of_problems(problems))
