"""What is promised when MySQL, the way to it, or a person there does not do as we wish."""

import signal
import socket
import struct
import threading
from collections.abc import Iterator

import pyarrow as pa
import pymysql
import pytest

from optimus.errors import BadFileError, OutputUnavailableError
from optimus.outputs import mysql, mysql_load
from optimus.outputs.mysql import MySqlTables, SqlTable
from optimus.outputs.mysql_connection import RowsConnection
from optimus.outputs.mysql_staged import digest_of
from optimus.servers import SqlServer
from tests.servers import MariaDb

MARK = "0123456789ab.1"
NEXT = "0123456789ab.2"
OTHER = "ffffffffffff.1"
NUMBERS = pa.record_batch({"n": [1, 2, 3]})
NUMBERED = SqlTable("course", "numbers", NUMBERS.schema)


BEGUN: list[MySqlTables] = []


@pytest.fixture(autouse=True)
def hang_up():
    """End every try, as the worker does."""
    yield
    while BEGUN:
        BEGUN.pop().discard()


def begin(server: SqlServer | MariaDb, mark: str = MARK) -> MySqlTables:
    at = server if isinstance(server, SqlServer) else server.server
    BEGUN.append(MySqlTables(at, mark, lambda: {"source": "x"}))
    return BEGUN[-1]


def write(server: SqlServer | MariaDb, batch: pa.RecordBatch, mark: str = MARK) -> MySqlTables:
    tables = begin(server, mark)
    with tables.open(NUMBERED) as staged:
        staged.load(batch)
    tables.publish()
    tables.discard()
    return tables


def read(mariadb: MariaDb) -> list[object]:
    return [n for (n,) in mariadb.execute("SELECT n FROM course.numbers")]


def names(mariadb: MariaDb) -> list[object]:
    return [name for (name,) in mariadb.execute("SHOW TABLES FROM course")]


def account(mariadb: MariaDb, *grants: str) -> SqlServer:
    """An account that may do no more than this."""
    mariadb.execute("CREATE USER 'limited'@'%' IDENTIFIED BY 'guess me'")
    for grant in grants:
        mariadb.execute(f"GRANT {grant} TO 'limited'@'%'")
    return SqlServer("127.0.0.1", mariadb.port, "limited", "guess me")


@pytest.fixture
def own_mariadb(tmp_path):
    """A server of its own, for a test that kills it."""
    server = MariaDb(tmp_path)
    server.start()
    yield server
    server.stop()


def test_a_try_that_breaks_off_leaves_nothing(mariadb):
    tables = begin(mariadb)

    def break_off() -> None:
        with tables.open(NUMBERED) as staged:
            staged.load(NUMBERS)
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    tables.publish()
    tables.discard()
    assert names(mariadb) == []


def test_what_a_killed_try_left_goes_at_the_next(mariadb):
    write(mariadb, NUMBERS)
    killed, other = begin(mariadb), begin(mariadb, OTHER)
    killed.open(NUMBERED).load(NUMBERS)
    other.open(NUMBERED).load(NUMBERS)
    for leftover in ("stg", "old"):
        mariadb.execute(f"CREATE TABLE course.{leftover}_0123456789ab_0_0011223344556677 (n int)")
    assert len(names(mariadb)) == 5
    later = begin(mariadb, NEXT)
    later.open(SqlTable("course", "another", NUMBERS.schema)).load(NUMBERS)
    assert len(names(mariadb)) == 3
    later.discard()
    other.discard()
    assert names(mariadb) == ["numbers"]
    assert read(mariadb) == [1, 2, 3]


def test_two_tries_of_different_sources_do_not_disturb_each_other(mariadb):
    one, other = begin(mariadb), begin(mariadb, OTHER)
    with one.open(NUMBERED) as first, other.open(NUMBERED) as second:
        first.load(NUMBERS)
        second.load(NUMBERS.slice(1))
    other.publish()
    one.publish()
    assert read(mariadb) == [1, 2, 3]
    assert names(mariadb) == ["numbers"]


@pytest.mark.parametrize("mark", ["", "x", "identity with spaces; and `more`.1", "a.b.c", "語.語"])
def test_any_mark_will_do(mariadb, mark):
    write(mariadb, NUMBERS, mark)
    begin(mariadb, mark).open(NUMBERED)
    write(mariadb, NUMBERS, mark)
    assert names(mariadb) == ["numbers"]


def test_a_server_that_dies_in_mid_load_costs_nothing_but_time(own_mariadb, monkeypatch):
    write(own_mariadb, NUMBERS)

    def dying(columns: object, batch: pa.RecordBatch) -> Iterator[memoryview]:
        yield memoryview(b"7\n" * 100_000)
        own_mariadb.stop(signal.SIGKILL)
        yield memoryview(b"8\n" * 100_000)

    tables = begin(own_mariadb, NEXT)
    staged = tables.open(NUMBERED)
    staged.load(NUMBERS)
    with monkeypatch.context() as patch:
        patch.setattr(mysql_load, "pieces", dying)
        with pytest.raises(OutputUnavailableError, match="cannot be reached"):
            staged.load(NUMBERS)
    with pytest.raises(OutputUnavailableError):
        staged.close()
    tables.discard()
    own_mariadb.start()
    assert read(own_mariadb) == [1, 2, 3]
    assert len(names(own_mariadb)) == 2
    write(own_mariadb, NUMBERS.slice(1), "0123456789ab.3")
    assert read(own_mariadb) == [2, 3]
    assert names(own_mariadb) == ["numbers"]


def test_a_server_that_dies_before_the_swap_keeps_the_old_tables(own_mariadb):
    write(own_mariadb, NUMBERS)
    tables = begin(own_mariadb, NEXT)
    with tables.open(NUMBERED) as staged:
        staged.load(NUMBERS.slice(1))
    own_mariadb.stop(signal.SIGKILL)
    with pytest.raises(OutputUnavailableError):
        tables.publish()
    own_mariadb.start()
    tables.discard()
    assert read(own_mariadb) == [1, 2, 3]
    assert names(own_mariadb) == ["numbers"]


def test_rows_that_break_off_are_not_taken_for_all(mariadb, monkeypatch):
    def breaking(columns: object, batch: pa.RecordBatch) -> Iterator[memoryview]:
        yield memoryview(b"7\n")
        raise KeyError

    tables = begin(mariadb)
    staged = tables.open(NUMBERED)
    monkeypatch.setattr(mysql_load, "pieces", breaking)
    with pytest.raises(KeyError):
        staged.load(NUMBERS)
    with pytest.raises(OutputUnavailableError):
        staged.close()
    tables.discard()
    assert names(mariadb) == []


def test_rows_that_the_server_swallows_are_noticed(mariadb, monkeypatch):
    staged = begin(mariadb).open(NUMBERED)
    monkeypatch.setattr(mysql_load, "pieces", lambda *_: iter([memoryview(b"7\n")]))
    with pytest.raises(OutputUnavailableError, match="took 1 of 3 rows"):
        staged.load(NUMBERS)


def test_a_warning_without_a_row_refuses_the_table(mariadb, monkeypatch):
    staged = begin(mariadb).open(NUMBERED)
    warning = ("Warning", 1234, "a learner's secret")
    monkeypatch.setattr(RowsConnection, "last_warnings", lambda _: (warning,))
    with pytest.raises(BadFileError, match=r"1234.*MYSQL_LEAVE_OUT") as caught:
        staged.load(NUMBERS)
    assert "secret" not in str(caught.value)


def test_a_lost_connection_does_not_keep_staged_tables(mariadb):
    tables = begin(mariadb)
    staged = tables.open(NUMBERED)
    for (number,) in mariadb.execute(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() "
        "AND COMMAND = 'Sleep'"
    ):
        mariadb.execute(f"KILL {number}")
    with pytest.raises(OutputUnavailableError, match="cannot be reached"):
        staged.load(NUMBERS)
    tables.discard()
    assert names(mariadb) == []


def test_nobody_at_home_is_said(mariadb):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = SqlServer("127.0.0.1", unused.getsockname()[1], "root")
    tables = begin(server)
    with pytest.raises(OutputUnavailableError, match="cannot be reached"):
        tables.open(NUMBERED)
    with pytest.raises(OutputUnavailableError, match="cannot be reached"):
        tables.holds_newer(NUMBERED, "2016-05-01")
    tables.discard()


def test_a_wrong_password_is_said_and_not_shown(mariadb):
    account(mariadb)
    server = SqlServer("127.0.0.1", mariadb.port, "limited", "wrong one")
    with pytest.raises(OutputUnavailableError, match="Mend SQL_USERNAME and SQL_PASSWORD") as told:
        begin(server).open(NUMBERED)
    assert "wrong one" not in str(told.value)


def test_a_missing_right_is_named(mariadb):
    with pytest.raises(OutputUnavailableError, match="Grant it CREATE"):
        begin(account(mariadb)).open(NUMBERED)


def test_the_rights_that_are_asked_for_are_enough(mariadb):
    rights = "CREATE, ALTER, DROP, INDEX, SELECT, INSERT, UPDATE, DELETE ON `course`.*"
    server = account(mariadb, rights)
    for mark in (MARK, NEXT):
        assert write(server, NUMBERS, mark).notes == []
    assert read(mariadb) == [1, 2, 3]


def test_a_server_that_takes_no_writes_is_said(mariadb):
    server = account(mariadb, "ALL ON `course`.*")
    mariadb.execute("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(OutputUnavailableError, match="takes no writes"):
            begin(server).open(NUMBERED)
    finally:
        mariadb.execute("SET GLOBAL read_only = 0")


def test_a_view_is_not_replaced(mariadb):
    mariadb.execute("CREATE DATABASE course")
    tables = begin(mariadb)
    staged = tables.open(NUMBERED)
    staged.close()
    mariadb.execute("CREATE VIEW course.numbers AS SELECT 7 AS n")
    with pytest.raises(BadFileError, match=r"is a view.*MYSQL_LEAVE_OUT"):
        tables.publish()
    tables.discard()
    with pytest.raises(BadFileError, match=r"is a view.*MYSQL_LEAVE_OUT"):
        begin(mariadb).open(NUMBERED)
    assert read(mariadb) == [7]
    assert names(mariadb) == ["numbers"]


def test_rows_that_are_too_wide_keep_a_table_in_the_lake(mariadb):
    # 250 texts of just under the length at which the server keeps them beside the row.
    batch = pa.record_batch({f"column_{number}": ["x" * 39] for number in range(250)})
    staged = begin(mariadb).open(SqlTable("course", "wide", batch.schema))
    with pytest.raises(BadFileError, match=r"course.wide: its rows are too wide.*MYSQL_LEAVE_OUT"):
        staged.load(batch)


def test_a_key_that_is_too_long_keeps_a_table_in_the_lake(mariadb):
    batch = pa.record_batch({name: ["x"] for name in "abcd"})
    staged = begin(mariadb).open(SqlTable("course", "keys", batch.schema, indexes=(tuple("abcd"),)))
    with pytest.raises(BadFileError, match=r"a key of it is too long.*MYSQL_LEAVE_OUT"):
        staged.close()


def test_a_row_larger_than_a_packet_names_the_setting(tmp_path):
    strict = MariaDb(tmp_path, "--local-infile=0", "--max-allowed-packet=1M")
    strict.start()
    try:
        batch = pa.record_batch({"state": ["x" * 400_000, "y" * 3_000_000]})
        staged = begin(strict).open(SqlTable("course", "states", batch.schema))
        staged.load(batch.slice(0, 1))
        with pytest.raises(OutputUnavailableError, match="Raise max_allowed_packet"):
            staged.load(batch)
    finally:
        strict.stop()


def test_a_cell_larger_than_a_packet_goes_in_by_a_file(mariadb):
    batch = pa.record_batch({"state": ["x" * 20_000_000]})
    tables = begin(mariadb)
    with tables.open(SqlTable("course", "states", batch.schema)) as staged:
        assert staged.load(batch) == []
    tables.publish()
    assert mariadb.execute("SELECT LENGTH(state) FROM course.states") == [(20_000_000,)]


def test_a_table_that_somebody_else_publishes_is_left_for_later(mariadb, monkeypatch):
    write(mariadb, NUMBERS)
    tables = begin(mariadb, NEXT)
    tables.open(NUMBERED).close()
    monkeypatch.setattr(mysql, "LOCK_SECONDS", 0)
    lock = f"optimus:{digest_of('`course`.`numbers`')}"
    with mariadb.server.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0)", (lock,))
        with pytest.raises(OutputUnavailableError, match="another load publishes the same table"):
            tables.publish()
    assert read(mariadb) == [1, 2, 3]
    tables.publish()
    assert read(mariadb) == []


def test_a_replaced_table_that_cannot_be_dropped_goes_with_the_next_delivery(mariadb, monkeypatch):
    write(mariadb, NUMBERS)
    tables = begin(mariadb, NEXT)
    tables.open(NUMBERED).close()

    def stuck(connection: RowsConnection, tables: list[str]) -> None:
        raise pymysql.OperationalError(1030, "a learner's secret")

    with monkeypatch.context() as patch:
        patch.setattr(RowsConnection, "drop", stuck)
        tables.publish()
    assert tables.notes == [
        "A table that was replaced could not be dropped (error 1030); the next delivery does it."
    ]
    assert read(mariadb) == []
    assert len(names(mariadb)) == 2
    write(mariadb, NUMBERS, OTHER)
    assert names(mariadb) == ["numbers"]


@pytest.mark.parametrize("name", ["/etc/passwd", "optimus2", "Optimus", "", "optimus/../x"])
def test_a_request_for_another_file_gets_nothing(mariadb, name):
    mariadb.execute("CREATE DATABASE course")
    mariadb.execute("CREATE TABLE course.stolen (line text)")
    connection = RowsConnection(mariadb.server)
    statement = f"LOAD DATA LOCAL INFILE '{name}' INTO TABLE course.stolen"
    with pytest.raises(OutputUnavailableError, match="asked for a file of this machine"):
        connection.send_rows(statement, iter([memoryview(b"rows\n")]))
    assert not connection.open
    assert mariadb.execute("SELECT * FROM course.stolen") == []


def test_a_request_in_a_statement_that_offers_nothing_gets_nothing(mariadb):
    mariadb.execute("CREATE DATABASE course")
    mariadb.execute("CREATE TABLE course.stolen (line text)")
    connection = RowsConnection(mariadb.server)
    connection.send_rows(
        "LOAD DATA LOCAL INFILE 'optimus' INTO TABLE course.stolen", iter([memoryview(b"rows\n")])
    )
    with pytest.raises(OutputUnavailableError, match="asked for a file of this machine"):
        connection.rows_of("LOAD DATA LOCAL INFILE 'optimus' INTO TABLE course.stolen")
    assert mariadb.execute("SELECT * FROM course.stolen") == [("rows",)]


class RogueServer(threading.Thread):
    """Says it is MySQL, and answers the second statement with a request for a file."""

    def __init__(self, wanted: bytes) -> None:
        super().__init__(daemon=True)
        self.got = b""
        self._wanted = wanted
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]

    def run(self) -> None:
        with self._door, self._door.accept()[0] as client:
            greeting = b"\x0a8.0.0\0" + bytes(4) + b"12345678\0" + b"\x80\x82\x2d\x02\0\x08\0\x15"
            self._send(client, 0, greeting + bytes(10) + b"123456789012\0mysql_native_password\0")
            for number in (2, 1):
                self._receive(client)
                self._send(client, number, b"\0\0\0\2\0\0\0")
            self._receive(client)
            self._send(client, 1, b"\xfb" + self._wanted)
            while more := client.recv(4096):
                self.got += more

    def _send(self, client: socket.socket, number: int, content: bytes) -> None:
        client.sendall(struct.pack("<I", len(content))[:3] + bytes([number]) + content)

    def _receive(self, client: socket.socket) -> None:
        head = client.recv(4, socket.MSG_WAITALL)
        client.recv(struct.unpack("<I", head[:3] + b"\0")[0], socket.MSG_WAITALL)


def test_a_server_that_asks_for_a_file_unbidden_gets_nothing(tmp_path):
    (tmp_path / "secret").write_text("a learner's secret")
    rogue = RogueServer(str(tmp_path / "secret").encode())
    rogue.start()
    tables = begin(SqlServer("127.0.0.1", rogue.port, "root"))
    with pytest.raises(OutputUnavailableError, match="asked for a file of this machine"):
        tables.open(NUMBERED)
    tables.discard()
    rogue.join(10)
    assert not rogue.is_alive()
    assert rogue.got == b""
