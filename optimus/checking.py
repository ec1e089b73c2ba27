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

from optimus import __version__
from optimus.daemon import holder
from optimus.display import plain_table
from optimus.package.layout import read_package
from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.settings import Settings

FREE_BYTES_WANTED = 5_000_000_000
STYLES = {"good": "green", "look": "yellow", "bad": "red"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        verdict: ``good``, ``look`` (works, but the operator should know) or ``bad``.
        thing: what was looked at.
        sentence: what was found, and what to do.
    """

    verdict: str
    thing: str
    sentence: str


def show_check(settings: Settings, remarks: list[str], out: Console, *, as_json: bool) -> int:
    """Look at everything and print it.

    Returns:
        The exit code: 1 when something is bad.
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
            table.add_row(f"[{style}]{finding.verdict}[/]", finding.thing, finding.sentence)
        out.print(table)
    return int(any(finding.verdict == "bad" for finding in findings))


def _findings(settings: Settings, remarks: list[str]) -> Iterator[Finding]:
    python = platform.python_version()
    yield Finding("good", "version", f"Optimus Ingestor {__version__}, Python {python}.")
    registry = load_registry(settings)
    names = ", ".join(service.name for service in registry.services)
    yield Finding("good", "services", f"{names}.")
    for remark in remarks:
        yield Finding("look", "settings", remark)
    yield from _package(settings)
    for name in ("state_path", "lake_path", "export_path", "www_path"):
        yield _writable(name.upper(), getattr(settings, name))
    yield _queue(settings)
    for service in registry.services:
        options = {name: getattr(settings, name.lower()) for name in service.options}
        for verdict, sentence in service.check(options):
            yield Finding(verdict, service.name, sentence)


def _package(settings: Settings) -> Iterator[Finding]:
    package = read_package(
        settings.data_paths, settings.clickstream_prefix, settings.dbstate_prefix
    )
    logs, dumps, courses = len(package.logs), len(package.state), len(package.courses())
    found = f"tracking logs: {logs:,}, files of dumps: {dumps:,}, course runs: {courses:,}."
    yield Finding("good" if logs or dumps else "bad", "DATA_PATHS", found)
    for remark in package.remarks:
        yield Finding("look" if logs or dumps else "bad", "DATA_PATHS", remark)


def _writable(name: str, folder: Path) -> Finding:
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK | os.X_OK):
        remedy = "Give the daemon's user the right to write there, or choose another folder."
        return Finding("bad", name, f"{existing} cannot be written to. {remedy}")
    free = shutil.disk_usage(existing).free
    verdict = "good" if free > FREE_BYTES_WANTED else "look"
    return Finding(verdict, name, f"{folder}: {free / 1e9:,.1f} GB free.")


def _queue(settings: Settings) -> Finding:
    running = holder(settings.state_path)
    if not settings.queue_path.exists():
        return Finding("good", "queue", "Not made yet; the first run makes it.")
    queue = Queue(settings.queue_place)
    failed = len(queue.failures())
    queue.close()
    who = f"running ({running})" if running else "not running"
    if failed:
        return Finding("look", "queue", f"{who}; failed or held up: {failed:,}; see 'status'.")
    return Finding("good", "queue", f"{who}; nothing has failed.")
