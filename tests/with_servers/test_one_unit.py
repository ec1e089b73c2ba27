"""Lake, MySQL and MongoDB are one unit of work: what interrupts it, the next try completes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from optimus.outputs.mongo import CollectionOfDelivery, SourceDocuments
from optimus.outputs.mysql import MySqlTables
from optimus.outputs.staging import Staging
from optimus.queue.records import Claim
from optimus.queue.store import Queue
from optimus.scheduler import Scheduler
from optimus.worker import Worker
from tests.core.mortal import LOG, KilledError
from tests.services.deliveries import COURSE, DATABASE, FIRST, KEY, SECOND, STEM, Deliveries

ENROLMENT = "id user_id course_id created is_active mode"
USER = "id username email is_staff is_active"
POST = '{"_id": {"$oid": "%024x"}, "_type": "CommentThread", "body": "%s", "author_id": "7"}'
ENROLMENTS = "student_courseenrollment"
STEPS = [
    (SourceDocuments, "publish"),
    (CollectionOfDelivery, "publish"),
    (MySqlTables, "publish"),
    (Staging, "publish"),
    (Queue, "reserve"),
    (Queue, "commit"),
]


class Outputs:
    """A house with both servers, and what their readers find."""

    def __init__(self, folder: Path, mariadb: Any, mongodb: Any) -> None:
        self.mariadb = mariadb
        self.mongodb = mongodb
        self.house = Deliveries(
            folder,
            ["clickstream", "database_state", "discussion_forums", "person_course"],
            sql_host="127.0.0.1",
            sql_port=mariadb.port,
            sql_username="root",
            mongo_host=f"127.0.0.1:{mongodb.port}",
        )

    def deliver(self, users: Iterable[int], kind: str) -> None:
        """A log, two dumps and a forum that all tell of the same users."""
        users = list(users)
        self.house.log(
            LOG,
            *(
                {
                    "event_type": kind,
                    "time": "2014-03-04T05:06:07+00:00",
                    "context": {"user_id": user, "course_id": COURSE},
                }
                for user in users
            ),
        )
        created = "2016-02-01T10:11:12"
        self.house.table(
            ENROLMENTS, ENROLMENT, *(f"{user} {user} {COURSE} {created} 1 {kind}" for user in users)
        )
        self.house.table(
            "auth_user", USER, *(f"{user} u{user} u{user}@x.org 0 1" for user in users)
        )
        self.house.forum(*(POST % (user, kind) for user in users))

    def do(self, claim: Claim) -> None:
        """Work on one item."""
        house = self.house
        Worker(house.settings, house.registry, house.queue).do(claim, lambda _progress: True)

    def restart(self) -> None:
        """Go on after a crash, until nothing waits."""
        scheduler = Scheduler(self.house.settings, self.house.registry, self.house.queue)
        self.house.queue.take_over(scheduler.owner)
        self.mariadb.execute("UPDATE api.source SET not_before = 0")
        self.house.ingest()
        self.mariadb.execute("UPDATE api.source SET not_before = 0")
        self.house.ingest()

    def found(self) -> dict[str, list[Any]]:
        """What each output holds, as users and the kind of their delivery."""
        with self.mongodb.server.connect() as client:
            events = list(client["logs"]["clickstream"].find())
            posts = list(client["discussion_forum"][f"{STEM}-prod"].find())
            unfinished = [
                record["_id"]
                for name in ("logs", "discussion_forum")
                for record in client[name]["_ingest"].find({"complete": False})
            ]
        in_mysql = self.mariadb.execute(f"SELECT user_id, mode FROM {DATABASE}.{ENROLMENTS}")
        learners = self.mariadb.execute(
            f"SELECT user_id, mode FROM Person_Course.personcourse_{KEY}"
        )
        hidden = self.mariadb.execute(
            "SELECT table_name FROM information_schema.tables "
            "WHERE table_name LIKE 'stg\\_%' OR table_name LIKE 'old\\_%'"
        )
        return {
            "lake events": self.house.query(
                "SELECT CAST(user_id AS VARCHAR), event_type FROM logs.clickstream ORDER BY 1"
            ),
            "documents": sorted(
                (str(event["context"]["user_id"]), event["event_type"]) for event in events
            ),
            "lake rows": self.house.query(
                f'SELECT CAST(user_id AS VARCHAR), mode FROM "{DATABASE}".{ENROLMENTS} ORDER BY 1'
            ),
            "rows": sorted(in_mysql),
            "learners": sorted(learners),
            "posts": sorted((str(int(str(post["_id"]), 16)), post["body"]) for post in posts),
            "unfinished": unfinished + hidden,
        }


def everywhere(users: Iterable[int], kind: str) -> dict[str, list[Any]]:
    pairs = [(str(user), kind) for user in users]
    names = ("lake events", "documents", "lake rows", "rows", "learners", "posts")
    return {**dict.fromkeys(names, pairs), "unfinished": []}


@pytest.fixture
def outputs(tmp_path, mariadb, mongodb) -> Outputs:
    return Outputs(tmp_path, mariadb, mongodb)


def kill_once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, at: str) -> None:
    """The process dies before or after the first of these steps."""
    real = getattr(owner, name)

    def step(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(owner, name, real)
        result = None if at == "before" else real(*arguments, **named)
        raise KilledError(result)

    monkeypatch.setattr(owner, name, step)


def test_all_outputs_hold_what_was_delivered(outputs):
    outputs.deliver([1, 2, 3], "audit")
    outputs.house.ingest()
    assert outputs.found() == everywhere([1, 2, 3], "audit")


@pytest.mark.parametrize(("owner", "name"), STEPS)
def test_an_interruption_doubles_nothing_and_loses_nothing(outputs, monkeypatch, owner, name):
    outputs.deliver([1, 2, 3], "audit")
    kill_once(monkeypatch, owner, name, "after")
    with pytest.raises(KilledError):
        outputs.house.ingest()
    outputs.restart()
    assert outputs.found() == everywhere([1, 2, 3], "audit")


@pytest.mark.parametrize("at", ["before", "after"])
@pytest.mark.parametrize(("owner", "name"), STEPS)
def test_nor_when_new_content_takes_the_place_of_old(outputs, monkeypatch, owner, name, at):
    outputs.deliver([1, 2, 3], "audit")
    outputs.house.ingest()
    outputs.deliver([2, 4], "verified")
    kill_once(monkeypatch, owner, name, at)
    with pytest.raises(KilledError):
        outputs.house.ingest()
    outputs.restart()
    assert outputs.found() == everywhere([2, 4], "verified")


def test_a_copy_gives_no_documents_and_its_original_keeps_its_own(outputs):
    outputs.deliver([1, 2, 3], "audit")
    original = outputs.house.latest_logs / LOG
    (outputs.house.latest_logs / f"b-{LOG}").write_bytes(original.read_bytes())
    outputs.house.ingest()
    assert outputs.found() == everywhere([1, 2, 3], "audit")


def test_a_log_that_becomes_a_copy_loses_its_documents(outputs):
    outputs.deliver([1, 2, 3], "audit")
    other = outputs.house.latest_logs / f"b-{LOG}"
    other.write_text('{"event_type": "other", "context": {"user_id": 9}}\n')
    outputs.house.ingest()
    assert len(outputs.found()["documents"]) == 4
    other.write_bytes((outputs.house.latest_logs / LOG).read_bytes())
    outputs.house.ingest()
    assert outputs.found() == everywhere([1, 2, 3], "audit")


def test_a_file_with_too_many_rejects_gives_nothing_to_any_output(outputs):
    outputs.deliver([1], "audit")
    outputs.house.log("bad-events-2014-03-05.log", *["no event"] * 500)
    outputs.house.ingest()
    assert outputs.found() == everywhere([1], "audit")


def test_an_event_that_mongodb_cannot_hold_is_a_reject_in_all_outputs(outputs):
    outputs.deliver([1], "audit")
    outputs.house.log(LOG.replace("04.log", "06.log"), '{"event_type": "x", "a\\u0000b": 1}')
    outputs.house.ingest()
    assert outputs.found() == everywhere([1], "audit")
    reasons = [row.counts.get("reasons") for row in outputs.house.sources("clickstream")]
    assert {"nul_key": 1} in reasons


def test_a_post_that_mongodb_cannot_hold_is_a_reject_and_fails_no_other(outputs):
    outputs.deliver([1], "audit")
    outputs.house.forum(POST % (1, "audit"), (POST % (2, "x")).replace("body", "a\\u0000b"))
    outputs.house.ingest()
    assert outputs.found() == everywhere([1], "audit")
    [forum] = outputs.house.sources("discussion_forums")
    assert forum.counts["reasons"] == {"nul_key": 1}


def test_a_server_that_is_put_to_use_later_is_filled(outputs, tmp_path):
    alone = Deliveries(
        tmp_path,
        ["clickstream", "database_state", "discussion_forums", "person_course"],
        sql_host="127.0.0.1",
        sql_port=outputs.mariadb.port,
        sql_username="root",
    )
    outputs.deliver([1, 2], "audit")
    alone.ingest()
    with outputs.mongodb.server.connect() as client:
        assert client["logs"]["clickstream"].count_documents({}) == 0
    outputs.house.ingest()
    assert outputs.found() == everywhere([1, 2], "audit")


def test_a_table_that_is_left_out_is_in_the_lake_alone(tmp_path, mariadb):
    house = Deliveries(
        tmp_path,
        ["database_state"],
        sql_host="127.0.0.1",
        sql_port=mariadb.port,
        sql_username="root",
        mysql_leave_out=[ENROLMENTS],
    )
    house.table(ENROLMENTS, ENROLMENT, f"1 1 {COURSE} 2016-02-01T10:11:12 1 audit")
    house.table("auth_user", USER, "1 u1 u1@x.org 0 1")
    house.ingest()
    assert mariadb.execute(f"SHOW TABLES IN {DATABASE}") == [("auth_user",)]
    assert len(house.query(f'SELECT * FROM "{DATABASE}".{ENROLMENTS}')) == 1


def test_an_older_delivery_that_is_ingested_again_replaces_nothing_newer(outputs):
    outputs.deliver([1], "audit")
    outputs.house.ingest()
    outputs.house.day = SECOND
    outputs.deliver([1, 2], "verified")
    outputs.house.ingest()
    for service in ("database_state", "discussion_forums"):
        assert outputs.house.queue.retry(service, FIRST, done=True)
    while claim := outputs.house.queue.claim("discussion_forums", "w") or (
        outputs.house.queue.claim("database_state", "w")
    ):
        outputs.do(claim)
    assert outputs.found() == everywhere([1, 2], "verified")
    assert any("later delivery" in note for note in outputs.house.notes("discussion_forums"))
