"""The content of a course run, as an unpacked course archive."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from lxml import etree

from optimus.package.olx_blocks import LEAVES
from services.extract_sample.sample import SUFFIXES, Sample

Node = dict[str, Any]
TITLE = "display_name"
NAMELESS = frozenset(
    {"url_name", "org", "course", "start", "end", "due", "graded", "format", "weight"}
    | {"discussion_id", "slug"}
)
"""Attributes that are kept where names are not: titles are text that people wrote."""
ATTRIBUTES = NAMELESS | {TITLE}
NOT_ATTRIBUTES = frozenset({"tag", "children", "policy"})


def read_structure(www: Path, database: str) -> Node | None:
    """The tree that course_structure has published; None when there is none.

    Args:
        www: the folder of the files for the web.
        database: of the course run.
    """
    path = www / "course_structure" / f"{database.replace('_', '-')}.json"
    tree: Node | None = orjson.loads(path.read_bytes()) if path.is_file() else None
    return tree


def nameless(tree: Node) -> Node:
    """A tree with only those attributes that name nobody."""
    kept = {name: value for name, value in tree.items() if name in NAMELESS}
    policy = {"policy": _nameless_policy(tree["policy"])} if _has_policy(tree) else {}
    children = [] if tree["tag"] in LEAVES else [nameless(child) for child in tree["children"]]
    return {"tag": tree["tag"], **kept, **policy, "children": children}


def texts_of(tree: Node) -> Iterator[str]:
    """Every text in a tree: tags, values, and what a policy is about."""
    for name, value in tree.items():
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from (name, *value)
            yield from texts_of(value)
        elif name == "children":
            for child in value:
                yield from texts_of(child)


def write_structure(sample: Sample, tree: Node, folder: Path) -> None:
    """Write a course folder that gives the same blocks."""
    run = sample.course.run
    root = folder / f"{run.stem}-course-{SUFFIXES[run.site]}"
    root.mkdir()
    (root / "course.xml").write_bytes(etree.tostring(_element(tree), encoding="utf-8"))
    if _has_policy(tree):
        path = root / "policies" / "course" / "policy.json"
        path.parent.mkdir(parents=True)
        path.write_bytes(orjson.dumps(tree["policy"]))


def _has_policy(node: Node) -> bool:
    return isinstance(node.get("policy"), dict)


def _nameless_policy(policy: Node) -> Node:
    return {
        about: {name: value for name, value in settings.items() if name in NAMELESS}
        for about, settings in policy.items()
        if isinstance(settings, dict)
    }


def _element(node: Node) -> etree._Element:
    """The XML of a node. What stands inside a problem has lost its text: it is left out."""
    attributes = {name: value for name, value in node.items() if name not in NOT_ATTRIBUTES}
    if set(attributes) == {"url_name"}:
        # With its name alone it would point to a file of its own.
        attributes[TITLE] = ""
    element = etree.Element(node["tag"], attributes)
    if node["tag"] not in LEAVES:
        element.extend([_element(child) for child in node["children"]])
    return element
