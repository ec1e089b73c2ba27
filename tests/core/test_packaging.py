"""What is promised about the commands that tell of packages and of days."""

import gzip
import shutil

import pytest

from tests.core.commands import Commands

STEM, OTHER = "DemoX-Bees101-2016_T1", "DemoX-Ants-1"
EVENT = '{"event_type": "a", "time": "2016-02-03T04:05:06+00:00"}'


def dump(commands: Commands, day: str, learners: int, stem: str = STEM) -> None:
    folder = commands.package / "database_state" / day
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["id\tusername", *(f"{number}\tlearner{number}" for number in range(learners))]
    (folder / f"{stem}-auth_user-prod-analytics.sql").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    """Two packages, the second with a fall, and logs of three days of five. Look at it only."""
    commands = Commands(tmp_path_factory.mktemp("office"), IGNORE_SERVICES=["person_course"])
    for day, learners in (("2016-02-07", 100), ("2016-02-14", 59)):
        dump(commands, day, learners)
        dump(commands, day, 10, OTHER)
    commands.log("demox-edx-events-2016-02-28.log", EVENT)
    commands.log("demox-edx-events-2016-03-02.log")
    torn = commands.logs / "demox-edx-events-2016-03-03.log.gz"
    torn.write_bytes(gzip.compress(EVENT.encode())[:-4])
    (commands.folder / "said.txt").write_text(commands.run("once").stdout)
    return commands


@pytest.fixture
def commands(office, tmp_path):
    """The same, to change."""
    shutil.copytree(office.folder, tmp_path, dirs_exist_ok=True)
    return Commands(tmp_path, IGNORE_SERVICES=["person_course"])


def test_a_pass_tells_what_it_holds_back_and_which_days_are_missing(office):
    said = (office.folder / "said.txt").read_text()
    assert f"{STEM} of 2016-02-14 is held back" in said
    assert "demox-edx: 2 days have no log: 2016-02-29, 2016-03-01." in said


def test_the_state_tells_it_too(office):
    said = office.here("status").stdout
    assert f"{STEM} of 2016-02-14 is held back" in said
    assert "demox-edx: 2 days have no log" in said


def test_packages_are_listed_with_what_is_held_back(office):
    first, second = office.json("packages")
    assert (first["delivered"], first["courses"], first["rows"], first["held"]) == (
        "2016-02-07",
        2,
        110,
        [],
    )
    assert (second["rows"], second["held"]) == (69, [f"{STEM} (prod)"])
    assert "packages accept" in office.here("packages").stdout


def test_the_difference_of_the_last_two_is_shown_without_naming_them(office):
    said = office.here("packages", "diff").stdout
    assert "2016-02-07 → 2016-02-14" in said
    assert "-41.0%" in said
    assert OTHER not in said


def test_packages_are_compared_by_date_and_by_folder_alike(office):
    by_date = office.json("packages", "diff", "2016-02-07", "2016-02-14")
    folders = [str(office.package / "database_state" / day) for day in ("2016-02-07", "2016-02-14")]
    by_folder = office.json("packages", "diff", *folders)
    for rows in (by_date, by_folder):
        [row] = rows
        assert (row["stem"], row["table"]) == (STEM, "auth_user")
        assert (row["rows_before"], row["rows_after"], round(row["lost"], 2)) == (100, 59, 0.41)


def test_what_has_not_changed_is_shown_on_request(office):
    rows = office.json("packages", "diff", "--all")
    assert {row["stem"] for row in rows} == {STEM, OTHER}


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("2011-01-01", "2016-02-14"), "2011-01-01: there is no package of that name"),
        (("2016-02-07",), "Name two packages"),
    ],
)
def test_a_package_that_is_not_there_is_named(office, names, sentence):
    done = office.here("packages", "diff", *names)
    assert done.returncode == 2
    assert sentence in done.stderr


def test_what_is_accepted_is_ingested_by_the_next_pass(commands):
    commands.run("once")
    assert "is held back" in commands.here("packages").stdout
    done = commands.here("packages", "accept", "--course", STEM)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        f"Accepted: {STEM} (prod) of 2016-02-14.",
    )
    assert "is held back" not in commands.run("once").stdout
    [row] = commands.json("query", 'select count(*) n from "DemoX_Bees101_2016_T1".auth_user')
    assert row["n"] == 59


@pytest.mark.parametrize("arguments", [(), ("--course", "DemoX-Bees"), ("--course", OTHER)])
def test_accepting_nothing_is_wrong_usage(office, arguments):
    done = office.here("packages", "accept", *arguments)
    assert done.returncode == 2
    assert "held back" in done.stderr


def test_the_calendar_shows_each_day(office):
    said = office.here("days").stdout
    assert "demox-edx: 2016-02-28 to 2016-03-03, 3 days, 2 missing" in said
    february, march = (line for line in said.splitlines() if line.startswith("    2016"))
    assert february.split(" ", 5)[-1].strip() == "■·"
    assert march.split("2016-03 ")[1] == "·□!"


def test_days_are_told_as_json(office):
    [stream] = office.json("days")
    assert stream["missing"] == ["2016-02-29", "2016-03-01"]
    assert stream["days"] == {"2016-02-28": "done", "2016-03-02": "empty", "2016-03-03": "failed"}


def test_before_anything_was_ingested_there_is_nothing_to_tell(tmp_path):
    commands = Commands(tmp_path)
    assert commands.json("packages") == commands.json("days") == []
    assert "'once' or 'run'" in commands.here("packages").stdout
    assert commands.here("packages", "diff").returncode == 2
