"""What is promised about the times of events, one promise per test."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.time_finder.event_log import EventLog
from tests.house import House

DAY = "2014-03-04"
LOG = f"demox-edx-events-{DAY}.log"
MOMENT = datetime(2014, 3, 4, 5, 6, 7, tzinfo=UTC)
GOOD = {"time": "2014-03-04T05:06:07+00:00"}
STOPPED_CLOCK = "1970-01-01T00:00:09.500000+00:00"


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, ["clickstream", "time_finder"])


def times(house: House) -> list[tuple[Any, ...]]:
    columns = "form, events, usable, implausible"
    return house.query(f"SELECT {columns} FROM logs.event_times ORDER BY form")


def repairs(house: House) -> list[tuple[Any, ...]]:
    return house.query("SELECT line, time, rule FROM logs.event_time_repairs ORDER BY line")


def counts(house: House) -> dict[str, int]:
    found = house.runs("time_finder")[-1].counts
    return {name: found.get(name, 0) for name in ("rows", "events", "usable", "repaired")}


# --- forms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "form"),
    [
        pytest.param(GOOD, "iso", id="as edX writes it"),
        pytest.param({"time": f"{DAY}T05:06:07.890123+00:00"}, "iso", id="with a fraction"),
        pytest.param({"time": f"{DAY}T05:06:07.890Z"}, "iso_other", id="Z"),
        pytest.param({"time": f"{DAY} 05:06:07"}, "iso_other", id="without a zone"),
        pytest.param({"time": f"{DAY}T15:06:07+10:00"}, "iso_other", id="another zone"),
        pytest.param({"time": 1393909567}, "epoch", id="seconds"),
        pytest.param({"time": 1393909567.25}, "epoch", id="seconds with a fraction"),
        pytest.param({"time": {"$date": 1393909567000}}, "date_object", id="a date object"),
        pytest.param({"timestamp": f"{DAY}T05:06:07.123Z"}, "timestamp_key", id="timestamp"),
        pytest.param(
            {**GOOD, "timestamp": f"{DAY}T05:09:09Z"}, "iso", id="a timestamp beside the time"
        ),
    ],
)
def test_a_readable_time_is_counted_under_its_form(
    house: House, line: dict[str, Any], form: str
) -> None:
    house.log(LOG, line)
    house.ingest()
    assert times(house) == [(form, 1, 1, 0)]


@pytest.mark.parametrize(
    ("line", "form"),
    [
        pytest.param({"ip": ""}, "missing", id="no time"),
        pytest.param({"time": None}, "missing", id="null"),
        pytest.param({"time": ""}, "missing", id="empty"),
        pytest.param({"timestamp": None}, "missing", id="a null timestamp"),
        pytest.param({"time": "yesterday"}, "unreadable", id="words"),
        pytest.param({"time": "2014-02-30T05:06:07+00:00"}, "unreadable", id="no such day"),
        pytest.param({"time": [2014, 3, 4]}, "unreadable", id="a list"),
        pytest.param({"time": {"$date": "soon"}}, "unreadable", id="an object without a date"),
        pytest.param({"timestamp": "soon"}, "unreadable", id="a timestamp of words"),
    ],
)
def test_a_time_that_tells_nothing_is_counted_as_what_it_is(
    house: House, line: dict[str, Any], form: str
) -> None:
    house.log(LOG, line)
    house.ingest()
    assert times(house) == [(form, 1, 0, 0)]


def test_a_log_has_one_row_for_each_of_its_forms(house: House) -> None:
    house.log(LOG, GOOD, GOOD, {"time": 1393909567}, {"time": "soon"}, {"time": STOPPED_CLOCK})
    house.ingest()
    assert times(house) == [("epoch", 1, 1, 0), ("iso", 3, 2, 1), ("unreadable", 1, 0, 0)]
    assert house.query("SELECT DISTINCT source FROM logs.event_times") == [(LOG,)]


# --- plausible -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "usable"),
    [
        pytest.param("0300-03-04T05:06:07+00:00", 0, id="the year 300"),
        pytest.param("1970-01-01T00:00:09+00:00", 0, id="a clock that was never set"),
        pytest.param("2010-12-31T23:59:59.999999+00:00", 0, id="before edX"),
        pytest.param("2011-01-01T00:00:00+00:00", 1, id="the first moment of edX"),
        pytest.param("2014-02-01T00:00:00+00:00", 1, id="a month before the log's day"),
        pytest.param("2014-03-06T23:59:59.999999+00:00", 1, id="two days after the log's day"),
        pytest.param("2014-03-07T00:00:00+00:00", 0, id="three days after the log's day"),
        pytest.param("2031-03-04T00:00:00+00:00", 0, id="the far future"),
    ],
)
def test_a_moment_is_plausible_from_2011_to_two_days_after_the_day_of_the_log(
    house: House, time: str, usable: int
) -> None:
    house.log(LOG, {"time": time})
    house.ingest()
    assert times(house) == [("iso", 1, usable, 1 - usable)]


@pytest.mark.parametrize(("days", "usable"), [(1, 1), (3, 0)])
def test_in_a_log_without_a_day_a_moment_is_plausible_until_two_days_from_now(
    house: House, days: int, usable: int
) -> None:
    moment = datetime.now(UTC).replace(microsecond=5) + timedelta(days=days)
    house.log("tracking.log", {"time": moment.isoformat()})
    house.ingest()
    assert times(house) == [("iso", 1, usable, 1 - usable)]


@pytest.mark.parametrize(
    ("source", "day"),
    [
        (LOG, date(2014, 3, 4)),
        (f"2014/{LOG}", date(2014, 3, 4)),
        (f"{LOG}@0a1b2c3d", date(2014, 3, 4)),
        ("tracking.log", None),
        ("2014-03-04/tracking.log", None),
    ],
)
def test_the_day_of_a_log_is_in_its_file_name(source: str, day: date | None) -> None:
    assert EventLog(Path("any.parquet"), source).day == day


# --- repairs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "received_at",
    [
        pytest.param(1393909567, id="seconds"),
        pytest.param(1393909567000, id="milliseconds"),
        pytest.param("1393909567", id="seconds as text"),
        pytest.param(f"{DAY}T05:06:07+00:00", id="ISO"),
        pytest.param(f"{DAY}T05:06:07Z", id="ISO with Z"),
        pytest.param(f"{DAY} 05:06:07", id="ISO without a zone"),
    ],
)
@pytest.mark.parametrize("time", [STOPPED_CLOCK, "2031-03-04T00:00:00+00:00", "soon", None])
def test_an_event_without_a_usable_time_gets_the_moment_it_was_received(
    house: House, time: str | None, received_at: object
) -> None:
    house.log(LOG, GOOD, {"time": time, "context": {"received_at": received_at}})
    house.ingest()
    assert repairs(house) == [(2, MOMENT, "received_at")]


def test_the_fraction_of_a_second_is_kept(house: House) -> None:
    house.log(LOG, {"context": {"received_at": 1393909567250}})
    house.ingest()
    assert repairs(house) == [(1, MOMENT.replace(microsecond=250_000), "received_at")]


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({"received_at": 9.5}, id="a stopped clock here too"),
        pytest.param({"received_at": "2031-03-04T00:00:00Z"}, id="the future"),
        pytest.param({"received_at": -1}, id="negative"),
        pytest.param({"received_at": 1e300}, id="too large for a moment"),
        pytest.param({"received_at": "soon"}, id="words"),
        pytest.param({"received_at": None}, id="null"),
        pytest.param({"received_at": True}, id="true"),
        pytest.param({"received_at": {"at": 1393909567}}, id="an object"),
        pytest.param({}, id="nothing"),
        pytest.param("received_at", id="a context that is a text"),
        pytest.param(None, id="no context"),
    ],
)
def test_what_is_no_plausible_moment_repairs_nothing(house: House, context: object) -> None:
    house.log(LOG, {"time": STOPPED_CLOCK, "context": context})
    house.ingest()
    assert house.sources("time_finder")[0].state == "done"
    assert repairs(house) == []


def test_a_usable_time_is_never_replaced(house: House) -> None:
    house.log(LOG, {**GOOD, "context": {"received_at": 1393920000}})
    house.ingest()
    assert repairs(house) == []


def test_repairs_name_the_log(house: House) -> None:
    house.log(LOG, {"context": {"received_at": 1393909567}})
    house.ingest()
    assert house.query("SELECT source FROM logs.event_time_repairs") == [(LOG,)]


def test_a_log_without_repairs_leaves_no_file_of_repairs(house: House) -> None:
    house.log(LOG, GOOD, {"time": "soon"})
    house.ingest()
    assert not list(house.settings.lake_path.glob("derived/event_time_repairs/*"))


# --- again ---------------------------------------------------------------------------------------


def test_looking_again_at_an_unchanged_package_does_nothing(house: House) -> None:
    house.log(LOG, GOOD)
    house.ingest()
    assert house.ingest() == 0


def test_only_new_logs_are_looked_at(house: House) -> None:
    house.log(LOG, GOOD, {"time": STOPPED_CLOCK})
    house.ingest()
    house.log("demox-edx-events-2014-03-05.log", GOOD)
    house.ingest()
    assert counts(house) == {"rows": 1, "events": 1, "usable": 1, "repaired": 0}
    assert house.query("SELECT sum(events) FROM logs.event_times") == [(3,)]


def test_a_log_that_was_mended_loses_its_repairs(house: House) -> None:
    house.log(LOG, {"time": STOPPED_CLOCK, "context": {"received_at": 1393909567}})
    house.ingest()
    house.log(LOG, GOOD, GOOD)
    house.ingest()
    assert times(house) == [("iso", 2, 2, 0)]
    assert repairs(house) == []


def test_a_log_that_came_twice_meanwhile_is_counted_once(house: House, tmp_path: Path) -> None:
    house.log("demox-edx-events-2014-03-01.log", {"time": "2014-03-01T05:06:07+00:00"})
    house.ingest()
    without_us = House(tmp_path, ["clickstream"])
    for lines in ([GOOD], [GOOD, GOOD]):
        without_us.log(LOG, *lines)
        without_us.ingest()
    house.ingest()
    assert counts(house)["events"] == 2


# --- what is told --------------------------------------------------------------------------------


def test_the_counts_add_up_events_usable_times_and_repairs(house: House) -> None:
    repairable = {"time": STOPPED_CLOCK, "context": {"received_at": 1393909567}}
    house.log(LOG, GOOD, GOOD, repairable, {"time": "soon"})
    house.ingest()
    assert counts(house) == {"rows": 2, "events": 4, "usable": 2, "repaired": 1}


def test_more_than_one_event_in_a_hundred_without_a_time_is_told_with_the_worst_logs(
    house: House,
) -> None:
    house.log(LOG, *[GOOD] * 97, {"time": "soon"})
    house.log("demox-edx-events-2014-03-05.log", {"time": "soon"}, {"ip": "81.2.69.160"})
    house.ingest()
    [note] = house.notes("time_finder")
    assert note.startswith("3 of 100 events (3.0%) in the logs looked at have no usable time;")
    assert note.endswith(f"most of them in demox-edx-events-2014-03-05.log (2), {LOG} (1).")


def test_one_event_in_a_hundred_without_a_time_is_not_worth_a_note(house: House) -> None:
    house.log(LOG, *[GOOD] * 99, {"time": "soon"})
    house.ingest()
    assert house.notes("time_finder") == []


def test_repaired_events_are_not_told_as_lost(house: House) -> None:
    house.log(LOG, {"time": STOPPED_CLOCK, "context": {"received_at": 1393909567}})
    house.ingest()
    assert house.notes("time_finder") == []


def test_an_empty_log_has_no_row(house: House) -> None:
    house.log(LOG)
    house.ingest()
    assert times(house) == []
    assert house.notes("time_finder") == []
