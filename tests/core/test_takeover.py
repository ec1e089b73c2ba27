"""A database ``api`` as the original left it becomes our queue, with its rows."""

import time
from datetime import datetime
from pathlib import Path

import pytest

from optimus.errors import OutputUnavailableError, SettingsError
from optimus.queue.databases import MySqlDatabase
from optimus.queue.migrations import VERSION, migrate, plan
from optimus.queue.records import Observed
from optimus.queue.store import Queue
from tests.servers import MariaDb

NOON = datetime.fromisoformat("2015-03-02 12:00:00")
COLUMNS = "id service_name type meta started completed created started_date completed_date"
LOGS = "/data/clickstream_logs/2015-03-01"
DUMPS = "/data/database_state"


@pytest.fixture
def legacy(mariadb):
    """The table of work as the original made it, in the middle of its life."""
    for sql in (
        "CREATE DATABASE api DEFAULT CHARACTER SET latin1",
        """CREATE TABLE api.ingestor (id int NOT NULL UNIQUE AUTO_INCREMENT,
           service_name varchar(255), type varchar(255), meta varchar(255),
           started int DEFAULT 0, completed int DEFAULT 0, created datetime NULL,
           started_date datetime NULL, completed_date datetime NULL, PRIMARY KEY (id))""",
        """CREATE TABLE api.config (id int NOT NULL UNIQUE AUTO_INCREMENT,
           param_name varchar(255) UNIQUE, param_value varchar(1027), PRIMARY KEY (id))""",
        "INSERT INTO api.config (param_name, param_value) VALUES ('IGNORE_SERVICES', '[]')",
        "CREATE TABLE api.auth_user (id int, username varchar(30))",
        "INSERT INTO api.auth_user VALUES (1, 'reader')",
    ):
        mariadb.execute(sql)
    for number, service, kind, meta, started, completed in (
        (3, "Clickstream", "file", f"{LOGS}/uqx-edx-events-2015-03-01.log", 1, 1),
        (4, "Clickstream", "file", f"{LOGS}/uqx-edx-events-2015-03-02.log", 1, 0),
        (5, "DatabaseState", "file", f"{DUMPS}/2015-03-01/UQx-X-1T-auth_user.sql", 1, 1),
        (6, "Clickstream", "file", "/data/gone/uqx-edx-events-2013-01-01.log", 0, 0),
        (7, "PersonCourse", "save_run", "", 1, 1),
    ):
        mariadb.execute(
            f"""INSERT INTO api.ingestor VALUES ({number}, '{service}', '{kind}', '{meta}',
            {started}, {completed}, '{NOON}', '{NOON}', {f"'{NOON}'" if completed else "NULL"})"""
        )
    return mariadb


def seen(service: str, path: str, fingerprint: str = "1") -> Observed:
    name = Path(path).name
    return Observed(service.lower(), service, "file", name, fingerprint, path=path)


def opened(server) -> Queue:
    migrate(MySqlDatabase(server.server), consent=True)
    return Queue(server.server)


def rows(server) -> dict[int, tuple[object, ...]]:
    found = server.execute(f"SELECT {COLUMNS.replace(' ', ', ')} FROM api.ingestor ORDER BY id")
    return {int(str(row[0])): row[1:] for row in found}


def test_the_plan_says_what_would_be_done_and_changes_nothing(legacy):
    before = legacy.execute("SHOW TABLES IN api")
    planned = plan(MySqlDatabase(legacy.server))
    assert planned.needs_consent
    assert "5 rows" in planned.sentences[1]
    assert "2 files" in planned.sentences[2]
    assert legacy.execute("SHOW TABLES IN api") == before


def test_nobody_elses_table_is_renamed_without_a_word(legacy):
    with pytest.raises(SettingsError, match="migrate --apply"):
        Queue(legacy.server)
    assert len(rows(legacy)) == 5


def test_what_the_original_completed_is_not_ingested_again(legacy):
    queue = opened(legacy)
    logs = [
        seen("Clickstream", f"/new/place/uqx-edx-events-2015-03-0{day}.log.gz") for day in (1, 2, 3)
    ]
    dumps = [
        seen("DatabaseState", f"{DUMPS}/2015-03-0{day}/UQx-X-1T-auth_user.sql") for day in (1, 8)
    ]
    assert queue.observe(logs) == 2
    # The same name in another delivery is another file.
    assert queue.observe([dumps[1]]) == 1
    assert queue.observe([dumps[0]]) == 0
    queue.close()


def test_unless_the_operator_says_so(legacy):
    queue = opened(legacy)
    queue.observe([seen("Clickstream", f"{LOGS}/uqx-edx-events-2015-03-01.log")])
    assert queue.retry("clickstream", "2015-03-01", done=True) == 1
    claim = queue.claim("clickstream", "worker")
    assert claim is not None
    assert claim.source_id == 3
    queue.close()


def test_a_file_that_changes_is_ingested_whatever_the_original_did(legacy):
    queue = opened(legacy)
    path = f"{LOGS}/uqx-edx-events-2015-03-01.log"
    assert queue.observe([seen("Clickstream", path)]) == 0
    assert queue.observe([seen("Clickstream", path, "2")]) == 1
    queue.close()


def test_old_readers_see_the_old_rows_and_the_new_ones_each_once(legacy):
    queue = opened(legacy)
    logs = [f"/new/uqx-edx-events-2015-03-0{day}.log.gz" for day in (1, 2, 3)]
    queue.observe([seen("Clickstream", path) for path in logs])
    queue.close()
    found = rows(legacy)
    assert found[3][:5] == ("Clickstream", "file", logs[0].removesuffix(".gz"), 1, 1)
    assert found[3][5:] == (NOON, NOON, NOON)
    assert found[4][:5] == ("Clickstream", "file", logs[1].removesuffix(".gz"), 0, 0)
    assert found[5][0] == "DatabaseState"
    assert found[7][:5] == ("PersonCourse", "save_run", "", 1, 1)
    # What was never done and is no longer there would wait for ever.
    assert 6 not in found
    assert len(found) == 5
    assert max(found) > 7


def test_nothing_else_in_the_database_is_touched(legacy):
    queue = opened(legacy)
    queue.configure("IGNORE_SERVICES", '["ExtractSample"]')
    queue.close()
    assert legacy.execute("SELECT * FROM api.auth_user") == [(1, "reader")]
    assert legacy.execute("SELECT param_name, param_value FROM api.config") == [
        ("IGNORE_SERVICES", '["ExtractSample"]')
    ]
    assert len(legacy.execute("SELECT * FROM api.ingestor_original")) == 5


def test_a_migration_that_was_interrupted_is_finished_by_the_next(legacy):
    legacy.execute("RENAME TABLE api.ingestor TO api.ingestor_original")
    queue = opened(legacy)
    queue.close()
    assert set(rows(legacy)) == {3, 5, 7}
    assert legacy.execute("SELECT version FROM api.schema_version") == [(VERSION,)]


def test_a_new_queue_needs_no_migration_by_hand(mariadb):
    Queue(mariadb.server).close()
    assert plan(MySqlDatabase(mariadb.server)).sentences == ()
    assert rows(mariadb) == {}


def test_a_try_keeps_the_workers_of_other_hosts_away_until_it_ends(mariadb):
    here, there = Queue(mariadb.server), Queue(mariadb.server)
    here.observe([seen("Clickstream", "/a.log")])
    claim = here.claim("clickstream", "worker")
    assert claim is not None
    with here.hold(claim) as hold:
        hold.check()
        with (
            pytest.raises(OutputUnavailableError, match="another host"),
            there.hold(claim),
        ):
            pass
    with there.hold(claim):
        pass
    here.close()
    there.close()


def test_a_try_whose_connection_was_cut_knows_that_it_holds_nothing(mariadb):
    queue = Queue(mariadb.server)
    queue.observe([seen("Clickstream", "/a.log")])
    claim = queue.claim("clickstream", "worker")
    assert claim is not None
    with queue.hold(claim) as hold:
        (number,) = mariadb.execute(f"SELECT IS_USED_LOCK('{f'optimus:{claim.identity}'[:64]}')")[0]
        mariadb.execute(f"KILL {number}")
        with pytest.raises(OutputUnavailableError):
            hold.check()
    queue.close()


def test_leases_go_by_the_clock_of_the_server_whatever_a_host_believes(mariadb, monkeypatch):
    true_time = time.time()
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    queue = Queue(mariadb.server)
    queue.observe([seen("Clickstream", "/a.log")])
    claim = queue.claim("clickstream", "worker")
    assert claim is not None
    assert abs(claim.started - true_time) < 60
    queue.close()


def test_a_pooled_connection_that_was_cut_is_replaced_without_a_word(mariadb):
    queue = Queue(mariadb.server)
    for (number,) in mariadb.execute(
        "SELECT id FROM information_schema.processlist WHERE db = 'api'"
    ):
        mariadb.execute(f"KILL {number}")
    assert queue.sources() == []
    queue.close()


def test_a_server_that_is_too_old_is_named_and_nothing_is_made(tmp_path):
    server = MariaDb(tmp_path, "--version=10.5.29-MariaDB")
    server.start()
    try:
        with pytest.raises(OutputUnavailableError, match=r"MariaDB 10\.5\.29 is too old.*10\.6"):
            Queue(server.server)
        assert ("api",) not in server.execute("SHOW DATABASES")
    finally:
        server.stop()


def test_a_server_that_is_put_to_use_later_gets_nothing_again_from_what_was_taken_over(legacy):
    queue = opened(legacy)
    path = f"{LOGS}/uqx-edx-events-2015-03-01.log"
    assert queue.observe([seen("Clickstream", path, "1.2")]) == 0
    assert queue.observe([seen("Clickstream", path, "1.2 lake, MongoDB")]) == 0
    assert queue.observe([seen("Clickstream", path, "1.3 lake, MongoDB")]) == 1
    queue.close()
