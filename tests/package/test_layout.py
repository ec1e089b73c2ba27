"""What is promised about finding the files of a package, however they were unpacked."""

import os
from datetime import date
from pathlib import Path

import pytest

from optimus.package.layout import CourseRun, Package, PackageFile, read_package
from optimus.package.names import FileKind

LOG = "demox-edx-events-2014-03-04.log"
STEM = "DemoX-Bees101-2016_T1"
USERS = f"{STEM}-auth_user-prod-analytics.sql"
EDGE_USERS = f"{STEM}-auth_user-prod-edge-analytics.sql"
FORUM = f"{STEM}-prod.mongo"
LATEST_LOGS = "clickstream_logs/latest"
LATEST_STATE = "database_state/latest"


class Folder:
    """A data folder that is filled file by file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def add(self, *relatives: str) -> "Folder":
        for relative in relatives:
            path = self.path / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return self

    def link(self, relative: str, target: str) -> "Folder":
        (self.path / relative).symlink_to(target)
        return self

    def read(self, **prefixes: str) -> Package:
        return read_package([self.path], **prefixes)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "data")


def sources(files: list[PackageFile]) -> list[str]:
    return sorted(file.source for file in files)


def logs(package: Package) -> list[str]:
    return sources(package.logs)


def state(package: Package) -> list[str]:
    return sources(package.state)


# --- latest -----------------------------------------------------------------------------------


def test_latest_may_be_a_link_to_a_delivery(folder):
    folder.add(f"clickstream_logs/2014-03-04/{LOG}", f"database_state/demox-2014-03-09/{USERS}")
    folder.link(LATEST_LOGS, "2014-03-04").link(LATEST_STATE, "demox-2014-03-09")
    package = folder.read()
    assert logs(package) == [LOG]
    assert state(package) == [f"2014-03-09/{USERS}"]


def test_latest_may_be_a_folder(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}", f"{LATEST_STATE}/{USERS}")
    assert logs(folder.read()) == [LOG]
    assert len(state(folder.read())) == 1


def test_latest_may_be_a_folder_that_holds_one_folder(folder):
    folder.add(f"{LATEST_LOGS}/demox-logs/{LOG}", f"{LATEST_STATE}/demox-2014-03-09/{USERS}")
    package = folder.read()
    assert logs(package) == [LOG]
    assert state(package) == [f"2014-03-09/{USERS}"]


def test_latest_that_points_nowhere_is_remarked_and_the_newest_delivery_counts(folder):
    folder.add(f"database_state/demox-2014-03-09/{USERS}").link(LATEST_STATE, "gone")
    package = folder.read()
    assert state(package) == [f"2014-03-09/{USERS}"]
    assert any("latest points to" in remark for remark in package.remarks)


def test_without_latest_the_newest_date_counts_and_not_the_last_name(folder):
    folder.add(
        f"database_state/zzz-2014-03-02/{USERS}",
        f"database_state/demox-2014-03-09/{USERS}",
        f"database_state/aaa-2013-12-29/{USERS}",
    )
    assert state(folder.read()) == [f"2014-03-09/{USERS}"]


def test_without_latest_all_logs_count(folder):
    other = LOG.replace("03-04", "03-05")
    folder.add(f"clickstream_logs/{LOG}", f"clickstream_logs/2014/{other}")
    assert logs(folder.read()) == [f"2014/{other}", LOG]


def test_a_delivery_without_any_date_is_dated_by_its_files(folder):
    folder.add(f"{LATEST_STATE}/{USERS}")
    os.utime(folder.path / LATEST_STATE / USERS, (1_394_323_200, 1_394_323_200))
    assert state(folder.read()) == [f"2014-03-09/{USERS}"]


def test_a_new_delivery_is_another_source_of_the_same_table(folder):
    folder.add(f"database_state/demox-2014-03-02/{USERS}")
    before = state(folder.read())
    folder.add(f"database_state/demox-2014-03-09/{USERS}")
    assert state(folder.read()) != before


def test_state_folders_without_a_date_and_without_latest_are_remarked(folder):
    folder.add(f"database_state/demox/{USERS}")
    package = folder.read()
    assert package.state == []
    assert any("no 'latest'" in remark for remark in package.remarks)


def test_a_link_round_in_a_circle_ends(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}").link(f"{LATEST_LOGS}/round", "..")
    assert logs(folder.read()) == [LOG]


# --- what lies where --------------------------------------------------------------------------


def test_the_tables_of_the_ora_folder_belong_to_the_delivery(folder):
    ora = f"{STEM}-submissions_submission-prod-analytics.sql"
    folder.add(f"{LATEST_STATE}/{USERS}", f"{LATEST_STATE}/ora/{ora}")
    tables = {file.table: file.course for file in folder.read().state}
    assert set(tables) == {"auth_user", "submissions_submission"}
    assert tables["auth_user"] == tables["submissions_submission"]


def test_an_ora_folder_alone_is_no_wrapping(folder):
    ora = f"{STEM}-submissions_submission-prod-analytics.sql"
    folder.add(f"database_state/demox-2014-03-09/ora/{ora}")
    assert state(folder.read()) == [f"2014-03-09/{ora}"]


def test_logs_of_several_servers_with_one_name_are_several_sources(folder):
    name = "2014-03-04_DemoX.log.gz"
    folder.add(f"{LATEST_LOGS}/prod-edxapp-001/{name}", f"{LATEST_LOGS}/prod-edxapp-002/{name}")
    assert logs(folder.read()) == [
        "prod-edxapp-001/2014-03-04_DemoX.log",
        "prod-edxapp-002/2014-03-04_DemoX.log",
    ]


def test_of_a_log_and_its_packed_form_the_plain_one_counts_and_the_other_is_remarked(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}", f"{LATEST_LOGS}/{LOG}.gz")
    package = folder.read()
    assert [file.path.name for file in package.logs] == [LOG]
    assert any(f"{LOG}.gz is left alone" in remark for remark in package.remarks)


def test_a_log_is_the_same_source_however_it_is_packed(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}.gz")
    assert logs(folder.read()) == [LOG]


def test_an_encrypted_file_is_left_alone_and_remarked(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}.gz.gpg")
    package = folder.read()
    assert package.logs == []
    assert any("encrypted" in remark for remark in package.remarks)


def test_an_encrypted_file_beside_the_decrypted_one_does_not_hide_it(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}.gz.gpg", f"{LATEST_LOGS}/{LOG}.gz")
    assert logs(folder.read()) == [LOG]


def test_a_notice_of_failure_does_not_hide_the_file_itself(folder):
    folder.add(f"{LATEST_STATE}/{USERS}.failed", f"{LATEST_STATE}/{USERS}")
    assert [file.failed for file in folder.read().state] == [False]


def test_a_notice_of_failure_alone_is_told_as_such(folder):
    folder.add(f"{LATEST_STATE}/{USERS}.failed")
    assert [file.failed for file in folder.read().state] == [True]


def test_the_day_of_a_log_is_in_its_name(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}")
    assert [file.day for file in folder.read().logs] == [date(2014, 3, 4)]


@pytest.mark.parametrize("name", [f".{LOG}", f"{LOG}.tmp", f"{LOG}.part", f"{LOG}.1a2b3c4d", "x~"])
def test_half_copied_and_hidden_files_are_no_logs(folder, name):
    folder.add(f"{LATEST_LOGS}/{name}")
    assert folder.read().logs == []


def test_a_foreign_file_among_the_dumps_is_remarked(folder):
    folder.add(f"{LATEST_STATE}/notes.docx", f"{LATEST_STATE}/{USERS}")
    assert any("notes.docx" in remark for remark in folder.read().remarks)


# --- several folders --------------------------------------------------------------------------


def test_two_data_folders_with_equal_names_are_two_sources(tmp_path):
    roots = [Folder(tmp_path / name).add(f"{LATEST_LOGS}/{LOG}").path for name in ("a", "b")]
    found = logs(read_package(roots))
    assert len(set(found)) == 2
    assert found[0] == LOG


def test_the_sources_of_a_folder_keep_their_names_when_another_is_added(tmp_path):
    first, second = (Folder(tmp_path / name).add(f"{LATEST_LOGS}/{LOG}") for name in ("a", "b"))
    alone = logs(first.read())
    assert set(alone) < set(logs(read_package([first.path, second.path])))


@pytest.mark.parametrize("added", ["a", "c"])
def test_a_source_keeps_its_name_wherever_another_folder_stands_in_the_order(tmp_path, added):
    old = Folder(tmp_path / "b").add(f"{LATEST_LOGS}/{LOG}")
    new = Folder(tmp_path / added).add(f"{LATEST_LOGS}/{LOG}")
    [before] = old.read().logs
    after = {file.path: file.source for file in read_package([old.path, new.path]).logs}
    assert after[before.path] == before.source


def test_the_streams_may_lie_one_level_below_the_data_folder(folder):
    folder.add(f"demox/{LATEST_LOGS}/{LOG}", f"otherx/{LATEST_STATE}/{USERS}")
    package = folder.read()
    assert logs(package) == [LOG]
    assert len(package.state) == 1


def test_a_data_folder_that_is_not_there_is_remarked(tmp_path):
    package = read_package([tmp_path / "nothing"])
    assert (package.logs, package.state) == ([], [])
    assert "DATA_PATHS" in package.remarks[0]


def test_an_empty_data_folder_is_remarked(folder):
    assert "it is empty" in folder.read().remarks[0]


# --- prefixes ---------------------------------------------------------------------------------


def test_only_logs_with_the_prefix_are_taken(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}", f"{LATEST_LOGS}/otherx-edx-events-2014-03-04.log")
    assert logs(folder.read(clickstream_prefix="otherx-")) == ["otherx-edx-events-2014-03-04.log"]


def test_only_dumps_and_courses_with_the_prefix_are_taken(folder):
    folder.add(f"{LATEST_STATE}/{USERS}", f"{LATEST_STATE}/OtherX-A-1-prod.mongo")
    folder.add(f"{LATEST_STATE}/{STEM}/course.xml", f"{LATEST_STATE}/OtherX-A-1/course.xml")
    package = folder.read(dbstate_prefix="OtherX")
    assert [file.path.name for file in package.state] == ["OtherX-A-1-prod.mongo"]
    assert [file.path.name for file in package.course_folders] == ["OtherX-A-1"]


# --- courses ----------------------------------------------------------------------------------


def test_edge_and_production_of_one_course_are_two_course_runs(folder):
    folder.add(f"{LATEST_STATE}/{USERS}", f"{LATEST_STATE}/{EDGE_USERS}")
    courses = {course.site: course.database for course in folder.read().courses()}
    assert courses == {"prod": "DemoX_Bees101_2016_T1", "edge": "DemoX_Bees101_2016_T1_Edge"}


def test_all_files_of_a_course_run_agree_on_its_names(folder):
    folder.add(f"{LATEST_STATE}/{USERS}", f"{LATEST_STATE}/{FORUM}")
    folder.add(f"{LATEST_STATE}/{STEM}/course.xml")
    assert folder.read().courses() == [
        CourseRun(STEM, "prod", "DemoX_Bees101_2016_T1", "Bees101_2016_T1")
    ]


def test_an_olx_folder_belongs_to_the_course_whose_stem_it_begins_with(folder):
    folder.add(f"{LATEST_STATE}/{USERS}")
    folder.add(f"{LATEST_STATE}/{STEM}-course-prod-analytics/course.xml")
    [course] = folder.read().course_folders
    assert course.course is not None
    assert course.course.stem == STEM


@pytest.mark.parametrize(
    ("dumps", "name", "site"),
    [
        ([USERS], STEM, "prod"),
        ([EDGE_USERS], STEM, "edge"),
        ([USERS, EDGE_USERS], STEM, "prod"),
        ([USERS, EDGE_USERS], f"{STEM}-course-prod-edge-analytics", "edge"),
        ([], f"{STEM}-course-prod-analytics", "prod"),
        ([], "Other-B-1-edge", "edge"),
    ],
)
def test_the_site_of_an_olx_folder_is_told_by_its_name_or_by_its_dumps(folder, dumps, name, site):
    folder.add(*(f"{LATEST_STATE}/{dump}" for dump in dumps), f"{LATEST_STATE}/{name}/course.xml")
    assert [file.site for file in folder.read().course_folders] == [site]


def test_a_course_folder_is_found_in_the_folder_of_its_archive(folder):
    folder.add(f"{LATEST_STATE}/{USERS}")
    folder.add(f"{LATEST_STATE}/{STEM}-course-prod-analytics/{STEM}/course.xml")
    assert [file.path.name for file in folder.read().course_folders] == [STEM]


def test_the_files_of_a_course_folder_are_no_dumps(folder):
    folder.add(f"{LATEST_STATE}/{STEM}/course.xml", f"{LATEST_STATE}/{STEM}/static/{USERS}")
    assert folder.read().state == []


def test_a_packed_course_is_remarked_with_what_to_do(folder):
    folder.add(f"{LATEST_STATE}/{USERS}")
    folder.add(f"{LATEST_STATE}/{STEM}-course-prod-analytics.xml.tar.gz")
    assert any("Unpack it" in remark for remark in folder.read().remarks)


def test_a_table_nobody_knows_is_taken_under_its_name(folder):
    folder.add(f"{LATEST_STATE}/{STEM}-brand_new-prod-analytics.sql")
    assert [(file.kind, file.table) for file in folder.read().state] == [
        (FileKind.table, "brand_new")
    ]


def test_what_the_queue_keeps_of_a_file_gives_the_same_file_again(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}", f"{LATEST_STATE}/{USERS}", f"{LATEST_STATE}/X/course.xml")
    package = folder.read()
    for file in (*package.logs, *package.state, *package.course_folders):
        assert PackageFile.from_facts(file.to_facts()) == file


@pytest.mark.parametrize("name", ["'; DROP TABLE x; --", "-rf", "a\nb", "é" * 80])
def test_an_odd_name_is_a_source_like_any_other(folder, name):
    folder.add(f"{LATEST_LOGS}/{name}-edx-events-2014-03-04.log")
    assert logs(folder.read()) == [f"{name}-edx-events-2014-03-04.log"]


def test_a_name_that_is_no_unicode_stops_nobody(folder):
    folder.add(f"{LATEST_LOGS}/{LOG}")
    odd = os.fsencode(folder.path / LATEST_LOGS) + b"/\xff-edx-events-2014-03-04.log"
    Path(os.fsdecode(odd)).write_bytes(b"")
    assert LOG in logs(folder.read())
