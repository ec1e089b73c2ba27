"""What is promised about an import from MongoDB that is interrupted or cannot go on."""

import fcntl
import io
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import ObjectId
from rich.console import Console

from optimus.errors import (
    AlreadyRunningError,
    OutputUnavailableError,
    SettingsError,
    UsageError,
)
from optimus.importing import import_legacy
from optimus.outputs import legacy_logs, mongo_export, staging
from optimus.outputs.legacy_logs import Parts
from optimus.outputs.staging import sweep
from optimus.package.names import FROM_MONGODB
from optimus.settings import FixedSettings
from tests.core.legacy import MANY, Import, numbered
from tests.core.mortal import KilledError
from tests.servers import MongoDb


@pytest.fixture
def legacy(mongodb: MongoDb, tmp_path: Path) -> Import:
    return Import(mongodb, tmp_path)


# --- interruptions ----------------------------------------------------------------------------


def at_every_step(monkeypatch: pytest.MonkeyPatch, wanted: int, deed: Callable[[], None]) -> None:
    """Do a deed at one of the steps that reach the disk: before it or after it."""
    step = iter(range(10**6))

    def around(real: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            if next(step) == wanted:
                deed()
            result = real(*arguments, **named)
            if next(step) == wanted:
                deed()
            return result

        return stepped

    monkeypatch.setattr(os, "fsync", around(os.fsync))
    monkeypatch.setattr(Path, "replace", around(Path.replace))
    monkeypatch.setattr(Path, "unlink", around(Path.unlink))
    monkeypatch.setattr(Parts, "add", around(Parts.add))


def dies(deed: Callable[[], int]) -> bool:
    """Whether a process that does this is killed before its end."""
    process = os.fork()
    if process == 0:
        code = 1
        try:
            code = deed()
        finally:
            os._exit(code)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def wrote_all(legacy: Import) -> bool:
    return sorted(legacy.numbers()) == list(range(4)) and not legacy.unfinished()


def test_a_kill_at_any_step_loses_nothing_and_doubles_nothing(mongodb, tmp_path, monkeypatch):
    Import(mongodb, tmp_path).left(*numbered(4), ids=["a", ObjectId(), ObjectId(), ObjectId()])
    for step in range(10**6):
        legacy = Import(mongodb, tmp_path / str(step))

        def run(legacy: Import = legacy, step: int = step) -> int:
            at_every_step(monkeypatch, step, lambda: os.kill(os.getpid(), signal.SIGKILL))
            return legacy.run(most=2)

        killed = dies(run)
        assert all(name.startswith(FROM_MONGODB) for name in legacy.names())
        assert legacy.run(most=2) == 0
        assert wrote_all(legacy), step
        if not killed:
            break
    assert step > 40


@pytest.mark.parametrize("trouble", [KilledError(), OSError(28, "No space left on device")])
def test_an_error_at_any_step_loses_nothing_and_doubles_nothing(
    mongodb, tmp_path, monkeypatch, trouble
):
    def fail() -> None:
        raise trouble

    Import(mongodb, tmp_path).left(*numbered(4), ids=["a", ObjectId(), ObjectId(), ObjectId()])
    for step in range(10**6):
        legacy = Import(mongodb, tmp_path / str(step))
        with monkeypatch.context() as failing:
            at_every_step(failing, step, fail)
            try:
                legacy.run(most=2)
            except (KilledError, OutputUnavailableError, OSError):
                ended = False
            else:
                ended = True
        assert legacy.run(most=2) == 0
        assert wrote_all(legacy), step
        if ended and step > 40:
            break


def test_a_signal_ends_it_cleanly_and_the_next_run_goes_on(legacy, monkeypatch):
    monkeypatch.setattr(mongo_export, "DOCUMENTS_PER_BATCH", 2)
    legacy.left(*numbered(7))
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patched:
        real = Parts.add

        def add(parts: Parts, *arguments: Any) -> None:
            real(parts, *arguments)
            os.kill(os.getpid(), signal.SIGTERM)

        patched.setattr(Parts, "add", add)
        assert legacy.run() == 1
    assert (legacy.numbers(), legacy.unfinished()) == ([0, 1], [])
    assert "2 documents in 1 log are safe" in legacy.said
    assert "Stopped before the end. The same command goes on from there." in legacy.said
    assert signal.getsignal(signal.SIGTERM) == before
    assert legacy.run() == 0
    assert legacy.numbers() == list(range(7))


def test_a_daemon_that_starts_meanwhile_removes_nothing(legacy, monkeypatch):
    legacy.left(*numbered(5))
    real = staging.to_disk

    def to_disk(path: Path) -> None:
        sweep([legacy.settings.state_path])
        real(path)

    monkeypatch.setattr(legacy_logs, "to_disk", to_disk)
    legacy.run(most=2)
    assert legacy.numbers() == list(range(5))


# --- errors -----------------------------------------------------------------------------------


def test_without_a_server_it_says_what_to_set(tmp_path):
    settings = FixedSettings(state_path=tmp_path / "state")
    with pytest.raises(SettingsError, match="MONGO_HOST is not set"):
        import_legacy(settings, Console(file=io.StringIO()), dry_run=False)


def test_when_the_server_goes_away_complete_logs_stay(legacy, monkeypatch):
    monkeypatch.setattr("optimus.servers.CONNECT_SECONDS", 1)
    legacy.left(*numbered(3), ids=["a", ObjectId(), ObjectId()])
    with monkeypatch.context() as patched:
        real = Parts.finish

        def finish(parts: Parts) -> None:
            real(parts)
            if parts.ledger.parts:
                legacy.mongodb.stop()

        patched.setattr(Parts, "finish", finish)
        try:
            with pytest.raises(OutputUnavailableError, match=r"1 document in 1 log are? safe"):
                legacy.run()
        finally:
            legacy.mongodb.start()
    assert (legacy.numbers(), legacy.unfinished()) == ([0], [])
    legacy.run()
    assert sorted(legacy.numbers()) == [0, 1, 2]


@pytest.fixture
def small_files() -> Iterator[None]:
    """Files of this process can have so many bytes, as if the disk were full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_becomes_a_sentence_and_leaves_nothing_half_done(legacy, request):
    noise = random.Random(1)
    legacy.left({"n": 0}, {"n": 1})
    legacy.run()
    legacy.left(*({"n": n, "text": noise.randbytes(1000).hex()} for n in range(2, MANY)))
    request.getfixturevalue("small_files")
    with pytest.raises(OutputUnavailableError, match=r"Free space there.* goes on from there"):
        legacy.run()
    assert (legacy.numbers(), legacy.unfinished()) == ([0, 1], [])


@pytest.mark.parametrize(
    "ledger", ["", "{}", '{"last": 1}', '{"parts": 9, "last": {"a": {"$oid": 1}}}']
)
def test_a_ledger_that_is_lost_or_damaged_stops_the_import(legacy, ledger):
    legacy.left(*numbered(3))
    legacy.run(most=1)
    path = legacy.settings.legacy_path / "import.json"
    if ledger:
        path.write_text(ledger)
    else:
        path.unlink()
    with pytest.raises(UsageError, match=r"import\.json"):
        legacy.run()


def test_a_ledger_older_than_the_logs_stops_the_import(legacy):
    legacy.left(*numbered(1))
    legacy.run()
    path = legacy.settings.legacy_path / "import.json"
    older = path.read_text()
    legacy.left(*numbered(1, start=1))
    legacy.run()
    path.write_text(older)
    with pytest.raises(UsageError, match="older"):
        legacy.run()


def test_only_one_import_works_on_a_state_folder(legacy):
    legacy.settings.state_path.mkdir()
    with (legacy.settings.state_path / "import.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunningError, match="import-legacy"):
            legacy.run()


def test_a_state_folder_without_a_right_to_write_becomes_a_sentence(legacy):
    legacy.settings.state_path.write_text("this is no folder")
    with pytest.raises(OutputUnavailableError, match="cannot be"):
        legacy.run()
