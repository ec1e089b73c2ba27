"""The ``.mongo`` files of a data package: one forum post a line, as extended JSON.

A post is a thread, a response to a thread or a comment on a response. Its wrappers (``$oid``,
``$date``, ``$numberLong``) become plain values; other ``$`` objects stay what they are, data.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa

from optimus.errors import BadFileError, BadRecordError
from optimus.package.foreign import BYTE_ORDER_MARK, foreign_content

MAX_DEPTH = 64

_TIME = pa.timestamp("us", "UTC")

# Outside these years a date is damage, not history, and some readers of the lake overflow.
EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

_COLUMNS: tuple[tuple[str, pa.DataType, str], ...] = (
    ("line", pa.int64(), "line of the post in its file, from 1"),
    ("_id", pa.string(), "id of the post, 24 hex digits in lower case"),
    ("kind", pa.string(), "CommentThread or Comment"),
    ("level", pa.string(), "thread, response (to a thread) or comment (on a response)"),
    ("course_id", pa.string(), "course id as the platform spells it"),
    ("author_id", pa.int64(), "auth_user.id of the author, also of anonymous posts"),
    ("author_username", pa.string(), "user name of the author when it was posted"),
    ("comment_thread_id", pa.string(), "thread of a response or comment"),
    ("parent_id", pa.string(), "post that a comment answers"),
    ("parent_ids", pa.list_(pa.string()), "all posts above, within the thread; [] = response"),
    ("thread_type", pa.string(), "of threads: discussion or question"),
    ("title", pa.string(), "title of a thread"),
    ("body", pa.string(), "text, in Markdown"),
    ("commentable_id", pa.string(), "topic of a thread"),
    ("created_at", _TIME, "when it was posted"),
    ("updated_at", _TIME, "when it was last changed"),
    ("last_activity_at", _TIME, "when something last happened in the thread"),
    ("votes_up", pa.int64(), "votes for the post"),
    ("votes_down", pa.int64(), "votes against the post"),
    ("endorsed", pa.bool_(), "marked as good by course staff or the asker"),
    ("anonymous", pa.bool_(), "author hidden from everyone in the course"),
    ("anonymous_to_peers", pa.bool_(), "author hidden from learners"),
    ("pinned", pa.bool_(), "kept on top of the list; null = false"),
    ("closed", pa.bool_(), "no more answers; null = false"),
    ("visible", pa.bool_(), "shown in the course"),
    ("comment_count", pa.int64(), "answers of a thread as the forum counted them"),
    ("document", pa.string(), "the whole post as delivered, JSON"),
)

FORUM_SCHEMA: pa.Schema = pa.schema(
    [pa.field(name, kind, metadata={"description": text}) for name, kind, text in _COLUMNS]
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST_INTEGER = 2**63 - 1
_LONGEST_ID = 40

_OBJECT_ID = re.compile(r"[0-9a-fA-F]{24}")
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DATE_TEXT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}"
    r"(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"
)
# orjson makes a rounded number of an integer that needs more than 64 bits.
_LONG_INTEGER = re.compile(r"[0-9]{19}")
_PRETTY_PRINTED = re.compile(rb"\s*\{[ \t\r]*\n")


class ObjectIdText(str):
    """The text of what was an object id: 24 hex digits in lower case."""

    __slots__ = ()


@dataclass(frozen=True)
class Post:
    """One post as delivered, and as plain values.

    Attributes:
        values: the document with ids as lower-case text (``ObjectIdText`` where they were
            wrapped in ``$oid``, and for the ``_id``) and dates as aware datetimes.
        document: the delivered document, wrappers and all, as compact JSON text.
        unusable_dates: what stood in the dates that are None in ``values``, by path
            (``endorsement.time``).
        replaced_utf8: replacement characters put where bytes or escapes were not Unicode.
    """

    values: dict[str, Any]
    document: str
    unusable_dates: dict[str, str] = field(default_factory=dict)
    replaced_utf8: int = 0


def check_forum_format(first_bytes: bytes) -> None:
    """Refuse a file that does not hold one JSON document a line.

    Args:
        first_bytes: how the file begins; 4096 bytes are plenty, none at all is a valid file.

    Raises:
        BadFileError: it is something else, with what to do about it.
    """
    text = first_bytes.removeprefix(BYTE_ORDER_MARK).lstrip()
    what = foreign_content(first_bytes)
    if what is None and b"\0" in first_bytes:
        what = "it is binary, as of mongodump; export it with mongoexport, or convert with bsondump"
    elif what is None and text.startswith(b"["):
        what = "it is one JSON array; export it without --jsonArray"
    elif what is None and _PRETTY_PRINTED.match(text):
        what = "its documents go over several lines; export it without --pretty"
    if what is not None:
        raise BadFileError(f"format: this file does not hold one post a line: {what}")


def parse_post(line: bytes | str) -> Post:
    """Turn one line of a forum file into plain values.

    Raises:
        BadRecordError: ``not_json``, ``not_object``, ``too_deep``, ``no_id`` or ``bad_id``.
    """
    raw = line.encode("utf-8", "surrogatepass") if isinstance(line, str) else line
    text = raw.removeprefix(BYTE_ORDER_MARK).decode("utf-8", "replace").strip()
    replaced = text.count("\ufffd") - raw.count("\ufffd".encode())
    document, mended = _load(text)
    if not isinstance(document, dict):
        raise BadRecordError("not_object", "the line is JSON, but not an object")
    unusable: dict[str, str] = {}
    values = {key: _plain(value, key, 1, unusable) for key, value in document.items()}
    if document.get("_id") is None:
        raise BadRecordError("no_id", "a post needs an _id")
    values["_id"] = _object_id(values["_id"])
    if values["_id"] is None:
        raise BadRecordError("bad_id", "the _id of a post has 24 hex digits")
    return Post(values, _compact(document), unusable, replaced + mended)


def _load(text: str) -> tuple[Any, int]:
    """Read JSON; count the halves of characters that had to be replaced."""
    if not _LONG_INTEGER.search(text):
        try:
            return orjson.loads(text), 0
        except orjson.JSONDecodeError:
            pass  # json reads half of a character pair, and tells what is too deep
    try:
        document = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise BadRecordError("not_json", "the line is not a JSON document") from error
    return _mend(document, 0)


def _too_deep() -> BadRecordError:
    return BadRecordError("too_deep", f"more than {MAX_DEPTH} levels of lists and objects")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


def _mend(value: Any, depth: int) -> tuple[Any, int]:
    """Replace halves of character pairs in every text of a document, and count them."""
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, str):
        mended = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return mended, mended.count("\ufffd") - value.count("\ufffd")
    if isinstance(value, list):
        items = [_mend(item, depth + 1) for item in value]
        return [item for item, _ in items], sum(count for _, count in items)
    if isinstance(value, dict):
        pairs = [(_mend(key, depth), _mend(item, depth + 1)) for key, item in value.items()]
        return (
            {key: item for (key, _), (item, _) in pairs},
            sum(in_key + in_item for (_, in_key), (_, in_item) in pairs),
        )
    return value, 0


def _compact(document: Any) -> str:
    try:
        return orjson.dumps(document).decode()
    except orjson.JSONEncodeError:  # an integer of more than 64 bits
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any, path: str, depth: int, unusable: dict[str, str]) -> Any:
    if depth > MAX_DEPTH:
        raise _too_deep()
    if isinstance(value, list):
        return [
            _plain(item, f"{path}.{index}", depth + 1, unusable) for index, item in enumerate(value)
        ]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(key, inner)] = value.items()
        if key == "$date":
            date = _date(inner)
            if date is None:
                _plain(inner, path, depth + 1, {})  # only so that nothing too deep gets past
                unusable[path] = inner if isinstance(inner, str) else _compact(inner)
            return date
        unwrapped = _unwrapped(key, inner)
        if unwrapped is not None:
            return unwrapped
    return {key: _plain(item, f"{path}.{key}", depth + 1, unusable) for key, item in value.items()}


def _unwrapped(key: str, inner: Any) -> str | int | float | None:
    """Give the value in a wrapper; None when it is not one, so that it stays inert data."""
    if not isinstance(inner, str):
        return None
    if key == "$oid":
        return _object_id(inner)
    if key in {"$numberLong", "$numberInt"} and _INTEGER.fullmatch(inner):
        return int(inner)
    if key == "$numberDouble":
        try:
            return _finite(inner)
        except ValueError:
            return None
    return None


def _object_id(value: Any) -> ObjectIdText | None:
    """Give 24 hex digits in lower case, or None."""
    is_one = isinstance(value, str) and _OBJECT_ID.fullmatch(value)
    return ObjectIdText(value.lower()) if is_one else None


def _date(inner: Any) -> datetime | None:
    """Read the inside of a ``$date``; None when it is no date of the forum's age."""
    if isinstance(inner, dict) and len(inner) == 1 and "$numberLong" in inner:
        inner = _unwrapped("$numberLong", inner["$numberLong"])
    try:
        if isinstance(inner, str) and _DATE_TEXT.fullmatch(inner):
            moment = datetime.fromisoformat(inner)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        elif isinstance(inner, int | float) and not isinstance(inner, bool):
            moment = _EPOCH + timedelta(milliseconds=inner)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return moment if EARLIEST <= moment < LATEST else None


def post_row(post: Post, line_number: int) -> dict[str, Any]:
    """Give the row of ``FORUM_SCHEMA`` for a post; what has another type there is null."""
    values = post.values
    kind = values.get("_type")
    kind = kind if kind in ("CommentThread", "Comment") else None
    row = {name: fitting(values.get(name)) for name, fitting in _FITTINGS}
    votes = values.get("votes")
    votes = votes if isinstance(votes, Mapping) else {}
    thread_type = row["thread_type"] or "discussion"
    return row | {
        "line": line_number,
        "kind": kind,
        "comment_thread_id": _reference(values.get("comment_thread_id")),
        "parent_id": _reference(values.get("parent_id")),
        "parent_ids": [_reference(parent) for parent in row["parent_ids"]],
        "level": _level(kind, row["parent_id"], row["parent_ids"]),
        "author_id": _author_id(values.get("author_id")),
        "thread_type": thread_type if kind == "CommentThread" else None,
        "votes_up": _votes(votes, "up"),
        "votes_down": _votes(votes, "down"),
        "document": post.document,
    }


def _level(kind: str | None, parent_id: str | None, parent_ids: list[str]) -> str | None:
    if kind != "Comment":
        return "thread" if kind else None
    return "comment" if parent_ids or parent_id else "response"


def _author_id(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value) if len(value) <= _LONGEST_ID else None
    return _integer(value)


def _votes(votes: Mapping[str, Any], way: str) -> int:
    count = _integer(votes.get(f"{way}_count"))
    voters = votes.get(way)
    if count is None:
        return len(voters) if isinstance(voters, list) else 0
    return count


def _integer(value: Any) -> int | None:
    is_one = isinstance(value, int) and not isinstance(value, bool)
    return value if is_one and abs(value) <= _LARGEST_INTEGER else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _reference(value: Any) -> str | None:
    return _object_id(value) or _text(value)


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _moment(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


_FITTING: Mapping[pa.DataType, Callable[[Any], Any]] = {
    pa.int64(): _integer,
    pa.string(): _text,
    pa.list_(pa.string()): _texts,
    pa.bool_(): _boolean,
    _TIME: _moment,
}
_FITTINGS = tuple((name, _FITTING[kind]) for name, kind, _ in _COLUMNS)
