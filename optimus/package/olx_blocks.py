"""The blocks of a course: what learners meet, in order, with what they inherit.

Which elements are blocks: the course is; so is each child of a block that holds blocks. Known
containers hold nothing else, but for a few elements that only describe the course. Known leaves
hold none: their XML is their own text. In any other element, those children are blocks that
have a ``url_name``, which exporters give to blocks and never to a block's own XML. Children in a
namespace and asides belong to their parent.

A block that appears twice is one block: its first place counts.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from optimus.package.olx_tree import Node
from optimus.package.olx_values import flag, moment, number, plain_text, title

CONTAINERS = frozenset(
    {
        "course",
        "chapter",
        "section",
        "sequential",
        "vertical",
        "unit",
        "split_test",
        "conditional",
        "randomize",
        "wrapper",
        "library_content",
        "legacy_library_content",
        "library",
        "itembank",
        "problemset",
        "videosequence",
        "timelimit",
        "crowdsource_hinter",
    }
)
LEAVES = frozenset(
    {
        "problem",
        "html",
        "video",
        "discussion",
        "openassessment",
        "poll",
        "poll_question",
        "survey",
        "word_cloud",
        "lti",
        "lti_consumer",
        "annotatable",
        "drag-and-drop-v2",
        "about",
        "static_tab",
        "course_info",
    }
)
NOT_BLOCKS = frozenset({"wiki", "textbook", "pdf_textbooks", "html_textbooks", "metadata", "show"})
_DATES = ("start", "end", "due")
_ASIDES = "xblock_asides"
_NOT_IN_NAMES = re.compile(r"[^\w.%-]+")
_NEW_COURSE_ID = re.compile(r"(course|ccx)-v1:([^+/\s]+\+[^+/\s]+\+[^/\s]+)")
_OLD_COURSE_ID = re.compile(r"([^/+:\s]+)/([^/+:\s]+)/([^/+:\s]+)")


@dataclass(frozen=True)
class Block:
    """One block of a course.

    Attributes:
        block_id: the id that events and module states use.
        position: its place among its parent's blocks, from 0.
        order_index: its place in the whole course, read from top to bottom, from 0.
        depth: 0 for the course, 1 for its chapters.
        start: in UTC, its own or else that of the nearest block around it.
        due: likewise.
        graded: likewise.
        format: the assignment type, likewise.
        weight: its own alone; None when it is not a number.
    """

    block_id: str
    block_type: str
    url_name: str
    parent_id: str | None
    position: int
    order_index: int
    depth: int
    display_name: str | None
    start: datetime | None
    due: datetime | None
    graded: bool
    format: str | None
    weight: float | None


class Place(NamedTuple):
    """Where a block stands in the tree: its parent is the index of another place."""

    node: Node
    url_name: str
    parent: int | None
    position: int
    depth: int


class BlockIds:
    """Writes block ids as the platform does for a course id of any of its three forms."""

    def __init__(self, course_id: str) -> None:
        new = _NEW_COURSE_ID.fullmatch(course_id)
        old = _OLD_COURSE_ID.fullmatch(course_id)
        if new:
            kind = "block-v1" if new[1] == "course" else "ccx-block-v1"
            self._form = f"{kind}:{new[2]}+type@", "+block@"
            self._course_name = "course"
        elif old:
            self._form = f"i4x://{old[1]}/{old[2]}/", "/"
            self._course_name = old[3]
        else:
            raise ValueError(f"{course_id!r} is not a course id such as course-v1:Org+Course+Run")

    def of(self, place: Place) -> str:
        """The id of the block at a place."""
        # An archive may name its course otherwise than the store it came from.
        url_name = self._course_name if place.parent is None else place.url_name
        return f"{self._form[0]}{place.node['tag']}{self._form[1]}{url_name}"


def find_places(tree: Node, run: str) -> tuple[list[Place], list[Place]]:
    """Where the blocks of a course stand.

    Args:
        tree: the course.
        run: the course element's name.

    Returns:
        The first place of each block from top to bottom, and the places of repeats.
    """
    places: list[Place] = []
    repeats: list[Place] = []
    taken: set[tuple[str, str]] = set()
    pending = [Place(tree, run, None, 0, 0)]
    while pending:
        place = pending.pop()
        key = (place.node["tag"], place.url_name)
        if key in taken:
            repeats.append(place)
            continue
        if place.url_name:
            taken.add(key)
        inside = [
            Place(node, _own_name(node), len(places), position, place.depth + 1)
            for position, node in enumerate(_blocks_inside(place.node))
        ]
        pending.extend(reversed(inside))
        places.append(place)
    return _with_names(places, taken), repeats


def course_settings(tree: Node, policy: Node) -> Node:
    """What is set for the course element: by its attributes, else by its policy.

    A date that cannot be read is as good as none.
    """
    own = _set_values(tree)
    unreadable = {name for name in _DATES if name in own and moment(own[name]) is None}
    return _set_values(policy) | {k: v for k, v in own.items() if k not in unreadable}


def list_blocks(tree: Node, run: str, course_policy: Node, ids: BlockIds) -> Iterator[Block]:
    """The blocks of a course from top to bottom, each once.

    Args:
        tree: the course, with its policies, which override a block's attributes.
        run: the course element's name.
        course_policy: the policy of the course element, whose attributes override it.
        ids: writes the ids.

    Yields:
        Each block, after its parent.
    """
    policies = tree.get("policy")
    policies = policies if isinstance(policies, dict) else {}
    blocks: list[Block] = []
    for place in find_places(tree, run)[0]:
        if place.parent is None:
            settings = course_settings(tree, course_policy)
        else:
            policy = policies.get(f"{place.node['tag']}/{place.url_name}")
            settings = _set_values(place.node) | _set_values(policy)
        parent = None if place.parent is None else blocks[place.parent]
        block = _block(ids.of(place), place, len(blocks), settings, parent)
        blocks.append(block)
        yield block


def _block(
    block_id: str, place: Place, order_index: int, settings: Node, parent: Block | None
) -> Block:
    def inherited(name: str, read: Callable[[object], Any]) -> Any:
        return read(settings[name]) if name in settings else getattr(parent, name, None)

    return Block(
        block_id=block_id,
        block_type=place.node["tag"],
        url_name=place.url_name,
        parent_id=parent.block_id if parent else None,
        position=place.position,
        order_index=order_index,
        depth=place.depth,
        display_name=title(settings.get("display_name")),
        start=inherited("start", moment),
        due=inherited("due", moment),
        graded=bool(inherited("graded", flag)),
        format=inherited("format", plain_text),
        weight=number(place.node.get("weight")),
    )


def _set_values(source: object) -> Node:
    """What is set to something: a blank or a null leaves what would hold without it."""
    if not isinstance(source, dict):
        return {}
    return {name: value for name, value in source.items() if plain_text(value) is not None}


def _blocks_inside(node: Node) -> list[Node]:
    if node["tag"] in LEAVES:
        return []
    holds_all = node["tag"] in CONTAINERS
    return [
        child
        for child in node["children"]
        if (holds_all or child.get("url_name"))
        and child["tag"] not in NOT_BLOCKS
        and not child["tag"].startswith("{")
        and not child.get("xblock-family", "").startswith(_ASIDES)
    ]


def _own_name(node: Node) -> str:
    return str(node.get("url_name") or node.get("slug") or "")


def _with_names(places: list[Place], taken: set[tuple[str, str]]) -> list[Place]:
    """Name the unnamed blocks of the oldest courses; no other block's name is taken for it."""
    named: list[Place] = []
    for index, place in enumerate(places):
        tag, name = place.node["tag"], place.url_name
        if not name and place.parent is not None:
            name = _derived_name(place, named[place.parent].url_name)
            while (tag, name) in taken:
                name = f"{name}_{index}"
            taken.add((tag, name))
        named.append(place._replace(url_name=name))
    return named


def _derived_name(place: Place, parent_name: str) -> str:
    wish = str(place.node.get("name") or place.node.get("display_name") or "")
    name = _NOT_IN_NAMES.sub("_", wish)
    return name if name.strip("_") else f"{parent_name}_{place.node['tag']}_{place.position}"
