"""What the measurements with servers share: clocks, rounds, processes, tables, the machine.

Whatever is compared takes turns within one run, each time in a process of its own. What the
machine does besides then meets all of them alike, and a ratio says more than a figure.
"""

import gc
import os
import platform
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import NamedTuple, ParamSpec, TypeVar

from optimus.worker import OBJECTS_BETWEEN_COLLECTIONS

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


class Cost(NamedTuple):
    """What some rows cost.

    Attributes:
        rows: how many they were.
        seconds: by the clock on the wall.
        client: seconds of processor in the process that sent them.
        server: seconds of processor in the server.
    """

    rows: int
    seconds: float
    client: float
    server: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def per_core(self) -> float:
        """Rows for a second of processor, client and server together."""
        return self.rows / (self.client + self.server)


class Watch:
    """Runs from its making on: the clock, this process, and a server by the id of its process."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._served = processor_of(server)
        self._worked = process_time()
        self._begun = perf_counter()

    def stop(self, rows: int, settle: Callable[[], object] = lambda: None) -> Cost:
        """Read it.

        Args:
            rows: how many were done.
            settle: has the server do what it put off; that counts for the server alone.
        """
        seconds, client = perf_counter() - self._begun, process_time() - self._worked
        settle()
        return Cost(rows, seconds, client, processor_of(self._server) - self._served)


def processor_of(process: int) -> float:
    """Seconds of processor that another process has used."""
    stat = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    in_user, in_system = stat.rpartition(")")[2].split()[11:13]
    return (int(in_user) + int(in_system)) / os.sysconf("SC_CLK_TCK")


def like_a_worker() -> None:
    """Leave the collector of garbage as the workers of the daemon do."""
    gc.freeze()
    gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS)


def in_a_process(
    work: Callable[Parameters, Answer], *values: Parameters.args, **named: Parameters.kwargs
) -> Answer:
    """Call a function in a fresh process."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_answer, args=(theirs, partial(work, *values, **named)))
    process.start()
    theirs.close()
    try:
        answer: Answer = ours.recv()
    except EOFError:
        raise RuntimeError("the process ended without an answer; see above") from None
    finally:
        process.join()
    return answer


def _answer(parent: Connection, work: Callable[[], object]) -> None:
    try:
        parent.send(work())
    except Exception:  # noqa: BLE001 - the parent says the rest
        traceback.print_exc()
    # Some libraries complain of what is left when the interpreter ends.
    parent.close()
    os._exit(0)


Costs = dict[str, list[Cost]]


def take_turns(works: Mapping[str, Callable[[], Cost]], rounds: int) -> Costs:
    """Do all of them once a round; the one that begins is another each time."""
    found: Costs = {name: [] for name in works}
    names = list(works)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(works[name]())
            print(f"round {number + 1}  {_row(name, found[name][-1:])}", flush=True)
    return found


def print_costs(found: Costs, rows: str) -> None:
    """Print the medians of all rounds."""
    print(f"\n{'':28} {rows + '/s':>12} {'CPU s per 100,000: client':>27} {'server':>8} {'sum':>8}")
    for name, costs in found.items():
        print(_row(name, costs))


def _row(name: str, costs: Sequence[Cost]) -> str:
    rate = median(cost.rate for cost in costs)
    per = [[part * 1e5 / cost.rows for part in (cost.client, cost.server)] for cost in costs]
    client, server = (median(column) for column in zip(*per, strict=True))
    return f"{name:28} {rate:12,.0f} {client:27.2f} {server:8.2f} {client + server:8.2f}"


def print_ratio(found: Costs, ours: str, theirs: str) -> None:
    """Print how much of the speed of one the other reaches, by the clock and by the processor."""
    pairs = list(zip(found[ours], found[theirs], strict=True))
    print(
        f"{ours} reaches, of {theirs}: by the clock "
        f"{_spread([one.rate / other.rate for one, other in pairs])}, per core "
        f"{_spread([one.per_core / other.per_core for one, other in pairs])}"
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def print_machine(server: str, *packages: str) -> None:
    """Print what all of it ran on."""
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    print(
        f"{_processor_name()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{server}, {versions}"
    )


def _processor_name() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def parser_of(documentation: str | None) -> ArgumentParser:
    """A parser that knows ``--rounds``, and says what the first line of a module says."""
    parser = ArgumentParser(description=(documentation or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often (default: 3)")
    return parser
