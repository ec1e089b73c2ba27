"""What is promised about the records that were set aside."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optimus.outputs.rejects import REPAIRS_KEPT, Reject, RejectsWriter, read_rejects
from optimus.outputs.staging import Staging


class Rejects:
    """A rejects file, written by one try."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rejects" / "x.jsonl"
        self.staging = Staging("mark.1")
        self.writer = RejectsWriter(self.path, self.staging)

    def publish(self) -> list[Reject]:
        self.writer.close()
        self.staging.publish()
        return list(read_rejects(self.path))


@pytest.fixture
def rejects(tmp_path):
    return Rejects(tmp_path)


def reject(line: int = 1, raw: bytes = b"raw", reason: str = "not_json") -> Reject:
    return Reject(line, 10, reason, "detail", raw)


def repair(line: int = 1) -> Reject:
    return Reject(line, 10, "replaced_utf8", "", b"raw", kept=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(raw=st.binary(max_size=200))
def test_any_bytes_come_back_as_they_were(tmp_path, raw):
    rejects = Rejects(tmp_path)
    rejects.writer.add(reject(raw=raw))
    assert rejects.publish() == [reject(raw=raw)]


def test_rejects_come_back_in_the_order_they_were_added(rejects):
    for line in (3, 1, 2):
        rejects.writer.add(reject(line))
    assert [found.line for found in rejects.publish()] == [3, 1, 2]


def test_without_rejects_there_is_no_file(rejects):
    assert rejects.publish() == []
    assert not rejects.path.parent.exists()


def test_rejects_are_counted_by_reason_and_repairs_apart(rejects):
    for one in (reject(), reject(), reject(reason="bad_utf8"), repair()):
        rejects.writer.add(one)
    assert rejects.writer.reasons == {"not_json": 2, "bad_utf8": 1}
    assert rejects.writer.repairs == {"replaced_utf8": 1}
    assert rejects.writer.count == 3


def test_of_very_many_repairs_all_are_counted_and_the_first_are_kept(rejects):
    for line in range(REPAIRS_KEPT + 5):
        rejects.writer.add(repair(line))
    assert rejects.writer.repairs == {"replaced_utf8": REPAIRS_KEPT + 5}
    assert len(rejects.publish()) == REPAIRS_KEPT


def test_no_reject_is_dropped_however_many_there_are(rejects):
    for line in range(REPAIRS_KEPT + 5):
        rejects.writer.add(reject(line))
    assert len(rejects.publish()) == REPAIRS_KEPT + 5


def test_every_record_is_a_line_of_json_with_place_reason_and_hash(rejects):
    rejects.writer.add(reject(raw=b"\xff\n"))
    rejects.publish()
    [line] = rejects.path.read_text().splitlines()
    record = json.loads(line)
    assert (record["line"], record["offset"], record["reason"]) == (1, 10, "not_json")
    assert len(record["sha256"]) == 64


def test_rejects_are_for_the_owner_and_the_group_only(rejects):
    rejects.writer.add(reject())
    rejects.publish()
    assert rejects.path.stat().st_mode & 0o777 == 0o640


def test_a_rejects_file_that_is_not_there_holds_nothing(tmp_path):
    assert list(read_rejects(tmp_path / "x.jsonl")) == []
