"""The proof that a sample names nobody: no name, username or e-mail of a learner is in it.

Looked for are those of all learners of the course run, as whole words in a row, in any case and
with any marks between them that do not part values; escapes of JSON, of tables and of URLs are
undone before. What is made of nothing but the course's and the formats' own words, or of digits,
names nobody by itself and cannot be told from them: it is passed over, and counted.
"""

import gzip
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from services.extract_sample.words import WORD, Words, folded, words_of

SHORTEST_USERNAME = 3
WORDS_OF_A_NAME = 2
LAYERS = 4
LINES_PER_TICK = 1_000
# What parts values from each other ends a row of words.
ROW = re.compile(r'[^\W_]+(?:(?:[^\w\t\n":{}\[\]]|_){1,3}[^\W_]+)*')
ESCAPE = re.compile(r"\\+(u[0-9a-fA-F]{4}|.)")
SPACES = frozenset("nrtbf0")
SURROGATE = re.compile("[\ud800-\udfff]")


class Identities:
    """Names, usernames and e-mail addresses that must not be found.

    Attributes:
        passed_over: how many of them are made of words that name nobody.
    """

    def __init__(self, words: Words) -> None:
        self.passed_over = 0
        self._words = words
        self._rows: set[str] = set()
        self._lengths: dict[str, set[int]] = {}

    def add(self, kind: str, text: str) -> None:
        """Look for one more.

        Args:
            kind: ``name``, ``username`` or ``email``.
            text: names of one word and usernames of two letters are too common to look for.
        """
        words = words_of(_plain(text))
        if not words or _is_short(kind, text, words):
            return
        if kind != "email" and (self._words.make_up(text) or all(map(str.isdecimal, words))):
            self.passed_over += 1
            return
        self._rows.add(" ".join(words))
        self._lengths.setdefault(words[0], set()).add(len(words))

    def is_in(self, text: str) -> bool:
        """Whether any of them stands in a text."""
        plain = folded(_plain(text))
        if self._lengths.keys().isdisjoint(WORD.findall(plain)):
            return False
        return any(self._is_in_row(WORD.findall(row)) for row in ROW.findall(plain))

    def _is_in_row(self, words: list[str]) -> bool:
        return any(
            " ".join(words[at : at + length]) in self._rows
            for at, word in enumerate(words)
            for length in self._lengths.get(word, ())
        )


def first_finding(
    folder: Path, identities: Identities, tick: Callable[[], None]
) -> tuple[str, int] | None:
    """Read every file of a sample.

    Returns:
        File and line of the first name; None when there is none.
    """
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = str(path.relative_to(folder))
        for number, line in enumerate(_lines(path), 1):
            if identities.is_in(line):
                return name, number
            if number % LINES_PER_TICK == 1:
                tick()
    return None


def _lines(path: Path) -> Iterator[str]:
    opened: Any = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="\n") as file:
        yield from file


def _is_short(kind: str, text: str, words: list[str]) -> bool:
    if kind == "name":
        return len(words) < WORDS_OF_A_NAME
    return kind == "username" and len(text.strip()) < SHORTEST_USERNAME


def _plain(text: str) -> str:
    """A text without escapes, however many layers of them there are."""
    for _ in range(LAYERS):
        plain = ESCAPE.sub(_unescaped, unquote(text))
        if plain == text:
            break
        text = plain
    if SURROGATE.search(text):
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _unescaped(escape: re.Match[str]) -> str:
    meant = escape[1]
    if len(meant) > 1:
        return chr(int(meant[1:], 16))
    return " " if meant in SPACES else meant
