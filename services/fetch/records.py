"""Which versions of which objects have been fetched."""

import json
import os
from datetime import datetime
from pathlib import Path

from services.fetch.objects import StoredObject


class Records:
    """A file with one line of JSON per fetched object; of several lines the last one counts."""

    def __init__(self, path: Path) -> None:
        """Read the file, if there is one; a line that a crash has cut is no line."""
        self._path = path
        self._versions: dict[str, tuple[str, int]] = {}
        if path.is_file():
            self._read()

    def has(self, stored: StoredObject) -> bool:
        """Whether this version has been fetched."""
        return self._versions.get(str(stored)) == (stored.etag, stored.size)

    def add(self, stored: StoredObject, when: datetime) -> None:
        """Record that this version has been fetched, and see that it is on the disk."""
        record = {
            "object": str(stored),
            "size": stored.size,
            "etag": stored.etag,
            "fetched": when.isoformat(timespec="seconds"),
        }
        # Opened each time: the operator may have replaced the file to take lines out.
        self._append(json.dumps(record, ensure_ascii=False))
        self._versions[str(stored)] = stored.etag, stored.size

    def _read(self) -> None:
        line = "\n"
        with self._path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                    self._versions[record["object"]] = record["etag"], record["size"]
                except (ValueError, TypeError, KeyError):
                    continue
        if not line.endswith("\n"):
            self._append("")

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
