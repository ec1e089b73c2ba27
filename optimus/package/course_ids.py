"""Which course an event, a URL, a block or a file stem is about.

An id is taken only where it is whole and valid; nothing is guessed from two segments, from
an old block id (it names no run) or from text that was cut. Ids keep their case.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

BLOCK_KEYS = ("id", "problem_id", "module_id", "usage_key", "block_id", "component_usage_id")

# Longer texts are looked at like any other, but a cache of them would not stay small.
_LONGEST_CACHED = 512
_LONGEST_LOOKED_AT = 1 << 16
_TIMES_ENCODED = 2

# A part of nothing but dots is a path's step up, not a name.
_PART = r"(?!\.+(?![\w\-.~:]))[\w\-.~:]+"
_THREE = rf"{_PART}[+ ]{_PART}[+ ]{_PART}"
_NEW_ID = rf"(?:course-v1:{_THREE}|ccx-v1:{_THREE}[+ ]ccx@[0-9]+)"
# Not an old id: a key of another kind (library-v1:…), a path of the API (v1/…, courses/v1/…).
_OLD_ID = (
    r"(?![\w\-]+-v[0-9]+:|i4x:|(?:courses/)?v[0-9.]+/)"
    rf"{_PART}/{_PART}/{_PART}"
)
_END = r"""(?=[/?#&"']|\Z)"""
_STUDIO_PAGE = (
    "assets|checklists|course|course_info|course_team|export|export_status|import|import_status|"
    "settings/advanced|settings/details|settings/grading|tabs|textbooks|videos"
)

_NEW = ("course-v1:", "ccx-v1:")
_VALID = re.compile(rf"{_NEW_ID}|{_OLD_ID}")
_IN_URL = re.compile(
    rf"[/=](?:(?P<new>{_NEW_ID})|(?:(?<=/)courses/|(?<=[?&]course_id=))(?P<old>{_OLD_ID})){_END}"
)
# Elsewhere than in Studio, /course/a/b/c is a page about something else.
_IN_STUDIO_URL = re.compile(
    rf"(?:https?://studio[^/]*)?/(?:{_STUDIO_PAGE})/(?!{_PART}/branch/)(?P<old>{_OLD_ID}){_END}"
)
_IN_BLOCK = re.compile(
    rf"(?<![\w\-.~:])(?:block-v1:(?P<course>{_THREE})[+ ](?:type|branch|version)@"
    rf"|ccx-block-v1:(?P<ccx>{_THREE}[+ ]ccx@[0-9]+)[+ ](?:type|branch|version)@)"
)
_SPLIT = re.compile(
    r"(?:course-v1|ccx-v1):([^+]+)\+([^+]+)\+([^+]+)(?:\+ccx@[0-9]+)?|([^/]+)/([^/]+)/([^/]+)"
)
_CCX_STEM = re.compile(r"(.+)-ccx-([0-9]+)", re.DOTALL)
_LAST_OF_ASCII = 128


class CourseHint(NamedTuple):
    """A course id, and where it was found.

    Attributes:
        course_id: a valid id, or None.
        source: ``context``, ``event``, ``event_type``, ``page``, ``path``, ``block`` or
            ``referer``; None without an id.
    """

    course_id: str | None
    source: str | None


NO_HINT = CourseHint(None, None)


def valid_course_id(text: object) -> str | None:
    """The id as the platform spells it, or None if ``text`` is no course id.

    White space around it goes, and percent-encoding, once or twice. Org, course and run
    are made of letters of any script, digits and ``- _ . ~ :``.
    """
    if not isinstance(text, str):
        return None
    return _decoding(text.strip(), _whole_id)


def course_id_in_url(url: str) -> str | None:
    """The course that a path or URL is about, as is or percent-encoded once or twice.

    Found after ``/courses/``, on Studio's pages, in ``course_id=``, in a new-style block
    id; a new-style id wherever it is a whole segment or value.
    """
    return _cached_id_in_url(url) if len(url) <= _LONGEST_CACHED else _id_in_url(url)


def course_id_in_block(block_id: str) -> str | None:
    """The course of a new-style block id, alone or inside a path.

    An ``i4x://`` id gives None: it names org and course, but not the run.
    """
    return _decoding(block_id, _id_of_block) if "block-v1" in block_id else None


def find_course_id(
    context_course_id: object,
    event: bytes | None,
    event_type: object,
    page: object,
    path: object,
    referer: object,
) -> CourseHint:
    """The course of an event, and which of its fields said so.

    The referer comes last, after block ids in the payload, against the order of the
    package reference: it is the page *before* this event and may belong to another
    course, while a block in the payload is what the event itself is about.

    Args:
        context_course_id: ``context.course_id``, whatever it holds.
        event: the JSON text of the payload as it stands in the line.
        event_type: counts when it is the path of an implicit event.
        page: the URL of the page of a browser event.
        path: ``context.path``.
        referer: the page before.
    """
    if isinstance(context_course_id, str) and (hint := _context_hint(context_course_id)):
        return hint
    payload: dict[str, Any] | None = None
    if event and b"course_id" in event:
        payload = _payload(event)
        if course_id := valid_course_id(payload.get("course_id")):
            return CourseHint(course_id, "event")
    if isinstance(event_type, str) and not event_type.startswith("/"):
        event_type = None
    for url, source in ((event_type, "event_type"), (page, "page"), (path, "path")):
        if url and isinstance(url, str) and (course_id := course_id_in_url(url)):
            return CourseHint(course_id, source)
    if event and b"block-v1" in event:
        payload = _payload(event) if payload is None else payload
        if course_id := _id_of_blocks(payload):
            return CourseHint(course_id, "block")
    if referer and isinstance(referer, str) and (course_id := course_id_in_url(referer)):
        return CourseHint(course_id, "referer")
    return NO_HINT


def split_course_id(course_id: str) -> tuple[str, str, str] | None:
    """Org, course number and run; for a CCX those of the course it was made from."""
    valid = valid_course_id(course_id)
    found = _SPLIT.fullmatch(valid) if valid else None
    if not found:
        return None
    org, number, run = (part for part in found.groups() if part is not None)
    return org, number, run


def stem_of(course_id: str) -> str:
    """What file names say for a course: org, number, run joined by dashes, without the scheme."""
    scheme, colon, rest = course_id.partition(":")
    bare = rest if colon and f"{scheme}:" in _NEW else course_id
    dashed = re.sub(r"[+/@]", "-", bare)
    return "".join("_" if ord(letter) > _LAST_OF_ASCII else letter for letter in dashed)


def course_id_from_stem(stem: str, known: Iterable[str] = ()) -> str | None:
    """The course of a file stem: the known id with exactly this stem, else a guess.

    Of several known ids the new style wins over the old. The guess takes org and run to
    hold no dash, which nothing in the stem can confirm.
    """
    fitting = sorted(course_id for course_id in known if stem_of(course_id) == stem)
    if fitting:
        return next((course_id for course_id in fitting if course_id.startswith(_NEW)), fitting[0])
    ccx = _CCX_STEM.fullmatch(stem)
    org, _, rest = (ccx[1] if ccx else stem).partition("-")
    number, _, run = rest.rpartition("-")
    guess = f"{org}+{number}+{run}"
    return _whole_id(f"ccx-v1:{guess}+ccx@{ccx[2]}" if ccx else f"course-v1:{guess}")


def _decoding(text: str, find: Callable[[str], str | None]) -> str | None:
    if len(text) > _LONGEST_LOOKED_AT:
        return None
    for _ in range(_TIMES_ENCODED):
        if "%" not in text:
            break
        if course_id := find(text):
            return course_id
        text = unquote(text)
    return find(text)


def _whole_id(text: str) -> str | None:
    text = text.strip()
    return text if " " not in text and _VALID.fullmatch(text) else None


def _id_in_url(url: str) -> str | None:
    if "/" not in url and "%" not in url:
        return None
    return _decoding(url.strip(), _id_of_url)


_cached_id_in_url = lru_cache(8192)(_id_in_url)


def _id_of_url(url: str) -> str | None:
    if found := _IN_STUDIO_URL.match(url):
        return found["old"]
    if found := _IN_URL.search(url):
        return found["old"] or found["new"].replace(" ", "+")
    return _id_of_block(url) if "block-v1:" in url else None


def _id_of_block(text: str) -> str | None:
    found = _IN_BLOCK.search(text)
    if not found:
        return None
    scheme = "ccx-v1" if found["ccx"] else "course-v1"
    return f"{scheme}:{found['ccx'] or found['course']}".replace(" ", "+")


def _id_of_blocks(payload: dict[str, Any]) -> str | None:
    blocks = (payload.get(key) for key in BLOCK_KEYS)
    found = (course_id_in_block(block) for block in blocks if isinstance(block, str))
    return next(filter(None, found), None)


def _context_hint(text: str) -> CourseHint | None:
    return _cached_hint(text) if len(text) <= _LONGEST_CACHED else _new_hint(text)


def _new_hint(text: str) -> CourseHint | None:
    course_id = valid_course_id(text)
    return CourseHint(course_id, "context") if course_id else None


_cached_hint = lru_cache(8192)(_new_hint)


def _payload(event: bytes) -> dict[str, Any]:
    """The payload's object, if it is one or its JSON text, encoded once or twice."""
    payload: Any = event
    try:
        for _ in range(1 + _TIMES_ENCODED):
            payload = orjson.loads(payload)
            if not isinstance(payload, str):
                break
    except orjson.JSONDecodeError:
        return {}
    return payload if isinstance(payload, dict) else {}
