"""Tracking log lines, read into typed rows without losing anything.

A line is decoded once into its top-level texts; ``event`` and ``context`` stay the JSON
text that was delivered, so that no digit of a number and no spelling changes. What is out
of the ordinary takes a slower way to the same row. Formats: the package reference, §5.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeGuard

import msgspec
import orjson

from optimus.errors import BadRecordError
from optimus.package.course_ids import find_course_id, split_course_id

DEEPEST_NESTING = 64
TEXTS = (
    "event_type",
    "name",
    "event_source",
    "username",
    "session",
    "ip",
    "host",
    "agent",
    "page",
    "referer",
    "accept_language",
    "time",
)
CAPTURED_IN_CONTEXT = ("event_source", "username", "session", "ip", "host", "agent", "page")
ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)",
    re.DOTALL,
)
"""An escape in JSON text; both halves of a surrogate pair together."""
LONE_SURROGATE = 6
DIGITS_OF_INT64 = 19
INT64 = range(-(2**63), 2**63)
CANONICAL_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?!000000)\d{6})?\+00:00", re.ASCII
)
EARLIEST_EPOCH, LATEST_EPOCH = 0, 253_402_300_799

Text = str | None
NOTHING = msgspec.Raw(b"")


class EventFields(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The top level of an ordinary event."""

    event_type: Text = None
    name: Text = None
    event_source: Text = None
    username: Text = None
    session: Text = None
    ip: Text = None
    host: Text = None
    agent: Text = None
    page: Text = None
    referer: Text = None
    accept_language: Text = None
    time: Text = None
    event: msgspec.Raw = NOTHING
    context: msgspec.Raw = NOTHING


class _Context(msgspec.Struct, gc=False):
    """What is looked at in an ordinary context; everything else in it is skipped."""

    user_id: int | str | None = None
    course_id: Text = None
    org_id: Text = None
    path: Text = None


class Event(NamedTuple):
    """One event.

    Attributes:
        fields: the top-level texts, and ``event`` and ``context`` as JSON text; ``time`` is
            UTC in ISO form with microseconds or without a fraction, or None.
        extra: JSON text of all that is in no column; None when there is nothing.
        user_id: ``context.user_id`` as a number.
        course_id: found as the package reference says.
        course_id_source: where it was found (``context``, ``event``, ``page`` …).
        org: ``context.org_id``, else the course's.
        repaired: the line was not an ordinary one, and what was done.
    """

    fields: EventFields
    extra: str | None
    user_id: int | None
    course_id: str | None
    course_id_source: str | None
    org: str | None
    repaired: str | None


_decode_event = msgspec.json.Decoder(EventFields).decode
_decode_context = msgspec.json.Decoder(_Context).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read_event(line: bytes) -> Event:
    """Read one line of a tracking log.

    Args:
        line: the line without its line feed.

    Raises:
        BadRecordError: it is not one JSON object in UTF-8, or breaks a limit.
    """
    if not line.isascii():
        _check_utf8(line)
    if line.count(b"{") + line.count(b"[") > DEEPEST_NESTING:
        _check_depth(line)
    try:
        fields = _decode_event(line)
        extra, repaired = None, None
        if fields.event_type is None:
            _fill_captured(fields)
    except (msgspec.DecodeError, RecursionError):
        fields, members, repaired = _read_unusual(line)
        extra = members or None
    if fields.time is not None and not _is_canonical(fields.time):
        extra = {"time": msgspec.json.encode(fields.time), **(extra or {})}
        fields.time = parse_time(fields.time)
    return _resolved(fields, extra, repaired)


def read_document(line: bytes) -> dict[str, Any]:
    """The object of a line that ``read_event`` has accepted, with all its keys and values."""
    try:
        document: dict[str, Any] = orjson.loads(line)
    except orjson.JSONDecodeError:
        members, _ = _members(line)
        document = {key: _loose(raw) for key, raw in members.items()}
    return document


def parse_time(value: object) -> str | None:
    """A moment in any spelling that occurs, as UTC in ISO form with microseconds.

    Args:
        value: ISO text with or without fraction and zone, seconds since 1970, or
            ``{"$date": …}``.

    Returns:
        None when it is no moment between the years 1 and 9999.
    """
    try:
        if isinstance(value, dict):
            value = value.get("$date")
            value = value / 1000 if _is_number(value) else value
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        elif _is_number(value) and EARLIEST_EPOCH <= value <= LATEST_EPOCH:
            moment = datetime.fromtimestamp(value, UTC)
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return moment.isoformat(timespec="microseconds")


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_canonical(time: str) -> bool:
    """Whether the text can be made again from the moment it names."""
    if CANONICAL_TIME.fullmatch(time) is None:
        return False
    try:
        datetime.fromisoformat(time)
    except ValueError:
        return False
    return True


def _resolved(
    fields: EventFields, extra: Mapping[str, bytes | msgspec.Raw] | None, repaired: str | None
) -> Event:
    user_id, course_id, org, path = _looked_up(bytes(fields.context))
    course = find_course_id(
        course_id, bytes(fields.event), fields.event_type, fields.page, path, fields.referer
    )
    if not org and course.course_id:
        parts = split_course_id(course.course_id)
        org = parts[0] if parts else None
    return Event(
        fields=fields,
        extra=None if extra is None else _json_object(extra),
        user_id=_whole_number(user_id),
        course_id=course.course_id,
        course_id_source=course.source,
        org=org or None,
        repaired=repaired,
    )


def _looked_up(context: bytes) -> tuple[object, str | None, str | None, str | None]:
    """User id, course id, org and path of a context, whatever it is."""
    if not context:
        return None, None, None, None
    try:
        known = _decode_context(context)
    except msgspec.DecodeError:
        loose = _loose(context)
        if not isinstance(loose, dict):
            return None, None, None, None
        texts = (loose.get(name) for name in ("course_id", "org_id", "path"))
        course_id, org_id, path = (text if isinstance(text, str) else None for text in texts)
        return loose.get("user_id"), course_id, org_id, path
    return known.user_id, known.course_id, known.org_id, known.path


def _whole_number(value: object) -> int | None:
    if isinstance(value, str):
        value = value.strip()
        if not (value.isascii() and value.isdigit()):
            return None
        value = int(value) if len(value) <= DIGITS_OF_INT64 else None
    if isinstance(value, bool) or not isinstance(value, int) or value not in INT64:
        return None
    return value


def _read_unusual(line: bytes) -> tuple[EventFields, dict[str, bytes | msgspec.Raw], str | None]:
    """The way for lines with a prefix, other keys, other types, or another shape."""
    members, repaired = _members(line)
    extra: dict[str, bytes | msgspec.Raw] = {}
    fields = EventFields(
        event=members.pop("event" if "event" in members else "data", NOTHING),
        context=members.pop("context", NOTHING),
    )
    for key, raw in members.items():
        value = _loose(raw) if key in TEXTS else raw
        if key in TEXTS and isinstance(value, str | None):
            setattr(fields, key, value)
        else:
            extra[key] = raw
            if key == "time":
                fields.time = parse_time(value)
    if fields.time is None and "timestamp" in extra:
        fields.time = parse_time(_loose(extra["timestamp"]))
    if fields.event_type is None:
        _fill_captured(fields)
    return fields, extra, repaired


def _fill_captured(fields: EventFields) -> None:
    """An event as it was before it was logged keeps the common fields in its context."""
    fields.event_type = fields.name
    context = _loose(bytes(fields.context) or b"null")
    if isinstance(context, dict):
        for key in CAPTURED_IN_CONTEXT:
            value = context.get(key)
            if getattr(fields, key) is None and isinstance(value, str):
                setattr(fields, key, value)


def _members(line: bytes) -> tuple[dict[str, msgspec.Raw], str | None]:
    """The members of the one object on a line, and how the line had to be repaired."""
    text = line.strip()
    start = text.find(b"{")
    if start < 0:
        raise _no_object(text)
    repaired = "prefix" if start else None
    if start and _is_json(text):
        raise BadRecordError("not_object", "the line is JSON, but no object")
    text = text[start:]
    try:
        return _decode_members(text), repaired
    except (msgspec.DecodeError, RecursionError):
        mended = ESCAPE.sub(_without_lone_surrogate, text)
    try:
        return _decode_members(mended), "surrogate"
    except (msgspec.DecodeError, RecursionError) as error:
        raise _what_is_wrong(text) from error


def _without_lone_surrogate(escape: re.Match[bytes]) -> bytes:
    """Half a character is none: the one fault that leaves a JSON object readable."""
    return rb"\ufffd" if len(escape[0]) == LONE_SURROGATE else escape[0]


def _loose(raw: bytes | msgspec.Raw) -> Any:
    """Any JSON value; numbers that no machine can hold are infinite, and stop nobody."""
    try:
        return orjson.loads(bytes(raw))
    except orjson.JSONDecodeError:
        return json.loads(bytes(raw), parse_int=_integer)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= DIGITS_OF_INT64 else float(digits)


def _what_is_wrong(text: bytes) -> BadRecordError:
    """Ask a reader that says where a text stops to be JSON."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except BadRecordError as error:
        return error
    except RecursionError:
        return _too_deep()
    except ValueError as error:
        return _where_it_stops(text, error)
    return BadRecordError("not_json", "the line is no JSON that all readers agree on")


def _where_it_stops(text: bytes, error: ValueError) -> BadRecordError:
    message = str(error)
    if message.startswith("Extra data"):
        return BadRecordError("trailing_data", "there is something after the object")
    at = getattr(error, "pos", 0)
    if at >= len(text) - 1 or "Unterminated" in message:
        return BadRecordError("json_truncated", f"the object is cut off after {len(text):,} bytes")
    return BadRecordError("not_json", f"no JSON from column {at + 1:,} on")


def _no_object(text: bytes) -> BadRecordError:
    if _is_json(text):
        return BadRecordError("not_object", "the line is JSON, but no object")
    return BadRecordError("not_json", "there is no object on the line")


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise BadRecordError("non_finite", f"{name} is no JSON number")


def _check_utf8(line: bytes) -> None:
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise BadRecordError("bad_utf8", f"no UTF-8 at byte {error.start + 1:,}") from error


def _check_depth(line: bytes) -> None:
    depth = deepest = 0
    in_text = escaped = False
    for byte in line:
        if in_text:
            if escaped:
                escaped = False
            elif byte == ord("\\"):
                escaped = True
            elif byte == ord('"'):
                in_text = False
        elif byte == ord('"'):
            in_text = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    if deepest > DEEPEST_NESTING:
        raise _too_deep()


def _too_deep() -> BadRecordError:
    return BadRecordError("too_deep", f"nested more than {DEEPEST_NESTING} levels deep")


def _json_object(members: Mapping[str, Any]) -> str:
    parts = (
        f"{json.dumps(key, ensure_ascii=False)}:{bytes(raw).decode()}"
        for key, raw in members.items()
    )
    return "{" + ",".join(parts) + "}"
