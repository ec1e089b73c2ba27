"""What is promised about the tables in MySQL, as a reader of them sees it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optimus.outputs.mysql import MySqlTables, Refused, SqlTable
from tests.servers import MariaDb

MARK = "0123456789ab.1"
ORIGIN = {"source": "UQx-auth_user.sql", "gen": "2", "epoch": "1", "delivered": "2016-05-01"}
NOON = datetime(2016, 5, 1, 12, tzinfo=UTC)
NOON_AND_A_BIT = datetime(2016, 5, 1, 12, 0, 0, 5, tzinfo=UTC)
AWKWARD = [
    "",
    " ",
    r"\N",
    "NULL",
    "a\tb",
    "a\nb",
    "a\r\nb",
    "\\",
    "\\\\t",
    "'\"`;",
    "\0",
    "é語😀",
    "%s",
]


class Tables:
    """A server, and the tries of one source to write there."""

    def __init__(self, mariadb: MariaDb) -> None:
        self.mariadb = mariadb
        self.notes: list[str] = []
        self._begun: list[MySqlTables] = []

    def begin(self, mark: str = MARK, **origin: str) -> MySqlTables:
        self._begun.append(MySqlTables(self.mariadb.server, mark, lambda: ORIGIN | origin))
        return self._begun[-1]

    def end(self) -> None:
        """Hang up, as the worker does."""
        while self._begun:
            self._begun.pop().discard()

    def write(
        self, table: SqlTable, *batches: pa.RecordBatch, mark: str = MARK, **origin: str
    ) -> list[Refused]:
        """Load, publish, hang up."""
        tables = self.begin(mark, **origin)
        with tables.open(table) as staged:
            refused = [row for batch in batches for row in staged.load(batch)]
        tables.publish()
        tables.discard()
        self.notes = tables.notes
        return refused

    def read(self, table: SqlTable, what: str = "*", order: str = "") -> list[tuple[Any, ...]]:
        with connected(self.mariadb, table.database) as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT {what} FROM {quoted(table.name)} {order}")
            return list(cursor.fetchall())

    def types(self, table: SqlTable) -> dict[str, str]:
        return {
            str(name): str(kind)
            for name, kind in self.mariadb.execute(
                "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE "
                f"TABLE_SCHEMA = '{table.database}' AND TABLE_NAME = '{table.name}'"
            )
        }

    def keys(self, table: SqlTable) -> list[tuple[bool, str]]:
        """Whether unique, and the columns, of each key."""
        return [
            (not plain, str(columns))
            for plain, columns in self.mariadb.execute(
                "SELECT NON_UNIQUE, GROUP_CONCAT(COLUMN_NAME ORDER BY SEQ_IN_INDEX) "
                f"FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = '{table.database}' "
                f"AND TABLE_NAME = '{table.name}' GROUP BY INDEX_NAME, NON_UNIQUE "
                "ORDER BY INDEX_NAME"
            )
        ]

    def names(self, database: str = "course") -> list[str]:
        found = self.mariadb.execute(f"SHOW TABLES FROM `{database}`")
        return sorted(str(name) for (name,) in found)


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def connected(mariadb: MariaDb, database: str) -> "pymysql.Connection[Any]":
    return mariadb.server.connect(database)


def table_of(batch: pa.RecordBatch, name: str = "things", **more: Any) -> SqlTable:
    return SqlTable("course", name, batch.schema, **more)


def numbers(*values: int | None) -> pa.RecordBatch:
    return pa.record_batch({"n": pa.array(values, pa.int64())})


@pytest.fixture
def tables(mariadb):
    tables = Tables(mariadb)
    yield tables
    tables.end()


@pytest.fixture(scope="module")
def forbidding_mariadb(tmp_path_factory):
    """A server that does not take files of its clients."""
    server = MariaDb(tmp_path_factory.mktemp("forbidding"), "--local-infile=0")
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["by files", "by statements"])
def any_tables(request, tables, forbidding_mariadb):
    """Both ways in: what a reader sees is the same."""
    if request.param == "by files":
        yield tables
    else:
        forbidding_mariadb.empty()
        forbidden = Tables(forbidding_mariadb)
        yield forbidden
        forbidden.end()


EVERY_TYPE = pa.record_batch(
    {
        "id": pa.array([7, 8], pa.int64()),
        "flag": pa.array([True, None]),
        "small": pa.array([-1, None], pa.int16()),
        "big": pa.array([2**63 - 1, None], pa.int64()),
        "unsigned": pa.array([2**64 - 1, None], pa.uint64()),
        "real": pa.array([1.0, None]),
        "tiny": pa.array([1e-300, None]),
        "single": pa.array([0.5, None], pa.float32()),
        "created": pa.array([NOON, None], pa.timestamp("us", "UTC")),
        "seen": pa.array([NOON_AND_A_BIT, None], pa.timestamp("ns", "Australia/Brisbane")),
        "day": pa.array([date(2016, 5, 1), None]),
        "text": pa.array(["x", None]),
        "large": pa.array(["x", None], pa.large_string()),
        "view": pa.array(["x\ty", None], pa.string_view()),
        "word": pa.array(["x\ty", None]).dictionary_encode(),
        "nothing": pa.nulls(2),
        "state": pa.array(["{}", None]),
        "bio": pa.array(["me", None]),
        "key": pa.array(["k", None]),
    }
)


def test_each_type_is_read_as_what_it_is(any_tables):
    table = table_of(EVERY_TYPE)
    assert any_tables.write(table, EVERY_TYPE) == []
    naive, odd = NOON.replace(tzinfo=None), NOON_AND_A_BIT.replace(tzinfo=None)
    full, empty = any_tables.read(table)
    assert full == (
        *(7, 1, -1, 2**63 - 1, 2**64 - 1, 1.0, 1e-300, 0.5, naive, odd, date(2016, 5, 1)),
        *("x", "x", "x\ty", "x\ty", None, "{}", "me", "k"),
    )
    assert empty == (8, *[None] * 18)


def test_the_types_say_what_is_in_a_column(tables):
    table = table_of(EVERY_TYPE)
    tables.write(table, EVERY_TYPE)
    types = tables.types(table)
    assert types["id"] == "bigint(20)"
    assert types["flag"] == "tinyint(1)"
    assert types["unsigned"] == "bigint(20) unsigned"
    assert types["real"] == types["single"] == "double"
    assert types["created"] == types["seen"] == "datetime(6)"
    assert types["day"] == "date"
    assert types["text"] == types["word"] == types["state"] == "varchar(255)"


def test_readers_of_the_original_find_text_and_the_word_null(any_tables):
    table = table_of(EVERY_TYPE, legacy_text=True, unique=("id",))
    assert any_tables.write(table, EVERY_TYPE) == []
    noon = NOON.replace(tzinfo=None)
    full, empty = any_tables.read(table, order="ORDER BY id")
    assert full == (
        *(7, "1", "-1", str(2**63 - 1), str(2**64 - 1), "1", "1e-300", "0.5", noon),
        *("2016-05-01 12:00:00.000005", "2016-05-01", "x", "x", "x\ty", "x\ty", "NULL"),
        *("{}", "me", "k"),
    )
    assert empty == (8, *["NULL"] * 7, None, *["NULL"] * 10)


def test_readers_of_the_original_find_the_types_they_know(tables):
    table = table_of(EVERY_TYPE, legacy_text=True, unique=("id",))
    tables.write(table, EVERY_TYPE)
    types = tables.types(table)
    named = {name: types.pop(name) for name in ("id", "state", "bio", "created", "_key")}
    assert named == {
        "id": "int(11)",
        "state": "longtext",
        "bio": "text",
        "created": "datetime",
        "_key": "varchar(255)",
    }
    assert set(types.values()) == {"varchar(255)"}
    assert tables.keys(table) == [(True, "id")]


def test_exact_types_win(any_tables):
    batch = pa.record_batch(
        {"registered": [True], "YoB": ["1990"], "first": pa.array([NOON]), "LoE": ["p"], "m": ["x"]}
    )
    types = {
        "registered": "tinyint(1) NOT NULL DEFAULT 1",
        "YoB": "year",
        "first": "date",
        "LoE": "varchar(255)",
    }
    table = table_of(batch, types=types, serial_id=True)
    assert any_tables.write(table, batch) == []
    assert any_tables.read(table) == [(1, 1, 1990, date(2016, 5, 1), "p", "x")]
    assert list(any_tables.types(table)) == ["id", "registered", "YoB", "first", "LoE", "m"]


@pytest.mark.parametrize("legacy_text", [True, False])
def test_no_character_is_changed(any_tables, legacy_text):
    batch = pa.record_batch({"text": AWKWARD, "state": AWKWARD[::-1]})
    table = table_of(batch, legacy_text=legacy_text)
    assert any_tables.write(table, batch) == []
    assert any_tables.read(table) == list(zip(AWKWARD, AWKWARD[::-1], strict=True))


def test_a_text_alone_in_its_row_is_kept(any_tables):
    batch = pa.record_batch({"text": ["", None, r"\N", "\n", ""]})
    any_tables.write(table_of(batch), batch)
    assert any_tables.read(table_of(batch)) == [("",), (None,), (r"\N",), ("\n",), ("",)]


def test_a_part_of_a_larger_batch_is_loaded_as_that_part(any_tables):
    batch = pa.record_batch({"n": range(9), "text": list("abc\tefghi")}).slice(2, 3)
    any_tables.write(table_of(batch), batch)
    assert any_tables.read(table_of(batch)) == [(2, "c"), (3, "\t"), (4, "e")]


@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.text(max_size=300),
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.text(alphabet="\\\tN\n\r\0'\"%é😀", max_size=20),
        ),
        min_size=1,
        max_size=20,
    )
)
@settings(max_examples=25, deadline=None)
@pytest.mark.parametrize("way", ["running_mariadb", "forbidding_mariadb"])
def test_any_table_reads_back_as_it_was(request, way, rows):
    tables = Tables(request.getfixturevalue(way))
    columns = zip(*rows, strict=True)
    types = (pa.string(), pa.int64(), pa.string())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    batch = pa.record_batch(arrays, names=["a", "b", "c"])
    table = table_of(batch, serial_id=True)
    assert tables.write(table, batch) == []
    assert tables.read(table, "a, b, c", "ORDER BY id") == rows


@pytest.mark.parametrize(
    ("kind", "value", "wider"),
    [
        ("varchar(255)", "é" * 255, "varchar(255)"),
        ("varchar(255)", "😀" * 256, "longtext"),
        ("text", "x" * 65_535, "text"),
        ("text", "é" * 40_000, "longtext"),
        ("int", "7", "int(11)"),
        ("int NOT NULL", 2**31 - 1, "int(11)"),
        ("int NOT NULL", -(2**31) - 1, "bigint(20)"),
        ("datetime", NOON, "datetime"),
        ("datetime", NOON_AND_A_BIT, "datetime(6)"),
        ("datetime", "2016-05-01 12:00:00.50", "datetime(6)"),
        ("varchar(7)", "x" * 7, "varchar(7)"),
    ],
)
def test_a_column_gets_as_wide_as_its_values(tables, kind, value, wider):
    narrow, wide = pa.record_batch({"v": pa.array([value])[:0]}), pa.record_batch({"v": [value]})
    table = table_of(wide, types={"v": kind})
    assert tables.write(table, narrow, wide, wide) == []
    assert tables.types(table) == {"v": wider}
    [[read], _] = tables.read(table)
    assert str(read)[:200] in str(value).replace("12:00:00.50", "12:00:00.500000")


def test_several_columns_get_wider_when_rows_are_there_already(any_tables):
    before = pa.record_batch({"a": ["x"], "b": ["y"], "n": [1]})
    after = pa.record_batch({"a": ["x" * 256], "b": ["y" * 70_000], "n": [2]})
    any_tables.write(table_of(before), before, after)
    assert any_tables.read(table_of(before)) == [("x", "y", 1), ("x" * 256, "y" * 70_000, 2)]


def test_a_dump_may_have_three_hundred_columns(any_tables):
    names = [f"column_{number}" for number in range(300)]
    batch = pa.record_batch({name: [name, None] for name in names})
    any_tables.write(table_of(batch, legacy_text=True), batch)
    assert any_tables.read(table_of(batch)) == [tuple(names), ("NULL",) * 300]


def test_rows_that_do_not_fit_stay_out_and_are_named(any_tables):
    batch = pa.record_batch(
        {
            "n": range(6),
            "YoB": ["1990", "1800", "at row 1", None, "1991", "1992"],
            "born": ["2000-01-01", "2000-01-01", "2000-01-01", None, "2000-02-30", "secret"],
        }
    )
    table = table_of(batch, types={"YoB": "year", "born": "date"})
    refused = any_tables.write(table, batch)
    assert [row.row for row in refused] == [1, 2, 4, 5]
    assert any_tables.read(table, "n, YoB, born") == [
        (0, 1990, date(2000, 1, 1)),
        (3, None, None),
    ]
    assert refused[0].detail == "column YoB is out of range (MySQL 1264)"
    assert all("YoB" in row.detail for row in refused[:2])
    assert all("born" in row.detail for row in refused[2:])
    assert not any(word in str(refused) for word in ("1800", "at row", "02-30", "secret"))


def test_more_rows_than_the_server_warns_of_at_once_are_refused(tables):
    values = ["x" if number % 2 else "1" for number in range(140_000)]
    batch = pa.record_batch({"n": range(140_000), "v": values})
    refused = tables.write(table_of(batch, types={"v": "int"}), batch)
    assert [row.row for row in refused] == list(range(1, 140_000, 2))
    assert tables.read(table_of(batch), "COUNT(*), SUM(v)") == [(70_000, 70_000)]


def test_a_batch_of_which_nothing_fits_leaves_an_empty_table(any_tables):
    batch = pa.record_batch({"v": ["x", "y"]})
    assert len(any_tables.write(table_of(batch, types={"v": "int"}), batch)) == 2
    assert any_tables.read(table_of(batch)) == []


def test_a_row_without_a_value_it_must_have_is_refused(any_tables):
    batch = pa.record_batch({"id": pa.array([1, None, 3]), "v": ["a", "b", None]})
    refused = any_tables.write(table_of(batch, legacy_text=True), batch)
    assert refused == [Refused(1, "column id has no value (MySQL 1048)")]
    assert any_tables.read(table_of(batch)) == [(1, "a"), (3, "NULL")]


def test_batches_need_not_have_the_types_of_the_table(tables):
    fields: list[pa.Field[Any]] = [pa.field("day", pa.date64()), pa.field("n", pa.int64())]
    table = SqlTable("course", "things", pa.schema(fields))
    batch = pa.record_batch({"day": [date(2016, 5, 1)], "n": pa.array([7], pa.int8())})
    tables.write(table, batch)
    assert tables.read(table) == [(date(2016, 5, 1), 7)]


def test_a_table_may_be_closed_twice_and_begun_anew(tables):
    tries = tables.begin()
    for number in (1, 2):
        with tries.open(table_of(numbers())) as staged:
            staged.load(numbers(number))
            staged.close()
    tries.publish()
    tries.publish()
    assert tables.read(table_of(numbers())) == [(2,)]


def test_two_threads_may_load_two_tables_of_a_try(tables):
    pair = [table_of(numbers(), "one"), table_of(numbers(), "other")]
    tries = tables.begin()
    with ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        staged = [stack.enter_context(tries.open(table)) for table in pair]
        work = [(number, place) for number in range(40) for place in (0, 1)]
        list(threads.map(lambda one: staged[one[1]].load(numbers(one[0])), work))
    tries.publish()
    for table in pair:
        assert sorted(tables.read(table)) == [(number,) for number in range(40)]


def test_a_table_knows_how_many_rows_it_has(tables):
    batch = pa.record_batch({"v": ["1", "x", "2"]})
    with tables.begin().open(table_of(batch, types={"v": "int"})) as staged:
        staged.load(batch)
        staged.load(batch.slice(0, 0))
        staged.load(batch.slice(0, 1))
    assert staged.rows == 3


def test_doubled_ids_are_told_and_kept(any_tables):
    batch = pa.record_batch({"id": [1, 2, 2, 3, 3, 3], "course_id": list("aabbcc")})
    table = table_of(batch, unique=("id",), indexes=(("course_id", "id"),))
    any_tables.write(table, batch)
    assert any_tables.keys(table) == [(False, "course_id,id"), (False, "id")]
    [note] = [note for note in any_tables.notes if "LOAD DATA" not in note]
    assert note == (
        "course.things: some rows share an id: 2 of its values occur more than once, so the key "
        "is a plain one."
    )
    assert len(any_tables.read(table)) == 6


@pytest.mark.parametrize(
    ("batches", "is_unique"),
    [
        ([[1, 2], [3, 9]], True),
        ([[-(2**63), 0], [2**63 - 1]], True),
        ([[3, 1], [2]], True),
        ([[5, 6], [1, 2], [7]], True),
        ([[1, 2], [2, 3]], False),
        ([[1, 2], [3, 3]], False),
        ([[4], [5], [4]], False),
    ],
)
def test_ids_in_any_order_are_all_kept_and_unique_when_they_are(any_tables, batches, is_unique):
    parts = [pa.record_batch({"id": ids, "course_id": ["c"] * len(ids)}) for ids in batches]
    table = table_of(parts[0], unique=("id",), legacy_text=True)
    assert any_tables.write(table, *parts) == []
    assert any_tables.keys(table) == [(is_unique, "id")]
    every = sorted(one for ids in batches for one in ids)
    assert [row[0] for row in any_tables.read(table, order="ORDER BY id")] == every


def test_texts_with_the_same_beginning_count_as_doubled_in_a_key_of_long_text(tables):
    batch = pa.record_batch({"state": ["x" * 200, "x" * 200 + "y", None, None]})
    tables.write(table_of(batch, unique=("state",), types={"state": "longtext"}), batch)
    assert "1 of its values occur more than once" in tables.notes[0]


def test_keys_are_there_for_readers(tables):
    batch = pa.record_batch({"id": [1, 2], "state": ["x" * 300, "y"], "n": [None, None]})
    table = table_of(batch, unique=("id", "n"), indexes=(("state",), ("n",)), legacy_text=True)
    tables.write(table, batch)
    assert tables.keys(table) == [(True, "id,n"), (False, "n"), (False, "state")]
    assert tables.notes == []


def test_a_server_that_takes_no_files_gets_statements_and_a_note(forbidding_mariadb):
    tables = Tables(forbidding_mariadb)
    batch = pa.record_batch({"text": ["x" * 700] * 4000})
    tables.write(table_of(batch), batch, batch)
    assert tables.read(table_of(batch), "COUNT(*)") == [(8000,)]
    [note] = tables.notes
    assert "forbids LOAD DATA LOCAL INFILE" in note
    assert "3 times slower; set local_infile=1 on the server" in note
