"""What a course export says: its dates, its chapters, and what stands on its pages."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

KINDS = ("video", "html", "problem", "discussion")
ISO = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE
)
WORDS = ("%B %d, %Y", "%b %d %Y", "%B %d, %H:%M, %Y", "%b %d, %Y", "%B %d %Y")


@dataclass
class Block:
    """An element with all that stands below it, linked files read."""

    tag: str
    attributes: dict[str, str]
    children: list["Block"] = field(default_factory=list)


@dataclass(frozen=True)
class Structure:
    """What the course profile needs of an export."""

    course_id: str
    start: date | None
    end: date | None
    chapters: int
    leaves: Counter[str]
    summative: int

    @property
    def weeks(self) -> int:
        if self.start is None or self.end is None:
            return 0
        return math.ceil((self.end - self.start).days / 7)


def read_structure(folder: Path) -> Structure:
    stub = ET.parse(folder / "course.xml").getroot()
    course = read_block(folder, stub, ())
    chapters = list(chapters_below(course))
    leaves = [leaf for chapter in chapters for leaf in page_leaves(chapter)]
    problems = [leaf for leaf in leaves if leaf.tag == "problem"]
    dates = course_dates(folder, stub.get("url_name", ""), course)
    return Structure(
        course_id=told_id(folder.name, stub),
        start=dates["start"],
        end=dates["end"],
        chapters=len(chapters),
        leaves=Counter(leaf.tag if leaf.tag in KINDS else "activity" for leaf in leaves),
        summative=sum(is_weighted(problem) for problem in problems),
    )


def told_id(stem: str, stub: ET.Element) -> str:
    """The course id as course.xml and the folder's name tell it."""
    organisation, number = stub.get("org", ""), stub.get("course", "")
    run = stem.removeprefix(f"{organisation}-{number}-")
    return f"course-v1:{organisation}+{number}+{run}"


def id_in_blocks(path: Path | None) -> str | None:
    """The course id that the key of the course block in a course structure file tells."""
    if path is None:
        return None
    blocks = json.loads(path.read_text("utf-8"))
    for key, block in blocks.items():
        new = re.fullmatch(r"block-v1:([^+]+\+[^+]+\+[^+]+)\+type@course\+block@.+", key)
        old = re.fullmatch(r"i4x://([^/]+/[^/]+)/course/([^/]+)", key)
        if block.get("category") == "course" and (new or old):
            return f"course-v1:{new[1]}" if new else "/".join(old.groups() if old else ())
    return None


def read_block(folder: Path, element: ET.Element, above: tuple[tuple[str, str], ...]) -> Block:
    """Read an element; a pointer stands for its file when that exists and parses."""
    attributes = dict(element.attrib)
    name = element.get("url_name")
    key = (element.tag, name or "")
    if name and not len(element) and key not in above:
        linked = linked_file(folder, element.tag, name)
        if linked is not None:
            element = linked
            attributes |= element.attrib
            above = (*above, key)
    children = [read_block(folder, child, above) for child in element]
    return Block(element.tag, attributes, children)


def linked_file(folder: Path, tag: str, name: str) -> ET.Element | None:
    path = folder / tag / f"{name.replace(':', '/')}.xml"
    try:
        return ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        return None


def chapters_below(block: Block) -> Iterator[Block]:
    """Chapters anywhere below, but none that is inside another."""
    for child in block.children:
        if child.tag == "chapter":
            yield child
        else:
            yield from chapters_below(child)


def page_leaves(chapter: Block) -> Iterator[Block]:
    """Whatever stands directly on a page: a vertical of a sequential of the chapter."""
    for sequential in chapter.children:
        for vertical in sequential.children if sequential.tag == "sequential" else ():
            yield from vertical.children if vertical.tag == "vertical" else ()


def is_weighted(problem: Block) -> bool:
    try:
        return float(problem.attributes.get("weight", "")) > 0
    except ValueError:
        return False


def course_dates(folder: Path, name: str, course: Block) -> dict[str, date | None]:
    policy = read_policy(folder, name)
    return {
        key: read_date(course.attributes.get(key)) or read_date(policy.get(key))
        for key in ("start", "end")
    }


def read_policy(folder: Path, name: str) -> dict[str, Any]:
    """The course's own part of the policy file."""
    try:
        policy = json.loads((folder / "policies" / name / "policy.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    courses = [key for key in policy if key.startswith("course/")]
    key = f"course/{name}" if f"course/{name}" in courses else "".join(courses[:1])
    value = policy.get(key, {})
    return value if isinstance(value, dict) else {}


def read_date(value: object) -> date | None:
    """A date with or without quotes of its own, in UTC."""
    if not isinstance(value, str):
        return None
    text = value.strip().strip('"').strip()
    if ISO.fullmatch(text):
        moment = datetime.fromisoformat(text.upper().replace(" ", "T", 1))
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    for form in WORDS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).date()
        except ValueError:
            continue
    return None
