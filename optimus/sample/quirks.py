"""Awkward and broken log lines, each of a kind that was met in real packages.

A broken line must be set aside by a correct reader; an odd one must be kept.
"""

from dataclasses import dataclass

from optimus.sample.courses import ORGANISATION
from optimus.sample.visit import Day

TOO_DEEP = 200
LONG_TEXT = "<p>A long page.</p>" * 6_000
LINE_END = b"\n"

# The prefixes of a system log, and of a server's own log.
SYSLOG_PREFIX = b"Feb  3 04:05:06 web7 "
LOGGER_PREFIX = b"2016-02-03 04:05:06,789 INFO 11 [tracking] [user 5] [ip 10.0.2.2] logger.py:41 - "

BROKEN_BYTES: tuple[bytes, ...] = (
    b"this line was written by something else",
    b'{"username": "", "event_type": "speed", "event_source": "browser", "event": {"new": NaN}}',
    b'{"username": "", "event_type": "speed", "event_source": "server", "event": [-Infinity]}',
    b'{"username": "caf\xe9 \xff\xfe", "event_type": "page_close", "event_source": "browser"}',
    b"[1, 2, 3]",
    b'"just a text"',
    b'{"username": "", "event_type": "/", "event_source": "server",}',
    b"{'username': '', 'event_type': '/', 'event_source': 'server'}",
    b'{"name": "x", "context": "course_id": "", "org_id": ""}, "event_source": "server"}',
    b'{"username": "", "event": ' + b"[" * TOO_DEEP + b"]" * TOO_DEEP + b"}",
)

ODD_TIMES = (
    '"0300-01-01T00:00:00+00:00"',
    '"not a time"',
    '""',
    "null",
    '"2016-02-31T10:00:00+00:00"',
    "1454494808",
)
ODD_EVENTS = (
    '{"note": "lone \\ud83d half"}',
    '{"count": 123456789012345678901234567890}',
    '{"a.b": 1, "$set": {"x.y": 2}, "": 3, "tab\\tkey": 4}',
    '"{\\"cut\\": [\\"of"',
    '"\\"{\\\\\\"id\\\\\\": 7}\\""',
    '["input_x=1", "<p></p>"]',
    "null",
    "17",
    '{"nul": "a\\u0000b"}',
    '{"twice": 1, "twice": 2}',
    '{"html": "' + LONG_TEXT + '"}',
)


@dataclass(frozen=True, slots=True)
class Spoiled:
    """Some lines as they go to the file.

    Attributes:
        data: the bytes.
        lines: number of lines that are not blank.
        broken: number of those that no correct reader may keep.
    """

    data: bytes
    lines: int
    broken: int


def spoil(lines: list[str], day: Day, days: int, course_id: str) -> Spoiled:
    """Spoil the first visit of a day; the kinds are dealt out over all days.

    Three broken lines are made from a good one: cut in the middle, without its last brace,
    and twice on one line.

    Args:
        lines: what the visit wrote.
        day: the day of the file.
        days: number of days in the package.
        course_id: a course that odd lines may name.
    """
    good = [line.encode() for line in lines]
    broken = _dealt(_broken(good[0].rstrip(LINE_END)), day, days)
    odd = _dealt([line.encode() for line in _odd(day, course_id)], day, days)
    good.reverse()
    good.append(good[-1])
    good[0] = (LOGGER_PREFIX if day.number % 2 else SYSLOG_PREFIX) + good[0]
    middle = len(good) // 2 - 1
    good[middle] = good[middle].replace(LINE_END, b"\r\n")
    blanks = [b"", b"   ", b"\r"] if day.number == 0 else []
    everything = [*good, *(line + LINE_END for line in (*blanks, *odd, *broken))]
    return Spoiled(b"".join(everything), len(good) + len(odd) + len(broken), len(broken))


def last_line(day: Day) -> bytes:
    """The end of a file that was closed before its last line end was written."""
    return f'{{"username": "nobody", "time": "{day.text}T23:59:59Z"}}'.encode()


def _dealt(lines: list[bytes], day: Day, days: int) -> list[bytes]:
    return lines[day.number :: days]


def _broken(good: bytes) -> list[bytes]:
    return [*BROKEN_BYTES, good[: len(good) // 2], good[:-1], good + b" " + good]


def _odd(day: Day, course_id: str) -> list[str]:
    """Odd lines that are events of nobody, so that they contradict no table."""
    head = '{"username": "", "event_type": "odd", "event_source": "server", '
    context = (
        f'"context": {{"user_id": null, "org_id": "{ORGANISATION}", '
        f'"course_id": "{course_id}", "path": "/odd"}}'
    )
    time = f'"time": "{day.text}T12:00:00.5Z"'
    noon = f'"timestamp": "{day.text}T12:00:00.123Z"'
    lines = [f'{head}{context}, "event": {{}}, "time": {odd}}}' for odd in ODD_TIMES]
    lines += [f'{head}{context}, "event": {odd}, {time}}}' for odd in ODD_EVENTS]
    # Nothing but a name, the form inside the server, another program's, and a database's export.
    lines += [f'{{"username": "nobody", {time}}}']
    lines += [
        f'{{"name": "odd", {noon}, "data": {{}}, "context": {{"course_id": "{course_id}\\n"}}}}'
    ]
    lines += [
        f'{{"type": "track", "event": "Loaded Video", {noon}, "properties": {{"Google Ads": 0}}}}'
    ]
    oid = '"_id": {"$oid": "56b1d0a0e4b0c3f1a2000001"}'
    lines += [f'{{{oid}, "time": {{"$date": {day.midnight}000}}, "label": 5, "nonInteraction": 1}}']
    return lines
