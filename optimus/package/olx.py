"""Reads a course's content and settings from an unpacked course archive (OLX)."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from lxml import etree

from optimus.errors import BadFileError
from optimus.package.olx_blocks import Block, BlockIds, course_settings, find_places, list_blocks
from optimus.package.olx_files import CourseFault, CourseFiles
from optimus.package.olx_tree import Node, attributes_of, build_tree, definition_path
from optimus.package.olx_values import moment, number, title

__all__ = [
    "Block",
    "Course",
    "CourseFault",
    "StructureCounts",
    "count_structure",
    "find_course_folders",
    "read_course",
]

_ENTRY = "course.xml"
_OLDEST_ENTRIES = "roots"
_FALLBACK_NAME = "course"
_ADDRESS = frozenset({"url_name", "org", "course"})


class _Found(NamedTuple):
    element: etree._Element
    path: str


@dataclass
class Course:
    """One course run, as its archive describes it.

    Attributes:
        org: the organisation, when the archive names it.
        number: the course number, when the archive names it.
        run: the course element's name; in courses of the newer store often just ``course``.
        tree: nested objects of ``tag``, ``children`` and every XML attribute as it is; the root
            has ``policy`` too, when there is one.
        policy: the settings that hold for the course element.
        grading_policy: the grading policy, empty when there is none.
        faults: what could not be used.
        start: in UTC; the element's attribute, else the policy's.
        end: likewise.
        display_name: likewise.
    """

    org: str | None
    number: str | None
    run: str
    tree: dict[str, Any]
    policy: dict[str, Any]
    grading_policy: dict[str, Any]
    faults: list[CourseFault]
    start: datetime | None
    end: datetime | None
    display_name: str | None

    def blocks(self, course_id: str) -> Iterator[Block]:
        """The blocks from top to bottom, each once, with the ids they have in that course.

        Raises:
            ValueError: the course id is none.
        """
        return list_blocks(self.tree, self.run, self.policy, BlockIds(course_id))


@dataclass(frozen=True)
class StructureCounts:
    """How much of what a course holds: the columns of course_profile."""

    nchapters: int
    nvideos: int
    nhtmls: int
    nassessments: int
    nincontent_discussions: int
    nactivities: int
    nsummative_assessments: int
    nformative_assessments: int


def find_course_folders(folder: Path) -> list[Path]:
    """The direct sub-folders that hold a course, sorted; links to folders are not followed."""
    if not folder.is_dir():
        return []
    return sorted(
        inner
        for inner in folder.iterdir()
        if inner.is_dir() and not inner.is_symlink() and _holds_entry(inner)
    )


def _holds_entry(folder: Path) -> bool:
    return os.path.lexists(folder / _ENTRY) or any(folder.glob(f"{_OLDEST_ENTRIES}/*.xml"))


def read_course(folder: Path) -> Course:
    """Read the course in a folder; what is wrong inside it becomes faults.

    Raises:
        BadFileError: there is no usable course element.
    """
    files = CourseFiles(folder)
    tree, run = _read_tree(files, folder)
    policies = _first_object(files, _policy_paths(files, run))
    policy: dict[str, Any] = {}
    if policies is not None:
        tree["policy"] = policies
        policy = _course_policy(files, policies, run)
    settings = course_settings(tree, policy)
    grading_policy = _first_object(files, _grading_policy_paths(files, run))
    _note_repeats(files, tree, run)
    return Course(
        org=tree.get("org"),
        number=tree.get("course"),
        run=run,
        tree=tree,
        policy=policy,
        grading_policy=grading_policy or {},
        faults=files.faults,
        start=moment(settings.get("start")),
        end=moment(settings.get("end")),
        display_name=title(settings.get("display_name")),
    )


def count_structure(tree: Node) -> StructureCounts:
    """Count a course's chapters, and what stands in chapter > sequential > vertical."""
    chapters = _outermost(tree, "chapter")
    verticals = _inside(_inside(chapters, "sequential"), "vertical")
    children = [child for vertical in verticals for child in vertical["children"]]
    kinds = Counter(child["tag"] for child in children)
    summative = sum(
        child["tag"] == "problem" and (number(child.get("weight")) or 0) > 0 for child in children
    )
    named = ("video", "html", "problem", "discussion")
    return StructureCounts(
        nchapters=len(chapters),
        nvideos=kinds["video"],
        nhtmls=kinds["html"],
        nassessments=kinds["problem"],
        nincontent_discussions=kinds["discussion"],
        nactivities=len(children) - sum(kinds[tag] for tag in named),
        nsummative_assessments=summative,
        nformative_assessments=kinds["problem"] - summative,
    )


def _outermost(tree: Node, tag: str) -> list[Node]:
    found: list[Node] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if node["tag"] == tag:
            found.append(node)
        else:
            pending.extend(reversed(node["children"]))
    return found


def _inside(nodes: list[Node], tag: str) -> list[Node]:
    return [child for node in nodes for child in node["children"] if child["tag"] == tag]


def _read_tree(files: CourseFiles, folder: Path) -> tuple[Node, str]:
    roots = [f"{_OLDEST_ENTRIES}/{name}" for name in _xml_names(files, _OLDEST_ENTRIES)]
    # The name of a root is its run's: the last is most often the newest.
    entry = _first_course(files, [_ENTRY, *reversed(roots)])
    definition = _definition(files, entry)
    if definition is None:
        raise BadFileError(_no_course(files, folder))
    element, path = definition
    tree = build_tree(files, element, path, attributes_of(entry.element) if entry else {})
    stem = path.rpartition("/")[2].removesuffix(".xml")
    return tree, str(tree.get("url_name") or tree.get("slug") or stem)


def _definition(files: CourseFiles, entry: _Found | None) -> _Found | None:
    """The course element that has the chapters, and the file it stands in."""
    if entry is None:
        names = _xml_names(files, "course")
        only = [f"course/{names[0]}"] if len(names) == 1 else []
        return _first_course(files, [definition_path("course", _FALLBACK_NAME), *only])
    if len(entry.element):
        return entry
    names = [entry.element.get("url_name") or _FALLBACK_NAME, _FALLBACK_NAME]
    found = _first_course(files, [definition_path("course", name) for name in names])
    is_pointer = _ADDRESS.issuperset(attributes_of(entry.element))
    return found or (None if is_pointer else entry)


def _first_course(files: CourseFiles, paths: Iterable[str]) -> _Found | None:
    for path in paths:
        element = files.read_xml(path)
        if element is not None and element.tag == "course":
            return _Found(element, path)
        if element is not None:
            files.fault(path, "not_a_course", f"The file holds a {element.tag}, not a course.")
    return None


def _no_course(files: CourseFiles, folder: Path) -> str:
    known = [f"{fault.path}: {fault.detail}" for fault in files.faults]
    why = known[0] if known else f"{_ENTRY}, or the file in course/ it points to, is missing."
    return (
        f"{folder} holds no usable course element. {why} "
        "Unpack the course archive again; if that does not help, ask for a new one."
    )


def _xml_names(files: CourseFiles, path: str) -> list[str]:
    return [name for name in files.names_in(path) if name.endswith(".xml")]


def _note_repeats(files: CourseFiles, tree: Node, run: str) -> None:
    cut = {fault.path for fault in files.faults if fault.reason == "cycle"}
    for place in find_places(tree, run)[1]:
        path = definition_path(place.node["tag"], place.url_name)
        if path not in cut:
            files.fault(path, "repeated", "The element appears twice: its first place counts.")


def _policy_paths(files: CourseFiles, run: str) -> list[str]:
    own = run.replace(":", "/")
    paths = [f"policies/{own}/policy.json", f"policies/{_FALLBACK_NAME}/policy.json"]
    return [*paths, f"policies/{own}.json", *_only_path(files, "policy.json")]


def _grading_policy_paths(files: CourseFiles, run: str) -> list[str]:
    own = run.replace(":", "/")
    file = "grading_policy.json"
    paths = [f"policies/{own}/{file}", f"policies/{_FALLBACK_NAME}/{file}"]
    return [*paths, *_only_path(files, file), file]


def _only_path(files: CourseFiles, file: str) -> list[str]:
    folders = [f"policies/{name}" for name in files.names_in("policies")]
    paths = [f"{folder}/{file}" for folder in folders if file in files.names_in(folder)]
    return paths if len(paths) == 1 else []


def _first_object(files: CourseFiles, paths: Iterable[str]) -> dict[str, Any] | None:
    for path in paths:
        value = files.read_json(path)
        if value is not None:
            return value
    return None


def _course_policy(files: CourseFiles, policies: dict[str, Any], run: str) -> dict[str, Any]:
    keys = [key for key in policies if key.startswith("course/")]
    own = f"course/{run}"
    if own not in keys and len(keys) != 1:
        return {}
    policy = policies[own if own in keys else keys[0]]
    if isinstance(policy, dict):
        return policy
    files.fault("policies", "bad_policy", "The course's policy is not an object.")
    return {}
