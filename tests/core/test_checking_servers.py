"""What a check says of the servers, and whether an operator can act on it."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from optimus.checking_mongodb import indexes_in_the_way, is_too_old
from optimus.checking_mysql import encryption_findings
from optimus.checking_rights import quoted_account
from optimus.checking_servers import exit_code_of, server_findings
from optimus.findings import Found
from optimus.queue.store import Queue
from optimus.server_versions import parse_version
from optimus.servers import SqlServer
from optimus.settings import FixedSettings, Settings
from tests.servers import MariaDb, MongoDb, free_port

SECRET = "s3cret,word"
NEEDED = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, CREATE VIEW"
DERIVED = ("Person_Course", "Course_Event", "Daily_Count", "Email_CRM")


class Desk:
    """Settings for the servers of a test, and what is said about them."""

    def __init__(self, folder: Path) -> None:
        self.package = folder / "package"
        self.package.mkdir()
        self._folder = folder

    def settings(self, **values: Any) -> Settings:
        return FixedSettings(data_paths=[self.package], state_path=self._folder / "state", **values)

    def mysql(self, server: SqlServer, **values: Any) -> Settings:
        return self.settings(
            sql_host=server.host,
            sql_port=server.port,
            sql_username=server.username,
            sql_password=server.password,
            **values,
        )

    def mongodb(self, server: MongoDb, login: str = "") -> Settings:
        place = f"127.0.0.1:{server.port}"
        return self.settings(mongo_host=f"mongodb://{login}@{place}/" if login else place)

    def course(self, stem: str) -> None:
        folder = self.package / "database_state" / "latest"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{stem}-auth_user-prod-analytics.sql").write_text("id\n")


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def of(settings: Settings, thing: str, ahead: float = 0.0) -> list[Found]:
    found = [
        finding
        for finding in server_findings(settings, lambda: time.time() - ahead)
        if finding[1] == thing
    ]
    assert SECRET not in json.dumps(found)
    return found


def of_mysql(settings: Settings, ahead: float = 0.0) -> list[Found]:
    return of(settings, "SQL_HOST", ahead)


def of_mongodb(settings: Settings, ahead: float = 0.0) -> list[Found]:
    return of(settings, "MONGO_HOST", ahead)


def sentence(found: list[Found], word: str) -> tuple[str, str]:
    """Verdict and text of the one finding that has the word in it."""
    [(verdict, _, text)] = [finding for finding in found if word in finding[2]]
    return verdict, text


def only(found: list[Found]) -> tuple[str, str]:
    [(verdict, _, text)] = found
    return verdict, text


# --- neither ----------------------------------------------------------------------------------


def test_without_servers_it_is_said_where_everything_is(desk):
    found = list(server_findings(desk.settings()))
    assert [(verdict, thing) for verdict, thing, _ in found] == [
        ("good", "SQL_HOST"),
        ("good", "MONGO_HOST"),
    ]
    assert "queue is in SQLite" in found[0][2]
    assert "in the lake alone" in found[1][2]


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        ([], 0),
        (["good", "look"], 0),
        (["good", "bad"], 1),
        (["bad", "away", "good"], 3),
    ],
)
def test_a_server_that_is_away_has_an_exit_code_of_its_own(verdicts, code):
    assert exit_code_of(verdicts) == code


# --- MySQL: reaching it -----------------------------------------------------------------------


def test_a_server_that_does_not_run_is_away_and_the_rest_is_not_asked(desk):
    verdict, text = only(of_mysql(desk.mysql(SqlServer("127.0.0.1", free_port(), "root"))))
    assert verdict == "away"
    assert "cannot be reached" in text
    assert "Start it" in text


def test_a_server_that_goes_away_meanwhile_is_away(desk, mariadb):
    def cut() -> float:
        for (number,) in mariadb.execute(
            "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()"
        ):
            mariadb.execute(f"KILL {number}")
        return time.time()

    found = list(server_findings(desk.mysql(mariadb.server), cut))
    assert [verdict for verdict, _, text in found if "cannot be reached" in text] == ["away"]


def test_a_wrong_password_is_told_and_not_shown(desk, mariadb):
    mariadb.execute("CREATE USER limited IDENTIFIED BY 'another'")
    limited = replace(mariadb.server, username="limited", password=SECRET)
    verdict, text = only(of_mysql(desk.mysql(limited)))
    assert verdict == "away"
    assert "SQL_PASSWORD" in text


def test_a_missing_file_of_authorities_is_named(desk, mariadb, tmp_path):
    settings = desk.mysql(mariadb.server, sql_tls_ca=tmp_path / "nowhere.pem")
    verdict, text = only(of_mysql(settings))
    assert verdict == "away"
    assert "SQL_TLS_CA" in text
    assert "nowhere.pem" in text


def test_version_and_place_are_told(desk, mariadb):
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), f":{mariadb.port}")
    assert verdict == "good"
    assert re.match(r"MariaDB \d+\.\d+\.\d+ at 127\.0\.0\.1:", text)


@pytest.mark.parametrize(
    ("told", "understood", "is_too_old"),
    [
        ("5.7.44-log", "MySQL 5.7.44", True),
        ("8.0.0", "MySQL 8.0.0", True),
        ("8.0.1", "MySQL 8.0.1", False),
        ("8.0.36", "MySQL 8.0.36", False),
        ("8.4.0-0ubuntu0.24.04.1", "MySQL 8.4.0", False),
        ("10.5.29-MariaDB-1", "MariaDB 10.5.29", True),
        ("10.6.0-MariaDB", "MariaDB 10.6.0", False),
        ("11.4.2-MariaDB", "MariaDB 11.4.2", False),
        ("5.5.5-10.11.19-MariaDB-0+deb12u1", "MariaDB 10.11.19", False),
        ("", "MySQL of an unknown version", True),
    ],
)
def test_versions_are_understood(told, understood, is_too_old):
    version = parse_version(told)
    assert (str(version), version.is_too_old) == (understood, is_too_old)


def test_mariadb_is_known_by_its_comment_too():
    assert str(parse_version("11.4.2", "MariaDB Server")) == "MariaDB 11.4.2"


@pytest.mark.parametrize(
    ("server", "is_encrypted", "words"),
    [
        (SqlServer("127.0.0.1"), False, None),
        (SqlServer("localhost"), False, None),
        (SqlServer("::1"), False, None),
        (SqlServer("db.example.org", socket=Path("/run/mysql.sock")), False, None),
        (SqlServer("db.example.org", certificates=Path("ca.pem")), True, None),
        (SqlServer("db.example.org"), True, "nobody vouches"),
        (SqlServer("db.example.org"), False, "not encrypted"),
        (SqlServer("192.0.2.7"), False, "not encrypted"),
    ],
)
def test_a_connection_that_others_can_read_needs_a_look(server, is_encrypted, words):
    found = list(encryption_findings(server, is_encrypted=is_encrypted))
    assert bool(found) == bool(words)
    for verdict, _, text in found:
        assert verdict == "look"
        assert str(words) in text
        assert "SQL_TLS_CA" in text


# --- MySQL: rights ----------------------------------------------------------------------------


class Account:
    """An account with as few rights as a test says."""

    def __init__(self, mariadb: MariaDb) -> None:
        self._mariadb = mariadb
        self.server = replace(mariadb.server, username="limited", password=SECRET)
        mariadb.execute(f"CREATE USER limited@'%' IDENTIFIED BY '{SECRET}'")

    def grant(self, rights: str, where: str) -> None:
        self._mariadb.execute(f"GRANT {rights} ON {where} TO limited@'%'")

    def traces(self) -> list[tuple[object, ...]]:
        return self._mariadb.execute(
            "SELECT schema_name, '' FROM information_schema.schemata UNION ALL "
            "SELECT table_schema, table_name FROM information_schema.tables ORDER BY 1, 2"
        )


@pytest.fixture
def account(mariadb):
    return Account(mariadb)


def rights(settings: Settings) -> tuple[str, str]:
    return sentence(of_mysql(settings), "'limited'@'%'")


def test_an_account_with_the_rights_it_needs_is_good(desk, account):
    account.grant(NEEDED, "*.*")
    before = account.traces()
    assert rights(desk.mysql(account.server)) == (
        "good",
        "'limited'@'%' may make databases, tables and views (tried).",
    )
    assert account.traces() == before


def test_the_grant_that_is_told_is_all_that_is_missing(desk, account, mariadb):
    verdict, text = rights(desk.mysql(account.server))
    assert verdict == "bad"
    statement = re.search("GRANT .+;", text)
    assert statement is not None
    mariadb.execute(statement[0])
    assert {verdict for verdict, _, _ in of_mysql(desk.mysql(account.server))} == {"good"}


@pytest.mark.parametrize("existing", [False, True], ids=["no api yet", "api is there"])
def test_what_is_missing_is_told_exactly_and_nothing_stays(desk, account, mariadb, existing):
    if existing:
        mariadb.execute("CREATE DATABASE api CHARACTER SET utf8mb4")
    account.grant("SELECT, CREATE, DROP, INDEX", "api.*")
    for database in DERIVED:
        account.grant(NEEDED, f"{database}.*")
    before = account.traces()
    verdict, text = rights(desk.mysql(account.server))
    assert verdict == "bad"
    assert "lacks INSERT, UPDATE, DELETE, ALTER, CREATE VIEW on api." in text
    assert account.traces() == before


@pytest.mark.parametrize("where", ["*.*", "api.*"])
def test_what_could_not_be_dropped_again_is_not_made(desk, account, mariadb, where):
    mariadb.execute("CREATE DATABASE api CHARACTER SET utf8mb4")
    account.grant("SELECT, INSERT, CREATE", where)
    before = account.traces()
    verdict, text = rights(desk.mysql(account.server))
    assert verdict == "bad"
    assert "UPDATE, DELETE, DROP, ALTER, INDEX, CREATE VIEW on api" in text
    assert account.traces() == before


def test_an_account_that_may_make_databases_and_no_views_is_told_so(desk, account):
    account.grant(NEEDED.replace(", CREATE VIEW", ""), "*.*")
    before = account.traces()
    verdict, text = rights(desk.mysql(account.server))
    assert (verdict, "lacks CREATE VIEW in them" in text) == ("bad", True)
    assert account.traces() == before


def test_rights_on_the_databases_that_are_used_are_enough(desk, account):
    for database in ("api", *DERIVED, r"`DemoX\_%`"):
        account.grant(NEEDED, f"{database}.*")
    verdict, text = rights(desk.mysql(account.server))
    assert verdict == "look"
    assert "name no course yet" in text
    desk.course("DemoX-A-2014")
    assert rights(desk.mysql(account.server))[0] == "good"
    desk.course("OtherX-A-2014")
    verdict, text = rights(desk.mysql(account.server))
    assert verdict == "bad"
    assert "on OtherX_A_2014." in text


def test_an_account_that_may_do_everything_works_and_needs_a_look(desk, mariadb):
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), "CREATE USER")
    assert verdict == "look"
    assert f"GRANT {NEEDED} ON *.* TO 'optimus'@" in text


def test_names_of_accounts_are_quoted():
    assert quoted_account("o'neil@%.example.org") == "'o''neil'@'%.example.org'"
    assert quoted_account("a@b@localhost") == "'a@b'@'localhost'"


@pytest.fixture
def keys_demanded(mariadb):
    mariadb.execute("SET GLOBAL innodb_force_primary_key = 1")
    yield mariadb
    mariadb.execute("SET GLOBAL innodb_force_primary_key = 0")


def test_a_server_that_takes_no_tables_without_a_key_is_told(desk, keys_demanded):
    found = of_mysql(desk.mysql(keys_demanded.server))
    verdict, text = sentence(found, "primary key")
    assert verdict == "bad"
    assert "innodb_force_primary_key" in text


@pytest.fixture
def read_only(mariadb):
    mariadb.execute("SET GLOBAL read_only = 1")
    yield mariadb
    mariadb.execute("SET GLOBAL read_only = 0")


def test_a_server_that_takes_no_writes_is_told(desk, account, read_only):
    account.grant(NEEDED, "*.*")
    verdict, text = sentence(of_mysql(desk.mysql(account.server)), "read_only")
    assert verdict == "bad"
    assert "takes no writes" in text


# --- MySQL: how the server is set up ----------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """An old server, as nobody should set it up."""
    server = MariaDb(
        tmp_path_factory.mktemp("odd"),
        "--version=10.5.29-MariaDB-1",
        "--local-infile=0",
        "--character-set-server=latin1",
        "--max-allowed-packet=1M",
        "--innodb-flush-log-at-trx-commit=2",
    )
    server.start()
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("word", "verdict", "remedy"),
    [
        ("too old", "bad", "MariaDB 10.6"),
        ("local_infile", "look", "SET GLOBAL local_infile = 1"),
        ("max_allowed_packet is 1 MB", "look", "max_allowed_packet=64M under [mysqld]"),
        ("innodb_flush_log", "look", "SET GLOBAL innodb_flush_log_at_trx_commit = 1"),
        ("latin1", "good", "in utf8mb4 all the same"),
    ],
)
def test_what_is_set_otherwise_than_it_should_be_is_told(desk, odd, word, verdict, remedy):
    found, text = sentence(of_mysql(desk.mysql(odd.server)), word)
    assert (found, remedy in text) == (verdict, True)


@pytest.mark.parametrize("name", ["api", "Person_Course"])
def test_a_database_in_another_character_set_is_named(desk, mariadb, name):
    mariadb.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), "was made in latin1")
    assert verdict == "look"
    assert f"ALTER DATABASE `{name}`" in text


@pytest.mark.parametrize(("ahead", "direction"), [(60.0, "ahead of"), (-60.0, "behind")])
def test_clocks_that_differ_are_told(desk, mariadb, mongodb, ahead, direction):
    for found in (
        of_mysql(desk.mysql(mariadb.server), ahead),
        of_mongodb(desk.mongodb(mongodb), ahead),
    ):
        verdict, text = sentence(found, "clock")
        assert verdict == "look"
        assert direction in text
        assert "NTP" in text


def test_the_disk_of_a_server_on_this_host_is_looked_at(desk, mariadb):
    verdict, _ = sentence(of_mysql(desk.mysql(mariadb.server)), "GB free")
    assert verdict in {"good", "look"}


# --- MySQL: the queue -------------------------------------------------------------------------


def test_a_queue_that_is_not_there_will_be_made(desk, mariadb):
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), "no queue")
    assert (verdict, "the first run makes it" in text) == ("good", True)
    assert mariadb.execute("SHOW DATABASES LIKE 'api'") == []


def test_a_queue_that_is_there_is_up_to_date(desk, mariadb):
    Queue(mariadb.server).close()
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), "The queue")
    assert (verdict, "is up to date" in text) == ("good", True)


def test_the_originals_queue_needs_a_migration(desk, mariadb):
    mariadb.execute("CREATE DATABASE api CHARACTER SET utf8mb4")
    mariadb.execute("CREATE TABLE api.ingestor (id int, type varchar(9), completed int)")
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), "The queue")
    assert verdict == "bad"
    assert "./ingestor.py migrate --apply" in text


def test_a_queue_of_a_newer_version_is_told(desk, mariadb):
    Queue(mariadb.server).close()
    mariadb.execute("UPDATE api.schema_version SET version = 99")
    verdict, text = sentence(of_mysql(desk.mysql(mariadb.server)), "The queue in")
    assert (verdict, "version 99" in text) == ("bad", True)


# --- MongoDB ----------------------------------------------------------------------------------


def test_a_mongodb_that_does_not_run_is_away(desk):
    settings = desk.settings(mongo_host=f"mongodb://writer:{SECRET}@127.0.0.1:{free_port()}/")
    verdict, text = only(of_mongodb(settings))
    assert verdict == "away"
    assert "Start it" in text


def test_a_file_of_the_address_that_is_gone_is_told(desk, tmp_path):
    authorities = tmp_path / "authorities.pem"
    authorities.write_text("")
    place = f"mongodb://writer:{SECRET}@127.0.0.1/?tls=true&tlsCAFile={authorities}"
    settings = desk.settings(mongo_host=place)
    authorities.unlink()
    verdict, text = only(of_mongodb(settings))
    assert verdict == "bad"
    assert str(authorities) in text


def test_a_file_of_the_address_that_is_no_certificate_is_told(desk, tmp_path):
    authorities = tmp_path / "authorities.pem"
    authorities.write_text("no certificate")
    place = f"mongodb://writer:{SECRET}@127.0.0.1/?tls=true&tlsCAFile={authorities}"
    verdict, text = only(of_mongodb(desk.settings(mongo_host=place)))
    assert (verdict, "MONGO_HOST" in text) == ("away", True)


def test_a_mongodb_without_access_control_works_and_needs_a_look(desk, mongodb):
    found = of_mongodb(desk.mongodb(mongodb))
    verdict, text = sentence(found, "no login")
    assert verdict == "look"
    assert "security.authorization" in text
    assert {verdict for verdict, _, text in found if "no login" not in text} <= {"good"}
    assert f"127.0.0.1:{mongodb.port}" in found[0][2]
    assert sentence(found, "logs and discussion_forum can be written to")[0] == "good"
    assert sentence(found, "GB free")[0] in {"good", "look"}


def test_a_check_leaves_nothing_in_mongodb(desk, mongodb):
    of_mongodb(desk.mongodb(mongodb))
    with mongodb.server.connect() as client:
        assert set(client.list_database_names()) <= {"admin", "config", "local"}


@pytest.mark.parametrize(
    ("version", "old"),
    [("4.4.29", True), ("5.0.0", False), ("6.0.14", False), ("8.0.1-rc0", False)],
)
def test_old_versions_of_mongodb_are_known(version, old):
    assert is_too_old(version) == old


def test_an_index_that_is_in_the_way_is_named_with_the_command_that_drops_it(desk, mongodb):
    with mongodb.server.connect() as client:
        events = client.logs.clickstream
        events.create_index("country", unique=True, name="one_each")
        events.create_index([("event_type", 1), ("context.course_id", 1)])
        events.create_index("username", sparse=True)
    found = [text for verdict, _, text in of_mongodb(desk.mongodb(mongodb)) if verdict == "bad"]
    [text] = found
    assert 'db.getSiblingDB("logs").clickstream.dropIndex("one_each")' in text


@pytest.mark.parametrize(
    ("options", "in_the_way"),
    [
        ({}, []),
        ({"background": True}, []),
        ({"unique": False}, []),
        ({"unique": True}, ["x"]),
        ({"sparse": True}, ["x"]),
        ({"partialFilterExpression": {}}, ["x"]),
    ],
)
def test_only_an_index_of_another_kind_is_in_the_way(options, in_the_way):
    index = {"name": "x", "key": {"country": 1}, **options}
    assert indexes_in_the_way([index]) == in_the_way
    assert indexes_in_the_way([index, {"name": "y", "key": {"country": 1}}]) == []


def test_documents_of_others_are_counted(desk, mongodb):
    with mongodb.server.connect() as client:
        client.logs.clickstream.insert_many([{"n": number} for number in range(7)])
        client.logs["_ingest"].insert_one(
            {"_id": "0" * 16, "collection": "clickstream", "rows": 4, "complete": True}
        )
    verdict, text = sentence(of_mongodb(desk.mongodb(mongodb)), "import-legacy")
    assert verdict == "look"
    assert "3 documents" in text


def client_of(server: MongoDb, **login: Any) -> "MongoClient[dict[str, object]]":
    return MongoClient("127.0.0.1", server.port, **login)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A MongoDB with access control and three accounts."""
    server = MongoDb(tmp_path_factory.mktemp("guarded"), "--auth")
    server.start()
    both = [{"role": "readWrite", "db": name} for name in ("logs", "discussion_forum")]
    accounts = {"keeper": ["root"], "writer": both, "reader": [], "half": both[:1]}
    with client_of(server) as client:
        client.admin.command("createUser", "keeper", pwd="word", roles=accounts.pop("keeper"))
    with client_of(server, username="keeper", password="word") as client:
        for name, roles in accounts.items():
            client.admin.command("createUser", name, pwd=SECRET, roles=roles)
    yield server
    server.stop()


def test_an_account_with_its_roles_is_good(desk, guarded):
    found = of_mongodb(desk.mongodb(guarded, f"writer:{SECRET}"))
    assert {verdict for verdict, _, text in found if "GB free" not in text} == {"good"}


def test_a_login_that_is_missing_is_told(desk, guarded):
    verdict, text = only(of_mongodb(desk.mongodb(guarded)))
    assert verdict == "away"
    assert "wants a login" in text
    assert "mongodb://" in text


def test_a_login_that_is_wrong_is_told_and_not_shown(desk, guarded):
    verdict, text = only(of_mongodb(desk.mongodb(guarded, f"keeper:{SECRET}")))
    assert verdict == "away"
    assert "Mend MONGO_HOST" in text


@pytest.mark.parametrize(
    ("name", "lacking"), [("reader", "logs and discussion_forum"), ("half", "discussion_forum")]
)
def test_the_role_that_is_told_is_all_that_is_missing(desk, guarded, name, lacking):
    settings = desk.mongodb(guarded, f"{name}:{SECRET}")
    verdict, text = sentence(of_mongodb(settings), "may not write")
    assert verdict == "bad"
    assert f"may not write to {lacking}." in text
    told = re.search(r'getSiblingDB\("(\w+)"\)\.grantRolesToUser\("(\w+)", (\[.+\])\)', text)
    assert told is not None
    with client_of(guarded, username="keeper", password="word") as client:
        client[told[1]].command("grantRolesToUser", told[2], roles=json.loads(told[3]))
    assert "bad" not in {verdict for verdict, _, _ in of_mongodb(settings)}
