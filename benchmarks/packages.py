"""How long ``packages diff`` takes over two packages of 40 course runs that nobody has looked at.

    .venv/bin/python -m benchmarks.packages [--courses 40] [--learners 4000] [--rounds 3]

Two made-up packages are written into a temporary folder: the synthetic tables of three course
runs, copied under other names, and enlarged by repeating their rows to ``--learners`` accounts.
The command is started as an operator starts it, with both folders as arguments, so that every
byte of both is read; beside it, ``sha256sum`` reads and hashes the same files.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.machine import parser_of, print_machine
from optimus.sample import SamplePlan
from optimus.sample.writer import write_package

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Write both packages, and time the command and the bare hash in turns."""
    parser = parser_of(__doc__)
    parser.add_argument("--courses", type=int, default=40)
    parser.add_argument("--learners", type=int, default=4000)
    options = parser.parse_args()
    print_machine("sha256sum of coreutils", "typer", "pyarrow")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        packages = [folder / "2016-02-07", folder / "2016-02-14"]
        _write(packages[0], options.courses, options.learners)
        shutil.copytree(packages[0], packages[1])
        files = sorted(file for package in packages for file in package.rglob("*.*"))
        size = sum(file.stat().st_size for file in files)
        print(f"{len(files):,} files, {size / 1e6:,.0f} MB in two packages")
        diff = [sys.executable, "ingestor.py", "packages", "diff", *map(str, packages)]
        bare = ["sha256sum", *map(str, files)]
        for name, command in (("packages diff", diff), ("sha256sum", bare)):
            seconds = [_seconds(command) for _ in range(options.rounds)]
            print(
                f"{name:<14} {median(seconds):6.2f} s   ({', '.join(f'{s:.2f}' for s in seconds)})"
            )


def _write(package: Path, courses: int, learners: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        plan = SamplePlan(courses=1, learners=400, days=1, events=400)
        write_package(Path(temporary), plan)
        state = next(Path(temporary, "database_state").glob("2*"))
        stem = next(state.glob("*-auth_user-*")).name.partition("-auth_user-")[0]
        for number in range(courses):
            for file in state.rglob("*.*"):
                if file.is_file() and file.suffix in (".sql", ".mongo") and stem in file.name:
                    inner = file.relative_to(state).parent
                    target = package / inner / file.name.replace(stem, f"{stem}_{number}")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _enlarge(file, target, learners // 400)


def _enlarge(file: Path, target: Path, times: int) -> None:
    header, line_end, rows = file.read_bytes().partition(b"\n")
    target.write_bytes(header + line_end + rows * times)


def _seconds(command: list[str]) -> float:
    begun = perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return perf_counter() - begun


if __name__ == "__main__":
    main()
