"""Lines of tracking logs with one oddity each, and what must come of it.

Every case has a learner of its own, whose id is the number of the case: so each difference
names the case it comes from. What must come is written down here by hand.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

COURSE = "course-v1:RiverU+Odd.1+2016-T1"
OTHER = "course-v1:RiverU+Other+2016"
LOG_DAY = "2016-03-04"
NOON = f"{LOG_DAY}T12:00:00+00:00"
BLOCK = "block-v1:RiverU+Odd.1+2016-T1+type@problem+block@p1"
FIRST_USER = 1
TAKEN_AWAY = "(taken away)"
LONGEST = 8 * 1024 * 1024

Json = dict[str, Any]


@dataclass
class Case:
    """One oddity.

    Attributes:
        about: what is odd.
        change: what is other than in the plain event; ``TAKEN_AWAY`` removes a key.
        context: the same for its context.
        events: how many events of the learner must be found.
        day: the date of the last of them.
        countries: where they came from.
        shape: the line around ``EVENT``, which stands for the JSON text; ``USER`` stands
            for the learner's id.
        edge: whether the line is in the log of the edge site.
    """

    about: str
    change: Json = field(default_factory=dict)
    context: Json = field(default_factory=dict)
    events: int = 1
    day: str | None = LOG_DAY
    countries: str | None = None
    shape: bytes = b"EVENT"
    edge: bool = False

    def lines(self, user: int) -> bytes:
        context = merged({"user_id": user, "course_id": COURSE, "path": "/event"}, self.context)
        plain = {
            "username": "somebody",
            "event_type": "page_close",
            "event_source": "browser",
            "event": "{}",
            "ip": "",
            "time": NOON,
            "context": context,
            "page": None,
        }
        text = json.dumps(merged(plain, self.change)).encode()
        return self.shape.replace(b"EVENT", text).replace(b"USER", str(user).encode())


def merged(whole: Json, change: Json) -> Json:
    return {key: value for key, value in {**whole, **change}.items() if value != TAKEN_AWAY}


def none(about: str, change: Json | None = None, context: Json | None = None) -> Case:
    """A case that gives no event of the course."""
    return Case(about, change or {}, context or {}, events=0, day=None)


def line(about: str, shape: bytes, *, events: int = 1) -> Case:
    """A case of an odd line around a plain event."""
    return Case(about, shape=shape, events=events, day=LOG_DAY if events else None)


def times() -> Iterator[Case]:
    for about, time, day in (
        ("zone Z", f"{LOG_DAY}T12:00:00Z", LOG_DAY),
        ("a space for T", f"{LOG_DAY} 12:00:00.25+00:00", LOG_DAY),
        ("no zone", f"{LOG_DAY}T23:59:59.999999", LOG_DAY),
        ("the next day in UTC", f"{LOG_DAY}T22:30:00-05:00", "2016-03-05"),
        ("the day before in UTC, no colon", f"{LOG_DAY}T02:00:00+0530", "2016-03-03"),
        ("seconds since 1970", 1457085600, LOG_DAY),
        ("milliseconds in a wrapper", {"$date": 1457085600000}, LOG_DAY),
        ("recorded long before it arrived", "2016-02-20T10:00:00Z", "2016-02-20"),
        ("unreadable", "not a time", None),
        ("impossible", "2016-02-31T10:00:00Z", None),
        ("blank", "", None),
        ("null", None, None),
        ("implausibly early, nothing repairs it", "0300-01-01T00:00:00Z", "0300-01-01"),
        ("implausibly late, nothing repairs it", "2031-01-01T00:00:00Z", "2031-01-01"),
    ):
        yield Case(f"time: {about}", {"time": time}, day=day)
    for about, time, received, day in (
        ("1970 and seconds", "1970-01-01T00:00:05Z", 1457085600.125, LOG_DAY),
        ("1970 and milliseconds", "1970-01-01T00:00:05Z", 1457085600125, LOG_DAY),
        ("far future and ISO text", "2031-01-01T00:00:00Z", "2016-03-04T10:00:00.5+00:00", LOG_DAY),
        ("unreadable and ISO text", "soon", "2016-03-04T10:00:00Z", LOG_DAY),
        ("absent and ISO text", TAKEN_AWAY, "2016-03-04T10:00:00Z", LOG_DAY),
        ("1970 and far future", "1970-01-01T00:00:05Z", "2050-01-01T00:00:00Z", "1970-01-01"),
        ("good and far future", "2016-03-01T00:00:05Z", "2050-01-01T00:00:00Z", "2016-03-01"),
        ("good and good", "2016-03-01T00:00:05Z", "2016-03-04T00:00:00Z", "2016-03-01"),
    ):
        yield Case(f"received_at: {about}", {"time": time}, {"received_at": received}, day=day)


def users() -> Iterator[Case]:
    yield Case("user: text of digits", context={"user_id": "USER"})
    yield none("user: absent", context={"user_id": TAKEN_AWAY})
    yield none("user: null", context={"user_id": None})
    yield none("user: only in the payload", {"event": {"user_id": 3}}, {"user_id": ""})
    yield none("user: true is not 1", context={"user_id": True})
    yield none("user: no number", context={"user_id": "somebody"})
    yield none("context: a text", {"context": "course_id"})
    yield none("context: absent", {"context": TAKEN_AWAY})


def courses() -> Iterator[Case]:
    encoded = quote(COURSE, safe="")
    nowhere = {"course_id": ""}
    payload = {"course_id": COURSE}
    yield Case("course: object payload", {"event": payload}, nowhere)
    yield Case("course: payload as text", {"event": json.dumps(payload)}, nowhere)
    yield Case("course: payload twice as text", {"event": json.dumps(json.dumps(payload))}, nowhere)
    yield Case("course: path of the request", {"event_type": f"/courses/{COURSE}/info"}, nowhere)
    for about, page in (
        ("plain", f"https://x.example/courses/{COURSE}/courseware/a/b/"),
        ("encoded", f"https://x.example/courses/{encoded}/courseware/"),
        ("encoded twice", f"https://x.example/courses/{quote(encoded)}/info"),
        ("with a query", f"https://x.example/courses/{COURSE}?activate=1"),
        ("with a mark", f"https://x.example/courses/{COURSE}#top"),
        ("of the new front end", f"https://learning.example/learning/course/{COURSE}/home"),
    ):
        yield Case(f"course: page {about}", {"page": page}, nowhere)
    yield Case("course: context.path", context={**nowhere, "path": f"/courses/{COURSE}/xblock/x"})
    for key in ("id", "problem_id", "module_id", "usage_key", "block_id", "component_usage_id"):
        yield Case(f"course: block in {key}", {"event": {key: BLOCK}}, nowhere)
    yield Case("course: block in text", {"event": json.dumps({"id": f"\n{BLOCK}"})}, nowhere)
    yield Case("course: line end behind it", context={"course_id": f"{COURSE}\r\n"})
    yield Case("course: encoded", context={"course_id": encoded})
    yield Case("course: the context wins", {"event": {"course_id": OTHER}})
    page = f"https://x.example/courses/{COURSE}/info"
    yield Case("course: invalid, then a page", {"page": page}, {"course_id": "no course!"})
    yield Case("course: a number, then a page", {"page": page}, {"course_id": 17})


def no_courses() -> Iterator[Case]:
    nowhere = {"course_id": ""}
    page = f"https://x.example/courses/{OTHER}/info"
    yield none("no course: the referer is weak", {"referer": f"/courses/{COURSE}/info"}, nowhere)
    yield none("no course: an interface", {"event_type": "/api/courses/v1/blocks"}, nowhere)
    yield none("no course: two segments", {"event_type": "/courses/RiverU/Odd.1"}, nowhere)
    yield none("no course: i4x knows no run", {"event": {"id": "i4x://RiverU/Odd.1/a/b"}}, nowhere)
    yield none("no course: another case", context={"course_id": COURSE.replace("River", "RIVER")})
    yield none("no course: a longer run", context={"course_id": f"{COURSE}0"})
    yield none("no course: page before block", {"page": page, "event": {"id": BLOCK}}, nowhere)
    yield none("no course: only org_id", context={"course_id": None, "org_id": "RiverU"})
    yield Case("no course: at edge", events=0, day=None, edge=True)


def addresses() -> Iterator[Case]:
    for about, ip, countries in (
        ("home", "11.20.3.4", "AU"),
        ("a private one first", "10.0.0.4, 11.20.3.4", "AU"),
        ("a word first", "unknown, 21.40.3.4", "US"),
        ("the first public one", "11.20.3.4, 21.40.3.4", "AU"),
        ("the new kind", "2d00:5a3e:1::5", "NZ"),
        ("local", "127.0.0.1", None),
        ("local of the new kind", "::1", None),
        ("private", "192.168.1.20", None),
        ("nobody knows where", "7.44.3.4", None),
        ("no address", "localhost", None),
        ("null", None, None),
        ("a number", 17, None),
    ):
        yield Case(f"ip: {about}", {"ip": ip}, countries=countries)
    rest = f'"time": "{NOON}", "context": {{"user_id": USER, "course_id": "{COURSE}"}}}}'
    shape = "\n".join(
        f'{{"ip": "{address}", {rest}' for address in ("21.41.1.1", "11.21.1.1", "21.40.1.1")
    )
    about = "ip: of two countries, one twice"
    yield Case(about, events=3, countries="AU,US", shape=shape.encode())


def shapes() -> Iterator[Case]:
    inside = f'"time": "{NOON}", "context": {{"user_id": USER, "course_id": "{COURSE}"}}'.encode()
    deep = 64 - 1
    yield line("line: behind a system log's words", b"Mar  4 04:05:06 web7 EVENT")
    yield line("line: behind a byte order mark", b"\xef\xbb\xbfEVENT")
    yield line("line: ends like those of Windows", b"EVENT\r")
    yield line("line: twice in the file", b"EVENT\nEVENT", events=2)
    yield line("line: two objects", b"EVENT EVENT", events=0)
    yield line("line: words behind it", b"EVENT and so on", events=0)
    yield line("line: cut", b"{" + inside, events=0)
    yield line("line: a list of one", b"[EVENT]", events=0)
    yield line("line: NaN", b"{" + inside + b', "event": NaN}', events=0)
    yield line("line: minus infinity", b"{" + inside + b', "event": [-Infinity]}', events=0)
    yield line("line: bad UTF-8", b"{" + inside + b', "agent": "caf\xe9"}', events=0)
    yield line("line: half a pair", b"{" + inside + b', "agent": "\\ud83d"}')
    yield line("line: escaped NUL", b"{" + inside + b', "agent": "a\\u0000b"}')
    yield line("line: a raw TAB in a text", b"{" + inside + b', "agent": "a\tb"}', events=0)
    yield line("line: a huge number", b"{" + inside + b', "event": {"n": ' + b"9" * 60 + b"}}")
    yield line("line: a key twice", b'{"time": "x", "context": {"user_id": 0}, ' + inside + b"}")
    yield line("line: 64 deep", b"{" + inside + b', "event": ' + nested(deep) + b"}")
    yield line("line: 65 deep", b"{" + inside + b', "event": ' + nested(deep + 1) + b"}", events=0)
    head, tail = b"{" + inside + b', "agent": "', b'"}'
    yield line("line: nearly 8 MB", head + b"x" * (LONGEST - 1_000) + tail)
    yield line("line: over 8 MB", head + b"x" * LONGEST + tail, events=0)
    inner = f'"data": {{}}, "context": {{"user_id": USER, "course_id": "{COURSE}", '
    captured = f'{{"name": "x", "timestamp": "{NOON}", {inner}"ip": "11.20.3.4"}}}}'
    yield Case("line: as captured", shape=captured.encode(), countries="AU")
    block = f'"data": {{"id": "{BLOCK}"}}, "context": {{"user_id": USER}}'
    yield line("line: captured block", f'{{"name": "x", "timestamp": "{NOON}", {block}}}'.encode())


def nested(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def all_cases() -> dict[int, Case]:
    """Every case by the id of its learner."""
    made = (*times(), *users(), *courses(), *no_courses(), *addresses(), *shapes())
    return dict(enumerate(made, FIRST_USER))
