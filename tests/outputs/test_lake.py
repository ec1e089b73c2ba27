"""What is promised about the Parquet files of the lake."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optimus.errors import OutputUnavailableError
from optimus.outputs.lake import ROWS_PER_GROUP, LakeWriter, footer
from optimus.outputs.staging import Staging

SCHEMA = pa.schema([pa.field("n", pa.int64(), metadata={"description": "a number"})])
ORIGIN = {"source": "x.log", "gen": "3", "epoch": "7"}


class Lake:
    """A lake, and one try at writing it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.staging = Staging("mark.1")
        self.writer = LakeWriter(root, self.staging, lambda: ORIGIN)

    def rows(self, relative: str) -> list[int]:
        return [row["n"] for row in pq.read_table(self.root / relative).to_pylist()]


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def numbers(*values: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA)


def test_what_was_written_is_read_again(lake):
    with lake.writer.open("a/b.parquet", SCHEMA) as file:
        file.write(numbers(1, 2))
        file.write(numbers(3))
    lake.staging.publish()
    assert lake.rows("a/b.parquet") == [1, 2, 3]


def test_a_file_without_rows_has_its_columns(lake):
    with lake.writer.open("a.parquet", SCHEMA):
        pass
    lake.staging.publish()
    assert pq.read_schema(lake.root / "a.parquet").names == ["n"]


def test_many_rows_are_written_in_groups(lake):
    table = pa.table({"n": pa.array(range(2 * ROWS_PER_GROUP + 1), pa.int64())})
    lake.writer.write("a.parquet", table)
    lake.staging.publish()
    assert pq.read_metadata(lake.root / "a.parquet").num_rows == table.num_rows
    assert pq.read_metadata(lake.root / "a.parquet").num_row_groups > 1


def test_the_footer_tells_where_a_file_comes_from(lake):
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(1)]))
    lake.staging.publish()
    told = footer(lake.root / "a.parquet")
    assert {name: told[name] for name in ORIGIN} == ORIGIN


def test_a_foreign_file_tells_nothing(tmp_path):
    pq.write_table(pa.table({"n": [1]}), tmp_path / "a.parquet")
    assert footer(tmp_path / "a.parquet") == {}


def test_what_a_column_means_stays_with_it(lake):
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(1)]))
    lake.staging.publish()
    field = pq.read_schema(lake.root / "a.parquet").field("n")
    assert field.metadata == {b"description": b"a number"}


def test_a_flipped_byte_is_noticed(lake):
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(*range(1000))]))
    lake.staging.publish()
    path = lake.root / "a.parquet"
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(OSError, match=r"(?i)crc|checksum|corrupt"):
        pq.read_table(path, page_checksum_verification=True)


@pytest.mark.parametrize("relative", ["../out.parquet", "a/../../out.parquet", "/tmp/out.parquet"])
def test_no_file_is_written_outside_the_lake(lake, relative):
    with pytest.raises(OutputUnavailableError, match="outside the lake"):
        lake.writer.open(relative, SCHEMA)


def test_no_file_is_written_outside_through_a_link(lake, tmp_path):
    lake.root.mkdir()
    (lake.root / "state").symlink_to(tmp_path)
    with pytest.raises(OutputUnavailableError, match="outside the lake"):
        lake.writer.open("state/out.parquet", SCHEMA)


def test_a_lake_that_is_a_link_itself_can_be_written(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "lake").symlink_to(tmp_path / "disk")
    lake = Lake(tmp_path / "lake")
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(1)]))
    lake.staging.publish()
    assert lake.rows("a.parquet") == [1]


def test_rows_that_never_reached_the_file_are_noticed(lake, monkeypatch):
    file = lake.writer.open("a.parquet", SCHEMA)
    monkeypatch.setattr(file._writer, "write_table", lambda *_, **__: None)
    file.write(numbers(1))
    with pytest.raises(OutputUnavailableError, match="1 rows were written, 0 are in the file"):
        file.close()


def test_a_try_that_breaks_off_leaves_nothing(lake):
    def break_off() -> None:
        with lake.writer.open("a.parquet", SCHEMA) as file:
            file.write(numbers(1))
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    lake.staging.discard()
    assert not any(path.is_file() for path in lake.root.rglob("*"))


def test_a_staged_file_can_be_taken_back(lake):
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(1)]))
    lake.writer.drop("a.parquet")
    assert lake.writer.relative_paths == []
    assert lake.staging.publish() == []


def test_the_rows_of_a_staged_file_can_be_sent_through_a_change(lake):
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(1, 2, 3)]))
    lake.writer.rewrite("a.parquet", lambda rows: rows.slice(1))
    lake.staging.publish()
    assert lake.rows("a.parquet") == [2, 3]
    assert footer(lake.root / "a.parquet")["source"] == "x.log"


def test_a_change_that_breaks_off_leaves_nothing_behind(lake):
    lake.writer.write("a.parquet", pa.Table.from_batches([numbers(1)]))

    def broken(_: pa.RecordBatch) -> pa.RecordBatch:
        raise KeyError

    with pytest.raises(KeyError):
        lake.writer.rewrite("a.parquet", broken)
    lake.staging.discard()
    assert os.listdir(lake.root) == []  # noqa: PTH208 - hidden files too
