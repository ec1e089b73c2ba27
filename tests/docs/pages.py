"""The pages that people read, taken apart."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *DOCS.rglob("*.md"),
        *ROOT.glob("services/*/README.md"),
    ]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@dataclass(frozen=True)
class Command:
    """A line that the reader is told to type.

    Attributes:
        page: where it stands.
        variables: what is set before it, by name.
        words: the command and its arguments.
    """

    page: Path
    variables: dict[str, str]
    words: list[str]

    @property
    def arguments(self) -> list[str]:
        """What comes after the name of the program."""
        return self.words[1:]

    @property
    def own_arguments(self) -> list[str]:
        """The arguments without the choice of a settings file."""
        given = self.arguments
        return given[2:] if given[:1] == ["--config"] else given

    def __str__(self) -> str:
        return f"{name_of(self.page)}: {shlex.join(self.words)}"


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language on a page."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [body for fence, body in found if fence == language]


def anchors(page: Path) -> set[str]:
    """What a link can point to on a page, as web sites make it of headings."""
    return {
        NOT_IN_ANCHORS.sub("", heading.replace("`", "")).strip().lower().replace(" ", "-")
        for heading in HEADING.findall(page.read_text(encoding="utf-8"))
    }


def links() -> Iterator[tuple[Path, str]]:
    """Every link to a place in this repository."""
    for page in PAGES:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target and not target.startswith("mailto:"):
                yield page, target


def commands(program: str) -> list[Command]:
    """Every line of the console blocks that begins with a program."""
    found = []
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True)
                variables = {}
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    name, _, value = words.pop(0).partition("=")
                    variables[name] = value
                if words[:1] == [program]:
                    found.append(Command(page, variables, words))
    return found
