"""The columns of the lake's events, and how they are made of read events."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import pyarrow as pa

from optimus.package.events import TEXTS, Event
from optimus.service import described_schema

TEXT_COLUMNS = tuple(name for name in TEXTS if name != "time")

EVENT_SCHEMA = described_schema(
    ("source", pa.string(), "Name of the log file, without folders' wrapping such as .gz."),
    ("line", pa.int64(), "Line number in that file, from 1."),
    ("site", pa.string(), "prod or edge: two installations that share no learner."),
    ("time", pa.timestamp("us", "UTC"), "When the event happened; null when unreadable."),
    ("event_type", pa.string(), "Event type, or the path of a page view."),
    ("name", pa.string(), "Name of newer events; null in older ones."),
    ("event_source", pa.string(), "server, browser or mobile."),
    ("username", pa.string(), "As delivered; blank when nobody was logged in."),
    ("user_id", pa.int64(), "context.user_id as a number: who acted."),
    ("course_id", pa.string(), "The course run, wherever the event names it."),
    (
        "course_id_source",
        pa.string(),
        "Where it was named: context, event, event_type, page, path, block, referer (weak).",
    ),
    ("org", pa.string(), "context.org_id, else the organisation of course_id."),
    ("session", pa.string(), "Session id, 32 hex digits."),
    ("ip", pa.string(), "As delivered; may be a list of forwarded addresses."),
    ("host", pa.string(), "The server's name."),
    ("agent", pa.string(), "The browser's User-Agent."),
    ("page", pa.string(), "URL of the page of a browser event."),
    ("referer", pa.string(), "URL of the page before."),
    ("accept_language", pa.string(), "The browser's languages."),
    ("event", pa.string(), "The payload: JSON text exactly as delivered."),
    ("context", pa.string(), "The context: JSON text exactly as delivered."),
    ("extra", pa.string(), "JSON text of every other key, and of keys of an unusual type."),
    ("repeat", pa.bool_(), "An earlier line of the same file has the same bytes."),
)


def event_rows(
    source: str, site: str, lines: Sequence[int], events: Sequence[Event], repeats: "pa.Array[Any]"
) -> pa.RecordBatch:
    """Turn read events into rows.

    Args:
        source: the file they are from.
        site: its site.
        lines: their line numbers.
        events: the events.
        repeats: which of them repeat an earlier line.
    """
    fields = [event.fields for event in events]
    columns: dict[str, pa.Array[Any]] = {
        "source": pa.repeat(pa.scalar(source), len(events)),
        "site": pa.repeat(pa.scalar(site), len(events)),
        "line": pa.array(lines, pa.int64()),
        "time": _times([one.time for one in fields]),
        "event": _json([bytes(one.event) for one in fields]),
        "context": _json([bytes(one.context) for one in fields]),
        "repeat": repeats,
    }
    for name in TEXT_COLUMNS:
        columns[name] = pa.array(map(attrgetter(name), fields), pa.string(), size=len(fields))
    for name in ("extra", "user_id", "course_id", "course_id_source", "org"):
        kind = EVENT_SCHEMA.field(name).type
        columns[name] = pa.array(map(attrgetter(name), events), kind, size=len(events))
    return pa.record_batch([columns[name] for name in EVENT_SCHEMA.names], schema=EVENT_SCHEMA)


def _times(texts: list[str | None]) -> "pa.Array[Any]":
    try:
        return pa.array(texts, pa.string()).cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:  # years that Arrow's reader does not know
        moments = [None if text is None else datetime.fromisoformat(text) for text in texts]
        return pa.array(moments, pa.timestamp("us", "UTC"))


def _json(texts: list[bytes]) -> "pa.Array[Any]":
    return pa.array([text or None for text in texts], pa.string())
