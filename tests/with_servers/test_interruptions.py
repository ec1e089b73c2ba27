"""Hosts die and servers go away in the middle; the result is that of an undisturbed run."""

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.installation import ASIDE, Installation
from tests.servers import Program
from tests.with_servers.town import Town

SERVICES = (
    "clickstream",
    "database_state",
    "discussion_forums",
    "course_structure",
    "person_course",
    "event_indexes",
)
PATIENCE = 240
AWAY = 3
"""Seconds that a server stays away."""
BIG_LOG = "riveru-edx-events-2016-03-01.log"
REPETITIONS = 8


def until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.1)


def a_host(town: Town, geo_database: Path, name: str = "host") -> Installation:
    return town.installation(name, geo_database, IGNORE_SERVICES=ASIDE)


def is_running(town: Town, service: str) -> bool:
    return any(row.state == "running" for row in town.sources(service))


def assert_all_outputs_agree(town: Town) -> None:
    """Every row once, in the lake and on the servers, and nothing unfinished."""
    assert town.leftovers() == []
    [events] = town.lake(
        "SELECT count(*) AS n, count(DISTINCT (source, line)) AS d FROM logs.clickstream"
    )
    assert events["n"] == events["d"]
    with town.client() as client:
        assert client["logs"]["clickstream"].count_documents({}) == events["n"]
    for schema, name in town.lake_tables():
        if schema.startswith("RiverU") and not schema.endswith("_history"):
            [lake] = town.lake(f'SELECT count(*) AS n FROM "{schema}"."{name}"')
            assert len(town.table(schema, name)) == lake["n"]


def assert_equals(town: Town, embedded: Installation) -> None:
    """The results are those of one undisturbed run without any server."""
    for sql in (
        'SELECT * FROM "Person_Course".personcourse ORDER BY ALL',
        'SELECT * FROM "Person_Course".courseprofile ORDER BY ALL',
        "SELECT source, line, time, event, user_id FROM logs.clickstream ORDER BY ALL",
    ):
        assert Installation.query(as_reader(town, embedded), sql) == embedded.query(sql)


def as_reader(town: Town, embedded: Installation) -> Installation:
    reader: Installation = town.installation("reader", Path(embedded.state / "none.mmdb"))
    return reader


# --- several daemons --------------------------------------------------------------------------


def test_two_daemons_share_a_queue_and_one_takes_over_what_the_other_leaves(
    town, geo_database, tmp_path
):
    embedded = Installation(
        tmp_path / "embedded", town.package, geo_database, IGNORE_SERVICES=ASIDE
    )
    embedded.once()
    one, two = (a_host(town, geo_database, name) for name in ("one", "two"))
    with one.daemon() as first, two.daemon():
        # Both have done something, and the first is in the middle of something else.
        until(lambda: len({run.worker for run in town.runs()}) > 1)
        until(lambda: any(str(one.state) in (row.owner or "") for row in town.sources()))
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        # A minute passes for the leases of the dead.
        town.mariadb.execute(
            f"UPDATE api.source SET lease_until = 0 WHERE owner LIKE '%{one.state}%'"
        )
        until(lambda: town.is_done(SERVICES))
    assert_every_file_was_ingested_once(town)
    assert_all_outputs_agree(town)
    assert_equals(town, embedded)


def assert_every_file_was_ingested_once(town: Town) -> None:
    done = town.select(
        "SELECT source_id FROM api.run JOIN api.source ON source.id = source_id "
        "WHERE kind = 'file' AND outcome IN ('done', 'copy')"
    )
    counted = Counter(row["source_id"] for row in done)
    assert set(counted.values()) == {1}
    files = [row for row in town.sources() if row.kind == "file" and row.reason != "sender_failed"]
    assert len(counted) == len(files)


# --- servers that go away ---------------------------------------------------------------------


@pytest.fixture
def busy(town: Town, tmp_path: Path) -> Town:
    """A town whose package has a log that takes a while."""
    package = tmp_path / "package"
    shutil.copytree(town.package, package, symlinks=True)
    logs = sorted((package / "clickstream_logs").rglob("*edx-events*"))
    unpacked = [
        subprocess.run(["gzip", "-dc", path], capture_output=True, check=True) for path in logs
    ]
    lines = b"".join(done.stdout for done in unpacked)
    (logs[0].parent / BIG_LOG).write_bytes(lines * REPETITIONS)
    town.package = package
    return town


def documents_of_the_big_log(town: Town) -> int:
    with town.client() as client:
        return int(client["logs"]["clickstream"].estimated_document_count())


def test_mongodb_is_killed_in_mid_file_and_comes_back(busy, geo_database):
    with a_host(busy, geo_database).daemon():
        until(lambda: documents_of_the_big_log(busy) > 8_000)
        come_and_go(busy.mongodb, signal.SIGKILL)
        until(lambda: busy.is_done(SERVICES))
    assert_all_outputs_agree(busy)
    assert_nobody_is_blamed(busy)


def test_mysql_is_killed_in_mid_file_and_comes_back(busy, geo_database):
    with a_host(busy, geo_database).daemon():
        until(lambda: is_running(busy, "database_state"))
        come_and_go(busy.mariadb, signal.SIGKILL)
        until(lambda: busy.is_done(SERVICES))
    assert_all_outputs_agree(busy)
    assert_nobody_is_blamed(busy)


def test_a_single_pass_waits_for_a_server_that_is_stopped_and_comes_back(busy, geo_database):
    installation = a_host(busy, geo_database)
    process = subprocess.Popen(installation._command("once"), **installation._surroundings())
    until(lambda: documents_of_the_big_log(busy) > 8_000)
    come_and_go(busy.mongodb, signal.SIGTERM)
    assert process.wait(PATIENCE) == 0
    assert busy.is_done(SERVICES)
    assert_all_outputs_agree(busy)


def come_and_go(server: Program, how: signal.Signals) -> None:
    server.stop(how)
    time.sleep(AWAY)
    server.start()


def assert_nobody_is_blamed(town: Town) -> None:
    """An outage charges no file with an attempt, and rests none."""
    blamed = [(row.name, row.attempts, row.reason) for row in town.sources() if row.attempts]
    assert [row for row in blamed if row[2] != "sender_failed"] == []


def test_without_mongodb_its_items_wait_and_the_other_services_go_on(town, geo_database):
    town.mongodb.stop()
    installation = a_host(town, geo_database)
    with installation.daemon():
        until(lambda: town.is_done(["database_state", "course_structure"]))
        until(lambda: any(row.reason == "unavailable" for row in town.sources("clickstream")))
        waiting = [row for row in town.sources("clickstream") if row.reason == "unavailable"]
        assert f"127.0.0.1:{town.mongodb.port}: it cannot be reached" in waiting[0].message
        assert waiting[0].attempts == 0
        town.mongodb.start()
        until(lambda: town.is_done(SERVICES))
    assert_all_outputs_agree(town)


def test_a_pass_without_its_queue_ends_with_3_and_a_sentence(town, geo_database):
    town.mariadb.stop()
    installation = a_host(town, geo_database)
    done = subprocess.run(
        installation._command("once"),
        **installation._surroundings(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert f"127.0.0.1:{town.mariadb.port}: it cannot be reached" in done.stderr
    assert "Traceback" not in done.stderr
