"""What is promised about reading one line of a tracking log."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from optimus.errors import BadRecordError
from optimus.package.events import (
    DEEPEST_NESTING,
    TEXTS,
    Event,
    read_event,
)

TIME = "2014-03-04T05:06:07.890123+00:00"
COURSE = "course-v1:DemoX+Bees101+2016_T1"


def read(**members: Any) -> Event:
    return read_event(json.dumps(members).encode())


def extra_of(event: Event) -> Any:
    return None if event.extra is None else json.loads(event.extra)


def reason(line: bytes) -> str:
    with pytest.raises(BadRecordError) as caught:
        read_event(line)
    return caught.value.reason


# --- line forms -------------------------------------------------------------------------------


def test_an_ordinary_event_fills_the_columns_and_leaves_nothing_over():
    event = read(event_type="play_video", username="u", time=TIME, event={}, context={})
    assert (event.fields.event_type, event.fields.username) == ("play_video", "u")
    assert (event.extra, event.repaired) == (None, None)


@pytest.mark.parametrize(
    "prefix",
    [
        b"Mar  3 04:05:06 web7 ",
        b"2021-02-03 04:05:06,789 INFO 11 [tracking] [user 6] [ip 172.18.0.1] file.py:12 - ",
        b"\x00\x00\x00",
    ],
)
def test_what_stands_before_the_object_is_cut_off_and_counted(prefix):
    event = read_event(prefix + b'{"event_type": "a"}')
    assert (event.fields.event_type, event.repaired) == ("a", "prefix")


@pytest.mark.parametrize("line", [b' {"event_type": "a"} ', b'{"event_type": "a"}\r'])
def test_white_space_around_the_object_is_no_repair(line):
    event = read_event(line)
    assert (event.fields.event_type, event.repaired) == ("a", None)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(b'{"a": {"b": 1', "json_truncated", id="cut in an object"),
        pytest.param(b'{"a": "bcd', "json_truncated", id="cut in a text"),
        pytest.param(b'{"a": 1} {"b": 2}', "trailing_data", id="two objects"),
        pytest.param(b'{"a": 1} x', "trailing_data", id="an object and more"),
        pytest.param(b"[]", "not_object", id="a list"),
        pytest.param(b'[{"a": 1}]', "not_object", id="a list of objects"),
        pytest.param(b"5", "not_object", id="a number"),
        pytest.param(b"null", "not_object", id="null"),
        pytest.param(b'"{}"', "not_object", id="an object in a text"),
        pytest.param(b"# a comment", "not_json", id="a comment"),
        pytest.param(b"{'a': 1}", "not_json", id="Python's spelling"),
        pytest.param(b'{"context": "course_id": 1}', "not_json", id="a broken context"),
        pytest.param(bytes(20), "not_json", id="NUL bytes"),
        pytest.param(b'{"a": NaN}', "non_finite", id="NaN"),
        pytest.param(b'{"event": {"a": -Infinity}}', "non_finite", id="Infinity"),
        pytest.param(b'{"a": "\xff"}', "bad_utf8", id="bad UTF-8"),
        pytest.param('{"a": 1}'.encode("utf-16"), "bad_utf8", id="UTF-16"),
        pytest.param(b'{"a": ' + b"[" * 100_000, "too_deep", id="nested for ever"),
    ],
)
def test_a_line_that_is_not_one_object_is_a_reject_with_its_reason(line, expected):
    assert reason(line) == expected


@pytest.mark.parametrize("length", [2043, 10_000])
def test_a_line_cut_where_the_platform_cuts_is_told_from_other_faults(length):
    whole = json.dumps({"event_type": "a", "event": {"html": "x" * 20_000}}).encode()
    assert reason(whole[:length]) == "json_truncated"


def test_a_reason_never_quotes_the_line():
    with pytest.raises(BadRecordError) as caught:
        read_event(b'{"username": "learner", "email": learner@example.org}')
    assert "learner" not in str(caught.value)


def nested(depth: int) -> bytes:
    return b'{"event":' * depth + b"1" + b"}" * depth


def test_nesting_is_kept_up_to_its_limit_and_no_further():
    assert read_event(nested(DEEPEST_NESTING)).repaired is None
    assert reason(nested(DEEPEST_NESTING + 1)) == "too_deep"


def test_braces_in_a_text_are_no_nesting():
    line = json.dumps({"event": "{[" * 500 + '\\"'}).encode()
    assert json.loads(bytes(read_event(line).fields.event)) == "{[" * 500 + '\\"'


@pytest.mark.parametrize("key", ["username", "event", "context", "odd"])
def test_a_lone_surrogate_becomes_a_replacement_character_and_the_line_is_kept(key):
    event = read_event(b'{"event_type": "a", "%s": "x\\ud83dy"}' % key.encode())
    found = {
        "username": event.fields.username,
        "event": json.loads(bytes(event.fields.event) or b"null"),
        "context": json.loads(bytes(event.fields.context) or b"null"),
        "odd": (extra_of(event) or {}).get("odd"),
    }
    assert (found[key], event.repaired) == ("x\ufffdy", "surrogate")


def test_a_pair_of_surrogates_is_one_character_and_no_repair():
    event = read_event(b'{"username": "\\ud83d\\ude42"}')
    assert (event.fields.username, event.repaired) == ("\U0001f642", None)


def test_of_two_members_with_one_name_the_last_wins():
    assert read_event(b'{"username": "a", "username": "b"}').fields.username == "b"


# --- nothing is lost --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [
        {"a": {"b": [1, 2.5, None, True]}},
        '{"id": "x", "currentTime": 243}',
        "input_i4x-DemoX-1_2_1=choice_0&input_2%5B%5D=a",
        ["input_1=3.14", "<html>"],
        "",
        None,
        5,
        {},
    ],
)
def test_a_payload_of_any_form_is_kept(payload):
    assert json.loads(bytes(read(event_type="a", event=payload).fields.event)) == payload


def test_the_text_of_payload_and_context_is_kept_to_the_letter():
    payload, context = b'{"b" : 1.50, "a":1e2, "b":2}', b'{ "x":"\\u00e9\\/"}'
    event = read_event(b'{"event": %s, "context": %s}' % (payload, context))
    assert (bytes(event.fields.event), bytes(event.fields.context)) == (payload, context)


@pytest.mark.parametrize("digits", ["9223372036854775808", "1" * 30, "-" + "9" * 5000, "1e999"])
@pytest.mark.parametrize("key", ["event", "context", "odd"])
def test_a_number_beyond_64_bits_keeps_its_digits(key, digits):
    event = read_event(b'{"event_type": "a", "%s": {"n": %s}}' % (key.encode(), digits.encode()))
    columns = bytes(event.fields.event) + bytes(event.fields.context) + (event.extra or "").encode()
    assert digits.encode() in columns


def test_other_keys_are_kept_in_extra():
    event = read(event_type="a", label="x", nonInteraction=1, roles=["a", {"b": None}])
    assert extra_of(event) == {"label": "x", "nonInteraction": 1, "roles": ["a", {"b": None}]}


@pytest.mark.parametrize("value", [5, 1.5, True, ["a"], {"a": 1}])
@pytest.mark.parametrize("key", [key for key in TEXTS if key != "time"])
def test_a_known_key_of_another_type_is_kept_in_extra(key, value):
    event = read(**{key: value})
    assert getattr(event.fields, key) is None
    assert extra_of(event) == {key: value}


@pytest.mark.parametrize(
    "value", ["1e400", "1" * 5000, "-1e999", '{"$date": 1e400}', '{"$date": %s}' % ("1" * 400)]
)
@pytest.mark.parametrize("key", ["username", "time", "timestamp", "session"])
def test_a_number_no_machine_can_hold_is_kept_in_extra(key, value):
    event = read_event(f'{{"{key}": {value}}}'.encode())
    assert event.extra == f'{{"{key}":{value}}}'


@pytest.mark.parametrize("number", ["1e400", "1" * 5000])
def test_a_user_id_no_machine_can_hold_is_no_user_and_stops_nobody(number):
    event = read_event(b'{"context": {"user_id": %s, "org_id": "DemoX"}}' % number.encode())
    assert (event.user_id, event.org) == (None, "DemoX")


def test_a_lone_surrogate_beside_a_number_no_machine_can_hold_stops_nobody():
    try:
        event = read_event(b'{"username": "\\ud800", "odd": 1e400}')
    except BadRecordError:
        return
    assert event.fields.username == "\ufffd"


KEYS = st.one_of(
    st.sampled_from([*TEXTS, "event", "data", "context", "timestamp", "_id"]), st.text()
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.sampled_from([TIME, COURSE, "12", "", "{}"]),
)


def containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.lists(children, max_size=4), st.dictionaries(KEYS, children, max_size=4))


VALUES = st.recursive(SCALARS, containers, max_leaves=12)


@given(members=st.dictionaries(KEYS, VALUES, max_size=8), ascii_only=st.booleans())
@example(members={"event": {}, "data": {}}, ascii_only=True)
@example(members={"time": 5, "timestamp": TIME}, ascii_only=True)
def test_every_member_of_any_object_is_found_again(members, ascii_only):
    event = read_event(json.dumps(members, ensure_ascii=ascii_only).encode())
    extra = extra_of(event) or {}
    payload_key = "event" if "event" in members else "data"
    for key, value in members.items():
        if key == payload_key:
            assert json.loads(bytes(event.fields.event)) == value
        elif key == "context":
            assert json.loads(bytes(event.fields.context)) == value
        elif key in extra:
            assert extra[key] == value
        else:
            assert key in TEXTS
            assert getattr(event.fields, key) == value


FRAGMENTS = (
    b'{ } [ ] : , " \\ \\ud800 NaN 1e400 - 0 null "event": "context": {"user_id": "time": \xff'
)
TOKENS = st.sampled_from([*FRAGMENTS.split(), b" ", b"1" * 25])


@given(line=st.one_of(st.binary(), st.lists(TOKENS, max_size=30).map(b"".join)))
@example(line=b'{"context": 5}')
@example(line=b'{"context": {"user_id": 1e400}}')
@example(line=b'{"a": "\\ud800", "b": 1e400}')
def test_any_bytes_are_an_event_or_a_reject(line):
    try:
        event = read_event(line)
    except BadRecordError:
        return
    assert isinstance(event, Event)
