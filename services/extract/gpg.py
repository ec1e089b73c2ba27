"""Decrypting with the program gpg: bytes go in, bytes come out, and in the end gpg vouches.

The passphrase goes through a pipe and stands in no argument, environment or file. gpg looks
at no configuration, asks nobody and uses no network. What it says in words is not shown:
only its status lines are read.
"""

import os
import re
import selectors
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import IO

from optimus.errors import BadFileError, KeyUnavailableError, OutputUnavailableError
from optimus.package.files import CHUNK_BYTES, refuse_bomb

OPTIONS = (
    "--no-options",
    "--batch",
    "--no-tty",
    "--disable-dirmngr",
    "--trust-model=always",
    "--pinentry-mode=loopback",
    "--skip-verify",
)
LONGEST_PASSPHRASE = 4096
SECONDS_OF_SILENCE = 0.5
STATUS = "[GNUPG:] "
UNPROTECTED = re.compile(r"0 \d+( 0)?")
"""What gpg says of a file with neither MDC nor AEAD."""
DAMAGED_KEY_CODES = {10, 12, 18, 152}
"""Of libgpg-error: the key is there, and the session key in the file makes no sense to it."""
PASSPHRASE_CODES = {11, 177}
"""It is not the right one, or none."""
CODE_BITS = 0xFFFF


class Gpg:
    """The program, with the keys and the passphrase that are to be used."""

    def __init__(self, home: Path | None, passphrase_file: Path | None) -> None:
        """Use these.

        Args:
            home: folder of the keys; None for that of the daemon's user.
            passphrase_file: its first line opens the key; None when the key is open, or
                gpg-agent knows it.
        """
        self._home = home
        self._passphrase_file = passphrase_file

    def decrypt(self, blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
        """Decrypt a stream.

        Args:
            blocks: the encrypted bytes; they are taken in another thread.
            name: what errors call it.

        Yields:
            Plain bytes, and an empty block now and then while gpg is silent. None of them may
            be published before the last: only then is it sure that nothing was changed.

        Raises:
            BadFileError: it is not encrypted, or cut off, or changed on its way.
            KeyUnavailableError: there is no gpg, no key for it, or not the right passphrase.
        """
        status = _Status()
        with self._started() as (process, words):
            assert process.stdin  # noqa: S101 - for the types: it was asked for
            assert process.stdout  # noqa: S101 - the same
            feeder = _Feeder(blocks, process.stdin)
            feeder.start()
            plain = 0
            try:
                for block in _output_of(process.stdout, words, status):
                    plain += len(block)
                    refuse_bomb(name, feeder.bytes, plain)
                    yield block
                process.wait()
            finally:
                process.kill()
                feeder.join()
        feeder.complain()
        self._judge(process.returncode, status, name)

    def version(self) -> str:
        """What the program calls itself.

        Raises:
            KeyUnavailableError: there is none.
        """
        return self._ask("--version").partition("\n")[0]

    def secret_keys(self) -> list[str]:
        """The validity of each secret key, in gpg's letters: ``e`` is expired, ``u`` is fine.

        Raises:
            KeyUnavailableError: there is no gpg.
        """
        lines = self._ask("--with-colons", "--list-secret-keys").splitlines()
        return [line.split(":")[1] for line in lines if line.startswith("sec:")]

    def _ask(self, *question: str) -> str:
        answer = subprocess.run(  # noqa: S603 - words of ours
            [*self._command(), *question], capture_output=True, check=False
        )
        return answer.stdout.decode(errors="replace")

    def _command(self) -> list[str]:
        program = shutil.which("gpg")
        if program is None:
            raise KeyUnavailableError("There is no program gpg. Install GnuPG.")
        home = [f"--homedir={self._home}"] if self._home else []
        return [program, *OPTIONS, *home]

    @contextmanager
    def _started(self) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
        """The running program and the pipe of its status lines; at the end it is no more."""
        command, passphrase = self._command(), self._passphrase()
        with ExitStack() as open_files:
            status, status_end = map(open_files.enter_context, _pipe())
            passphrase_end, passphrase_pipe = map(open_files.enter_context, _pipe())
            passphrase_pipe.write(passphrase)
            passphrase_pipe.close()
            process = subprocess.Popen(  # noqa: S603 - words of ours
                [
                    *command,
                    f"--status-fd={status_end.fileno()}",
                    f"--passphrase-fd={passphrase_end.fileno()}",
                    "--decrypt",
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(status_end.fileno(), passphrase_end.fileno()),
                bufsize=0,
                # Ctrl-C is for the daemon to hear: it says when the work is to stop.
                process_group=0,
            )
            status_end.close()
            with process:
                yield process, status

    def _passphrase(self) -> bytes:
        if self._passphrase_file is None:
            return b"\n"
        try:
            with self._passphrase_file.open("rb") as file:
                return file.readline(LONGEST_PASSPHRASE).rstrip(b"\r\n") + b"\n"
        except OSError as error:
            raise KeyUnavailableError(
                f"GPG_PASSPHRASE_FILE: {self._passphrase_file} cannot be read "
                f"({error.strerror}). Mend the setting, or give the daemon's user access."
            ) from error

    def _judge(self, returncode: int, status: "_Status", name: str) -> None:
        if returncode < 0:
            raise OutputUnavailableError(
                f"{name}: gpg was ended by signal {-returncode}. It is tried again."
            )
        if returncode == 0 and status.is_whole:
            return
        if not status.had_key and (reason := status.why_no_key()):
            home = self._home or "the home of the daemon's user"
            raise KeyUnavailableError(f"{name} cannot be decrypted: {reason} (keys: {home}).")
        raise BadFileError(f"{name} {status.fault()}. Fetch it again.")


class _Feeder(Thread):
    """Hands the encrypted bytes to gpg while its output is read."""

    def __init__(self, blocks: Iterable[bytes], pipe: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._blocks = blocks
        self._pipe = pipe
        self._error: BaseException | None = None
        self.bytes = 0

    def run(self) -> None:
        """Write all, and end the pipe."""
        try:
            with self._pipe as pipe:
                for block in self._blocks:
                    self.bytes += len(block)
                    rest = memoryview(block)
                    while rest:
                        rest = rest[pipe.write(rest) :]
        except BrokenPipeError:
            # gpg wants no more of it, and says why.
            return
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            self._error = error

    def complain(self) -> None:
        """Raise what ended the reading early."""
        if self._error is not None:
            raise self._error


class _Status:
    """What gpg says in its status lines: the last one of each keyword."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Take in a piece."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            words = line.decode(errors="replace").removeprefix(STATUS)
            keyword, _, value = words.partition(" ")
            if keyword == "ERROR":
                keyword, _, value = value.partition(" ")
            self._said[keyword] = value

    @property
    def is_whole(self) -> bool:
        """Whether all was decrypted and nothing was changed; gpg says so of AEAD as well."""
        return {"DECRYPTION_OKAY", "GOODMDC"} <= self._said.keys()

    @property
    def had_key(self) -> bool:
        """Whether a key fitted."""
        return "DECRYPTION_KEY" in self._said

    def why_no_key(self) -> str | None:
        """Why no key could be used; None when the file is to blame."""
        code = _code_of(self._said.get("pkdecrypt_failed"))
        if code in PASSPHRASE_CODES:
            return "the key is locked, and what GPG_PASSPHRASE_FILE says does not open it"
        if code is not None:
            damaged = code in DAMAGED_KEY_CODES
            return None if damaged else f"gpg cannot use the key (error {code}); try it by hand"
        if "NO_SECKEY" in self._said:
            return f"the secret key {self._said['NO_SECKEY']} is not there; import it"
        return None

    def fault(self) -> str:
        """What is wrong with the file."""
        if "BEGIN_DECRYPTION" not in self._said:
            return "is not encrypted, or was cut off at its beginning"
        if UNPROTECTED.fullmatch(self._said.get("DECRYPTION_INFO", "")):
            return "is encrypted without protection against changes"
        return "was cut off or changed on its way: gpg does not vouch for it"


def _code_of(value: str | None) -> int | None:
    """The reason in an error of libgpg-error; the rest of the number says where it arose."""
    number = (value or "").partition("_")[0]
    return int(number) & CODE_BITS if number.isdecimal() else None


def _output_of(plain: IO[bytes], words: IO[bytes], status: _Status) -> Iterator[bytes]:
    """The plain bytes as they come; an empty block when none have come for a while."""
    with selectors.DefaultSelector() as waiting:
        for pipe in (plain, words):
            waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(SECONDS_OF_SILENCE)
            for key, _ in ready:
                data = os.read(key.fd, CHUNK_BYTES)
                if not data:
                    waiting.unregister(key.fileobj)
                elif key.fileobj is words:
                    status.feed(data)
                else:
                    yield data
            if not ready:
                yield b""


def _pipe() -> tuple[IO[bytes], IO[bytes]]:
    """Both ends of a pipe: where it is read, where it is written."""
    read, write = os.pipe()
    return os.fdopen(read, "rb", buffering=0), os.fdopen(write, "wb", buffering=0)
