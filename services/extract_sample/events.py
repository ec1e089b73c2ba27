"""The events of a sample, as tracking logs: one for each day of arrival."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from optimus.package.events import TEXTS
from optimus.package.files import GzipFile
from optimus.package.names import parse_name
from services.extract_sample.countries import representatives
from services.extract_sample.documents import Documents
from services.extract_sample.pseudonyms import Pseudonyms
from services.extract_sample.sample import Sample

COMPRESSION = 2
ROWS_AT_ONCE = 2_000
SITES = {"prod": "edx", "edge": "edge"}
KINDS = {
    "event_type": "code",
    "name": "code",
    "event_source": "code",
    "username": "username",
    "session": "opaque",
    "page": "path",
}
"""What is kept of the texts of an event without names, but for its time and country."""
# Who acted: by id, and by name where an event has no id.
EVENTS = """
CREATE TEMP TABLE sample_event AS
SELECT event.* EXCLUDE (payload), ip_country.country
FROM logs.clickstream AS event
LEFT JOIN logs.ip_country USING (ip)
WHERE event.site = $1 AND event.course_id = $2 AND event.course_id_source <> 'referer'
    AND (
        event.user_id IN (SELECT user_id FROM learner)
        OR event.user_id IS NULL AND event.username IN (SELECT username FROM learner)
    )
"""
COUNTRIES = "SELECT DISTINCT country FROM sample_event WHERE country <> ''"
SOURCES = "SELECT DISTINCT source FROM sample_event ORDER BY source"
EVENTS_OF_LOGS = (
    "SELECT * FROM sample_event WHERE source IN (SELECT unnest($1)) ORDER BY source, line"
)


def write_events(sample: Sample, folder: Path) -> None:
    """Write the logs of a sample."""
    folder.mkdir(parents=True)
    connection, run = sample.connection, sample.course.run
    connection.execute(EVENTS, [run.site, sample.course.course_id])
    addresses = _addresses(sample) if sample.pseudonyms else {}
    org = run.stem.partition("-")[0].lower()
    contents: set[bytes] = set()
    for day, sources in _logs(connection).items():
        name = "-".join([org, SITES[run.site], "events", *([str(day)] if day else [])])
        lines = _lines(sample, sources, addresses)
        contents.add(_write_log(folder / f"{name}.log.gz", lines, contents))


def event_line(event: Mapping[str, Any]) -> bytes:
    """The line of a log that is read as this row of ``logs.clickstream`` again."""
    members = _texts(event)
    for name in ("event", "context"):
        if event[name] is not None:
            members[name] = msgspec.Raw(event[name].encode())
    extra = event["extra"] or "{}"
    return msgspec.json.encode(members | msgspec.json.decode(extra, type=dict[str, msgspec.Raw]))


def pseudonymous_line(
    event: Mapping[str, Any], pseudonyms: Pseudonyms, addresses: Mapping[str, str]
) -> bytes:
    """The line of an event without what could name somebody.

    Args:
        event: the row, and the country of its address.
        pseudonyms: what takes the place of names.
        addresses: an address for each country.
    """
    documents = Documents(pseudonyms)
    members = _texts({name: pseudonyms.of(kind, event[name]) for name, kind in KINDS.items()})
    members |= _texts({"time": event["time"], "ip": addresses.get(event["country"])})
    if (event["event_type"] or "").startswith("/"):
        members["event_type"] = pseudonyms.of("path", event["event_type"])
    payload = documents.clean_text(event["event"] or "")
    if payload is not None:
        members["event"] = msgspec.Raw(payload.encode())
    context = documents.clean_object(event["context"] or "")
    user = {"user_id": pseudonyms.of("user", event["user_id"])}
    members["context"] = context | user | {"course_id": event["course_id"]}
    return msgspec.json.encode(members)


def _texts(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in TEXTS if event.get(name) is not None} | (
        {"time": event["time"].isoformat()} if event.get("time") else {}
    )


def _logs(connection: duckdb.DuckDBPyConnection) -> dict[date | None, list[str]]:
    """The sources of the events, by the day in their names."""
    logs: dict[date | None, list[str]] = {}
    for (source,) in connection.execute(SOURCES).fetchall():
        # A name that is in several data folders ends in "@…".
        base = source.rpartition("/")[2]
        name = parse_name(base) or parse_name(base.rpartition("@")[0])
        logs.setdefault(name.day if name else None, []).append(source)
    return logs


def _lines(sample: Sample, sources: list[str], addresses: Mapping[str, str]) -> Iterator[bytes]:
    rows = sample.connection.sql(EVENTS_OF_LOGS, params=[sources])
    for batch in rows.to_arrow_reader(ROWS_AT_ONCE):
        for event in batch.to_pylist():
            if sample.pseudonyms:
                yield pseudonymous_line(event, sample.pseudonyms, addresses)
            else:
                yield event_line(event)
        sample.run.counts["events"] += batch.num_rows
        sample.run.tick(rows=batch.num_rows)


def _write_log(path: Path, lines: Iterator[bytes], contents: set[bytes]) -> bytes:
    """Write a log.

    Args:
        path: where.
        lines: what is in it.
        contents: hashes of the other logs. Of two logs with the same content only one would
            count; a blank line more makes another content.

    Returns:
        The hash of what is in it.
    """
    content = hashlib.sha256()
    with path.open("wb") as file:
        # Without name and time in it, the same events always give the same bytes.
        packed = GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=file, mtime=0)
        for line in lines:
            packed.write(line + b"\n")
            content.update(line + b"\n")
        while content.digest() in contents:
            packed.write(b"\n")
            content.update(b"\n")
        packed.close()
    return content.digest()


def _addresses(sample: Sample) -> dict[str, str]:
    """An address for each country that the events are from."""
    wanted = {country for (country,) in sample.connection.execute(COUNTRIES).fetchall()}
    addresses = representatives(sample.run.options, wanted, sample.run.tick)
    if unknown := sorted(wanted - set(addresses)):
        sample.note(
            f"no address database knows an address of {', '.join(unknown)}: the events from there "
            "have none, and final_cc_cname lacks it. Name one in GEOIP_COUNTRY_DB."
        )
    return addresses
