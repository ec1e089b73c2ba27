"""What is promised about the lake as a database, for services and for queries of people."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from optimus.errors import UsageError
from optimus.outputs.catalog import Catalog, LakeTables, check_one_select, literal, quote

COLUMNS: dict[str, pa.DataType] = {
    "n": pa.int64(),
    "text": pa.string(),
    "at": pa.timestamp("us", "UTC"),
    "yes": pa.bool_(),
    "day": pa.date32(),
    "share": pa.float64(),
    "many": pa.list_(pa.string()),
}
EMPTY = pa.schema(COLUMNS)
DUMPS = "state/{database}/{table}/delivered={day}.parquet"
DECLARED = (
    LakeTables("logs/year={year}/{source}.parquet", "logs", "events", "events", empty=EMPTY),
    LakeTables(DUMPS, "{database}", "{table}", "dumps", newest=True),
    LakeTables("derived/{course}.parquet", "Person_Course", "personcourse_{course}", "one"),
    LakeTables("derived/*.parquet", "Person_Course", "personcourse", "all", empty=EMPTY),
    LakeTables("named/*.parquet", "few", "named", "named", name_column="file", empty=EMPTY),
    LakeTables("few/**/*.parquet", "few", "columns", "deep", columns="n + 1 AS next"),
)


class Lake:
    """A lake that is filled file by file."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "lake"
        self.spill = folder / "spill"
        self.root.mkdir()

    def add(self, relative: str, **columns: Any) -> None:
        path = self.root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({name: [value] for name, value in columns.items()}), path)

    def catalog(self) -> Catalog:
        return Catalog(self.root, DECLARED)

    def ask(self, sql: str) -> list[Any]:
        with self.catalog().connect(self.spill) as connection:
            rows: list[Any] = connection.sql(sql).to_arrow_table().to_pylist()
            return rows

    def confined(self, sql: str) -> list[Any]:
        with self.catalog().connect_confined(sql, self.spill) as connection:
            rows: list[Any] = connection.execute(sql).fetchall()
            return rows


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path)


# --- tables -----------------------------------------------------------------------------------


def test_all_files_of_a_pattern_are_one_table(lake):
    lake.add("logs/year=2014/a.parquet", n=1)
    lake.add("logs/year=2015/b.parquet", n=2)
    assert lake.ask("SELECT sum(n) AS n FROM logs.events") == [{"n": 3}]


def test_folder_names_add_no_columns(lake):
    lake.add("logs/year=2014/a.parquet", n=1)
    assert lake.ask("SELECT * FROM logs.events") == [{"n": 1}]


def test_files_of_different_columns_are_one_table_all_the_same(lake):
    lake.add("logs/year=2014/a.parquet", n=1)
    lake.add("logs/year=2014/b.parquet", n=2, text="x")
    assert lake.ask("SELECT * FROM logs.events ORDER BY n") == [
        {"n": 1, "text": None},
        {"n": 2, "text": "x"},
    ]


def test_a_table_shows_the_columns_it_is_declared_with(lake):
    lake.add("few/deep/er/a.parquet", n=1)
    assert lake.ask("SELECT * FROM few.columns") == [{"next": 2}]


def test_files_at_the_top_of_a_deep_pattern_count_too(lake):
    lake.add("few/a.parquet", n=1)
    assert lake.ask("SELECT * FROM few.columns") == [{"next": 2}]


@pytest.mark.parametrize("name", ["A_1", "it's", "a.b", "é"])
def test_a_table_may_say_which_file_a_row_is_from(lake, name):
    lake.add(f"named/{name}.parquet", n=1)
    assert lake.ask("SELECT * FROM few.named") == [{"file": name, "n": 1}]


def test_a_table_without_files_has_the_column_of_their_names_too(lake):
    assert lake.ask("DESCRIBE few.named")[0]["column_name"] == "file"


def test_one_file_may_be_in_several_tables(lake):
    lake.add("derived/A_1.parquet", n=1)
    lake.add("derived/B_2.parquet", n=2)
    assert lake.ask('SELECT n FROM "Person_Course"."personcourse_A_1"') == [{"n": 1}]
    assert lake.ask('SELECT count(*) AS n FROM "Person_Course".personcourse') == [{"n": 2}]


def test_the_newest_delivery_is_the_table_and_all_of_them_are_its_history(lake):
    lake.add("state/A_1/auth_user/delivered=2016-02-07.parquet", n=2)
    lake.add("state/A_1/auth_user/delivered=2016-01-31.parquet", n=1)
    assert lake.ask('SELECT n FROM "A_1".auth_user') == [{"n": 2}]
    history = lake.ask(
        'SELECT n, delivered::VARCHAR AS day FROM "A_1_history".auth_user ORDER BY n'
    )
    assert history == [{"n": 1, "day": "2016-01-31"}, {"n": 2, "day": "2016-02-07"}]


def test_a_table_without_files_has_its_columns_and_no_rows(lake):
    assert lake.ask("SELECT * FROM logs.events") == []
    described = lake.ask("DESCRIBE logs.events")
    assert {row["column_name"]: row["column_type"] for row in described} == {
        "n": "BIGINT",
        "text": "VARCHAR",
        "at": "TIMESTAMP WITH TIME ZONE",
        "yes": "BOOLEAN",
        "day": "DATE",
        "share": "DOUBLE",
        "many": "VARCHAR[]",
    }


def test_a_table_without_files_and_without_declared_columns_is_not_there(lake):
    assert lake.catalog().table("A_1", "auth_user") is None


def test_a_lake_that_is_not_there_yet_has_its_empty_tables(tmp_path):
    catalog = Catalog(tmp_path / "nothing", DECLARED)
    assert [table.qualified for table in catalog.tables()] == [
        '"Person_Course"."personcourse"',
        '"few"."named"',
        '"logs"."events"',
    ]


def test_hidden_files_are_no_part_of_a_table(lake):
    lake.add("logs/year=2014/a.parquet", n=1)
    lake.add("logs/year=2014/.b.parquet.mark.tmp", n=2)
    lake.add("logs/year=2014/.b.parquet", n=4)
    assert lake.ask("SELECT sum(n) AS n FROM logs.events") == [{"n": 1}]


def test_files_that_no_pattern_names_are_no_part_of_a_table(lake):
    lake.add("logs/a.parquet", n=1)
    lake.add("logs/year=2014/deep/a.parquet", n=1)
    assert lake.ask("SELECT * FROM logs.events") == []


@pytest.mark.parametrize("name", ["it's", 'say "x"', "a;b", "a b", "é", "{x}", "%41"])
def test_a_file_name_is_only_a_name(lake, name):
    lake.add(f"derived/{name}.parquet", n=1)
    lake.add("derived/other.parquet", n=2)
    table = lake.catalog().table("Person_Course", f"personcourse_{name}")
    assert table is not None
    assert lake.ask(f"SELECT n FROM {table.qualified}") == [{"n": 1}]


def test_a_lake_below_an_odd_folder_can_be_asked(tmp_path):
    odd = tmp_path / "it's [a] *odd* place"
    odd.mkdir()
    lake = Lake(odd)
    lake.add("derived/A_1.parquet", n=1)
    assert lake.ask('SELECT n FROM "Person_Course".personcourse') == [{"n": 1}]


def test_times_are_told_in_utc(lake):
    assert lake.ask("SELECT current_setting('TimeZone') AS zone") == [{"zone": "UTC"}]


# --- confinement ------------------------------------------------------------------------------


def test_a_confined_query_reads_the_lake(lake):
    lake.add("derived/A_1.parquet", n=1)
    assert lake.confined('SELECT n FROM "Person_Course".personcourse') == [(1,)]


def test_a_confined_query_finds_its_schema_in_any_case(lake):
    lake.add("derived/A_1.parquet", n=1)
    assert lake.confined("SELECT n FROM person_course.PERSONCOURSE") == [(1,)]


def test_a_confined_query_that_names_no_schema_finds_all_of_them(lake):
    lake.add("derived/A_1.parquet", n=1)
    found = lake.confined("SELECT table_schema FROM information_schema.tables")
    assert ("Person_Course",) in found


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{outside}')",
        "SELECT * FROM read_text('{outside}')",
        "SELECT * FROM '{outside}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_text('{lake}/../secret.csv')",
        "COPY (SELECT 1) TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/x.db'",
        "EXPORT DATABASE '{folder}/all'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM read_csv('https://example.org/x.csv')",
        "SET enable_external_access = true",
        "SET allowed_directories = ['/']",
        "RESET lock_configuration",
        "PRAGMA temp_directory='{folder}'",
    ],
)
def test_a_confined_connection_reads_nothing_outside_and_writes_nothing(lake, tmp_path, sql):
    outside = tmp_path / "secret.csv"
    outside.write_text("a\n1\n")
    lake.add("derived/A_1.parquet", n=1)
    before = sorted(path.name for path in tmp_path.rglob("*") if path.name != "spill")
    with pytest.raises(duckdb.Error):
        lake.confined(sql.format(outside=outside, folder=tmp_path, lake=lake.root))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.name != "spill") == before


def test_a_folder_beside_the_lake_with_the_same_beginning_is_outside(lake, tmp_path):
    beside = tmp_path / "lake_of_others"
    beside.mkdir()
    (beside / "x.csv").write_text("a\n1\n")
    with pytest.raises(duckdb.Error):
        lake.confined(f"SELECT * FROM read_csv('{beside}/x.csv')")


# --- one select -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "WITH x AS (SELECT 1) SELECT * FROM x;",
        "FROM logs.events",
        "/* a */ SELECT 1 -- b",
        "VALUES (1)",
    ],
)
def test_one_statement_that_reads_is_let_through(sql):
    check_one_select(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "",
        ";",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE x",
        "INSERT INTO x VALUES (1)",
        "CREATE TABLE x AS SELECT 1",
        "DELETE FROM x",
        "UPDATE x SET a = 1",
        "COPY x TO 'y'",
        "ATTACH 'x'",
        "EXPORT DATABASE 'x'",
        "SET memory_limit = '1TB'",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "INSTALL httpfs",
        "VACUUM",
        "EXPLAIN ANALYZE DELETE FROM x",
        "no sql at all",
        "SELECT 'open",
    ],
)
def test_anything_else_is_refused(sql):
    with pytest.raises(UsageError):
        check_one_select(sql)


def test_names_and_texts_are_quoted_so_that_they_stay_what_they_are(lake):
    name, text = 'a"; DROP', "it's"
    assert lake.ask(f"SELECT {literal(text)} AS {quote(name)}") == [{name: text}]
