"""What lies in a bucket, and where it lies here."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Self

from optimus.outputs.staging import LONGEST_NAME
from optimus.package.deliveries import parse_delivery

SCHEME = "s3://"
CONTROL_OR_BACKSLASH = re.compile(r"[\x00-\x1f\x7f\\]")


@dataclass(frozen=True)
class Source:
    """One of ``S3_SOURCES``: what a bucket holds under a prefix."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``s3://bucket/prefix``."""
        bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
        return cls(bucket, prefix)

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One version of an object in a bucket.

    Attributes:
        bucket: where it lies.
        key: its name there, folders and all.
        size: in bytes.
        etag: what the store calls this version, without quotes.
        modified: when it was put there.
    """

    bucket: str
    key: str
    size: int
    etag: str
    modified: datetime

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    @property
    def filename(self) -> str:
        """Its name without folders."""
        return self.key.rpartition("/")[2]

    @property
    def day(self) -> date:
        """The day in its name, else that on which it was put there."""
        name = parse_delivery(self.filename)
        return name.day if name and name.day else self.modified.date()


def path_of(stored: StoredObject, folder: Path) -> Path | None:
    """Where an object belongs below ``folder``; None where its key cannot be a path."""
    parts = stored.key.split("/")
    if all(_is_name(part) for part in parts):
        return folder.joinpath(stored.bucket, *parts)
    return None


def _is_name(part: str) -> bool:
    return (
        part not in ("", ".", "..")
        and len(part.encode()) <= LONGEST_NAME
        and not CONTROL_OR_BACKSLASH.search(part)
    )
