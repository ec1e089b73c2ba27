"""What is promised about the time, the user, the course and the forms of an event."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optimus.package.events import INT64, Event, parse_time, read_event

TIME = "2014-03-04T05:06:07.890123+00:00"
COURSE = "course-v1:DemoX+Bees101+2016_T1"
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just(TIME)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.just("$date"), inner)),
    max_leaves=4,
)


def read(**members: Any) -> Event:
    return read_event(json.dumps(members).encode())


def extra_of(event: Event) -> Any:
    return None if event.extra is None else json.loads(event.extra)


# --- time -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "written", [TIME, "2014-03-04T05:06:07+00:00", "2014-03-04T05:06:07.000001+00:00"]
)
def test_a_time_as_edx_writes_it_stays_as_it_is(written):
    event = read(time=written)
    assert (event.fields.time, event.extra) == (written, None)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2014-03-04T05:06:07.890123Z", TIME),
        ("2014-03-04T05:06:07.890123", TIME),
        ("2014-03-04 05:06:07.890123+00:00", TIME),
        ("2014-03-04T05:06:07.890123+0000", TIME),
        ("2014-03-04T15:06:07.890123+10:00", TIME),
        (" 2014-03-04T05:06:07.890123+00:00\n", TIME),
        ("2014-03-04T05:06:07.89+00:00", "2014-03-04T05:06:07.890000+00:00"),
        (1393909567, "2014-03-04T05:06:07.000000+00:00"),
        (1393909567.5, "2014-03-04T05:06:07.500000+00:00"),
        ({"$date": 1393909567890}, "2014-03-04T05:06:07.890000+00:00"),
        ({"$date": "2014-03-04T05:06:07.890Z"}, "2014-03-04T05:06:07.890000+00:00"),
        ("0300-01-01T00:00:00Z", "0300-01-01T00:00:00.000000+00:00"),
    ],
)
def test_a_time_in_another_spelling_is_read_and_its_spelling_kept(written, moment):
    event = read(time=written)
    assert (event.fields.time, extra_of(event)) == (moment, {"time": written})


@pytest.mark.parametrize(
    "written",
    [
        "2014-W10-2T05:06:07+00:00",
        "2014-03-04T05:06:07,890123+00:00",
        "2014-03-04T05:06:07.000000+00:00",
    ],
)
def test_a_spelling_that_cannot_be_made_from_the_moment_is_kept(written):
    assert extra_of(read(time=written)) == {"time": written}


@pytest.mark.parametrize(
    "written", ["", "yesterday", "2014-02-30T00:00:00Z", "0000-00-00", True, [], {}, -5, 1e300]
)
def test_what_is_no_time_is_kept_and_the_time_is_unknown(written):
    event = read(time=written)
    assert (event.fields.time, extra_of(event)) == (None, {"time": written})


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:00:00-14:00"])
def test_a_time_outside_the_calendar_is_unknown(written):
    assert parse_time(written) is None


def test_a_line_without_a_time_has_none():
    assert read(event_type="a").fields.time is None


@given(value=ANYTHING)
@example(value={"$date": 10**400})
@example(value={"$date": float("inf")})
def test_any_value_is_a_moment_or_none(value):
    moment = parse_time(value)
    assert moment is None or moment.endswith("+00:00")


# --- who and where ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivered", "user_id"),
    [
        (7, 7),
        (0, 0),
        ("7", 7),
        (" 7\n", 7),
        ("0", 0),
        (INT64[-1], INT64[-1]),
        (INT64[-1] + 1, None),
        ("9" * 19, None),
        ("", None),
        (None, None),
        ("learner", None),
        ("٣", None),
        ("-7", None),
        (True, None),
        (7.0, None),
        ([7], None),
    ],
)
def test_a_user_id_is_a_whole_number_however_it_is_spelled(delivered, user_id):
    assert read(context={"user_id": delivered}).user_id == user_id


@pytest.mark.parametrize("context", [None, "", "text", 5, [], [{"user_id": 7}], {}])
def test_a_context_of_another_form_names_nobody_and_is_kept(context):
    event = read(context=context)
    assert (event.user_id, event.course_id) == (None, None)
    assert json.loads(bytes(event.fields.context)) == context


@pytest.mark.parametrize("odd", [5, None, [], {"a": 1}])
def test_an_odd_member_of_the_context_does_not_hide_the_others(odd):
    event = read(context={"user_id": 7, "org_id": odd, "path": odd, "course_id": COURSE})
    assert (event.user_id, event.course_id, event.org) == (7, COURSE, "DemoX")


@pytest.mark.parametrize(
    ("members", "source"),
    [
        ({"context": {"course_id": COURSE}}, "context"),
        ({"context": {"course_id": f"{COURSE}\n"}}, "context"),
        ({"event": {"course_id": COURSE}}, "event"),
        ({"event": json.dumps({"course_id": COURSE})}, "event"),
        ({"event_type": f"/courses/{COURSE}/info"}, "event_type"),
        ({"page": f"https://example.org/courses/{COURSE}/info"}, "page"),
        ({"context": {"course_id": "", "path": f"/courses/{COURSE}/info"}}, "path"),
        ({"event": {"id": "block-v1:DemoX+Bees101+2016_T1+type@video+block@v"}}, "block"),
        ({"referer": f"https://example.org/courses/{COURSE}/info"}, "referer"),
        ({"context": {"course_id": "DemoX/Bees101"}}, None),
    ],
)
def test_the_course_is_found_where_the_event_names_it(members, source):
    event = read(**members)
    assert (event.course_id, event.course_id_source) == (COURSE if source else None, source)


def test_the_organisation_is_the_contexts_before_the_courses():
    assert read(context={"org_id": "Other", "course_id": COURSE}).org == "Other"


# --- events before they were logged -----------------------------------------------------------

CAPTURED: dict[str, Any] = {
    "name": "edx.bookmark.added",
    "timestamp": "2015-04-14T10:12:13.123Z",
    "data": {"note_id": "n"},
    "context": {"event_source": "server", "username": "u", "session": "s", "ip": "::1", "page": 5},
}


def test_the_captured_form_is_the_same_event_under_its_usual_names():
    fields = read(**CAPTURED).fields
    assert fields.event_type == "edx.bookmark.added"
    assert fields.time == "2015-04-14T10:12:13.123000+00:00"
    assert json.loads(bytes(fields.event)) == {"note_id": "n"}
    assert (fields.event_source, fields.username, fields.ip) == ("server", "u", "::1")
    assert fields.page is None


def test_the_captured_form_loses_nothing():
    event = read(**CAPTURED)
    assert extra_of(event) == {"timestamp": CAPTURED["timestamp"]}
    assert json.loads(bytes(event.fields.context)) == CAPTURED["context"]


def test_data_beside_event_is_another_key():
    event = read(event_type="a", event={"e": 1}, data={"d": 1})
    assert json.loads(bytes(event.fields.event)) == {"e": 1}
    assert extra_of(event) == {"data": {"d": 1}}


def test_what_the_event_says_itself_wins_over_its_context():
    event = read(**CAPTURED, session="", agent=None)
    assert (event.fields.session, event.fields.agent) == ("", None)


def test_an_unknown_key_changes_nothing_but_extra():
    plain = {"name": "a", "event": {}, "context": {"ip": "::1", "event_source": "server"}}
    usual, unusual = read(**plain).fields, read(**plain, odd=1).fields
    assert (usual.event_type, usual.ip) == (unusual.event_type, unusual.ip)


def test_a_foreign_line_is_kept_whole():
    foreign = {"messageId": "m", "type": "track", "userId": 7, "properties": {"a": 1}}
    event = read(**foreign, event="Loaded Video", timestamp="2015-04-14T10:12:13.123Z")
    assert event.fields.time == "2015-04-14T10:12:13.123000+00:00"
    assert extra_of(event) == {**foreign, "timestamp": "2015-04-14T10:12:13.123Z"}
