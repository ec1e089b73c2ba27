"""A daily log decrypted, unpacked and published, beside gpg | gunzip.

    .venv/bin/python -m benchmarks.extract [--megabytes 500] [--rounds 5]

Two works take turns on the same encrypted log:

- ``gpg | gunzip``: what a shell does, ``gpg --decrypt | gunzip > file``. Nothing is checked, and
  nothing is forced to the disk.
- ``extract``: the whole item as a worker does it, in a process of its own: gpg asked whether
  anything was changed, the checksum of gzip looked at, bytes hashed and counted, the file forced to
  the disk and renamed, the record in the lake.

The log is a day of the sample, repeated until it is large enough, and packed as edX packs.
"""

import filecmp
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from threading import Event, Thread, get_native_id
from typing import NamedTuple

from benchmarks.machine import in_a_process, parser_of, print_machine
from optimus.package.files import DeliveredFile
from optimus.sample import SamplePlan, write_package
from tests.house import House
from tests.services.packing import Key

LOG = "riveru-edx-events-2016-02-01.log"
SHELL, OURS = "gpg | gunzip", "extract"


class Measured(NamedTuple):
    """One work.

    Attributes:
        seconds: by the clock on the wall.
        megabytes: peak memory of the process and its children; 0 where nobody looked.
        before: of these, what the process had before it began.
    """

    seconds: float
    megabytes: float = 0.0
    before: float = 0.0


def write_log(folder: Path, size: int) -> Path:
    """A plain log of about so many bytes."""
    plan = SamplePlan(events=20_000, learners=300, days=1, courses=1, quirks=False)
    write_package(folder / "sample", plan)
    [day] = (folder / "sample" / "clickstream_logs" / "latest").iterdir()
    lines = b"".join(DeliveredFile(day).blocks())
    path = folder / LOG
    with path.open("wb") as file:
        for _ in range(max(size // len(lines), 1)):
            file.write(lines)
    return path


def deliver(folder: Path, log: Path, key: Key) -> Path:
    """The log as edX delivers it."""
    subprocess.run(["gzip", "--keep", log], check=True)
    packed = log.with_name(f"{LOG}.gz")
    key.encrypt_files(packed)
    deliveries = folder / "deliveries"
    deliveries.mkdir()
    return packed.with_name(f"{LOG}.gz.gpg").rename(deliveries / f"{LOG}.gz.gpg")


def with_the_shell(delivered: Path, home: Path, target: Path) -> Measured:
    command = f"gpg --quiet --batch --homedir {home} --decrypt {delivered} | gunzip > {target}"
    begun = time.perf_counter()
    subprocess.run(command, shell=True, check=True)
    return Measured(time.perf_counter() - begun)


def with_the_service(delivered: Path, home: Path, folder: Path) -> Measured:
    house = House(
        folder,
        ["extract"],
        data_paths=[folder / "data"],
        delivery_paths=[delivered.parent],
        gpg_home=home,
    )
    house.settings.publish_folder.mkdir()
    before, memory = _peak("self"), Memory()
    memory.start()
    house.ingest()
    megabytes = memory.stop()
    [run] = house.runs("extract")
    assert run.outcome == "done", run.message
    return Measured(run.seconds, megabytes, before)


class Memory(Thread):
    """Watches how much memory this process and its children have at most.

    What the system tells of ended children counts ours as well: they began as our copies.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._end = Event()
        self._children: dict[str, float] = {}
        self._list = Path(f"/proc/self/task/{get_native_id()}/children")

    def run(self) -> None:
        while not self._end.wait(0.01):
            for child in self._list.read_text(encoding="ascii").split():
                self._children[child] = max(_peak(child, "gpg"), self._children.get(child, 0))

    def stop(self) -> float:
        """Megabytes, of all that were there at any time."""
        self._end.set()
        return _peak("self") + sum(self._children.values())


def _peak(process: str, name: str = "") -> float:
    """Megabytes that a process had at most; none while it does not have that name yet."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return 0.0
    facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    is_meant = name in {"", facts["Name"]}
    return int(facts["VmHWM"].split()[0]) / 1024 if is_meant and "VmHWM" in facts else 0.0


def in_turns(works: dict[str, Callable[[], Measured]], rounds: int) -> dict[str, list[Measured]]:
    """Do all of them once a round; the one that begins is another each time."""
    found: dict[str, list[Measured]] = {name: [] for name in works}
    names = list(works)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(works[name]())
    return found


def measure(megabytes: int, rounds: int, key: Key) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = write_log(folder, megabytes << 20)
        size = log.stat().st_size / 1e6
        delivered = deliver(folder, log, key)
        work = folder / "work"

        def fresh(do: Callable[[], Measured]) -> Measured:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            return do()

        found = in_turns(
            {
                SHELL: lambda: fresh(
                    lambda: in_a_process(with_the_shell, delivered, key.home, work / LOG)
                ),
                OURS: lambda: fresh(
                    lambda: in_a_process(with_the_service, delivered, key.home, work)
                ),
            },
            rounds,
        )
        published = work / "data" / "riveru" / "clickstream_logs" / "latest" / LOG
        if published.exists():
            assert filecmp.cmp(published, log, shallow=False)
        print(f"\n{size:,.0f} MB unpacked, {delivered.stat().st_size / 1e6:,.0f} MB delivered")
        for label, costs in found.items():
            rate = median(size / cost.seconds for cost in costs)
            print(f"{label:14} {rate:8,.0f} MB/s")
        most = max(found[OURS], key=lambda cost: cost.megabytes)
        print(
            f"peak memory of {OURS}: {most.megabytes:,.0f} MB, {most.before:,.0f} of them before "
            "it began"
        )
        ratios = [
            shell.seconds / ours.seconds
            for shell, ours in zip(found[SHELL], found[OURS], strict=True)
        ]
        print(
            f"{OURS} reaches, of {SHELL}: {median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--megabytes", type=int, default=500, help="of the log (default: 500)")
    arguments = parser.parse_args()
    key = Key()
    print_machine(subprocess.getoutput("gpg --version").partition("\n")[0], "isal")
    try:
        for megabytes in (arguments.megabytes // 5, arguments.megabytes):
            measure(megabytes, arguments.rounds, key)
    finally:
        key.remove()


if __name__ == "__main__":
    main()
