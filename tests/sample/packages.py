"""Reads a written package back with plain tools, so that the writer is not judged by itself."""

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

DEEPEST = 64
COURSE = re.compile(r"/courses/(course-v1:[^/+]+\+[^/+]+\+[^/+?]+|[^/:]+/[^/]+/[^/?]+)")
ESCAPE = re.compile(r"\\(.)", re.DOTALL)
LETTERS = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "\t": "\t"}

Json = dict[str, Any]
Row = dict[str, str | None]


@dataclass(frozen=True)
class Event:
    """One line that is an event, with what it says about user and course worked out."""

    site: str
    raw: bytes
    body: Json

    @property
    def type(self) -> str:
        return str(self.body.get("event_type", ""))

    @property
    def source(self) -> str:
        return str(self.body.get("event_source", ""))

    @property
    def user(self) -> int | None:
        text = str(self._context.get("user_id"))
        return int(text) if text.isdigit() else None

    @property
    def second(self) -> str:
        return str(self.body["time"])[:19].replace("T", " ")

    @cached_property
    def payload(self) -> Any:
        value = self.body.get("event")
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return value

    @cached_property
    def course(self) -> str:
        inside = self.payload.get("course_id") if isinstance(self.payload, dict) else None
        for value in (self._context.get("course_id"), inside):
            if isinstance(value, str) and value.strip():
                return value.strip()
        for value in (self.type, unquote(str(self.body.get("page")))):
            found = COURSE.search(value)
            if found:
                return found[1]
        return ""

    @property
    def _context(self) -> Json:
        value = self.body.get("context")
        return value if isinstance(value, dict) else {}


class Package:
    """A package on the disk."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "database_state" / "latest"

    def log_paths(self) -> list[Path]:
        return sorted((self.root / "clickstream_logs" / "latest").iterdir())

    def lines(self) -> Iterator[tuple[str, bytes]]:
        """Every line that is not blank, with its site."""
        for path in self.log_paths():
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            for line in data.split(b"\n"):
                if line.strip():
                    yield ("edge" if "-edge-" in path.name else "prod"), line

    @cached_property
    def events(self) -> list[Event]:
        found = []
        for site, line in self.lines():
            body = read_event(line)
            if body is not None:
                found.append(Event(site, line[line.index(b"{") :].strip(), body))
        return found

    @cached_property
    def distinct_events(self) -> list[Event]:
        return list({(event.site, event.raw): event for event in self.events}.values())

    def table(self, stem: str, name: str, folder: str = "") -> list[Row]:
        site = "prod-edge" if stem.endswith("trial") else "prod"
        path = self.state / folder / f"{stem}-{name}-{site}-analytics.sql"
        return read_table(path)

    def posts(self, stem: str) -> dict[str, Json]:
        """The posts of a course by their id, the last version of each."""
        site = "edge" if stem.endswith("trial") else "prod"
        path = self.state / f"{stem}-{site}.mongo"
        lines = path.read_text(encoding="utf-8").split("\n")
        documents = [json.loads(line) for line in lines if line]
        return {document["_id"]["$oid"]: document for document in documents}


def read_event(line: bytes) -> Json | None:
    """The object of a line as a strict reader takes it; None for a line to be set aside."""
    try:
        text = line.decode()
        value = json.loads(text[text.index("{") :], parse_constant=_refuse)
    except ValueError:
        return None
    return value if isinstance(value, dict) and _depth(value) <= DEEPEST else None


def read_table(path: Path) -> list[Row]:
    header, *lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    columns = header.decode().split("\t")
    rows = []
    for line in lines:
        cells = re.findall(r"(?:^|(?<=\t))((?:[^\t\\]|\\.)*)(?:\t|$)", line.decode(), re.DOTALL)
        assert len(cells) == len(columns), (path.name, line)
        values = [None if cell == "NULL" else ESCAPE.sub(_unescape, cell) for cell in cells]
        rows.append(dict(zip(columns, values, strict=True)))
    return rows


def _unescape(found: re.Match[str]) -> str:
    return LETTERS.get(found[1], found[0])


def _refuse(token: str) -> NoReturn:
    raise ValueError(token)


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((_depth(one) for one in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((_depth(one) for one in value), default=0)
    return 0
