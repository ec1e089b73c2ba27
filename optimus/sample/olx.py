"""The course as files: the tree of XML elements that a course export unpacks to."""

import json
from html import escape

from optimus.sample.courses import ORGANISATION, Course, Module, Problem, Section, Unit, Video
from optimus.sample.moments import zulu_time
from optimus.sample.tree import Tree

PLAIN_START, QUOTED_START, POLICY_START = range(3)


def write_olx(tree: Tree, folder: str, course: Course, *, quirks: bool) -> None:
    """Write the unpacked export of a course."""
    _Export(tree, f"{folder}/{course.name.stem}", course, quirks=quirks).write()


class _Export:
    """One export. Elements that are inline stand in their parent's file."""

    def __init__(self, tree: Tree, folder: str, course: Course, *, quirks: bool) -> None:
        self.tree = tree
        self.folder = folder
        self.course = course
        self.quirks = quirks
        self.start = (QUOTED_START, POLICY_START, PLAIN_START)[course.number % 3]
        if not quirks:
            self.start = PLAIN_START

    def write(self) -> None:
        """Write all files."""
        course, run = self.course, self.course.name.run
        self._file(
            "course.xml",
            _element(
                "course", {"url_name": run, "org": ORGANISATION, "course": course.name.number}
            ),
        )
        chapters = [self._chapter(number) for number in range(len(course.chapters))]
        wiki = _element("wiki", {"slug": f"{ORGANISATION}.{course.name.number}.{run}"})
        self._file(f"course/{run}.xml", _element("course", self._dates(), [*chapters, wiki]))
        self._policies()
        self._file("about/overview.html", f"<h1>{escape(course.title)}</h1>\n<br>\n")
        self._file("info/updates.html", "<ol><li>Welcome<p>unclosed</ol>\n")
        self._file("drafts/vertical/unborn.xml", '<vertical display_name="Not yet"/>')
        self._file("drafts/problem/unborn.xml", '<problem display_name="Not yet"/>')
        if self.quirks:
            self._file("problem/orphan.xml", "<problem display_name='nobody'><p>unclosed\n")

    def _file(self, name: str, text: str) -> None:
        self.tree.write(f"{self.folder}/{name}", text if text.endswith("\n") else text + "\n")

    def _dates(self) -> dict[str, str]:
        course = self.course
        attributes = {"display_name": course.title, "language": "en"}
        if self.start == PLAIN_START:
            attributes["start"] = zulu_time(course.start)
            attributes["end"] = zulu_time(course.end)
        elif self.start == QUOTED_START:
            attributes["start"] = f'"{zulu_time(course.start)}"'
            attributes["end"] = f'"{zulu_time(course.end).replace("Z", "+00:00")}"'
        return attributes

    def _policies(self) -> None:
        course, run = self.course, self.course.name.run
        settings: dict[str, object] = {"display_name": course.title, "graceperiod": ""}
        if self.start == POLICY_START:
            settings["start"] = zulu_time(course.start)
            settings["end"] = zulu_time(course.end)
        graders = [
            {
                "type": grader,
                "short_label": grader[:2].upper(),
                "min_count": 1,
                "drop_count": 0,
                "weight": weight,
            }
            for grader, weight in course.graders
        ]
        grading = {"GRADER": graders, "GRADE_CUTOFFS": dict(course.cutoffs)}
        self._file(f"policies/{run}/policy.json", _pretty({f"course/{run}": settings}))
        self._file(f"policies/{run}/grading_policy.json", _pretty(grading))
        self._file("policies/assets.json", "{}")

    def _chapter(self, number: int) -> str:
        course = self.course
        chapter = course.chapters[number]
        sections = [
            self._section(place, section)
            for place, section in enumerate(course.sections)
            if section.chapter == number
        ]
        return self._put(chapter, {"display_name": chapter.title}, sections)

    def _section(self, number: int, section: Section) -> str:
        attributes = {"display_name": section.module.title}
        if section.grader:
            attributes |= {
                "format": section.grader,
                "graded": "true",
                "due": zulu_time(section.due),
            }
        units = [self._unit(unit) for unit in section.units]
        is_inline = self.quirks and number == 1
        return self._put(section.module, attributes, units, inline=is_inline)

    def _unit(self, unit: Unit) -> str:
        leaves = [self._leaf(leaf) for leaf in unit.leaves]
        is_first = self.quirks and unit.position == 1
        if is_first and unit.section == 0:
            tick = {"url_name": "tick", "align": "left"}
            leaves += ["<!-- a tick box -->", _element("done", tick)]
        if is_first and unit.section == 1:
            leaves.append(_element("html", {"url_name": "missing_page"}))
        is_inline = self.quirks and unit.section == 2  # noqa: PLR2004 - the third section
        return self._put(unit.module, {"display_name": unit.module.title}, leaves, inline=is_inline)

    def _leaf(self, leaf: Module) -> str:
        attributes = {"display_name": leaf.title}
        if isinstance(leaf, Video):
            attributes |= {
                "youtube": f"1.00:{leaf.youtube}",
                "youtube_id_1_0": leaf.youtube,
                "html5_sources": "[]",
                "sub": "",
            }
        elif isinstance(leaf, Problem):
            return self._put(leaf, attributes | _limits(leaf), [_question(leaf)])
        elif leaf.kind == "html":
            self._file(f"html/{leaf.name}.html", f"<p>{escape(leaf.title)}<br>\n")
            attributes["filename"] = leaf.name
        elif leaf.kind == "discussion":
            attributes |= {"discussion_id": leaf.name, "discussion_category": "Week"}
            attributes["discussion_target"] = leaf.title
        else:
            return self._put(leaf, attributes, ["<prompt>Why?</prompt>"], inline=True)
        return self._put(leaf, attributes, [])

    def _put(
        self,
        module: Module,
        attributes: dict[str, str],
        children: list[str],
        *,
        inline: bool = False,
    ) -> str:
        """Write an element to its own file and give the pointer, or give it all when inline."""
        pointer = {"url_name": module.name}
        if inline:
            return _element(module.kind, pointer | attributes, children)
        if isinstance(module, Video):
            attributes = pointer | attributes
        self._file(f"{module.kind}/{module.name}.xml", _element(module.kind, attributes, children))
        return _element(module.kind, pointer)


def _limits(problem: Problem) -> dict[str, str]:
    attributes = {"markdown": "null"}
    if problem.weight is not None:
        attributes["weight"] = problem.weight
    if problem.limit:
        attributes["max_attempts"] = str(problem.limit)
    return attributes


def _question(problem: Problem) -> str:
    prompt = f"<p>{escape(problem.title)}?</p>"
    parts = [f'<{problem.response} answer="x"/>' for _ in problem.parts]
    return f"{prompt}{''.join(parts)}"


def _element(tag: str, attributes: dict[str, str], children: list[str] | None = None) -> str:
    text = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    if not children:
        return f"<{tag}{text}/>"
    inside = "".join(f"\n  {line}" for child in children for line in child.split("\n"))
    return f"<{tag}{text}>{inside}\n</{tag}>"


def _pretty(value: object) -> str:
    return json.dumps(value, indent=4, sort_keys=True)


def write_structure(tree: Tree, name: str, course: Course, *, quirks: bool) -> None:
    """Write the course structure file: one flat object of blocks."""
    blocks: dict[str, object] = {}

    def add(module: Module, children: list[str], **metadata: object) -> None:
        blocks[module.key] = {
            "category": module.kind,
            "children": children,
            "metadata": {"display_name": module.title, **metadata},
        }

    add(
        course.root,
        [chapter.key for chapter in course.chapters],
        start=zulu_time(course.start),
        end=zulu_time(course.end),
    )
    for number, chapter in enumerate(course.chapters):
        inside = [one.module.key for one in course.sections if one.chapter == number]
        add(chapter, inside)
    for section in course.sections:
        graded = {"graded": True, "format": section.grader} if section.grader else {}
        add(section.module, [unit.module.key for unit in section.units], **graded)
    for unit in course.units:
        add(unit.module, [leaf.key for leaf in unit.leaves])
        for leaf in unit.leaves:
            add(leaf, [], **_leaf_metadata(leaf))
    if quirks:
        orphan = course.name.module(-1, "problem", "orphan", "nobody")
        add(orphan, [course.name.key("html", "missing_page")])
    tree.write(name, _pretty(blocks) + "\n")


def _leaf_metadata(leaf: Module) -> dict[str, object]:
    if isinstance(leaf, Problem):
        metadata: dict[str, object] = {"markdown": None}
        if leaf.weight is not None:
            metadata["weight"] = None if leaf.weight in {"null", ""} else float(leaf.weight)
        if leaf.limit:
            metadata["max_attempts"] = leaf.limit
        return metadata
    if leaf.kind == "discussion":
        return {"discussion_id": leaf.name, "discussion_category": "Week"}
    return {}
