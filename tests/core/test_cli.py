"""What is promised about the commands: what they print, and which exit code says how it went."""

import fcntl
import gzip
import json
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from optimus.queue.records import Claim, Observed
from optimus.queue.store import Queue
from tests.core.commands import Commands

# One process has the fixture of the module; others would make it again.
pytestmark = pytest.mark.xdist_group("commands")

LOG = "demox-edx-events-2014-03-04.log"
BAD = "demox-edx-events-2014-03-05.log.gz"
GOOD = '{"event_type": "a", "username": "ada", "time": "2014-03-04T05:06:07+00:00"}'
TORN = '{"event_type": "b", "username": "ada", "email": "ada@example.org", "ip": "192.0.2.7'


@dataclass
class Office:
    """Commands that have been used, and how the first of them went."""

    commands: Commands
    once: subprocess.CompletedProcess[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.commands, name)


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """A package with a good, a torn and a damaged part, ingested. Look at it only."""
    commands = Commands(tmp_path_factory.mktemp("office"), RESET_CACHE=True)
    commands.log(LOG, GOOD, TORN, "# nothing")
    (commands.logs / BAD).write_bytes(gzip.compress(b"{}\n" * 100)[:-4])
    return Office(commands, commands.run("once"))


@pytest.fixture
def commands(tmp_path):
    return Commands(tmp_path)


# --- exit codes -------------------------------------------------------------------------------


def test_a_pass_that_ingests_all_there_is_exits_with_0(commands):
    commands.log(LOG, GOOD)
    done = commands.run("once")
    assert (done.returncode, done.stderr) == (0, "")
    assert commands.run("once").stdout.startswith("Nothing new")


def test_a_pass_with_a_file_that_fails_exits_with_1_and_names_it(office):
    assert office.once.returncode == 1
    assert BAD in office.once.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["query"],
        ["query", "drop table x"],
        ["query", "select nonsense from nowhere"],
        ["retry"],
        ["rejects", "show", "x"],
        ["sample", "/tmp/x", "--start", "yesterday"],
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_wrong(commands, arguments):
    done = commands.here(*arguments)
    assert done.returncode == 2
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_settings_exit_with_2_and_all_of_them_are_told(tmp_path):
    done = Commands(tmp_path, API_PORT="x", LAKE_PAHT="y").here("once")
    assert done.returncode == 2
    assert "API_PORT" in done.stderr
    assert "did you mean LAKE_PATH?" in done.stderr


def test_data_folders_that_are_not_there_exit_with_2(tmp_path):
    done = Commands(tmp_path, DATA_PATHS=["/nowhere/at/all"]).here("once")
    assert done.returncode == 2
    assert "/nowhere/at/all" in done.stderr


def test_an_output_out_of_reach_exits_with_3(tmp_path):
    (tmp_path / "file").write_text("")
    done = Commands(tmp_path, STATE_PATH=str(tmp_path / "file" / "state")).here("once")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)


def test_a_damaged_queue_exits_with_3_and_a_remedy(commands):
    (commands.folder / "state").mkdir()
    (commands.folder / "state/queue.sqlite").write_bytes(b"no database at all" * 100)
    done = commands.run("once")
    assert (done.returncode, "Traceback" in done.stderr) == (3, False)
    assert "queue.sqlite" in done.stderr


def test_a_second_pass_at_the_same_time_exits_with_4(commands):
    (commands.folder / "state").mkdir()
    with (commands.folder / "state/daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("process 17\n")
        lock.flush()
        done = commands.here("once")
    assert done.returncode == 4
    assert "process 17" in done.stderr


@pytest.mark.parametrize("content", ["", "process 1\n"])
def test_a_lock_file_that_nobody_holds_blocks_nobody(commands, content):
    (commands.folder / "state").mkdir()
    (commands.folder / "state/daemon.lock").write_text(content)
    assert commands.run("once").returncode == 0


# --- status -----------------------------------------------------------------------------------


def test_status_tells_what_is_done_and_what_failed(office):
    told = office.json("status")
    assert told["running"] is None
    assert told["services"]["clickstream"] == {"done": 1, "failed": 1}
    [problem] = told["problems"]
    assert (problem["service"], problem["item"]) == ("clickstream", BAD.removesuffix(".gz"))
    assert "cut off" in problem["message"]


def test_status_of_a_file_is_its_ledger(office):
    [ledger] = office.json("status", LOG)
    assert {name: ledger[name] for name in ("lines", "rows", "rejects")} == {
        "lines": 3,
        "rows": 1,
        "rejects": 2,
    }


def test_status_before_the_first_pass_is_no_error(commands):
    assert commands.here("status").returncode == 0
    assert commands.json("status")["problems"] == []


# --- query ------------------------------------------------------------------------------------


def test_a_query_is_answered_as_json(office):
    sql = "SELECT event_type, line, user_id, sum(line) AS s FROM logs.clickstream GROUP BY ALL"
    assert office.json("query", sql) == [
        {"event_type": "a", "line": 1, "user_id": None, "s": 1},
    ]


def test_a_query_is_answered_as_csv(office):
    done = office.here("query", "SELECT event_type, user_id FROM logs.clickstream", "--csv")
    assert done.stdout.splitlines() == ["event_type,user_id", "a,"]


def test_a_query_shows_moments_in_utc(office):
    assert office.json("query", "SELECT time FROM logs.clickstream") == [
        {"time": "2014-03-04 05:06:07+00:00"}
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE x AS SELECT 1",
        "COPY (SELECT 1) TO '/tmp/stolen.csv'",
        "SELECT 1; SELECT 2",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/hostname')",
    ],
)
def test_a_query_that_writes_or_reads_elsewhere_is_refused(office, sql):
    done = office.here("query", sql)
    assert (done.returncode, done.stdout) == (2, "")


# --- rejects ----------------------------------------------------------------------------------


def test_the_files_with_rejects_are_listed(office):
    assert office.json("rejects", "list") == [
        {
            "service": "clickstream",
            "file": LOG,
            "reasons": {"json_truncated": 1, "not_json": 1},
        }
    ]


def test_rejects_are_counted_by_reason(office):
    counted = {row["reason"]: row["rejects"] for row in office.json("rejects", "by-reason")}
    assert counted == {"json_truncated": 1, "not_json": 1}


def test_a_reject_is_shown_with_its_place_and_reason(office):
    [record] = office.json("rejects", "show", LOG, "--reason", "json_truncated")
    assert (record["file"], record["line"], record["offset"]) == (LOG, 2, len(GOOD) + 1)


def test_a_learners_data_are_masked_unless_they_are_asked_for(office):
    shown = office.here("rejects", "show", LOG).stdout
    assert "json_truncated" in shown
    assert not any(secret in shown for secret in ("ada", "example.org", "192.0.2.7", "192.0.2"))
    assert "ada@example.org" in office.here("rejects", "show", LOG, "--raw").stdout


def test_the_number_of_rejects_shown_can_be_limited(office):
    assert len(office.json("rejects", "show", LOG, "--limit", "1")) == 1


# --- retry and check --------------------------------------------------------------------------


def test_a_failed_file_is_queued_again_by_its_name(commands):
    queue = Queue(commands.folder / "state/queue.sqlite")
    queue.observe([Observed("clickstream", "Clickstream", "file", BAD, "1")])
    queue.reject(claim_of(queue), "bad_file", "It is cut off.")
    queue.close()
    assert commands.here("retry", "no-such-name").returncode == 2
    assert "Queued again: 1" in commands.here("retry", "2014-03-05").stdout
    assert commands.json("status")["services"]["clickstream"] == {"queued": 1}


def claim_of(queue: Queue) -> Claim:
    claim = queue.claim("clickstream", "worker")
    assert claim is not None
    return claim


def test_a_check_tells_what_is_good_and_what_needs_a_look(office):
    done = office.here("check", "--json")
    verdicts = {finding["thing"]: finding["verdict"] for finding in json.loads(done.stdout)}
    assert done.returncode == 0
    assert (verdicts["DATA_PATHS"], verdicts["queue"], verdicts["settings"]) == (
        "good",
        "look",
        "look",
    )


def test_a_check_of_a_data_folder_that_is_not_there_exits_with_1(tmp_path):
    done = Commands(tmp_path, DATA_PATHS=["/nowhere/at/all"]).here("check", "--json")
    assert done.returncode == 1
    assert any(finding["verdict"] == "bad" for finding in json.loads(done.stdout))


def test_a_check_changes_nothing(commands):
    before = sorted(commands.folder.rglob("*"))
    commands.here("check")
    assert sorted(commands.folder.rglob("*")) == before
