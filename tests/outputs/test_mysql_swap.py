"""What readers see while tables in MySQL are replaced, and what a table says of itself."""

import threading

import pyarrow as pa
import pymysql
import pytest

from optimus.outputs.mysql import MySqlTables, SqlTable, origin_of
from tests.servers import MariaDb

ORIGIN = {"source": "UQx-auth_user.sql", "gen": "2", "epoch": "1", "delivered": "2016-05-01"}
SCHEMA = pa.schema([("n", pa.int64())])


class Tables:
    """A server, and the tries of one source to write there."""

    def __init__(self, mariadb: MariaDb) -> None:
        self.mariadb = mariadb
        self.begun: list[MySqlTables] = []

    def begin(self, mark: str, **origin: str) -> MySqlTables:
        self.begun.append(MySqlTables(self.mariadb.server, mark, lambda: ORIGIN | origin))
        return self.begun[-1]

    def write(self, table: SqlTable, number: int, **origin: str) -> None:
        """Publish a table of one number."""
        tries = self.begin(f"0123456789ab.{len(self.begun)}", **origin)
        with tries.open(table) as staged:
            staged.load(numbers(number))
        tries.publish()
        tries.discard()

    def read(self, table: SqlTable) -> list[tuple[object, ...]]:
        return self.mariadb.execute(f"SELECT n FROM course.{table.name}")

    def names(self) -> list[str]:
        return sorted(str(name) for (name,) in self.mariadb.execute("SHOW TABLES FROM course"))


@pytest.fixture
def tables(mariadb):
    tables = Tables(mariadb)
    yield tables
    for tries in tables.begun:
        tries.discard()


def numbers(*values: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA)


def table_of(name: str = "things") -> SqlTable:
    return SqlTable("course", name, SCHEMA)


def test_readers_see_the_old_table_until_the_new_one_is_published(tables):
    table = table_of()
    tables.write(table, 1)
    tries = tables.begin("0123456789ab.7")
    with tries.open(table) as staged:
        staged.load(numbers(2, 3))
        assert tables.read(table) == [(1,)]
    assert tables.read(table) == [(1,)]
    tries.publish()
    assert tables.read(table) == [(2,), (3,)]
    assert tables.names() == ["things"]
    tries.discard()
    assert tables.read(table) == [(2,), (3,)]


def test_several_tables_are_swapped_in_one_step(tables):
    pair = [table_of("one"), table_of("other")]
    wrong: list[object] = []
    over = threading.Event()

    def publish(number: int) -> None:
        tries = tables.begin(f"0123456789ab.{number}")
        for table in pair:
            with tries.open(table) as staged:
                staged.load(numbers(number))
        tries.publish()
        tries.discard()

    def read() -> None:
        with tables.mariadb.server.connect("course") as connection, connection.cursor() as cursor:
            while not over.is_set():
                try:
                    cursor.execute("SELECT one.n, other.n FROM one, other")
                    wrong.extend(row for row in cursor if row[0] != row[1])
                except pymysql.MySQLError as error:
                    wrong.append(error)

    publish(0)
    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 15):
        publish(number)
    over.set()
    reader.join()
    assert wrong == []
    assert tables.names() == ["one", "other"]


def test_nothing_opened_is_nothing_published(tables):
    nowhere = MySqlTables(tables.mariadb.server, "0123456789ab.1", dict)
    nowhere.publish()
    nowhere.discard()
    assert nowhere.notes == []


def test_a_table_tells_where_it_is_from(tables):
    table = table_of()
    tables.write(table, 1, epoch="9", course="it's 100 % \\ 語😀")
    told = origin_of(tables.mariadb.server, "course", "things")
    assert told == ORIGIN | {"epoch": "9", "course": "it's 100 % \\ 語😀"}


def test_an_origin_that_is_too_long_keeps_what_matters(tables):
    tables.write(table_of(), 1, about="x" * 3000, source="語" * 400)
    told = origin_of(tables.mariadb.server, "course", "things") or {}
    assert "about" not in told
    assert told["source"].startswith("語" * 100)
    assert {name: told[name] for name in ("gen", "epoch", "delivered")} == {
        name: ORIGIN[name] for name in ("gen", "epoch", "delivered")
    }


@pytest.mark.parametrize("comment", ["", "mine", "optimus {", "optimus []", "optimus"])
def test_a_foreign_table_tells_nothing(tables, comment):
    tables.mariadb.execute("CREATE DATABASE course")
    tables.mariadb.execute(f"CREATE TABLE course.things (n int) COMMENT '{comment}'")
    assert origin_of(tables.mariadb.server, "course", "things") is None
    assert origin_of(tables.mariadb.server, "course", "none") is None
    assert origin_of(tables.mariadb.server, "none", "none") is None


def test_an_older_delivery_does_not_take_the_place_of_a_newer(tables):
    old, other = table_of("old"), table_of("other")
    tables.write(old, 2, delivered="2016-06-01")
    tries = tables.begin("ffffffffffff.1", delivered="2016-05-01")
    assert tries.holds_newer(old, "2016-05-01")
    assert not tries.holds_newer(old, "2016-06-01")
    assert not tries.holds_newer(other, "2016-05-01")
    for table in (old, other):
        with tries.open(table) as staged:
            staged.load(numbers(1))
    tries.publish()
    assert tables.read(old) == [(2,)]
    assert tables.read(other) == [(1,)]
    assert tables.names() == ["old", "other"]
    assert tries.notes == ["course.old stays as it is: it holds a later delivery."]


def test_the_same_delivery_and_a_later_one_take_the_place(tables):
    for number, day in enumerate(["2016-05-01", "2016-05-01", "2016-07-01"]):
        tables.write(table_of(), number, delivered=day)
        assert tables.read(table_of()) == [(number,)]
