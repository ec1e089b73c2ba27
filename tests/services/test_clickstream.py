"""What is promised about tracking logs, one promise per test."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clickstream.service import Seen
from tests.services.deliveries import COURSE, Deliveries

LOG = "demox-edx-events-2014-03-04.log"
EVENT: dict[str, Any] = {
    "event_type": "play_video",
    "username": "ada",
    "time": "2014-03-04T05:06:07.890123+00:00",
    "ip": "192.0.2.7",
    "context": {"user_id": 7, "course_id": COURSE, "org_id": "DemoX"},
    "event": {"id": "v"},
}


@pytest.fixture
def house(tmp_path: Path) -> Deliveries:
    return Deliveries(tmp_path, ["clickstream"])


def ingested(house: Deliveries, *lines: bytes | str | dict[str, Any]) -> None:
    texts = [line if isinstance(line, bytes | str) else json.dumps(line) for line in lines]
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    (house.latest_logs / LOG).write_bytes(b"".join(line + b"\n" for line in raw))
    house.ingest()


def asked(house: Deliveries, columns: str) -> list[tuple[Any, ...]]:
    return house.query(f"SELECT {columns} FROM logs.clickstream ORDER BY source, line")


def counts(house: Deliveries, *names: str) -> tuple[int, ...]:
    found = house.only("clickstream").counts
    return tuple(found.get(name, 0) for name in names)


# --- rows -------------------------------------------------------------------------------------


def test_an_event_is_a_typed_row(house):
    ingested(house, EVENT)
    moment = datetime(2014, 3, 4, 5, 6, 7, 890123, UTC)
    columns = "source, line, site, time, event_type, user_id, course_id, course_id_source, org, ip"
    assert asked(house, columns) == [
        (LOG, 1, "prod", moment, "play_video", 7, COURSE, "context", "DemoX", "192.0.2.7")
    ]


def test_payload_and_context_are_kept_to_the_letter(house):
    ingested(house, '{"event": {"b" : 1.50, "a":1e2},"context":{ "x":"\\u00e9"}}')
    assert asked(house, "event, context") == [('{"b" : 1.50, "a":1e2}', '{ "x":"\\u00e9"}')]


def test_a_payload_in_a_text_is_unpacked_beside_what_was_delivered(house):
    ingested(house, {"event": '{"id": "v"}'}, {"event": "input_1=a"}, {"event": {"id": "w"}})
    assert asked(house, "payload ->> 'id'") == [("v",), (None,), ("w",)]
    assert asked(house, "event")[0] == ('"{\\"id\\": \\"v\\"}"',)


def test_a_log_of_edge_is_of_another_site(house):
    house.log("demox-edge-events-2014-03-04.log", EVENT)
    house.ingest()
    assert asked(house, "site") == [("edge",)]


def test_rows_lie_in_the_month_of_the_logs_name_and_without_a_date_in_year_0(house):
    house.log(LOG, EVENT)
    house.log("tracking.log", EVENT | {"session": "other"})
    house.ingest()
    lake = house.settings.lake_path
    found = sorted(str(path.relative_to(lake).parent) for path in lake.rglob("*.parquet"))
    assert found == ["clickstream/year=0000/month=00", "clickstream/year=2014/month=03"]


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2014-03-04 05:06:07", datetime(2014, 3, 4, 5, 6, 7, tzinfo=UTC)),
        ("0300-01-01T00:00:00+00:00", datetime(300, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59+00:00", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
    ],
)
def test_an_unusual_time_spoils_neither_its_row_nor_its_neighbours(house, written, moment):
    ingested(house, EVENT, EVENT | {"time": written})
    [usual, unusual] = asked(house, "time")
    assert usual == (datetime(2014, 3, 4, 5, 6, 7, 890123, UTC),)
    assert unusual == (moment,)


def test_the_courses_of_a_log_are_what_it_touches(house):
    ingested(house, EVENT, EVENT, {"event_type": "a"})
    [run] = house.runs("clickstream")
    assert run.touches == [f"events:prod:{COURSE}"]


# --- repeats ----------------------------------------------------------------------------------


def test_two_equal_lines_are_two_events_and_the_second_is_marked(house):
    ingested(house, EVENT, EVENT, EVENT | {"username": "bob"})
    assert asked(house, "line, repeat") == [(1, False), (2, True), (3, False)]
    assert counts(house, "rows", "repeats") == (3, 1)


def test_a_repeat_is_found_however_far_back_its_first_line_is(house, monkeypatch):
    monkeypatch.setattr("optimus.package.files.CHUNK_BYTES", 256)
    monkeypatch.setattr("services.clickstream.service.ROWS_PER_BATCH", 2)
    ingested(house, EVENT, *(EVENT | {"session": f"{number}"} for number in range(50)), EVENT)
    assert [line for line, repeat in asked(house, "line, repeat") if repeat] == [52]


@given(batches=st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=8), max_size=8))
def test_what_was_seen_before_is_known_in_any_order_and_number(batches):
    seen, known = Seen(), set()
    for batch in batches:
        expected = []
        for number in batch:
            expected.append(number in known)
            known.add(number)
        assert seen.add(np.array(batch, dtype=np.int64)).tolist() == expected


# --- bad input --------------------------------------------------------------------------------

BAD_LINES = [
    pytest.param(b'{"a": {"b": ', "json_truncated", id="cut"),
    pytest.param(b"[1]", "not_object", id="a list"),
    pytest.param(b"# comment", "not_json", id="a comment"),
    pytest.param(b'{"a": 1} {"b": 2}', "trailing_data", id="two objects"),
    pytest.param(b'{"a": NaN}', "non_finite", id="NaN"),
    pytest.param(b'{"a": "\xff"}', "bad_utf8", id="invalid UTF-8"),
    pytest.param(b"\0\0\0", "not_json", id="NUL bytes"),
    pytest.param(b'{"a": "\0"}', "not_json", id="a NUL byte in a text"),
    pytest.param(b'{"a":' * 100 + b"1" + b"}" * 100, "too_deep", id="too deep"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_a_bad_line_is_set_aside_with_its_place_and_its_bytes_and_the_rest_is_kept(
    house, line, reason
):
    ingested(house, EVENT, line, EVENT)
    [reject] = house.rejects("clickstream")
    assert (reject.line, reject.reason, reject.raw) == (2, reason, line)
    assert reject.offset == len(json.dumps(EVENT)) + 1
    assert asked(house, "line") == [(1,), (3,)]
    assert counts(house, "lines", "rows", "rejects") == (3, 2, 1)


def test_a_line_of_20_mb_is_set_aside_with_its_beginning(house):
    ingested(house, EVENT, b'{"event": "' + b"x" * (20 << 20) + b'"}', EVENT)
    [reject] = house.rejects("clickstream")
    assert reject.reason == "line_too_long"
    assert 0 < len(reject.raw) <= 1 << 20
    assert asked(house, "line") == [(1,), (3,)]


def test_a_line_of_7_mb_is_kept(house):
    ingested(house, {"event": "x" * (7 << 20)})
    assert asked(house, "length(event)") == [((7 << 20) + 2,)]


@pytest.mark.timeout(20)
def test_very_many_short_lines_that_are_no_events_hold_nobody_up(tmp_path):
    house = Deliveries(tmp_path, ["clickstream"], max_reject_share=1.0)
    ingested(house, *["x"] * 100_000)
    rejects = house.rejects("clickstream")
    assert [reject.offset for reject in rejects[-2:]] == [2 * 99_998, 2 * 99_999]


def test_numbers_beyond_64_bits_keep_their_digits(house):
    ingested(house, b'{"event": {"n": %s}, "odd": %s}' % (b"1" * 30, b"2" * 30))
    assert asked(house, "event ->> 'n', extra ->> 'odd'") == [("1" * 30, "2" * 30)]


def test_one_line_with_a_number_no_machine_can_hold_does_not_fail_its_file(house):
    ingested(house, EVENT, b'{"time": 1e400}', b'{"context": {"user_id": 1e400}}', EVENT)
    assert house.only("clickstream").state == "done"
    assert {line for (line,) in asked(house, "line")} >= {1, 4}


def test_a_nul_escape_in_a_text_is_kept(house):
    ingested(house, '{"username": "a\\u0000b"}')
    assert asked(house, "username") == [("a\0b",)]


def test_a_byte_order_mark_carriage_returns_and_blank_lines_do_no_harm(house):
    line = json.dumps(EVENT).encode()
    ingested(house, b"\xef\xbb\xbf" + line + b"\r", b"", b"   ", line + b"\r")
    assert asked(house, "line") == [(1,), (4,)]
    assert counts(house, "lines", "rows", "blank", "rejects", "repaired") == (2, 2, 2, 0, 0)


def test_a_repaired_line_is_kept_and_counted(house):
    ingested(house, b'Mar  3 04:05:06 web7 {"event_type": "a"}', b'{"event_type": "\\ud83d"}')
    assert asked(house, "event_type") == [("a",), ("\ufffd",)]
    assert counts(house, "rows", "repaired") == (2, 2)


def test_an_empty_log_is_done_and_remarked(house):
    ingested(house)
    assert house.only("clickstream").state == "done"
    assert house.notes("clickstream") == ["The log holds no line."]
    assert asked(house, "line") == []


def test_a_hostile_user_name_is_a_user_name(house):
    names = ["'; DROP TABLE x; --", "<script>", "=1+1", "../../x", "\u202e", "🐝" * 1000]
    ingested(house, *({"username": name} for name in names))
    assert asked(house, "username") == [(name,) for name in names]
