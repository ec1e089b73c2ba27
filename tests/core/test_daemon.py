"""What is promised about the daemon: what it notices, what it tells, how it ends."""

import re
from pathlib import Path
from typing import Any

import pytest

from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.settings import FixedSettings
from tests.core.commands import Commands, Daemon, until

# One process has the fixture of the module; others would make it again.
pytestmark = pytest.mark.xdist_group("daemon")

LOG = "demox-edx-events-2014-03-04.log"
OTHER = "demox-edx-events-2014-03-05.log"
EVENT = '{"event_type": "a"}'
SECONDS_MORE = b'{"event_type": "a", "event": "%s"}\n' % (b"x" * 80) * 800_000
SECONDS_OF_WORK = b"{}\n" * 400_000

SPELLED = [service.spelled for service in load_registry(FixedSettings()).services]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A running daemon with one ingested log."""
    commands = Commands(tmp_path_factory.mktemp("house"), API_PORT=0)
    commands.log(LOG, EVENT)
    with commands.daemon() as daemon:
        until(lambda: states(commands).get("done") == 1)
        yield commands, daemon


@pytest.fixture
def daemon(house) -> Daemon:
    found: Daemon = house[1]
    return found


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path, API_PORT=0)


def queue_of(commands: Commands) -> Queue:
    return Queue(commands.folder / "state/queue.sqlite")


def states(commands: Commands) -> dict[str, int]:
    queue = queue_of(commands)
    found = queue.states().get("clickstream", {})
    queue.close()
    return found


def row(commands: Commands) -> Any:
    queue = queue_of(commands)
    found = queue.sources("clickstream")
    queue.close()
    return found[0] if found else None


def is_in_the_middle(commands: Commands) -> bool:
    found = row(commands)
    return bool(found and (found.progress or {}).get("done"))


def rows_of(commands: Commands) -> int:
    counted: int = commands.json("query", "SELECT count(*) AS n FROM logs.clickstream")[0]["n"]
    return counted


# --- what it tells ----------------------------------------------------------------------------


def test_the_root_answers_in_the_originals_words(daemon):
    assert daemon.get("/") == (200, {"response": "Ingestion running", "statuscode": 200})


def test_the_status_has_the_originals_shape_for_every_service(daemon):
    code, body = daemon.get("/status")
    assert (code, list(body)) == (200, ["response"])
    assert list(body["response"]) == SPELLED
    for name, told in body["response"].items():
        assert told["name"] == name
        assert told["status"] in ("stopped", "sleeping", "running")
        assert set(told) == {
            "name",
            "status",
            "task",
            "file",
            "startdate",
            "lastcompletedate",
            "tasksleft",
        }


def test_the_status_of_a_service_that_is_done_tells_when(daemon):
    told = daemon.status_of("Clickstream")
    assert (told["task"], told["file"], told["startdate"]) == ("", "", "")
    assert re.fullmatch(r"\d{8} \d\d:\d\d:\d\d", told["lastcompletedate"])


def test_the_health_is_told(daemon):
    code, body = daemon.get("/health")
    assert (code, body["status"], body["failed"]) == (200, "ok", 0)


def test_an_unknown_route_is_an_error_in_the_originals_words(daemon):
    code, body = daemon.get("/nothing")
    assert (code, body) == (404, '{"response":"error","statuscode":404}')


@pytest.mark.parametrize("route", ["/..%2f..%2fetc%2fpasswd", "/%00", "/config.py", "//status"])
def test_a_route_never_leads_to_a_file(daemon, route):
    assert daemon.get(route)[0] == 404


def test_a_name_of_somebody_elses_is_not_answered(daemon):
    assert daemon.get("/status", Host="evil.example")[0] == 400


def test_a_page_of_somebody_elses_cannot_ask_for_a_scan(daemon):
    assert daemon.get("/newdata", **{"Sec-Fetch-Site": "cross-site"})[0] == 403


def test_no_learners_data_are_told(daemon):
    assert EVENT not in str(daemon.get("/status")[1])


def test_a_second_daemon_exits_with_4_and_names_the_first(house):
    commands, daemon = house
    done = commands.run("run")
    assert done.returncode == 4
    assert str(daemon.process.pid) in done.stderr


def test_a_daemon_that_runs_is_told_by_the_command(house):
    commands, daemon = house
    assert str(daemon.process.pid) in commands.json("status")["running"]


# --- what it notices --------------------------------------------------------------------------


def test_a_new_file_is_noticed_by_itself(house):
    commands, _ = house
    before = states(commands)["done"]
    commands.log(OTHER, '{"event_type": "b"}')
    until(lambda: states(commands)["done"] == before + 1)


def test_new_data_is_queued_when_the_answer_comes(house):
    commands, daemon = house
    commands.log("demox-edx-events-2014-03-06.log", '{"event_type": "c"}')
    answer = daemon.get("/newdata")
    assert answer == (200, {"response": "Data successfully queued", "statuscode": 200})
    queue = queue_of(commands)
    names = [row.name for row in queue.sources("clickstream")]
    queue.close()
    assert "demox-edx-events-2014-03-06.log" in names


# --- how it ends ------------------------------------------------------------------------------


def test_a_daemon_without_work_stops_with_0(commands):
    with commands.daemon() as daemon:
        assert daemon.stop() == 0


def test_a_stop_puts_the_running_file_back_uncharged_and_publishes_nothing(commands):
    (commands.logs / LOG).write_bytes(SECONDS_MORE)
    with commands.daemon() as daemon:
        until(lambda: is_in_the_middle(commands))
        told = daemon.status_of("Clickstream")
        assert (told["task"], told["file"], told["tasksleft"]) == ("file", LOG, 1)
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", told["startdate"])
        assert daemon.stop() == 0
    assert (row(commands).state, row(commands).attempts) == ("queued", 0)
    assert rows_of(commands) == 0


def test_after_a_kill_in_mid_file_the_next_start_completes_it(commands):
    (commands.logs / LOG).write_bytes(SECONDS_OF_WORK)
    with commands.daemon() as daemon:
        until(lambda: states(commands).get("running") == 1)
        daemon.kill()
    assert row(commands).state == "running"
    with commands.daemon() as daemon:
        until(lambda: states(commands).get("done") == 1)
        assert daemon.stop() == 0
    assert rows_of(commands) == 400_000
    assert not [path for path in (commands.folder / "lake").rglob(".*") if path.is_file()]


def test_a_taken_address_exits_with_2_and_a_remedy(house, tmp_path):
    _, daemon = house
    done = Commands(tmp_path, API_PORT=daemon.port).run("run")
    assert done.returncode == 2
    assert "API_PORT" in done.stderr
