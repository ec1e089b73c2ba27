"""The program, started as an operator starts it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from http import HTTPStatus
from pathlib import Path
from typing import Any

from optimus.cli import main

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class Commands:
    """A settings file, the folders it names, and the commands that use them."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.package = folder / "package"
        self.logs = self.package / "clickstream_logs" / "latest"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.config = folder / "config.py"
        paths = {f"{name.upper()}_PATH": str(folder / name) for name in ("state", "lake", "www")}
        chosen = {
            "DATA_PATHS": [str(self.package)],
            "EXPORT_PATH": str(folder / "exports"),
            "SETTLE_SECONDS": 0,
            "WORKERS": 1,
            **paths,
            **settings,
        }
        self.config.write_text("".join(f"{name} = {value!r}\n" for name, value in chosen.items()))

    def log(self, name: str, *lines: str) -> Path:
        path = self.logs / name
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            **surroundings(),
            check=False,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def here(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in this process: only one that leaves nothing behind in it."""
        streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2)]
        before, mask = sys.argv, os.umask(0o022)
        sys.argv = self.command(*arguments)[1:]
        try:
            with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
                main()
            code: Any = 0
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.argv = before
            os.umask(mask)
        texts = []
        for stream in streams:
            stream.flush()
            stream.seek(0)
            texts.append(stream.read())
        return subprocess.CompletedProcess(arguments, code, *texts)

    def json(self, *arguments: str) -> Any:
        done = self.here(*arguments, "--json")
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "ingestor.py", "--config", str(self.config), *arguments]

    @contextmanager
    def daemon(self) -> Iterator["Daemon"]:
        """The daemon, ended at the end whatever happens."""
        daemon = Daemon(self)
        try:
            yield daemon
        finally:
            if daemon.process.poll() is None:
                daemon.process.kill()
            daemon.process.wait(PATIENCE)


class Daemon:
    """A running daemon and its REST API."""

    def __init__(self, commands: Commands) -> None:
        self.log = commands.folder / "terminal.log"
        with self.log.open("ab") as terminal:
            self.process = subprocess.Popen(
                commands.command("run"), **surroundings(), stdout=terminal, stderr=terminal
            )
        self.port = 0
        until(lambda: self.process.poll() is not None or (self._find_port() and self._answers()))

    def _find_port(self) -> bool:
        for line in reversed(self.log.read_text().splitlines()):
            if "/status" in line:
                self.port = int(line.rpartition(":")[2].partition("/")[0])
                return True
        return False

    def _answers(self) -> bool:
        try:
            return self.get("/health")[0] == HTTPStatus.OK
        except urllib.error.URLError:
            return False

    def get(self, route: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{route}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def status_of(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/status")[1]["response"][service]
        return found

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def surroundings() -> dict[str, Any]:
    """The repository, and no setting from outside."""
    clean = {key: text for key, text in os.environ.items() if not key.startswith("OPTIMUS_")}
    return {"cwd": ROOT, "env": clean}
