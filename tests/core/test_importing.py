"""What is promised about events that only the original's MongoDB holds."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import ObjectId

from optimus import importing
from optimus.importing import WHAT_NOW
from optimus.outputs import mongo_export
from optimus.package.events import read_event
from optimus.package.names import FROM_MONGODB, FileKind, parse_name
from tests.core.legacy import MANY, START, Import, numbered
from tests.house import House
from tests.servers import MongoDb

COURSE = "course-v1:DemoX+Bees101+2016_T1"
DELIVERED: list[dict[str, Any]] = [
    {
        "username": "ada",
        "event_type": "play_video",
        "time": "2014-03-04T05:06:07.890123+00:00",
        "ip": "192.0.2.7",
        "context": {"user_id": 7, "course_id": COURSE, "org_id": "DemoX", "path": "/event"},
        "event": '{"id":"i4x-v","currentTime":1.50,"code":"html5"}',
        "event_source": "browser",
        "page": "https://courses.example.org/courses/DemoX",
    },
    {
        "event_type": "problem_check",
        "time": "2014-03-04T05:06:08+00:00",
        "context": {"course_user_tags": {"xblock.partition_service.1": "0"}, "user_id": "8"},
        "event": {"grade": 1.5, "attempts": -1, "big": 2**62, "state": {"seed": None, "$x": []}},
    },
    {"event_type": "caf\u00e9 \u2028", "time": 1394000000.5, "odd": [{"a.b": True}], "event": 2.0},
    {"time": "no time", "name": "edx.bookmark", "context": {"username": "b"}, "data": {"a": ""}},
    {},
]


@pytest.fixture
def legacy(mongodb: MongoDb, tmp_path: Path) -> Import:
    return Import(mongodb, tmp_path)


def meaning(line: bytes) -> list[Any]:
    """All that an event says, however its JSON is spelled."""
    event = read_event(line)
    fields = {name: getattr(event.fields, name) for name in event.fields.__struct_fields__}
    payloads = {name: bytes(fields.pop(name)) for name in ("event", "context")}
    values = [json.loads(payload) if payload else None for payload in payloads.values()]
    extra = json.loads(event.extra) if event.extra else None
    return [fields, values, extra, *event[2:]]


# --- what is written --------------------------------------------------------------------------


def test_events_become_the_lines_that_were_delivered(legacy):
    legacy.left(*DELIVERED)
    assert legacy.run() == 0
    lines = [json.dumps(event).encode() for event in DELIVERED]
    assert list(map(meaning, legacy.lines())) == list(map(meaning, lines))
    assert [list(json.loads(line)) for line in legacy.lines()] == [list(e) for e in DELIVERED]


def test_a_log_is_named_after_its_first_and_last_document_and_is_a_package_file(legacy):
    first, last = ObjectId("5" * 24), ObjectId("6" * 24)
    legacy.left(*numbered(2), ids=[first, last])
    legacy.run()
    [name] = legacy.names()
    assert name == f"{FROM_MONGODB}000001-{first}-{last}.log.gz"
    parsed = parse_name(name)
    assert parsed is not None
    assert (parsed.kind, parsed.site, parsed.day) == (FileKind.events, "prod", None)
    assert (legacy.folder / name).stat().st_mode & 0o777 == 0o640


def test_no_log_holds_more_documents_than_it_may(legacy):
    legacy.left(*numbered(7))
    legacy.run(most=3)
    sizes = [gzip.decompress((legacy.folder / n).read_bytes()).count(b"\n") for n in legacy.names()]
    assert (sizes, legacy.numbers()) == ([3, 3, 1], list(range(7)))


def test_ids_of_every_kind_are_taken_each_kind_in_logs_of_its_own(legacy):
    ids: list[Any] = [None, 1, 2.5, "events-2014-01-01-events", "\u00e9", {"a": 1}, True, START]
    legacy.left(*numbered(10), ids=[*ids, ObjectId(), ObjectId()])
    legacy.run()
    assert sorted(legacy.numbers()) == list(range(10))
    assert len(legacy.names()) == 7
    for name in legacy.names():
        parsed = parse_name(name)
        assert parsed is not None
        assert (parsed.kind, parsed.site, parsed.day) == (FileKind.events, "prod", None)


def test_documents_that_this_program_wrote_are_left_where_they_are(legacy):
    legacy.left(*numbered(2))
    legacy.wrote_ourselves(3)
    legacy.run()
    assert legacy.numbers() == [0, 1]


def test_numbers_that_became_null_are_told(legacy):
    legacy.left({"a": float("nan"), "b": [float("inf")]})
    legacy.run()
    assert legacy.lines() == [b'{"a":null,"b":[null]}']
    assert "2 numbers that JSON does not know" in legacy.said


# --- again and later --------------------------------------------------------------------------


def test_a_second_run_writes_nothing_and_says_so(legacy):
    legacy.left(*numbered(5))
    legacy.run(most=2)
    before = {name: (legacy.folder / name).stat() for name in legacy.names()}
    assert legacy.run(most=2) == 0
    assert {name: (legacy.folder / name).stat() for name in legacy.names()} == before
    assert "Nothing new. 5 documents in 3 logs are safe" in legacy.said
    assert WHAT_NOW not in legacy.said


def test_documents_that_come_later_are_taken_by_a_later_run(legacy):
    legacy.left(*numbered(2), ids=["a", ObjectId()])
    legacy.run()
    legacy.left(*numbered(3, start=2), ids=["b", 1, ObjectId()])
    legacy.run()
    assert sorted(legacy.numbers()) == [0, 1, 2, 3, 4]
    assert "3 documents of logs.clickstream written. 5 documents in 5 logs" in legacy.said


def test_logs_that_were_removed_are_not_written_again(legacy):
    legacy.left(*numbered(2))
    legacy.run()
    (legacy.folder / legacy.names()[0]).unlink()
    legacy.left(*numbered(1, start=2))
    legacy.run()
    assert legacy.numbers() == [2]


def test_documents_that_slipped_in_before_the_last_one_are_told(legacy):
    legacy.left(*numbered(1), ids=[ObjectId("5" * 24)])
    legacy.run()
    assert "documents more" not in legacy.said
    legacy.left(*numbered(2), ids=[ObjectId("4" * 24), ObjectId("6" * 24)])
    assert legacy.run() == 0
    assert "held about 1 document more" in legacy.said


# --- how it tells -----------------------------------------------------------------------------


def test_a_dry_run_says_how_much_there_is_and_writes_nothing(legacy):
    legacy.left(*numbered(7))
    legacy.wrote_ourselves(5)
    assert legacy.run(most=3, dry_run=True) == 0
    assert "about 12 documents" in legacy.said
    assert "did not write about 7 of them" in legacy.said
    assert "About 7 would go into about 3 logs" in legacy.said
    assert not legacy.settings.state_path.exists()


def test_a_dry_run_afterwards_has_nothing_left_to_do(legacy):
    legacy.left(*numbered(7))
    legacy.run()
    legacy.run(dry_run=True)
    assert "7 are in logs already" in legacy.said
    assert "would go" not in legacy.said


def test_in_a_file_a_line_now_and_then_says_how_far_it_is(legacy, monkeypatch):
    monkeypatch.setattr(importing, "SECONDS_BETWEEN_LINES", 0)
    monkeypatch.setattr(mongo_export, "DOCUMENTS_PER_BATCH", 2)
    legacy.left(*numbered(4))
    legacy.run()
    assert legacy.said.startswith("50%: 2 of about 4 documents, ")
    assert legacy.said.rstrip().endswith(WHAT_NOW)


def test_in_a_terminal_a_bar_moves(legacy):
    legacy.left(*numbered(4))
    legacy.run(terminal=True)
    assert "4 of about 4 documents" in legacy.said


def test_no_message_holds_anything_of_a_document(legacy, monkeypatch):
    monkeypatch.setattr(importing, "SECONDS_BETWEEN_LINES", 0)
    legacy.left({"username": "ada.secret"}, {"username": "ada.secret"}, ids=["ada.secret", 1])
    legacy.run()
    legacy.run(dry_run=True)
    assert "secret" not in legacy.said
    assert not [name for name in legacy.names() if "secret" in name]


def test_the_memory_does_not_grow_with_the_collection(legacy):
    text = "x" * 10_000
    for _ in range(12):
        legacy.left(*({"text": text} for _ in range(MANY)))
    tracemalloc.start()
    legacy.run(most=10**6)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 80_000_000 < 12 * MANY * len(text)


# --- into the lake ----------------------------------------------------------------------------

COLUMNS = "* EXCLUDE (source, line)"


def lake(house: House) -> list[tuple[Any, ...]]:
    house.ingest()
    return house.query(f"SELECT {COLUMNS} FROM logs.clickstream ORDER BY ALL")


@pytest.fixture
def house(legacy: Import, tmp_path: Path) -> House:
    return House(tmp_path, ["clickstream"])


def test_the_lake_then_holds_what_it_would_hold_of_the_logs(legacy, house, tmp_path):
    lines = [orjson.dumps(event).decode() for event in DELIVERED]
    original = House(tmp_path / "original", ["clickstream"])
    original.log("tracking.log", *lines)
    legacy.left(*DELIVERED)
    legacy.run(most=2)
    assert lake(house) == lake(original)
    assert {row.state for row in house.sources("clickstream")} == {"done"}


def test_what_comes_later_is_added_to_the_lake(legacy, house):
    legacy.left(*numbered(2))
    legacy.run()
    house.ingest()
    legacy.left(*numbered(2, start=2))
    legacy.run()
    house.ingest()
    found = house.query("SELECT extra FROM logs.clickstream ORDER BY extra")
    assert [json.loads(extra)["n"] for (extra,) in found] == [0, 1, 2, 3]


def test_what_came_from_mongodb_is_not_written_there_again(legacy, tmp_path):
    legacy.left(*numbered(3))
    legacy.run()
    host = legacy.settings.mongo_host.get_secret_value()
    house = House(tmp_path, ["clickstream"], mongo_host=host)
    assert len(lake(house)) == 3
    with legacy.mongodb.server.connect() as client:
        assert client["logs"]["clickstream"].count_documents({}) == 3
