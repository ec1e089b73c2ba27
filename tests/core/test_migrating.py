"""What ``migrate`` says before it does anything, and after."""

import io
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from optimus.daemon import single_instance
from optimus.errors import AlreadyRunningError, OutputUnavailableError, SettingsError
from optimus.migrating import show_migration
from optimus.package.edits import Edit
from optimus.queue.migrations import VERSION
from optimus.queue.records import Observed
from optimus.queue.store import Queue
from optimus.settings import FixedSettings, Settings
from tests.servers import MariaDb, free_port

SEEN = Observed("logs", "Logs", "file", "a.log", fingerprint="1")


def on_mysql(folder: Path, port: int) -> Settings:
    return FixedSettings(
        state_path=folder / "state", sql_host="127.0.0.1", sql_port=port, sql_username="root"
    )


@pytest.fixture
def on_sqlite(tmp_path):
    return FixedSettings(state_path=tmp_path / "state")


@pytest.fixture
def legacy(mariadb):
    """The original's table of work, with three files; two are completed."""
    mariadb.execute("CREATE DATABASE api CHARACTER SET latin1")
    mariadb.execute(
        """CREATE TABLE api.ingestor (id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
        service_name varchar(255), type varchar(255), meta varchar(255),
        started int DEFAULT 0, completed int DEFAULT 0, created datetime NULL,
        started_date datetime NULL, completed_date datetime NULL)"""
    )
    mariadb.execute(
        """INSERT INTO api.ingestor (service_name, type, meta, started, completed) VALUES
        ('Clickstream', 'file', '/a.log', 1, 1), ('Clickstream', 'file', '/b.log', 1, 0),
        ('Clickstream', 'file', '/c.log', 1, 1)"""
    )
    return mariadb


def said(settings: Settings, *, apply: bool = False) -> str:
    out = io.StringIO()
    assert show_migration(settings, Console(file=out), apply=apply) == 0
    return out.getvalue()


def tables(mariadb: MariaDb) -> list[tuple[object, ...]]:
    return mariadb.execute("SHOW FULL TABLES IN api")


def version_in(settings: Settings) -> int:
    with sqlite3.connect(settings.queue_path) as connection:
        [version] = connection.execute("SELECT version FROM schema_version").fetchone()
    return int(version)


def test_a_plan_is_told_and_nothing_is_changed(legacy, tmp_path):
    before = tables(legacy)
    text = said(on_mysql(tmp_path, legacy.port))
    assert "database api, MySQL at 127.0.0.1" in text
    assert "This would be done:" in text
    assert "Rename the original's table ingestor (3 rows)" in text
    assert "Take 2 files that it calls completed for done." in text
    assert "Stop the daemons of other hosts" in text
    assert "Nothing was changed. './ingestor.py migrate --apply' does it." in text
    assert tables(legacy) == before


def test_with_apply_it_is_done_and_told(legacy, tmp_path):
    settings = on_mysql(tmp_path, legacy.port)
    text = said(settings, apply=True)
    assert "This was done:" in text
    assert "Take 2 files" in text
    assert f"of version {VERSION} now" in text
    assert "Nothing was changed" not in text
    Queue(settings.queue_place).close()
    assert len(legacy.execute("SELECT id FROM api.ingestor_original")) == 3


@pytest.mark.parametrize("apply", [False, True])
def test_a_queue_that_is_up_to_date_is_left_alone(mariadb, tmp_path, apply):
    Queue(mariadb.server).close()
    text = said(on_mysql(tmp_path, mariadb.port), apply=apply)
    assert f"up to date (version {VERSION}): nothing to do." in text
    assert "--apply" not in text


def test_a_file_is_made_only_when_asked_for(on_sqlite):
    assert "Make the queue." in said(on_sqlite)
    assert not on_sqlite.state_path.exists()
    assert "This was done:" in said(on_sqlite, apply=True)
    assert version_in(on_sqlite) == VERSION


def test_a_file_of_an_older_version_is_upgraded(on_sqlite):
    Queue(on_sqlite.queue_place).close()
    with sqlite3.connect(on_sqlite.queue_path) as connection:
        connection.execute("UPDATE schema_version SET version = 1")
    text = said(on_sqlite)
    assert f"of version 1; this program needs version {VERSION}" in text
    assert "other hosts" not in text
    assert version_in(on_sqlite) == 1
    said(on_sqlite, apply=True)
    assert version_in(on_sqlite) == VERSION


def without_what_came_with_version_3(execute: Callable[[str], object], schema: str = "") -> None:
    for name in ("edit", "acceptance"):
        execute(f"DROP TABLE {schema}{name}")
    execute(f"UPDATE {schema}schema_version SET version = 2")


def is_usable_and_whole(settings: Settings) -> bool:
    """Whether the one source is still there, and its lines can be edited and accepted."""
    queue = Queue(settings.queue_place)
    [source] = queue.sources()
    edit = Edit(1, "0" * 64, b"{}")
    queue.replay(source.id, [edit])
    queue.accept_rejects(source, {"not_json": 1})
    [acceptance] = queue.acceptances().values()
    return queue.edits(source.id) == [edit] and acceptance.reasons == {"not_json": 1}


def test_a_file_of_version_2_is_upgraded_without_a_word(on_sqlite):
    queue = Queue(on_sqlite.queue_place)
    queue.observe([SEEN])
    queue.close()
    with sqlite3.connect(on_sqlite.queue_path) as connection:
        without_what_came_with_version_3(connection.execute)
    assert is_usable_and_whole(on_sqlite)
    assert version_in(on_sqlite) == VERSION


def test_a_server_of_version_2_is_upgraded_with_consent(mariadb, tmp_path):
    settings = on_mysql(tmp_path, mariadb.port)
    queue = Queue(settings.queue_place)
    queue.observe([SEEN])
    queue.close()
    without_what_came_with_version_3(mariadb.execute, "api.")
    with pytest.raises(SettingsError, match="migrate --apply"):
        Queue(settings.queue_place)
    assert "Upgrade from version 2." in said(settings, apply=True)
    assert is_usable_and_whole(settings)


@pytest.mark.parametrize("apply", [False, True])
def test_a_queue_of_a_newer_version_is_refused(on_sqlite, apply):
    Queue(on_sqlite.queue_place).close()
    with sqlite3.connect(on_sqlite.queue_path) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    with pytest.raises(SettingsError, match="version 99"):
        said(on_sqlite, apply=apply)


@pytest.mark.parametrize("apply", [False, True])
def test_nothing_is_migrated_under_a_running_daemon(legacy, tmp_path, apply):
    settings = on_mysql(tmp_path, legacy.port)
    before = tables(legacy)
    with (
        single_instance(settings.state_path),
        pytest.raises(AlreadyRunningError, match="Stop it first"),
    ):
        said(settings, apply=apply)
    assert tables(legacy) == before


def test_a_server_that_is_away_is_told(tmp_path):
    with pytest.raises(OutputUnavailableError, match="cannot be reached"):
        said(on_mysql(tmp_path, free_port()))
