"""What is promised about files as they are delivered: damaged, changed, touched, packed."""

import gzip
import os
from pathlib import Path

import pytest

from optimus.attempt import rejects_path
from optimus.outputs.rejects import read_rejects
from tests.core.mortal import LOG, OTHER, MortalHouse, event

PACKED = f"{LOG}.gz"


@pytest.fixture
def house(tmp_path: Path) -> MortalHouse:
    return MortalHouse(tmp_path)


def delivered(house: MortalHouse, name: str, content: bytes) -> Path:
    path = house.latest_logs / name
    path.write_bytes(content)
    return path


def lines(*kinds: str) -> bytes:
    return b"".join(b'{"event_type": "%s"}\n' % kind.encode() for kind in kinds)


def kinds(house: MortalHouse) -> list[str]:
    return [kind for _, kind in house.events()]


# --- content that changes ---------------------------------------------------------------------


def test_a_touched_file_of_equal_bytes_is_not_read_again(house):
    path = house.log(LOG, event("a"))
    house.ingest()
    os.utime(path, (1, 1))
    house.ingest()
    assert [run.outcome for run in house.runs("clickstream")] == ["done", "unchanged"]
    assert house.source().counts["rows"] == 1


def test_a_shorter_content_replaces_a_longer_one(house):
    house.log(LOG, event("a"), event("b"), event("c"))
    house.ingest()
    house.log(LOG, event("d"))
    house.ingest()
    assert kinds(house) == ["d"]


def test_content_that_returns_to_what_it_was_is_what_counts(house):
    for kind in ("a", "b", "a"):
        house.log(LOG, event(kind))
        house.ingest()
    assert kinds(house) == ["a"]


def test_content_that_returns_after_the_other_was_half_done_is_what_counts(house):
    house.log(LOG, event("a"))
    house.ingest()
    house.log(LOG, event("b"))
    house.interrupt("before commit", house.die)
    house.ingest_until_killed()
    house.log(LOG, event("a"))
    house.restart()
    assert kinds(house) == ["a"]


def test_an_emptied_file_takes_its_old_events_away(house):
    house.log(LOG, event("a"))
    house.ingest()
    house.log(LOG)
    house.ingest()
    assert (kinds(house), house.source().state) == ([], "done")


def test_the_rejects_always_tell_of_the_content_that_counts(house):
    house.log(LOG, event("a"), "no json")
    house.ingest()
    house.log(LOG, event("a"))
    house.ingest()
    assert rejects(house) == []


def test_a_copy_keeps_no_rejects_of_its_earlier_content(house):
    house.log(OTHER, event("a"))
    house.log(LOG, event("b"), "no json")
    house.ingest()
    house.log(LOG, event("a"))
    house.ingest()
    assert house.source().reason == "copy"
    assert rejects(house) == []


def rejects(house: MortalHouse, name: str = LOG) -> list[str]:
    identity = house.source(name).identity
    return [
        reject.reason
        for reject in read_rejects(rejects_path(house.settings, "clickstream", identity))
    ]


def test_a_file_that_grows_while_it_is_read_is_discarded_and_read_again(house):
    path = house.log(LOG, event("a"))
    house.meddle(lambda run: path.write_bytes(lines("a", "b")))
    house.ingest()
    assert (house.events(), house.source().attempts) == ([], 0)
    house.calm()
    house.ingest_all()
    assert kinds(house) == ["a", "b"]


def test_a_file_that_is_replaced_while_it_is_read_is_discarded(house, tmp_path):
    path = house.log(LOG, event("a"))

    def replace(_: object) -> None:
        new = tmp_path / "new"
        new.write_bytes(lines("b"))
        new.replace(path)

    house.meddle(replace)
    house.ingest()
    assert house.events() == []


def test_a_file_that_vanishes_while_it_is_read_is_gone_and_blocks_nobody(house):
    path = house.log(LOG, event("a"))
    house.meddle(lambda run: path.unlink(missing_ok=True))
    house.ingest()
    house.calm()
    house.log(OTHER, event("b"))
    house.ingest()
    assert (house.source().state, kinds(house)) == ("gone", ["b"])


def test_a_log_that_was_archived_away_keeps_its_events(house):
    house.log(LOG, event("a")).unlink(house.ingest())
    house.ingest()
    assert (house.source().state, kinds(house)) == ("done", ["a"])


# --- packing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [LOG, PACKED])
@pytest.mark.parametrize("packed", [True, False])
def test_what_a_file_is_packed_with_is_told_by_its_bytes_and_not_by_its_name(house, name, packed):
    content = lines("a", "b")
    delivered(house, name, gzip.compress(content) if packed else content)
    house.ingest()
    assert house.events() == [(LOG, "a"), (LOG, "b")]


def test_a_gzip_of_several_members_is_read_to_its_end(house):
    delivered(house, PACKED, gzip.compress(lines("a")) + gzip.compress(lines("b")))
    house.ingest()
    assert kinds(house) == ["a", "b"]


def test_a_log_that_is_packed_later_is_the_same_source_and_counts_once(house):
    delivered(house, LOG, lines("a")).unlink(house.ingest())
    delivered(house, PACKED, gzip.compress(lines("a")))
    house.ingest()
    assert house.events() == [(LOG, "a")]
    assert len(house.sources("clickstream")) == 1


def test_a_plain_log_beside_its_packed_form_counts_once(house):
    delivered(house, LOG, lines("a"))
    delivered(house, PACKED, gzip.compress(lines("a")))
    house.ingest()
    house.ingest()
    assert house.events() == [(LOG, "a")]


# --- damage -----------------------------------------------------------------------------------

WHOLE = gzip.compress(lines(*"abcdefghij"), mtime=0)


@pytest.mark.parametrize("length", range(2, len(WHOLE)))
def test_nothing_of_a_gzip_is_published_wherever_it_was_cut(house, length):
    delivered(house, PACKED, WHOLE[:length])
    house.ingest()
    assert (house.source().state, house.events()) == ("failed", [])
    assert PACKED in house.source().message


@pytest.mark.parametrize("byte", [-8, -4], ids=["checksum", "length"])
def test_nothing_of_a_gzip_is_published_that_fails_its_check(house, byte):
    damaged = bytearray(WHOLE)
    damaged[byte] ^= 0xFF
    delivered(house, PACKED, bytes(damaged))
    house.ingest()
    assert (house.source().state, house.events()) == ("failed", [])


def test_a_gzip_of_no_bytes_was_cut_off(house):
    delivered(house, PACKED, b"")
    house.ingest()
    assert house.source().state == "failed"
    assert "0 bytes" in house.source().message


def test_a_gzip_with_something_else_behind_it_is_damaged(house):
    delivered(house, PACKED, WHOLE + b"something else")
    house.ingest()
    assert (house.source().state, house.events()) == ("failed", [])


def test_a_gzip_with_zeros_behind_it_is_whole(house):
    delivered(house, PACKED, WHOLE + bytes(512))
    house.ingest()
    assert len(house.events()) == 10


def test_a_damaged_file_is_not_tried_again_until_its_bytes_change(house):
    delivered(house, PACKED, WHOLE[:40])
    house.ingest()
    house.clock.now += 100_000
    assert house.ingest() == 0
    delivered(house, PACKED, WHOLE)
    house.ingest()
    assert len(house.events()) == 10


def test_a_damaged_file_leaves_the_old_rows(house):
    delivered(house, PACKED, gzip.compress(lines("old")))
    house.ingest()
    delivered(house, PACKED, WHOLE[:40])
    house.ingest()
    assert kinds(house) == ["old"]


def test_a_zip_bomb_is_refused_before_it_fills_the_memory(house, monkeypatch):
    monkeypatch.setattr("optimus.package.files.BOMB_FLOOR", 1 << 20)
    delivered(house, PACKED, gzip.compress(b"\n" * (4 << 20)))
    house.ingest()
    assert house.source().state == "failed"
    assert "200 times" in house.source().message


# --- what is no file, and what is no data -----------------------------------------------------


def test_a_named_pipe_stops_nobody(house):
    os.mkfifo(house.latest_logs / LOG)
    house.log(OTHER, event("b"))
    house.ingest()
    assert (house.source().state, kinds(house)) == ("failed", ["b"])
    assert "no regular file" in house.source().message


def test_a_folder_with_the_name_of_a_log_is_looked_into(house):
    (house.latest_logs / LOG).mkdir()
    house.log(f"{LOG}/{OTHER}", event("b"))
    house.ingest()
    assert kinds(house) == ["b"]


def test_a_link_to_nothing_is_remarked_and_stops_nobody(house):
    (house.latest_logs / LOG).symlink_to("nowhere")
    house.log(OTHER, event("b"))
    house.ingest()
    assert kinds(house) == ["b"]


def test_a_file_that_edx_could_not_make_is_recorded_and_never_read(house):
    delivered(house, f"{LOG}.failed", b"Traceback (most recent call last):\n")
    house.ingest()
    assert (house.source().state, house.source().reason) == ("failed", "sender_failed")
    assert rejects(house) == []


def test_a_file_with_too_many_rejects_is_set_aside_and_its_rejects_are_kept(house):
    house.log(LOG, event("a"), *["no json"] * 101)
    house.ingest()
    assert (house.source().state, house.source().reason) == ("failed", "too_many_rejects")
    assert (house.events(), len(rejects(house))) == ([], 101)


def test_a_hundred_rejects_are_never_too_many(house):
    house.log(LOG, event("a"), *["no json"] * 100)
    house.ingest()
    assert (house.source().state, kinds(house)) == ("done", ["a"])


def test_the_share_of_rejects_that_is_allowed_is_a_setting(tmp_path):
    house = MortalHouse(tmp_path, max_reject_share=1.0)
    house.log(LOG, event("a"), *["no json"] * 101)
    house.ingest()
    assert kinds(house) == ["a"]


def test_a_file_name_that_is_no_unicode_stops_nobody(house):
    odd = os.fsencode(house.latest_logs) + b"/caf\xe9-edx-events-2014-03-04.log"
    Path(os.fsdecode(odd)).write_bytes(lines("a"))
    house.log(OTHER, event("b"))
    house.ingest()
    assert "b" in kinds(house)


@pytest.mark.parametrize(
    "stem", ["'; DROP TABLE source; --", "-rf", "a\nb", "a..b", "%2e%2e", "é" * 80]
)
def test_a_file_name_is_only_a_name(house, stem):
    name = f"{stem}-edx-events-2014-03-04.log"
    house.log(name, event("a"))
    house.ingest()
    assert house.events() == [(name, "a")]
    [made] = (path for path in house.settings.lake_path.rglob("*") if path.is_file())
    assert made.parent == house.settings.lake_path / "clickstream/year=2014/month=03"
