"""The collection that the original left in MongoDB, and the import of it."""

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bson import ObjectId
from pydantic import SecretStr
from rich.console import Console

from optimus.importing import import_legacy
from optimus.outputs.bson_documents import document_id
from optimus.settings import FixedSettings
from tests.servers import MongoDb

MANY = 1000
START = datetime(2014, 3, 4, 5, 6, 7, 890000, UTC)
OURS = "ab" * 32


class Import:
    """The collection that the original left, and what becomes of it."""

    def __init__(self, mongodb: MongoDb, folder: Path) -> None:
        self.mongodb = mongodb
        host = f"127.0.0.1:{mongodb.port}"
        self.settings = FixedSettings(mongo_host=SecretStr(host), state_path=folder / "state")
        self.folder = self.settings.legacy_path / "clickstream_logs"
        self.said = ""

    def left(self, *events: dict[str, Any], ids: list[Any] | None = None) -> None:
        """Store events as mongoimport, time_finder and ip_to_country did."""
        with self.mongodb.server.connect() as client:
            client["logs"]["clickstream"].insert_many(
                {
                    "_id": ids[at] if ids else ObjectId(),
                    **event,
                    "time_date": START + timedelta(seconds=at),
                    "country": "AU",
                    "subdivision": "QLD",
                }
                for at, event in enumerate(events)
            )

    def wrote_ourselves(self, rows: int) -> None:
        with self.mongodb.server.connect() as client:
            client["logs"]["_ingest"].insert_one({"_id": OURS[:16], "rows": rows})
            client["logs"]["clickstream"].insert_many(
                [{"_id": document_id(OURS, line), "time_date": START} for line in range(rows)]
            )

    def run(self, most: int = MANY, *, dry_run: bool = False, terminal: bool = False) -> int:
        out = Console(file=io.StringIO(), width=200, force_terminal=terminal)
        try:
            return import_legacy(self.settings, out, dry_run=dry_run, documents_per_part=most)
        finally:
            assert isinstance(out.file, io.StringIO)
            self.said = out.file.getvalue()

    def names(self) -> list[str]:
        """What everybody sees in the folder."""
        return sorted(path.name for path in self.folder.glob("[!.]*"))

    def lines(self) -> list[bytes]:
        """All lines, in the order of the names."""
        files = (gzip.decompress((self.folder / name).read_bytes()) for name in self.names())
        return [line for content in files for line in content.splitlines(keepends=False)]

    def numbers(self) -> list[int]:
        return [json.loads(line)["n"] for line in self.lines()]

    def unfinished(self) -> list[str]:
        return [path.name for path in self.settings.legacy_path.rglob(".*")]


def numbered(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"n": n} for n in range(start, start + count)]
