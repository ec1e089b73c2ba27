"""What may be a name in MySQL, and what becomes of the tables for which there is none."""

import pyarrow as pa
import pytest

from optimus.errors import BadFileError
from optimus.outputs.mysql import MySqlTables, Refused, SqlTable
from tests.servers import MariaDb

NUMBERS = pa.record_batch({"n": [0, 1, 2]})
NAMES = ["a`b", "a\"b'c", "a;b c", "%s %d", "ünïcödé", "語" * 40, "select", "x" * 64]
NAMES += ["x`; DROP TABLE victim; --", "x'; DROP DATABASE course; -- x"]


def write(mariadb: MariaDb, table: SqlTable, *batches: pa.RecordBatch) -> list[Refused]:
    tables = MySqlTables(mariadb.server, "0123456789ab.1", dict)
    try:
        with tables.open(table) as staged:
            refused = [row for batch in batches for row in staged.load(batch)]
        tables.publish()
    finally:
        tables.discard()
    return refused


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def test_a_table_may_have_any_name_that_mysql_can_write(mariadb):
    names = [*NAMES, "victim", "a.b", "a/b", "a\\b"]
    for number in (1, 2):
        tables = MySqlTables(mariadb.server, f"0123456789ab.{number}", dict)
        for name in names:
            with tables.open(SqlTable("course", name, NUMBERS.schema)) as staged:
                staged.load(NUMBERS.slice(number))
        tables.publish()
        tables.discard()
    found = sorted(str(name) for (name,) in mariadb.execute("SHOW TABLES FROM course"))
    assert found == sorted(names)
    for name in names:
        assert mariadb.execute(f"SELECT n FROM course.{quoted(name)}") == [(2,)]


@pytest.mark.parametrize("name", NAMES)
def test_a_database_and_a_column_may_have_any_name_that_mysql_can_write(mariadb, name):
    batch = pa.record_batch({name: [1, 300, 2], "other": ["x", "z", "y"]})
    table = SqlTable(name, "things", batch.schema, unique=(name,), types={name: "tinyint"})
    [refused] = write(mariadb, table, batch)
    assert f"column {name} " in refused.detail
    rows = mariadb.execute(f"SELECT {quoted(name)}, other FROM {quoted(name)}.things")
    assert rows == [(1, "x"), (2, "y")]
    mariadb.execute(f"DROP DATABASE {quoted(name)}")


@pytest.mark.parametrize(
    "name", ["", "  ", "x" * 65, "x ", "a\0b", "😀", "\udc80", "語" * 64, "#mysql50#x" * 7]
)
def test_a_table_that_mysql_cannot_name_stays_in_the_lake(mariadb, name):
    with pytest.raises(BadFileError, match="MYSQL_LEAVE_OUT"):
        write(mariadb, SqlTable("course", name, NUMBERS.schema), NUMBERS)


@pytest.mark.parametrize("database", ["", "a.b", "a/b", "a\\b", "x" * 65, "mysql", "SYS", "é" * 64])
def test_a_database_that_mysql_must_not_have_is_refused(mariadb, database):
    with pytest.raises(BadFileError, match="MYSQL_LEAVE_OUT"):
        write(mariadb, SqlTable(database, "user", NUMBERS.schema), NUMBERS)
    assert mariadb.execute("SELECT COUNT(*) > 0 FROM mysql.user") == [(1,)]


@pytest.mark.parametrize(
    ("names", "more"),
    [
        (["A", "a"], {}),
        (["key", "_key"], {"legacy_text": True}),
        (["ID"], {"serial_id": True}),
        (["aé", "aÉ"], {}),
        (["İ", "i"], {}),
        (["x" * 65], {}),
        ([" "], {}),
        ([str(number) for number in range(1018)], {}),
    ],
)
def test_columns_that_mysql_cannot_have_keep_a_table_in_the_lake(mariadb, names, more):
    schema = pa.schema([(name, pa.string()) for name in names])
    with pytest.raises(BadFileError, match="MYSQL_LEAVE_OUT"):
        write(mariadb, SqlTable("course", "things", schema, **more))
