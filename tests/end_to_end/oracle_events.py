"""The events of tracking logs: which lines are events, and whose, when, where and in which course.

Everything here follows section 5 of the text about the package, line by line.
"""

import ipaddress
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, NoReturn
from urllib.parse import unquote

import maxminddb

from tests.end_to_end.oracle_files import Log

LONGEST_LINE = 8 * 1024 * 1024
DEEPEST = 64
FIRST_DAY = date(2011, 1, 1)
DAYS_AHEAD = 2
MILLISECONDS_FROM = 100_000_000_000
BLOCK_KEYS = ("id", "problem_id", "module_id", "usage_key", "block_id", "component_usage_id")

PART = r"[^\W]|[-.~:]"
NAME = rf"(?:{PART})+"
NEW_ID = re.compile(rf"course-v1:{NAME}\+{NAME}\+{NAME}")
COACH_ID = re.compile(rf"ccx-v1:{NAME}\+{NAME}\+{NAME}\+ccx@\d+")
OLD_ID = re.compile(rf"{NAME}/{NAME}/{NAME}")
NEW_BLOCK = re.compile(rf"block-v1:({NAME}\+{NAME}\+{NAME})\+type@.+")
COACH_BLOCK = re.compile(rf"ccx-block-v1:({NAME}\+{NAME}\+{NAME}\+ccx@\d+)\+type@.+")
NEW_IN_URL = re.compile(r"/courses?/((?:course|ccx)-v1:[^/?#&\"'\s]+)")
OLD_IN_URL = re.compile(r"/courses/([^/?#&\"'\s]+/[^/?#&\"'\s]+/[^/?#&\"'\s]+)")
VERSION = re.compile(r"v\d+/.*")
MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d*)?)?\s*(Z|[+-]\d\d:?\d\d)?"
)

Json = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """What person_course needs of one event."""

    site: str
    user: int | None
    course: str | None
    day: date | None
    country: str | None


class Countries:
    """The country of an address, looked up once per address."""

    def __init__(self, database: maxminddb.Reader) -> None:
        self._database = database
        self._known: dict[str, str | None] = {}

    def of(self, addresses: object) -> str | None:
        if not isinstance(addresses, str):
            return None
        if addresses not in self._known:
            self._known[addresses] = self._look_up(addresses)
        return self._known[addresses]

    def _look_up(self, addresses: str) -> str | None:
        for text in addresses.split(","):
            try:
                address = ipaddress.ip_address(text.strip())
            except ValueError:
                continue
            if address.is_global:
                return self._country(str(address))
        return None

    def _country(self, address: str) -> str | None:
        record = self._database.get(address)
        country = record.get("country") if isinstance(record, dict) else None
        code = country.get("iso_code") if isinstance(country, dict) else None
        return code if isinstance(code, str) and code else None


def read_events(log: Log, countries: Countries) -> Iterator[Event]:
    """The events of a log."""
    for line in log.lines():
        body = read_line(line)
        if body is not None:
            context = body.get("context")
            context = context if isinstance(context, dict) else {}
            yield Event(
                site=log.site,
                user=user_of(context),
                course=course_of(body, context),
                day=day_of(body, context, log.day),
                country=countries.of(body.get("ip", context.get("ip"))),
            )


def ledger(log: Log) -> tuple[int, int]:
    """How many lines a log has that are not blank, and how many of them are no event."""
    lines = log.lines()
    return len(lines), sum(read_line(line) is None for line in lines)


def read_line(line: bytes) -> Json | None:
    """The one object of a line, or None when the line is to be set aside."""
    if len(line) > LONGEST_LINE or b"{" not in line:
        return None
    try:
        text = line.decode()
        value = json.loads(text[text.index("{") :], parse_constant=refuse, parse_int=whole)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and depth(value) <= DEEPEST else None


def refuse(token: str) -> NoReturn:
    raise ValueError(token)


def whole(digits: str) -> int | str:
    return int(digits) if len(digits) <= 20 else digits


def depth(value: object) -> int:
    inside = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(inside, list):
        return 0
    return 1 + max((depth(one) for one in inside), default=0)


def user_of(context: Json) -> int | None:
    value = context.get("user_id")
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def payload_of(body: Json) -> Json:
    """The payload when it is an object: as it is, or as JSON text, or that as JSON text again."""
    value = body.get("event", body.get("data"))
    for _ in range(2):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError):
                return {}
    return value if isinstance(value, dict) else {}


def course_of(body: Json, context: Json) -> str | None:
    """The first valid course id, looked for in the order of 5.9; the referer is left out."""
    payload = payload_of(body)
    event_type = body.get("event_type")
    found = [valid_id(context.get("course_id")), valid_id(payload.get("course_id"))]
    if isinstance(event_type, str) and event_type.startswith("/"):
        found.append(id_in_url(event_type))
    found += [id_in_url(body.get("page")), id_in_url(context.get("path"))]
    found += [id_of_block(payload.get(key)) for key in BLOCK_KEYS]
    return next((one for one in found if one is not None), None)


def decoded(value: object) -> list[str]:
    """A text as it is, and with percent signs decoded once and twice."""
    if not isinstance(value, str):
        return []
    text = value.strip()
    return [text, unquote(text).strip(), unquote(unquote(text)).strip()]


def valid_id(value: object) -> str | None:
    for text in decoded(value):
        for pattern in (NEW_ID, COACH_ID, OLD_ID):
            if pattern.fullmatch(text):
                return text
    return None


def id_in_url(value: object) -> str | None:
    for text in decoded(value):
        for pattern in (NEW_IN_URL, OLD_IN_URL):
            for found in pattern.findall(text):
                course = None if VERSION.fullmatch(found) else valid_id(found)
                if course is not None:
                    return course
    return None


def id_of_block(value: object) -> str | None:
    for text in decoded(value):
        new, coach = NEW_BLOCK.fullmatch(text), COACH_BLOCK.fullmatch(text)
        if new:
            return f"course-v1:{new[1]}"
        if coach:
            return f"ccx-v1:{coach[1]}"
    return None


def day_of(body: Json, context: Json, file_day: str | None) -> date | None:
    """The UTC date of an event; the server's clock repairs the device's."""
    told = read_day(body["time"] if "time" in body else body.get("timestamp"))
    if told is not None and is_plausible(told, file_day):
        return told
    received = read_day(context.get("received_at"))
    if received is not None and is_plausible(received, file_day):
        return received
    return told


def is_plausible(day: date, file_day: str | None) -> bool:
    if file_day is None:
        return day >= FIRST_DAY
    return FIRST_DAY <= day <= date.fromisoformat(file_day) + timedelta(days=DAYS_AHEAD)


def read_day(value: object) -> date | None:
    if isinstance(value, dict):
        value = value.get("$date")
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) >= MILLISECONDS_FROM else value
            return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).date()
        return read_text_day(value) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def read_text_day(text: str) -> date | None:
    found = MOMENT.fullmatch(text.strip())
    if not found:
        return None
    *numbers, zone = found.groups()
    year, month, day, hour, minute, second = (int(number or 0) for number in numbers)
    offset = timedelta()
    if zone and zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        offset = -offset if zone[0] == "-" else offset
    moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
    return moment.astimezone(UTC).date()
