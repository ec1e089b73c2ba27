"""Packs what is decrypted as edX delivers it: a key, encrypted members, zips, packed logs."""

import gzip
import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from optimus.outputs.staging import INCOMING
from optimus.scheduler import Scheduler
from optimus.service import Progress
from optimus.worker import Worker
from tests.house import House

ADDRESS = "packages@university.example"


class Key:
    """A key pair in a folder of its own, whose name is short: sockets lie in it.

    Attributes:
        home: the folder.
        passphrase: what opens the key; blank when it is open.
    """

    def __init__(self, passphrase: str = "", expires: str = "never", *words: str) -> None:
        if shutil.which("gpg") is None:
            give_up = pytest.fail if os.environ.get("CI") else pytest.skip
            give_up("gpg is not installed; apt-get install gnupg")
        self.home = Path(tempfile.mkdtemp(prefix="key"))
        self.passphrase = passphrase
        self.gpg(
            *("--pinentry-mode=loopback", f"--passphrase={passphrase}", *words),
            *("--quick-gen-key", ADDRESS, "future-default", "default", expires),
        )
        self.forget()

    @property
    def fingerprint(self) -> str:
        listed = self.gpg("--with-colons", "--list-keys", ADDRESS).decode()
        return str(re.findall(r"^fpr:+(\w+):", listed, re.MULTILINE)[0])

    def gpg(self, *words: str, data: bytes = b"") -> bytes:
        command = ["gpg", f"--homedir={self.home}", "--batch", "--quiet", "--trust-model=always"]
        done = subprocess.run([*command, *words], input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def encrypt(self, data: bytes, *words: str) -> bytes:
        return self.gpg(f"--recipient={ADDRESS}", *words, "--encrypt", data=data)

    def encrypt_files(self, *paths: Path) -> None:
        """Put an encrypted file in the place of each."""
        names = [str(path) for path in paths]
        self.gpg(f"--recipient={ADDRESS}", "--multifile", "--encrypt", *names)
        for path in paths:
            path.unlink()

    def forget(self) -> None:
        """Let the agent forget the passphrase."""
        subprocess.run(["gpgconf", f"--homedir={self.home}", "--kill", "all"], check=True)

    def remove(self) -> None:
        self.forget()
        shutil.rmtree(self.home)


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files; a name that ends in a slash is a folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """A packed tar of these files; what is no bytes is an entry without content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.GNU_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name) if isinstance(content, bytes) else content
            entry.name = name
            entry.size = len(content) if isinstance(content, bytes) else 0
            archive.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()


def pack_log(log: Path, target: Path, key: Key) -> Path:
    """Encrypt a log, packed first if it is not."""
    content = log.read_bytes()
    packed = content if content.startswith(b"\x1f\x8b") else gzip.compress(content)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(key.encrypt(packed))
    return target


def pack_package(state: Path, target: Path, key: Key) -> Path:
    """Make the zip of a decrypted package: course folders become archives, all is encrypted."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name, target.stem)
        courses = [path.parent for path in state.glob("*/course.xml")]
        for path in state.rglob("*"):
            if path.is_file() and not any(course in path.parents for course in courses):
                copy = top / path.relative_to(state)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
        for course in courses:
            name_of_archive = f"{course.name}-course-{_suffix(state, course)}.xml.tar.gz"
            with tarfile.open(top / name_of_archive, "w:gz") as tar:
                tar.add(course, "export")
        key.encrypt_files(*(path for path in top.rglob("*") if path.is_file()))
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(top.rglob("*")):
                archive.write(path, path.relative_to(name))
    return target


def _suffix(state: Path, course: Path) -> str:
    is_edge = (state / f"{course.name}-auth_user-prod-edge-analytics.sql").exists()
    return "prod-edge-analytics" if is_edge else "prod-analytics"


class Arrivals(House):
    """A house that packed deliveries arrive at.

    Attributes:
        arrivals: the folder they arrive in.
        data: the data folder they are published to.
    """

    def __init__(self, folder: Path, services: Iterable[str] = ("extract",), **settings: Any):
        self.arrivals, self.data = folder / "arrivals", folder / "data"
        for made in (self.arrivals, self.data):
            made.mkdir(exist_ok=True)
        paths = {"delivery_paths": [self.arrivals], "data_paths": [self.data]}
        super().__init__(folder, services, **{**paths, **settings})

    def deliver(self, name: str, content: bytes) -> Path:
        path = self.arrivals / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def published(self) -> dict[str, bytes]:
        """Every file in the data folder, links not followed."""
        files = (path for path in self.data.rglob("*") if path.is_file() and not path.is_symlink())
        return {path.relative_to(self.data).as_posix(): path.read_bytes() for path in files}

    def left_aside(self) -> list[Path]:
        """What lies where deliveries are unpacked."""
        aside = self.data / INCOMING
        return list(aside.iterdir()) if aside.exists() else []

    def only(self) -> Any:
        [source] = self.sources("extract")
        return source

    def try_once(self, report: Callable[[Progress], bool]) -> None:
        """Take the delivery that has waited longest, and look on.

        Args:
            report: called while it is worked on; says whether to go on.
        """
        scheduler = Scheduler(self.settings, self.registry, self.queue)
        scheduler._settle = 0
        scheduler._scan()
        claim = self.queue.claim("extract", "test")
        assert claim is not None
        Worker(self.settings, self.registry, self.queue).do(claim, report)
