"""Puts a course together: every pointer replaced by the file it stands for.

The rule that holds over everything: an element with ``url_name`` and no children stands for the
file ``<tag>/<url_name>.xml`` when that file exists and parses, wherever it stands; otherwise it
is kept as it is. Attributes of both are merged and the file's win, but for ``url_name``: that is
the address learners' events use.
"""

from collections.abc import Mapping
from sys import intern
from typing import Any, NamedTuple

from lxml import etree

from optimus.package.olx_files import CourseFiles

# A level of the tree is two of JSON, and JSON writers give up at about 250.
MAX_DEPTH = 64
# Files that point to one file twice, and that to another twice, would grow without end.
MAX_ELEMENTS = 1_000_000
Node = dict[str, Any]


class _Place(NamedTuple):
    """An element still to be looked into; the files it stands in, outermost first."""

    element: etree._Element
    node: Node
    files: tuple[str, ...]
    depth: int


def definition_path(tag: str, url_name: str) -> str:
    """The file a pointer stands for, relative to the course; a colon means a folder."""
    return f"{tag}/{url_name.replace(':', '/')}.xml"


def build_tree(
    files: CourseFiles, definition: etree._Element, path: str, attributes: Mapping[str, str]
) -> Node:
    """The whole course as nested objects.

    Args:
        files: the course's files, which also collect what is wrong.
        definition: the course element that has the chapters.
        path: the file it stands in.
        attributes: those of the element that pointed to it.

    Returns:
        The course; each node holds ``tag``, ``children`` and the element's attributes.
    """
    return _Builder(files).build(definition, path, attributes)


class _Builder:
    def __init__(self, files: CourseFiles) -> None:
        self._files = files
        self._pending: list[_Place] = []
        self._elements_left = MAX_ELEMENTS

    def build(self, definition: etree._Element, path: str, attributes: Mapping[str, str]) -> Node:
        root = _node(str(definition.tag), {**attributes, **attributes_of(definition)})
        if "url_name" in attributes:
            root["url_name"] = attributes["url_name"]
        self._add_children(_Place(definition, root, (path,), 0))
        while self._pending:
            # Followed only now, so that no more files are in memory than lead to this place.
            self._add_children(self._followed(self._pending.pop()))
        return root

    def _followed(self, place: _Place) -> _Place:
        while _is_pointer(place.element):
            path = definition_path(str(place.element.tag), place.element.get("url_name", ""))
            if path in place.files:
                if path != place.files[-1] or place.element.getparent() is not None:
                    self._files.fault(path, "cycle", "The file points to itself by way of others.")
                return place
            root = self._files.read_xml(path, must_exist=_is_bare(place.element))
            if root is None:
                return place
            _merge(place.node, root)
            place = place._replace(element=root, files=(*place.files, path))
            if not _is_bare(root):
                return place
        return place

    def _add_children(self, place: _Place) -> None:
        children = [child for child in place.element if isinstance(child.tag, str)]
        if not children:
            return
        if place.depth == MAX_DEPTH:
            detail = f"Elements stand in each other deeper than {MAX_DEPTH} levels: cut there."
            self._files.fault(place.files[-1], "too_deep", detail)
            return
        if len(children) > self._elements_left:
            detail = f"The course has more than {MAX_ELEMENTS:,} elements: cut there."
            self._files.fault(place.files[-1], "too_many", detail)
            return
        self._elements_left -= len(children)
        nodes = [_node(str(child.tag), attributes_of(child)) for child in children]
        place.node["children"] = nodes
        for child, node in zip(reversed(children), reversed(nodes), strict=True):
            self._pending.append(_Place(child, node, place.files, place.depth + 1))


def _node(tag: str, attributes: Mapping[str, str]) -> Node:
    # An attribute called "tag" or "children" must not take the place of the real thing.
    return {**attributes, "tag": intern(tag), "children": []}


def attributes_of(element: etree._Element) -> dict[str, str]:
    """The attributes of an element as plain text."""
    # A large course has a million of these, and few different names.
    return {intern(str(name)): str(value) for name, value in element.attrib.items()}


def _merge(node: Node, definition: etree._Element) -> None:
    url_name = node["url_name"]
    node.update(_node(str(definition.tag), attributes_of(definition)))
    node["url_name"] = url_name


def _is_pointer(element: etree._Element) -> bool:
    has_namespace = str(element.tag).startswith("{")
    return not has_namespace and len(element) == 0 and bool(element.get("url_name"))


def _is_bare(element: etree._Element) -> bool:
    """Whether an element is nothing but its name, so that it cannot be the definition itself."""
    text = element.text or ""
    return list(element.attrib) == ["url_name"] and len(element) == 0 and not text.strip()
