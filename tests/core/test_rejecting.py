"""What is promised about lines that were set aside: they get another chance, or are accepted."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from optimus.asking import show_ledger
from optimus.errors import BadRecordError, UsageError
from optimus.outputs.catalog import quote
from optimus.package.edits import Edit, sha256_of
from optimus.package.files import KEPT_OF_TOO_LONG
from optimus.rejecting import Choice, accept_rejects, list_rejects, rejects_by_reason, show_rejects
from optimus.replaying import MOST_EDITS, replay_rejects, save_rejects
from services.clickstream import service as clickstream
from tests.core.commands import Commands
from tests.core.mortal import MortalHouse, event
from tests.servers import MariaDb, MongoDb
from tests.services.deliveries import DATABASE, STEM, Deliveries

LOG = "demox-edx-events-2014-03-04.log"
OTHER = "demox-edx-events-2014-03-05.log"
TORN = '{"event_type": "torn"'
MENDED = '{"event_type": "mended"}'
TOO_MANY = 101


class Desk(Deliveries):
    """A house, and an operator who looks after what was set aside."""

    @property
    def copy(self) -> Path:
        """Where the operator keeps the copy that is edited."""
        return self.package.parent / "copy.jsonl"

    def said(self, command: Any, name: str = "", *arguments: Any, **choice: Any) -> str:
        out = io.StringIO()
        command(self.settings, Choice(name, **choice), Console(file=out, width=400), *arguments)
        return out.getvalue()

    def save(self, name: str = "", **choice: Any) -> list[dict[str, Any]]:
        """Write a new copy; what is in it."""
        self.copy.unlink(missing_ok=True)
        self.said(save_rejects, name, self.copy, **choice)
        return [json.loads(line) for line in self.copy.read_text().splitlines()]

    def give(self, *lines: dict[str, Any]) -> None:
        """Replay with these lines as the edited copy."""
        self.copy.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        self.said(replay_rejects, "", self.copy)

    def edit(self, old: str, new: str) -> None:
        """Replace a part of each text of a new copy, replay, and ingest."""
        lines = self.save()
        self.give(*({**line, "text": line["text"].replace(old, new)} for line in lines))
        self.ingest()

    def accept(self, name: str = "", **choice: Any) -> None:
        self.said(accept_rejects, name, **choice)

    def listed(self, capsys: pytest.CaptureFixture[str], *, with_accepted: bool = False) -> Any:
        return asked(self, capsys, list_rejects, with_accepted=with_accepted)

    def events(self) -> list[tuple[Any, ...]]:
        return self.query("SELECT line, event_type FROM logs.clickstream ORDER BY ALL")

    def counts(self, *names: str, service: str = "clickstream") -> tuple[int, ...]:
        return tuple(self.only(service).counts.get(name, 0) for name in names)

    def edits(self, service: str = "clickstream") -> list[int]:
        return [edit.line for edit in self.queue.edits(self.only(service).id)]


def asked(desk: Desk, capsys: pytest.CaptureFixture[str], question: Any, **options: Any) -> Any:
    capsys.readouterr()
    question(desk.settings, Choice(), Console(file=io.StringIO()), as_json=True, **options)
    return json.loads(capsys.readouterr().out)


def ledger(desk: Desk, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    show_ledger(desk.settings, LOG, Console(file=io.StringIO()), as_json=True)
    [found] = json.loads(capsys.readouterr().out)
    return dict(found)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ["clickstream", "database_state", "discussion_forums"])


@pytest.fixture
def torn(desk: Desk) -> Desk:
    """A log with two good lines around a torn one, ingested."""
    desk.log(LOG, event("a"), TORN, event("b"))
    desk.ingest()
    return desk


# --- another chance for all lines -------------------------------------------------------------


def test_after_the_rule_was_mended_each_line_gets_another_chance(desk, monkeypatch):
    def refused(line: bytes) -> Any:
        raise BadRecordError("too_early")

    with monkeypatch.context() as rule:
        rule.setattr(clickstream, "read_event", refused)
        desk.log(LOG, event("a"), event("b"))
        desk.ingest()
    assert (desk.events(), desk.counts("rejects")) == ([], (2,))
    desk.said(replay_rejects, LOG, None, reason="too_early")
    desk.ingest()
    assert desk.events() == [(1, "a"), (2, "b")]
    assert (desk.counts("lines", "rows", "rejects"), desk.rejects("clickstream")) == ((2, 2, 0), [])


def test_a_replay_that_mends_nothing_doubles_nothing(torn):
    torn.said(replay_rejects, LOG, None)
    assert torn.ingest() == 1
    assert (torn.events(), torn.counts("rejects")) == ([(1, "a"), (3, "b")], (1,))


@pytest.mark.parametrize("choice", [{"service": "database_state"}, {"reason": "bad_utf8"}])
def test_only_what_was_chosen_is_replayed(torn, choice):
    with pytest.raises(UsageError, match="No rejects"):
        torn.said(replay_rejects, LOG, None, **choice)
    assert torn.ingest() == 0


def test_a_file_that_left_the_data_folders_cannot_be_replayed(torn):
    (torn.latest_logs / LOG).rename(torn.package / "elsewhere")
    with pytest.raises(UsageError, match=r"no longer in the data folders\. Put it back"):
        torn.said(replay_rejects, LOG, None)
    assert (torn.ingest(), torn.events()) == (0, [(1, "a"), (3, "b")])


def test_what_can_be_replayed_is_and_the_rest_is_named(torn):
    torn.log(OTHER, event("c"), TORN)
    torn.ingest()
    (torn.latest_logs / LOG).unlink()
    said = torn.said(replay_rejects, "demox", None)
    assert ("Queued again: 1." in said, f"{LOG} is no longer" in said) == (True, True)
    assert torn.ingest() == 1


def test_a_file_that_is_being_ingested_is_not_replayed(torn):
    lines = torn.save()
    torn.queue.retry(name=LOG, done=True)
    torn.queue.claim("clickstream", "worker")
    with pytest.raises(UsageError, match="is being ingested now"):
        torn.give({**lines[0], "text": MENDED})
    assert torn.edits() == []


# --- edited lines -----------------------------------------------------------------------------


def test_an_edited_line_of_a_log_is_a_row_with_its_number(torn):
    torn.edit(TORN, MENDED)
    assert torn.events() == [(1, "a"), (2, "mended"), (3, "b")]
    assert torn.counts("lines", "rows", "rejects", "edited") == (3, 3, 0, 1)
    assert torn.rejects("clickstream") == []


def test_an_edited_row_of_a_table_is_a_row(desk):
    desk.table("student_courseenrollment", "id user_id mode", "1 7 honor", "2 eight audit", "3 9 x")
    desk.ingest()
    desk.edit("eight", "8")
    rows = desk.query(f'SELECT id, user_id FROM "{DATABASE}".student_courseenrollment ORDER BY id')
    assert rows == [(1, 7), (2, 8), (3, 9)]
    counts = desk.counts("lines", "rows", "rejects", "edited", service="database_state")
    assert counts == (3, 3, 0, 1)


def post(number: int, body: str) -> str:
    return json.dumps({"_id": {"$oid": f"{number:024x}"}, "_type": "Comment", "body": body})


def test_an_edited_post_is_a_row_and_may_take_the_place_of_an_earlier_one(desk):
    broken = post(2, "mended").removesuffix("}")
    desk.forum(post(1, "a"), post(2, "old"), broken, post(3, "c"))
    desk.ingest()
    desk.edit(broken, broken + "}")
    table = quote(f"{STEM}-prod")
    rows = desk.query(f"SELECT line, body FROM discussion_forum.{table} ORDER BY line")
    assert rows == [(1, "a"), (3, "mended"), (4, "c")]
    [older] = desk.rejects("discussion_forums")
    assert (older.reason, older.line, older.raw) == ("superseded", 2, post(2, "old").encode())
    counts = desk.counts("lines", "rows", "rejects", "edited", service="discussion_forums")
    assert counts == (4, 3, 1, 1)


def test_an_edited_post_that_a_later_one_supersedes_is_set_aside_as_edited(desk):
    broken = post(2, "mended").removesuffix("}")
    desk.forum(broken, post(2, "newer"))
    desk.ingest()
    desk.edit(broken, broken + "}")
    [reject] = desk.rejects("discussion_forums")
    assert (reject.line, reject.raw) == (1, f"{broken}}}".encode())


def test_the_places_of_other_rejects_stay_those_of_the_delivered_file(desk):
    desk.log(LOG, event("a"), TORN, "no json", event("b"), "[1]")
    desk.ingest()
    before = [(one.line, one.offset, one.raw) for one in desk.rejects("clickstream")]
    desk.edit(TORN, '{"event_type": "much longer than it was before"}')
    assert [(one.line, one.offset, one.raw) for one in desk.rejects("clickstream")] == before[1:]


def test_bytes_that_are_no_utf8_can_be_mended(desk):
    path = desk.latest_logs / LOG
    path.write_bytes(b'{"event_type": "caf\xe9"}\n')
    desk.ingest()
    desk.edit("\udce9", "\u00e9")
    assert desk.events() == [(1, "caf\u00e9")]


def test_an_edit_that_is_still_wrong_can_be_edited_again(torn):
    torn.edit(TORN, "still no json")
    [reject] = torn.rejects("clickstream")
    assert (reject.reason, reject.raw) == ("not_json", b"still no json")
    assert torn.counts("lines", "rows", "rejects", "edited") == (3, 2, 1, 1)
    torn.edit("still no json", MENDED)
    assert torn.events() == [(1, "a"), (2, "mended"), (3, "b")]


def test_an_edit_is_taken_back_by_the_text_that_was_delivered(torn):
    lines = torn.save()
    torn.edit(TORN, MENDED)
    torn.give(*lines)
    torn.ingest()
    assert (torn.events(), torn.edits()) == ([(1, "a"), (3, "b")], [])
    [reject] = torn.rejects("clickstream")
    assert (reject.raw, reject.delivered_sha256) == (TORN.encode(), None)


def test_lines_that_nobody_edited_are_no_edits(torn):
    torn.log(LOG, TORN, "no json")
    torn.ingest()
    torn.edit(TORN, MENDED)
    assert torn.edits() == [1]


def test_a_file_of_which_nothing_was_edited_is_not_replayed(torn):
    with pytest.raises(UsageError, match="nothing is edited"):
        torn.give(*torn.save())
    assert torn.ingest() == 0


def test_the_same_copy_given_twice_is_the_same_edit(torn):
    torn.edit(TORN, MENDED)
    with pytest.raises(UsageError, match="nothing is edited"):
        torn.said(replay_rejects, "", torn.copy)
    assert torn.edits() == [2]


def test_edits_hold_when_the_same_bytes_are_ingested_again(torn):
    torn.edit(TORN, MENDED)
    torn.queue.retry(name=LOG, done=True)
    assert torn.ingest() == 1
    assert torn.events() == [(1, "a"), (2, "mended"), (3, "b")]


def test_edits_end_with_the_bytes_that_they_are_of(torn):
    torn.edit(TORN, MENDED)
    torn.log(LOG, event("a"), '{"event_type": "other"', event("b"))
    torn.ingest()
    assert (torn.events(), torn.counts("rejects", "edited")) == ([(1, "a"), (3, "b")], (1, 0))
    assert torn.edits() == []
    [note] = torn.notes("clickstream")
    assert note.startswith("Edited lines that are no longer what was edited: 1.")
    torn.log(LOG, event("a"), TORN, event("b"))
    torn.ingest()
    assert torn.events() == [(1, "a"), (3, "b")]


def test_an_edit_of_a_line_that_stayed_the_same_holds(torn):
    torn.edit(TORN, MENDED)
    torn.log(LOG, event("x"), TORN)
    torn.ingest()
    assert torn.events() == [(1, "x"), (2, "mended")]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"text": f"{MENDED}\n{MENDED}"}, "one line cannot become several"),
        ({"text": "  "}, "the text is blank"),
        ({"text": "x" * (KEPT_OF_TOO_LONG + 1)}, "more than 1,048,576 bytes"),
        ({"sha256": "0" * 64}, "not set aside with these bytes any more"),
        ({"line": 1}, "not set aside with these bytes any more"),
        ({"file": "nowhere.log"}, "is not among the files"),
        ({"service": "database_state"}, "is not among the files"),
        ({"text": 7}, "this is no JSON object with"),
        ({"text": "\ud800"}, "this is no JSON object with"),
    ],
)
def test_an_edit_that_makes_no_sense_is_refused_and_nothing_is_changed(torn, change, why):
    torn.log(OTHER, TORN, event("c"))
    torn.ingest()
    first, second = torn.save()
    with pytest.raises(UsageError, match=why) as refused:
        torn.give({**second, "text": MENDED}, {**first, "text": MENDED, **change})
    assert str(refused.value).startswith(f"{torn.copy}, line 2: ")
    assert torn.ingest() == 0


def test_two_texts_for_one_line_are_refused(torn):
    [line] = torn.save()
    with pytest.raises(UsageError, match=r"line 2 of .* is there twice"):
        torn.give({**line, "text": MENDED}, {**line, "text": "{}"})


def test_only_so_much_of_a_file_can_be_edited(desk, monkeypatch):
    monkeypatch.setattr("optimus.replaying.MOST_EDITS", 2)
    assert MOST_EDITS > 2
    desk.log(LOG, *(f"{TORN}{number}" for number in range(3)))
    desk.ingest()
    lines = desk.save()
    desk.give(*({**line, "text": MENDED} for line in lines[:2]))
    with pytest.raises(UsageError, match="Mend the file itself"):
        desk.give({**lines[2], "text": MENDED})


def test_the_lines_say_which_are_meant_and_not_a_reason(torn):
    torn.save()
    with pytest.raises(UsageError, match="--reason does not go with --lines"):
        torn.said(replay_rejects, "", torn.copy, reason="json_truncated")


# --- the copy ---------------------------------------------------------------------------------


def test_the_copy_is_for_the_owner_and_the_group_and_has_what_was_chosen(torn):
    torn.log(OTHER, "no json", TORN)
    torn.ingest()
    [line] = torn.save(OTHER, reason="not_json")
    assert (line["file"], line["line"], line["text"]) == (OTHER, 1, "no json")
    assert torn.copy.stat().st_mode & 0o777 == 0o640


def test_nothing_is_written_over(torn):
    torn.copy.write_text("my notes")
    with pytest.raises(UsageError, match="is already there"):
        torn.said(save_rejects, LOG, torn.copy)
    assert torn.copy.read_text() == "my notes"


def test_a_line_that_is_kept_in_part_is_left_out_of_the_copy(desk):
    desk.log(LOG, TORN, "x" * (KEPT_OF_TOO_LONG + 5))
    desk.ingest()
    assert "1 left out" in desk.said(save_rejects, LOG, desk.copy)
    assert len(desk.copy.read_text().splitlines()) == 1


def test_a_row_with_two_repairs_is_in_the_copy_once(desk):
    row = b"1\t7\tx\xff\t2016-99-99 00:00:00\n"
    desk.deliver(
        f"{STEM}-student_courseenrollment-prod-analytics.sql", b"id\tuser_id\tmode\tcreated\n" + row
    )
    desk.ingest()
    assert desk.reasons("database_state") == ["replaced_utf8", "unusable_datetime"]
    assert len(desk.save()) == 1


# --- acceptance -------------------------------------------------------------------------------


def test_what_is_accepted_is_no_news_and_still_in_the_ledger(torn, capsys):
    assert torn.listed(capsys) == [
        {"service": "clickstream", "file": LOG, "reasons": {"json_truncated": 1}}
    ]
    torn.accept(LOG)
    accepted = {"service": "clickstream", "file": LOG, "accepted": {"json_truncated": 1}}
    assert (torn.listed(capsys), torn.listed(capsys, with_accepted=True)) == ([], [accepted])
    told = ledger(torn, capsys)
    assert [told[name] for name in ("lines", "rows", "rejects")] == [3, 2, 1]
    assert told["accepted"] == {"json_truncated": 1}
    assert told["accepted_on"]


def test_reasons_are_accepted_one_by_one(desk, capsys):
    desk.log(LOG, event("a"), TORN, "no json")
    desk.ingest()
    desk.accept(LOG, reason="json_truncated")
    [left] = desk.listed(capsys)
    assert left["reasons"] == {"not_json": 1}
    by_reason = asked(desk, capsys, rejects_by_reason, with_accepted=True)
    assert {row["reason"]: (row["rejects"], row["accepted"]) for row in by_reason} == {
        "json_truncated": (0, 1),
        "not_json": (1, 0),
    }
    assert [
        row["reason"] for row in asked(desk, capsys, rejects_by_reason, with_accepted=False)
    ] == ["not_json"]
    desk.accept(LOG)
    assert ledger(desk, capsys)["accepted"] == {"json_truncated": 1, "not_json": 1}


def test_repairs_are_accepted_as_well(desk, capsys):
    desk.deliver(f"{STEM}-auth_user-prod-analytics.sql", b"id\tusername\n1\tx\xff\n")
    desk.ingest()
    assert [one["repairs"] for one in desk.listed(capsys)] == [{"replaced_utf8": 1}]
    desk.accept("auth_user")
    assert desk.listed(capsys) == []


def test_an_acceptance_holds_for_the_same_bytes(torn, capsys):
    torn.accept(LOG)
    (torn.latest_logs / LOG).touch()
    torn.ingest()
    assert torn.listed(capsys) == []
    torn.queue.retry(name=LOG, done=True)
    torn.ingest()
    assert torn.listed(capsys) == []


def test_an_acceptance_ends_with_other_bytes(torn, capsys):
    torn.accept(LOG)
    torn.log(LOG, event("a"), TORN, event("c"))
    torn.ingest()
    assert [one["reasons"] for one in torn.listed(capsys, with_accepted=True)] == [
        {"json_truncated": 1}
    ]


def test_more_rejects_than_were_accepted_are_news(torn, capsys, monkeypatch):
    torn.accept(LOG)

    def refused(line: bytes) -> Any:
        raise BadRecordError("json_truncated")

    monkeypatch.setattr(clickstream, "read_event", refused)
    torn.said(replay_rejects, LOG, None)
    torn.ingest()
    assert torn.listed(capsys, with_accepted=True) == [
        {
            "service": "clickstream",
            "file": LOG,
            "reasons": {"json_truncated": 2},
            "accepted": {"json_truncated": 1},
        }
    ]


def test_what_is_accepted_already_cannot_be_accepted_again(torn):
    torn.accept(LOG)
    with pytest.raises(UsageError, match="No open rejects"):
        torn.accept(LOG)


@pytest.fixture
def failed(desk: Desk) -> Desk:
    """A log that failed because too much of it would be set aside."""
    desk.log(LOG, event("a"), *[TORN] * TOO_MANY)
    desk.ingest()
    assert (desk.only("clickstream").reason, desk.events()) == ("too_many_rejects", [])
    return desk


def test_a_file_that_failed_for_too_many_rejects_is_ingested_when_they_are_accepted(failed, capsys):
    failed.accept(LOG)
    failed.ingest()
    assert (failed.only("clickstream").state, failed.events()) == ("done", [(1, "a")])
    assert failed.counts("lines", "rows", "rejects") == (TOO_MANY + 1, 1, TOO_MANY)
    assert failed.listed(capsys) == []


def test_too_many_rejects_of_other_bytes_are_not_accepted(failed):
    failed.accept(LOG)
    failed.log(LOG, event("b"), *[TORN] * TOO_MANY)
    failed.ingest()
    assert (failed.only("clickstream").reason, failed.events()) == ("too_many_rejects", [])


def test_the_rest_of_the_reasons_may_still_be_too_many(failed):
    failed.log(LOG, event("a"), *[TORN] * TOO_MANY, *["no json"] * TOO_MANY)
    failed.ingest()
    failed.accept(LOG, reason="not_json")
    failed.ingest()
    assert failed.only("clickstream").reason == "too_many_rejects"
    assert f"{TOO_MANY} of" in failed.only("clickstream").message
    failed.accept(LOG)
    failed.ingest()
    assert failed.events() == [(1, "a")]


def test_a_failure_after_good_content_is_accepted_for_its_own_bytes(desk):
    desk.log(LOG, event("good"))
    desk.ingest()
    desk.log(LOG, event("a"), *[TORN] * TOO_MANY)
    desk.ingest()
    desk.accept(LOG)
    desk.ingest()
    assert desk.events() == [(1, "a")]


def test_edits_of_a_file_that_failed_let_it_pass(failed):
    lines = failed.save()
    failed.give({**lines[0], "text": MENDED})
    failed.ingest()
    assert failed.events() == [(1, "a"), (2, "mended")]
    assert failed.counts("lines", "rows", "rejects", "edited") == (TOO_MANY + 1, 2, TOO_MANY - 1, 1)


# --- what is shown ----------------------------------------------------------------------------


def test_json_is_masked_like_the_terminal_unless_all_is_asked_for(desk, capsys):
    desk.log(LOG, '{"username": "ada", "email": "ada@example.org"')
    desk.ingest()
    assert "ada" not in shown(desk, capsys, masked=True)
    assert "ada@example.org" in shown(desk, capsys, masked=False)


def shown(desk: Desk, capsys: pytest.CaptureFixture[str], *, masked: bool) -> str:
    capsys.readouterr()
    show_rejects(desk.settings, Choice(LOG), Console(), limit=5, masked=masked, as_json=True)
    [record] = json.loads(capsys.readouterr().out)
    raw = base64.b64decode(record.get("raw_base64", "")).decode()
    assert raw in ("", record["text"])
    return f"{record} {raw}"


def test_the_commands_lead_from_a_reject_to_a_row(tmp_path):
    commands, copy = Commands(tmp_path), tmp_path / "copy.jsonl"
    commands.log(LOG, TORN, "no json")
    assert commands.run("once").returncode == 0
    for arguments in (
        ["show", LOG, "--reason", "json_truncated", "--save", str(copy)],
        ["accept", LOG, "--service", "clickstream", "--reason", "not_json"],
    ):
        assert commands.here("rejects", *arguments).returncode == 0
    copy.write_text(copy.read_text().replace(json.dumps(TORN), json.dumps(MENDED)))
    done = commands.here("rejects", "replay", LOG, "--lines", str(copy))
    assert "Queued again: 1." in done.stdout
    assert commands.run("once").returncode == 0
    [ledger] = commands.json("status", LOG)
    assert (ledger["rows"], ledger["edited"], ledger["accepted"]) == (1, 1, {"not_json": 1})
    assert commands.json("rejects", "list") == []
    [listed] = commands.json("rejects", "list", "--all")
    assert listed["accepted"] == {"not_json": 1}
    assert commands.here("rejects", "replay", "nowhere").returncode == 2
    assert commands.here("rejects", "accept", LOG).returncode == 2


# --- crashes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", ["before reserve", "after reserve", "before commit", "after commit"]
)
def test_a_kill_while_an_edit_comes_into_force_loses_and_doubles_nothing(tmp_path, step):
    house = MortalHouse(tmp_path)
    house.log(LOG, event("a"), TORN, event("b"))
    house.ingest()
    copy, out = tmp_path / "copy.jsonl", Console(file=io.StringIO())
    save_rejects(house.settings, Choice(LOG), out, copy)
    copy.write_text(copy.read_text().replace(json.dumps(TORN), json.dumps(MENDED)))
    replay_rejects(house.settings, Choice(LOG), out, copy)
    house.interrupt(step, house.die)
    house.ingest_until_killed()
    house.restart()
    assert [kind for _, kind in house.events()] == ["a", "b", "mended"]
    counts = house.source().counts
    assert [counts[name] for name in ("lines", "rows", "rejects", "edited")] == [3, 3, 0, 1]


def test_a_kill_while_an_edit_dies_leaves_it_dead(tmp_path):
    house = MortalHouse(tmp_path)
    house.log(LOG, event("a"), TORN)
    house.ingest()
    edit = Edit(2, sha256_of(TORN.encode()), MENDED.encode())
    house.queue.replay(house.source().id, [edit])
    house.ingest()
    house.log(LOG, event("a"), "no json")
    house.interrupt("before commit", house.die)
    house.ingest_until_killed()
    house.restart()
    assert house.events() == [(LOG, "a")]
    assert house.queue.edits(house.source().id) == []


# --- with servers -----------------------------------------------------------------------------


def edit_a_log_and_a_table(desk: Desk) -> None:
    desk.log(LOG, event("a"), TORN)
    desk.table("student_courseenrollment", "id user_id mode", "1 7 honor", "2 eight audit")
    desk.ingest()
    lines = {line["service"]: line for line in desk.save()}
    row = "2\t8\taudit"
    desk.give({**lines["clickstream"], "text": MENDED}, {**lines["database_state"], "text": row})
    desk.ingest()


def documents(mongodb: MongoDb) -> list[str]:
    with mongodb.server.connect() as client:
        return sorted(one["event_type"] for one in client["logs"]["clickstream"].find())


def test_edits_and_acceptances_are_the_same_with_servers(
    tmp_path: Path, mariadb: MariaDb, mongodb: MongoDb
) -> None:
    desk = Desk(
        tmp_path,
        ["clickstream", "database_state"],
        sql_host="127.0.0.1",
        sql_port=mariadb.port,
        sql_username="root",
        mongo_host=f"127.0.0.1:{mongodb.port}",
    )
    edit_a_log_and_a_table(desk)
    assert documents(mongodb) == ["a", "mended"]
    rows = f"SELECT id, user_id FROM {DATABASE}.student_courseenrollment ORDER BY id"
    assert mariadb.execute(rows) == [(1, "7"), (2, "8")]
    # The second line is edited still, and so no reject.
    desk.log(LOG, event("b"), TORN, *[TORN] * TOO_MANY)
    desk.ingest()
    assert (desk.edits(), documents(mongodb)) == ([2], ["a", "mended"])
    desk.accept(LOG)
    desk.ingest()
    assert documents(mongodb) == ["b", "mended"]


def test_a_server_that_is_put_to_use_later_gets_the_edited_lines(
    tmp_path: Path, mongodb: MongoDb
) -> None:
    desk = Desk(tmp_path, ["clickstream", "database_state"])
    edit_a_log_and_a_table(desk)
    desk.queue.close()
    Desk(tmp_path, ["clickstream"], mongo_host=f"127.0.0.1:{mongodb.port}").ingest()
    assert documents(mongodb) == ["a", "mended"]
