"""One look at the sources: what is new there is fetched, newest first."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING

from optimus.errors import (
    BadFileError,
    FileChangedError,
    OptimusError,
    OutputUnavailableError,
    SourceUnavailableError,
    StopRequested,
)
from optimus.outputs.staging import OURS, make_folder, to_disk
from optimus.package.deliveries import parse_delivery
from optimus.service import Run
from services.fetch import proofs
from services.fetch.objects import Source, StoredObject, path_of
from services.fetch.records import Records

if TYPE_CHECKING:
    from services.fetch.store import Store

RECORDS = ".fetched.jsonl"
PART = ".part"
DOWNLOADS_AT_ONCE = 4
LISTED_AGAIN_AFTER = 100
"""Objects that are fetched before the sources are listed again: a new day is not to wait."""
TRIES = 3
"""How often an object that is replaced while it is fetched is begun anew in one look."""
FAILURES_ALLOWED = 5
"""Objects that the store may leave us without; after that it counts as away."""
KEPT_FREE = 1_000_000_000
"""Bytes on the disk that are left to the queue and the logs."""
SHOWN = 3


@dataclass
class Survey:
    """What lies in the sources and has not been fetched.

    Attributes:
        wanted: deliveries, each with the place where it belongs; newest first.
        left_alone: how many objects are no deliveries.
        refused: those whose keys cannot be paths here.
    """

    wanted: dict[StoredObject, Path] = field(default_factory=dict)
    left_alone: int = 0
    refused: list[StoredObject] = field(default_factory=list)


class Look:
    """One look. ``go`` runs in a thread of its own, and ``stop`` in any other."""

    def __init__(self, run: Run, store: "Store", sources: Iterable[Source]) -> None:
        self._run = run
        self._store = store
        self._sources = list(sources)
        self._folder = run.place.fetched
        self._records = Records(self._folder / RECORDS)
        self._failures: dict[str, OptimusError] = {}
        self._tries: Counter[str] = Counter()
        self._stopping = Event()
        self._lock = Lock()

    def go(self) -> None:
        """Fetch until nothing is left to fetch.

        Raises:
            OptimusError: something could not be fetched; all the rest was.
        """
        make_folder(self._folder)
        while (survey := self._survey()).wanted and not self._is_away():
            self._run.progress.total = self._run.progress.done + sum(
                stored.size for stored in survey.wanted
            )
            batch = list(survey.wanted.items())[:LISTED_AGAIN_AFTER]
            with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
                list(pool.map(self._try, *zip(*batch, strict=True)))
        self._tell(survey)

    def stop(self) -> None:
        """Write nothing more."""
        self._stopping.set()

    # -- what there is to do -----------------------------------------------------------------

    def _survey(self) -> Survey:
        found = Survey()
        for source in self._sources:
            if str(source) not in self._failures:
                try:
                    self._list(source, found)
                except OptimusError as error:
                    self._failures[str(source)] = error
        self._refuse_folders(found)
        if not self._failures:
            self._sweep(found)
        newest_first = sorted(found.wanted, key=_age, reverse=True)
        found.wanted = {
            stored: found.wanted[stored]
            for stored in newest_first
            if str(stored) not in self._failures
        }
        return found

    def _list(self, source: Source, found: Survey) -> None:
        for stored in self._store.objects(source):
            self._pulse()
            if parse_delivery(stored.filename) is None:
                found.left_alone += 1
            elif not self._records.has(stored):
                path = path_of(stored, self._folder)
                if path is None:
                    found.refused.append(stored)
                else:
                    found.wanted[stored] = path

    def _refuse_folders(self, found: Survey) -> None:
        """In a bucket a name can be that of a file and of a folder; here it cannot."""
        files = set(found.wanted.values())
        for stored, path in list(found.wanted.items()):
            above = path.parents[: len(path.relative_to(self._folder).parts) - 1]
            if path.is_dir() or any(folder in files or folder.is_file() for folder in above):
                del found.wanted[stored]
                found.refused.append(stored)

    def _sweep(self, found: Survey) -> None:
        """Remove what was begun of versions that nobody wants any more."""
        wanted = {self._part_of(stored) for stored in found.wanted}
        for part in self._folder.glob(f".*{PART}"):
            if part not in wanted:
                part.unlink()

    # -- one object --------------------------------------------------------------------------

    def _try(self, stored: StoredObject, path: Path) -> None:
        if self._is_away():
            return
        try:
            self._fetch(stored, path)
        except FileChangedError as error:
            # The next listing says what it is now.
            self._tries[str(stored)] += 1
            if self._tries[str(stored)] == TRIES:
                self._failures[str(stored)] = error
        except OptimusError as error:
            self._failures[str(stored)] = error
        except OSError as error:
            self._failures[str(stored)] = OutputUnavailableError(
                f"{stored} cannot be written below {self._folder} ({error.strerror}). Free space "
                "there, or give the daemon's user the right to write."
            )

    def _is_away(self) -> bool:
        failures = list(self._failures.values())
        return sum(isinstance(e, SourceUnavailableError) for e in failures) > FAILURES_ALLOWED

    def _fetch(self, stored: StoredObject, path: Path) -> None:
        part = self._part_of(stored)
        self._download(stored, part)
        if not self._is_whole(stored, part):
            part.unlink()
            raise BadFileError(
                f"{stored}: what came is not what the store has ({stored.size:,} bytes, ETag "
                f"{stored.etag}). It was thrown away and is fetched again at the next look."
            )
        self._pulse()
        _publish(part, path)
        with self._lock:
            self._records.add(stored, self._run.started)
            self._run.counts["fetched"] += 1
            self._run.counts["fetched_bytes"] += stored.size

    def _download(self, stored: StoredObject, part: Path) -> None:
        """Go on where an earlier try was interrupted; the part's name says of which version."""
        with part.open("ab") as file:
            begun = file.tell()
            self._want_space(stored.size - begun)
            self._advance(begun)
            for block in self._store.read(stored, begun):
                self._pulse()
                file.write(block)
                self._advance(len(block))

    def _want_space(self, size: int) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < size + KEPT_FREE:
            raise OutputUnavailableError(
                f"{self._folder}: {free / 1e9:,.1f} GB are free, and an object of which "
                f"{size / 1e9:,.1f} GB are to come has to leave {KEPT_FREE / 1e9:,.0f} GB for the "
                "queue and the logs. Free space there."
            )

    def _is_whole(self, stored: StoredObject, part: Path) -> bool:
        """By the ETag where it is made of MD5, else by the store's checksum if it has one."""
        if part.stat().st_size != stored.size:
            return False
        promise = self._store.promise(stored)
        if promise.etag_is_md5:
            if proofs.ONE_PART.fullmatch(stored.etag):
                return proofs.md5_of(part, self._pulse) == stored.etag
            count = proofs.count_of_parts(stored.etag)
            first = self._store.size_of_part(stored, 1) if count else None
            if count and first:
                layouts = self._layouts(stored, count, first)
                etags = (proofs.md5_of_parts(part, sizes, self._pulse) for sizes in layouts)
                return stored.etag in etags
        for name, checksum in promise.checksums.items():
            return proofs.checksum_of(part, name, self._pulse) == checksum
        return True

    def _layouts(self, stored: StoredObject, count: int, first: int) -> Iterator[list[int]]:
        """Parts are of one size, but for the last. Where that proves wrong, each is asked for."""
        yield [first] * (count - 1) + [stored.size - first * (count - 1)]
        yield [self._store.size_of_part(stored, number) or 0 for number in range(1, count + 1)]

    def _part_of(self, stored: StoredObject) -> Path:
        version = sha256(f"{stored}\n{stored.etag}".encode()).hexdigest()[:32]
        return self._folder / f".{version}{PART}"

    # -- word to the outside -----------------------------------------------------------------

    def _pulse(self) -> None:
        if self._stopping.is_set():
            raise StopRequested

    def _advance(self, size: int) -> None:
        with self._lock:
            self._run.progress.done += size

    def _tell(self, survey: Survey) -> None:
        run = self._run
        run.counts["left_alone"] = survey.left_alone
        run.counts["refused"] = len(survey.refused)
        if survey.left_alone:
            run.note(f"Objects in S3_SOURCES that are no deliveries: {survey.left_alone:,}.")
        if survey.refused:
            keys = ", ".join(ascii(str(stored)) for stored in survey.refused[:SHOWN])
            run.note(
                f"Objects whose names cannot be files here: {len(survey.refused):,}, such as "
                f"{keys}. They are left alone."
            )
        if self._failures:
            errors = list(self._failures.values())
            # The kind that passes by itself comes first: it says how soon to try again.
            errors.sort(key=lambda error: not error.retryable)
            sentences = [str(error) for error in errors[:SHOWN]]
            if len(errors) > SHOWN:
                sentences.append(f"{len(errors) - SHOWN:,} more could not be fetched.")
            raise type(errors[0])(" ".join(sentences))


def _age(stored: StoredObject) -> tuple[date, datetime]:
    return stored.day, stored.modified


def _publish(part: Path, path: Path) -> None:
    """Let a finished file appear in its place, whole and on the disk."""
    OURS.give(part)
    to_disk(part)
    make_folder(path.parent)
    part.replace(path)
    to_disk(path.parent)
