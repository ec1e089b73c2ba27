"""The command ``check``: what is wrong with the installation, and what to do."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.markup import escape

from optimus import __version__
from optimus.checking_servers import exit_code_of, server_findings
from optimus.daemon import holder
from optimus.display import plain_table
from optimus.errors import OptimusError, OutputUnavailableError
from optimus.findings import AWAY, BAD, FREE_BYTES_WANTED, GOOD, LOOK
from optimus.queue.databases import database_at
from optimus.queue.migrations import plan
from optimus.queue.store import Queue
from optimus.registry import load_registry, options_of
from optimus.scanner import whole_package
from optimus.settings import Settings

STYLES = {GOOD: "green", LOOK: "yellow", BAD: "red", AWAY: "red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        verdict: ``good``, ``look`` (works, but the operator should know), ``bad``, or
            ``away`` (a server that cannot be reached).
        thing: what was looked at.
        sentence: what was found, and what to do.
    """

    verdict: str
    thing: str
    sentence: str


def show_check(settings: Settings, remarks: list[str], out: Console, *, as_json: bool) -> int:
    """Look at everything and print it.

    Returns:
        The exit code: 3 when a server is out of reach, 1 when something is bad.
    """
    findings = list(_findings(settings, remarks))
    if as_json:
        sys.stdout.buffer.write(orjson.dumps([asdict(finding) for finding in findings]) + b"\n")
    else:
        table = plain_table()
        for name in ("", "what", "found"):
            table.add_column(name, overflow="fold")
        for finding in findings:
            style = STYLES[finding.verdict]
            table.add_row(f"[{style}]{finding.verdict}[/]", finding.thing, escape(finding.sentence))
        out.print(table)
    return exit_code_of(finding.verdict for finding in findings)


def _findings(settings: Settings, remarks: list[str]) -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding(GOOD, "version", f"Optimus Ingestor {__version__}, Python {python}.")
    registry = load_registry(settings)
    names = ", ".join(service.name for service in registry.services)
    yield Finding(GOOD, "services", f"{names}.")
    for remark in remarks:
        yield Finding(LOOK, "settings", remark)
    yield from _package(settings)
    for name in ("state_path", "lake_path", "export_path", "www_path"):
        yield _writable(name.upper(), getattr(settings, name))
    for found in server_findings(settings):
        yield Finding(*found)
    yield _queue(settings)
    for service in registry.services:
        for verdict, sentence in service.check(options_of(service, settings)):
            yield Finding(verdict, service.name, sentence)


def _package(settings: Settings) -> Iterator[Finding]:
    package = whole_package(settings)
    logs, dumps, courses = len(package.logs), len(package.state), len(package.courses())
    found = f"tracking logs: {logs:,}, files of dumps: {dumps:,}, course runs: {courses:,}"
    if settings.awaits_deliveries:
        found += f", deliveries: {len(package.deliveries):,}"
    worst = LOOK if logs or dumps or settings.awaits_deliveries else BAD
    yield Finding(GOOD if logs or dumps or package.deliveries else worst, "DATA_PATHS", f"{found}.")
    for remark in package.remarks:
        yield Finding(worst, "DATA_PATHS", remark)


def _writable(name: str, folder: Path) -> Finding:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = "Give the daemon's user the right to write there, or choose another folder."
        return Finding(BAD, name, f"{existing} cannot be written to. {remedy}")
    free = shutil.disk_usage(existing).free
    verdict = GOOD if free > FREE_BYTES_WANTED else LOOK
    return Finding(verdict, name, f"{folder}: {free / 1e9:,.1f} GB free.")


def _queue(settings: Settings) -> Finding:
    try:
        return _state_of_queue(settings)
    except OptimusError as error:
        is_away = isinstance(error, OutputUnavailableError)
        return Finding(AWAY if is_away else BAD, "queue", str(error))


def _state_of_queue(settings: Settings) -> Finding:
    database = database_at(settings.queue_place)
    if not database.exists():
        return Finding(GOOD, "queue", "Not made yet; the first run makes it.")
    planned = plan(database)
    if planned.needs_consent:
        return Finding(BAD, "queue", "It has to be migrated: 'migrate' says what would be done.")
    if planned.sentences:
        return Finding(GOOD, "queue", "The next run makes it, or brings it up to date.")
    queue = Queue(settings.queue_place)
    failed = len(queue.failures())
    queue.close()
    running = holder(settings.state_path)
    who = f"running ({running})" if running else "not running"
    if failed:
        return Finding(LOOK, "queue", f"{who}; failed or held up: {failed:,}; see 'status'.")
    return Finding(GOOD, "queue", f"{who}; nothing has failed.")
