"""Pseudonyms: what a value becomes in a sample that names nobody.

The same value of the same kind has the same pseudonym wherever it stands: in tables, events and
posts. Nobody without the key can tell which, or make the same. The kinds:

    user, row        number -> number from 1 to 2^53: of a person, of a row of a table (a text
                     that stands for a row is a code)
    username, email, anonymous (32 hex digits), opaque (any other id) -> of the same form
    person           any of these: a number is a user id, 32 hex digits are an anonymous id
    code             kept when it has no space and its words name nobody; else it becomes an id
                     that stands for it. The 24 hex digits of a post become 24 others
    choice           kept when it is one short word, as of a list to choose from
    number, moment   kept when it is one
    path             path of a URL, each step of it a code
"""

import hmac
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

from services.extract_sample.words import Words

LARGEST = 2**53
LONGEST_CODE = 500
CODES_REMEMBERED = 10_000
BYTES_OF_NUMBER = 16
SPACE = re.compile(r"\s")
DIGITS = re.compile(r"[0-9]+")
ANONYMOUS_ID = re.compile(r"[0-9a-fA-F]{32}")
POST_ID = re.compile(r"[0-9a-fA-F]{24}")
CHOICE = re.compile(r"[A-Za-z0-9_.-]{0,32}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]?[0-9:.]*(?:Z|[+-][0-9]{2}:?[0-9]{2})?")


class Pseudonyms:
    """Makes pseudonyms with one key, for the learners of one site."""

    def __init__(self, key: str, site: str, words: Words) -> None:
        """Make them.

        Args:
            key: the secret.
            site: prod and edge count their users on their own.
            words: those that name nobody.
        """
        self._key = key.encode()
        self._site = site
        self._words = words
        # Few codes make up most of all events.
        self.code = lru_cache(CODES_REMEMBERED)(self._code)
        self._of_text: Mapping[str, Callable[[str], str | None]] = {
            "username": lambda text: f"u_{self._id('username', text, 20)}",
            "email": lambda text: f"{self._id('email', text.lower(), 20)}@example.invalid",
            "anonymous": lambda text: self._id("anonymous", text.lower(), 32),
            "opaque": lambda text: self._id("opaque", text.lower().replace("-", ""), 32),
            "person": self._person,
            "code": self.code,
            "row": self.code,
            "choice": lambda text: text if CHOICE.fullmatch(text) else None,
            "number": lambda text: text if NUMBER.fullmatch(text) else None,
            "moment": lambda text: text if MOMENT.fullmatch(text) else None,
            "path": self._path,
        }

    def of(self, kind: str, value: Any) -> Any:
        """What a value becomes; None when nothing of it can be kept.

        Args:
            kind: one of those above.
            value: text, number, boolean, aware moment or None; blank text stays blank.
        """
        if isinstance(value, str):
            return self._of_text[kind](value.strip()) if value.strip() else ""
        if value is None or isinstance(value, bool | datetime):
            return value
        if kind in {"user", "row", "person"}:
            return self._number("row" if kind == "row" else "user", value)
        return value if kind in {"code", "number", "moment"} else None

    def _code(self, text: str) -> str:
        """A name of the course or of a format; what is none becomes an id that stands for it."""
        if len(text) <= LONGEST_CODE and not SPACE.search(text) and self._words.make_up(text):
            return text
        if POST_ID.fullmatch(text):
            return self._id("post", text.lower(), 24)
        return f"x{self._id('code', text, 20)}"

    def _person(self, text: str) -> str:
        if DIGITS.fullmatch(text):
            return str(self._number("user", int(text)))
        kind = "anonymous" if ANONYMOUS_ID.fullmatch(text) else "username"
        return str(self.of("email" if "@" in text else kind, text))

    def _path(self, text: str) -> str | None:
        try:
            steps = urlsplit(text).path.split("/")
        except ValueError:
            return None
        return "/".join(self.code(unquote(step)) if step else "" for step in steps)

    def _number(self, kind: str, value: int) -> int:
        digits = self._id(kind, str(value), BYTES_OF_NUMBER)
        return 1 + int(digits, 16) % LARGEST

    def _id(self, kind: str, text: str, length: int) -> str:
        message = f"{self._site}\0{kind}\0{text}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256").hex()[:length]
