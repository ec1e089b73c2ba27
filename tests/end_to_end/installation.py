"""One installation of the product, used as an operator uses it: by its commands."""

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 240
ASIDE = ["email_opt_in", "email_crm", "event_count", "daily_count", "edx_course_structure"]
"""Services that person_course does not build on: without them a pass is over sooner."""


class Installation:
    """A settings file and the folders it names, beside a package.

    Attributes:
        package: the folder in ``DATA_PATHS``.
        lake: the folder of Parquet files.
        exports: the folder of CSV files.
    """

    def __init__(self, folder: Path, package: Path, geo_database: Path, **settings: Any) -> None:
        """Write the settings file; ``settings`` are those that differ from the defaults."""
        self.package = package
        self.state = folder / "state"
        self.lake = folder / "lake"
        self.exports = folder / "exports"
        self._config = folder / "config.py"
        folder.mkdir(parents=True, exist_ok=True)
        self._config.write_text(
            f"DATA_PATHS = [{str(package)!r}]\n"
            f"STATE_PATH = {str(self.state)!r}\n"
            f"LAKE_PATH = {str(self.lake)!r}\n"
            f"EXPORT_PATH = {str(self.exports)!r}\n"
            f"WWW_PATH = {str(folder / 'www')!r}\n"
            f"GEOIP_CITY_DB = {str(geo_database)!r}\n"
            + "".join(f"{name} = {value!r}\n" for name, value in settings.items())
        )

    def run(self, *arguments: str, may_fail: bool = False) -> str:
        """Run a command that must succeed unless it may fail, and give what it printed."""
        done = subprocess.run(
            self._command(*arguments),
            **self._surroundings(),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        told = f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == 0 or (may_fail and done.returncode == 1), told
        return str(done.stdout)

    def once(self) -> str:
        return self.run("once")

    def once_or_retry(self) -> None:
        """Run ``once``; items whose worker died three times wait for the operator's wish."""
        self.run("once", may_fail=True)
        problems = self.status()["problems"]
        if any("Interrupted 3 times" in problem["message"] for problem in problems):
            self.run("retry")
            self.once()

    @contextmanager
    def daemon(self) -> Iterator["subprocess.Popen[bytes]"]:
        """The daemon with all its workers, ended at the end whatever happens."""
        with (self.state.parent / "terminal.log").open("ab") as terminal:
            process = subprocess.Popen(
                self._command("run"),
                **self._surroundings(),
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def once_until_killed(self, seconds: float) -> bool:
        """Start ``once`` and kill it with all its workers; says whether it was still at work."""
        process = subprocess.Popen(
            self._command("once"),
            **self._surroundings(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return True
        return False

    def query(self, sql: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.run("query", sql, "--json"))
        return rows

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.run("status", "--json"))
        return told

    def export(self, name: str) -> list[dict[str, str]]:
        with (self.exports / "latest" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def counts(self, service: str) -> dict[str, dict[str, Any]]:
        """The ledger of every source of a service, by the name of its file."""
        rows = self._queue("SELECT path, counts FROM source WHERE service = ?", service)
        return {Path(path).name: json.loads(counts) for path, counts in rows}

    def notes(self, service: str) -> list[str]:
        """What the tries of a service told the operator."""
        rows = self._queue("SELECT notes FROM run WHERE service = ? ORDER BY id", service)
        return [note for (notes,) in rows for note in json.loads(notes)]

    def last_run(self) -> int:
        return int(next(self._queue("SELECT coalesce(max(id), 0) FROM run"))[0])

    def runs_since(self, run: int) -> list[tuple[str, str, str]]:
        """What was done after a run: service, file and outcome of each try."""
        rows = self._queue(
            "SELECT run.service, source.path, run.outcome FROM run "
            "JOIN source ON source.id = run.source_id WHERE run.id > ? ORDER BY run.id",
            run,
        )
        return [(service, Path(path).name, outcome) for service, path, outcome in rows]

    def files(self) -> dict[str, tuple[int, int]]:
        """Every file of the lake and the exports, with its moment of change and its size."""
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for folder in (self.lake, self.exports)
            for path in folder.rglob("*")
            if path.is_file()
        }

    def _queue(self, sql: str, *values: object) -> Iterator[tuple[Any, ...]]:
        address = f"file:{self.state / 'queue.sqlite'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            yield from connection.execute(sql, values).fetchall()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "ingestor.py", "--config", str(self._config), *arguments]

    @staticmethod
    def _surroundings() -> dict[str, Any]:
        """The repository, and no setting from outside."""
        clean = {key: text for key, text in os.environ.items() if not key.startswith("OPTIMUS_")}
        return {"cwd": ROOT, "env": clean}
