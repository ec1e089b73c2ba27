"""One big gzip log into the lake: events a second and the worker's peak memory.

    .venv/bin/python -m benchmarks.clickstream [events]

Beside it, in the same run and in a process of its own, the bare minimum that any reader in
Python pays: gunzip, split into lines, decode each with orjson and drop the result.
"""

import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

import orjson

from optimus.package.files import DeliveredFile
from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.sample import SamplePlan, write_package
from optimus.scheduler import Scheduler
from optimus.settings import FixedSettings


class Measured(NamedTuple):
    rows: int
    seconds: float
    processor: float
    megabytes: float


def ingest(folder: Path) -> Measured:
    """The daemon's own way, with one worker process and this service alone."""
    settings = FixedSettings(
        data_paths=[folder / "package"],
        state_path=folder / "state",
        lake_path=folder / "lake",
        export_path=folder / "exports",
        www_path=folder / "www",
        workers=1,
        ignore_services=[
            "database_state",
            "discussion_forums",
            "course_structure",
            "ip_to_country",
            "time_finder",
            "person_course",
        ],
    )
    queue = Queue(settings.queue_place)
    Scheduler(settings, load_registry(settings), queue).run_once(lambda _scheduler: None)
    [row] = queue.sources("clickstream")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measured(
        row.counts["rows"],
        row.counts["seconds"],
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024,
    )


def bare(folder: Path) -> int:
    rows = 0
    for path in sorted((folder / "package" / "clickstream_logs" / "latest").iterdir()):
        for chunk in DeliveredFile(path).chunks():
            for line in chunk.lines:
                try:
                    orjson.loads(line if isinstance(line, bytes) else line.head)
                    rows += 1
                except orjson.JSONDecodeError:
                    continue
    return rows


def answer(work: Callable[[Path], int], folder: Path, answers: "SimpleQueue[Measured]") -> None:
    begun, processor = time.perf_counter(), time.process_time()
    rows = work(folder)
    answers.put(
        Measured(
            rows,
            time.perf_counter() - begun,
            time.process_time() - processor,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    )


def in_a_process(work: Callable[[Path], int], folder: Path) -> Measured:
    context = get_context("spawn")
    answers: SimpleQueue[Measured] = context.SimpleQueue()  # type: ignore[assignment] # same methods
    process = context.Process(target=answer, args=(work, folder, answers))
    process.start()
    found = answers.get()
    process.join()
    return found


def main() -> None:
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = SamplePlan(events=events, learners=2000, days=1, courses=2, quirks=True)
        begun = time.perf_counter()
        report = write_package(folder / "package", plan)
        writing = report.events / (time.perf_counter() - begun)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(f"writing the sample: {writing:,.0f} events/s, {report.events:,} events")
        ours = ingest(folder)
        floor = in_a_process(bare, folder)
    for label, found in (("ingest", ours), ("gunzip + orjson", floor)):
        print(
            f"{label:<16} {found.rows:,} events, {found.rows / found.seconds:,.0f} events/s, "
            f"{found.processor / found.rows * 1e5:.2f} CPU s per 100,000, "
            f"peak {found.megabytes:,.0f} MB"
        )
    print(f"ingest costs {ours.processor / floor.processor:.2f} times the CPU of gunzip + orjson")


if __name__ == "__main__":
    main()
