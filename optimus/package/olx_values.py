"""What the text of a course attribute means: dates, numbers, booleans.

Attributes hold JSON-like text of ten years of exporters: ``null``, ``"true"``, a date with its
own quotes. What cannot be understood is None, never an error.
"""

import math
import re
from datetime import UTC, datetime
from typing import Any

_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZONE_WORD = re.compile(r"\s*(?:UTC|GMT)$", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_GAP = re.compile(r"[\s,]+")
_DATE_WORD = re.compile(
    r"(?P<month>[A-Za-z]{3,9})\.?"
    r"|(?P<year>[0-9]{4})"
    r"|(?P<day>[0-9]{1,2})(?:st|nd|rd|th)?"
    r"|(?P<clock>[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)"
)
# The language's own names follow the locale; a course's do not.
_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_ABSENT = frozenset({"", "null"})


def plain_text(value: object) -> str | None:
    """The text without the quotes that wrap it; None for what is blank or says null."""
    if isinstance(value, bool | int | float):
        return str(value)
    if not isinstance(value, str):
        return None
    text = value.strip()
    while len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        text = text[1:-1].strip()
    return None if text.lower() in _ABSENT else text


def title(value: object) -> str | None:
    """A title exactly as its author wrote it; None when there is none."""
    return value if isinstance(value, str) and value != "null" else None


def flag(value: object) -> bool | None:
    """True for any spelling of true, False for any other word, None for none."""
    text = plain_text(value)
    return None if text is None else text.lower() == "true"


def number(value: object) -> float | None:
    """A finite number; None for anything else."""
    text = plain_text(value)
    if text is None or not _NUMBER.fullmatch(text):
        return None
    result = float(text)
    return result if math.isfinite(result) else None


def moment(value: object) -> datetime | None:
    """A date in any of the spellings met, in UTC, where dates without a zone are read as UTC."""
    text = plain_text(value)
    if text is None:
        return None
    text, zones = _ZONE_WORD.subn("", text)
    try:
        result = datetime.fromisoformat(text) if _ISO_DATE.match(text) else _spelled_date(text)
        if zones or result.tzinfo is None:
            return result.replace(tzinfo=UTC)
        return result.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def depth_exceeds(value: Any, limit: int) -> bool:
    """Whether lists and objects stand in each other deeper than the limit."""
    level = [value]
    for _ in range(limit + 1):
        level = [inner for outer in level for inner in _inner(outer)]
        if not level:
            return False
    return True


def _inner(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _spelled_date(text: str) -> datetime:
    found: dict[str | None, str] = {}
    for word in _GAP.split(text):
        match = _DATE_WORD.fullmatch(word)
        if match is None or match.lastgroup in found:
            raise ValueError("a word that belongs to no date")
        found[match.lastgroup] = match[match.lastgroup or 0]
    if not {"month", "day", "year"} <= found.keys():
        raise ValueError("not a whole date")
    day = datetime(int(found["year"]), _month(found["month"]), int(found["day"]), tzinfo=UTC)
    hour, minute, second, *_ = [*map(int, found.get("clock", "0:0").split(":")), 0]
    return day.replace(hour=hour, minute=minute, second=second)


def _month(word: str) -> int:
    for index, name in enumerate(_MONTHS, start=1):
        if name.startswith(word.lower()):
            return index
    raise ValueError("no month")
