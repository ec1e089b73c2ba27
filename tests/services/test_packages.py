"""What is promised about packages: what changed is told, and what shrank is held back."""

import gzip
import os
import shutil
from datetime import date

import pytest

from optimus.outputs.packages import Delivery, PackageLog
from optimus.scanner import scan
from tests.services.deliveries import DATABASE, FIRST, SECOND, STEM, Deliveries

THIRD = "2016-02-21"
OTHER = "DemoX-Ants-1"
USERS = "id username"
CHANGES = 'SELECT {} FROM packages.changes ORDER BY stem, site, "table"'


def rows(count: int) -> list[str]:
    return [f"{number} learner{number}" for number in range(count)]


@pytest.fixture
def house(tmp_path):
    return Deliveries(tmp_path, services=["packages", "database_state"])


def deliver(house: Deliveries, day: str, bees: int, ants: int = 10) -> None:
    """Two course runs with so many accounts each."""
    house.day = day
    house.table("auth_user", USERS, *rows(bees))
    house.table("auth_user", USERS, *rows(ants), stem=OTHER)
    house.ingest()


def accounts(house: Deliveries) -> list[int]:
    """How many accounts each course run has in the lake, the bees first."""
    names = (DATABASE, "DemoX_Ants_1")
    return [house.query(f'SELECT count(*) FROM "{name}".auth_user')[0][0] for name in names]


def remarks(house: Deliveries) -> str:
    found = scan(house.settings, house.registry, house.queue, settle_seconds=0).remarks
    return "\n".join(remark for remark in found if "held back" in remark)


def accept(house: Deliveries, course: tuple[str, str]) -> None:
    log = PackageLog(house.settings.lake_path, house.settings.max_drop)
    newest = log.deliveries()[-1]
    log.accept(newest, course, log.held(newest)[course][0]["content"])


# --- what is held back ------------------------------------------------------------------------


def test_a_course_run_that_lost_41_percent_is_held_back_and_the_rest_goes_on(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=59, ants=11)
    assert accounts(house) == [100, 11]
    said = remarks(house)
    assert f"{STEM} of {SECOND} is held back: auth_user fell from 100 to 59 rows (41%" in said
    assert OTHER not in said


@pytest.mark.parametrize(("left", "is_held"), [(80, False), (79, True)])
def test_a_fall_of_just_the_share_allowed_is_let_in(house, left, is_held):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=left)
    assert accounts(house)[0] == (100 if is_held else left)


def test_the_share_is_a_setting(tmp_path):
    house = Deliveries(tmp_path, services=["packages", "database_state"], max_drop=0.5)
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=51)
    assert accounts(house)[0] == 51


def test_once_accepted_it_is_ingested(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=50)
    accept(house, (STEM, "prod"))
    house.ingest()
    assert accounts(house)[0] == 50
    assert remarks(house) == ""


def test_other_content_has_to_be_accepted_again(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=50)
    accept(house, (STEM, "prod"))
    deliver(house, SECOND, bees=40)
    assert accounts(house)[0] == 100
    assert "from 100 to 40 rows" in remarks(house)


def test_what_was_held_back_is_no_measure_for_the_next_package(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=50)
    deliver(house, THIRD, bees=51)
    assert accounts(house)[0] == 100
    assert f"from 100 to 51 rows (49% less) since {FIRST}" in remarks(house)


def test_what_was_accepted_is_the_measure_for_the_next_package(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=50)
    accept(house, (STEM, "prod"))
    deliver(house, THIRD, bees=51)
    assert accounts(house)[0] == 51


def test_edge_is_measured_apart_from_production(house):
    for day, count in ((FIRST, 100), (SECOND, 10)):
        house.day = day
        house.table("auth_user", USERS, *rows(50))
        house.table("auth_user", USERS, *rows(count), site="edge")
        house.ingest()
    assert "(edge)" in remarks(house)
    assert house.query(f'SELECT count(*) FROM "{DATABASE}_Edge".auth_user') == [(100,)]
    assert len(house.sources("database_state")) == 3


def test_a_file_that_edx_could_not_make_holds_nothing_back(house):
    deliver(house, FIRST, bees=100)
    house.day = SECOND
    house.deliver(f"{STEM}-auth_user-prod-analytics.sql.failed", "Traceback\n")
    house.ingest()
    assert remarks(house) == ""


def test_nothing_is_given_to_other_services_before_the_package_was_looked_at(house):
    deliver(house, FIRST, bees=1)
    first = house.runs("packages")[0]
    assert first.id < min(run.id for run in house.runs("database_state"))
    assert all(row.created > first.started for row in house.sources("database_state"))


def test_a_package_that_is_changed_in_place_is_looked_at_again(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=100)
    deliver(house, SECOND, bees=10)
    assert accounts(house)[0] == 100
    assert "from 100 to 10 rows" in remarks(house)


def test_what_failed_before_is_not_tried_again_because_the_package_is_looked_at(house):
    house.deliver(f"{STEM}-auth_user-prod-analytics.sql", "<html>\n")
    house.ingest()
    [failed] = house.sources("database_state")
    house.table("student_courseenrollment", "id user_id", "1 1")
    house.ingest()
    again = next(row for row in house.sources("database_state") if row.id == failed.id)
    assert (again.state, again.gen, again.epoch) == ("failed", failed.gen, failed.epoch)


def test_a_week_in_which_edx_could_not_make_the_table_is_no_measure(house):
    deliver(house, FIRST, bees=100)
    house.day = SECOND
    house.deliver(f"{STEM}-auth_user-prod-analytics.sql.failed", "Traceback\n")
    house.ingest()
    deliver(house, THIRD, bees=10)
    assert f"from 100 to 10 rows (90% less) since {FIRST}" in remarks(house)


def test_a_course_run_that_was_away_for_a_week_is_measured_by_the_week_before(house):
    deliver(house, FIRST, bees=100)
    house.day = SECOND
    house.table("auth_user", USERS, "1 a", stem=OTHER)
    house.ingest()
    deliver(house, THIRD, bees=10)
    assert "from 100 to 10 rows" in remarks(house)


def test_a_new_share_counts_at_once(house):
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=50)
    assert remarks(house) != ""
    house.settings = house.settings.model_copy(update={"max_drop": 0.5})
    house.ingest()
    assert (remarks(house), accounts(house)[0]) == ("", 50)


def test_what_is_looked_at_again_is_still_measured_by_the_same(house):
    house.table("auth_user", USERS, *rows(100))
    house.day = SECOND
    house.table("auth_user", USERS, *rows(10))
    house.ingest()
    shutil.rmtree(house.package / "database_state" / f"demox-{FIRST}")
    for _ in range(2):
        house.table("teams", "id name", "1 x")
        house.queue.retry("packages", done=True)
        house.ingest()
        assert "from 100 to 10 rows" in remarks(house)


def test_a_link_that_leads_nowhere_holds_nothing_up(house):
    deliver(house, FIRST, bees=1)
    (house.state / f"{STEM}-teams-prod-analytics.sql").symlink_to("nowhere")
    deliver(house, FIRST, bees=2)
    assert [row.state for row in house.sources("packages")] == ["done"]
    assert accounts(house)[0] == 2


# --- what is told -----------------------------------------------------------------------------


def test_what_came_and_what_went_is_told(house):
    deliver(house, FIRST, bees=10)
    house.table("teams", "id name", "1 x")
    house.ingest()
    house.day = SECOND
    house.table("auth_user", "id email", *rows(10))
    house.table("wiki_article", "id owner_id", "1 1")
    house.table("auth_user", USERS, "1 a", stem="DemoX-Wasps-3")
    house.ingest()
    assert house.notes("packages") == [
        "1 course run as in 2016-02-07, 1 new, 1 gone.",
        "New: DemoX-Wasps-3.",
        f"Gone, and kept as they were: {OTHER}.",
        f"Tables that came: {STEM} wiki_article.",
        f"Tables that went: {STEM} teams.",
        f"Columns that came: {STEM} auth_user: email.",
        f"Columns that went: {STEM} auth_user: username.",
    ]
    assert accounts(house)[1] == 10


def test_rows_are_counted_whatever_the_packing_and_the_last_line_end(house):
    house.deliver(f"{STEM}-auth_user-prod-analytics.sql.gz", gzip.compress(b"id\n1\n2"))
    house.deliver(f"{STEM}-prod.mongo", '{"a": 1}\n{"a": 2}\n{"a": 3}\n')
    house.deliver(f"{STEM}-course_structure-prod-analytics.json", "{\n}\n")
    house.ingest()
    counted = house.query('SELECT "table", rows FROM packages.inventory ORDER BY 1')
    assert counted == [("auth_user", 2), ("course_structure", None), ("forum", 3)]


def test_the_very_same_bytes_are_a_warning(house):
    deliver(house, FIRST, bees=10)
    deliver(house, SECOND, bees=10)
    assert any("the export stands still" in note for note in house.notes("packages"))
    deliver(house, THIRD, bees=11)
    assert not any("the export stands still" in note for note in house.notes("packages"))


def test_a_file_that_cannot_be_read_is_no_fall(house):
    deliver(house, FIRST, bees=100)
    house.day = SECOND
    house.deliver(f"{STEM}-auth_user-prod-analytics.sql.gz", gzip.compress(b"id\n" * 99)[:-9])
    house.ingest()
    assert remarks(house) == ""
    assert house.query(CHANGES.format("rows_after"))[-1] == (None,)


def test_the_package_before_is_found_beside_the_first_one_that_is_looked_at(house):
    house.table("auth_user", USERS, *rows(100))
    house.day = SECOND
    house.table("auth_user", USERS, *rows(10))
    house.ingest()
    assert "from 100 to 10 rows" in remarks(house)


def test_a_package_that_is_gone_from_the_disk_is_still_remembered(house):
    deliver(house, FIRST, bees=100)
    shutil.rmtree(house.state)
    deliver(house, SECOND, bees=10)
    assert "from 100 to 10 rows" in remarks(house)


def test_two_data_folders_are_not_compared_with_each_other(tmp_path):
    house = Deliveries(tmp_path, services=["packages", "database_state"])
    deliver(house, FIRST, bees=100)
    other = tmp_path / "package" / "elsewhere" / "database_state" / SECOND
    other.mkdir(parents=True)
    (other / f"{STEM}-auth_user-prod-analytics.sql").write_text("id\n1\n")
    house.ingest()
    assert remarks(house) == ""


def test_without_the_service_nothing_is_held_back(tmp_path):
    house = Deliveries(tmp_path, services=["database_state"])
    deliver(house, FIRST, bees=100)
    deliver(house, SECOND, bees=1)
    assert accounts(house)[0] == 1


def test_a_package_that_nobody_may_read_is_told(house, monkeypatch):
    deliver(house, FIRST, bees=100)
    real = os.scandir

    def refuse(folder):
        if str(folder).endswith(SECOND):
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    house.day = SECOND
    house.table("auth_user", USERS, *rows(100))
    monkeypatch.setattr(os, "scandir", refuse)
    found = scan(house.settings, house.registry, house.queue, settle_seconds=0)
    assert any(
        "cannot be read" in remark or "cannot be looked at" in remark for remark in found.remarks
    )


def test_nobody_has_looked_at_an_unknown_package(house):
    log = PackageLog(house.settings.lake_path, house.settings.max_drop)
    unknown = Delivery(house.package, date(2016, 1, 1))
    assert (log.deliveries(), log.inventory(unknown), log.held(unknown)) == ([], [], {})
