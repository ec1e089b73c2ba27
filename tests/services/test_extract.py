"""What is promised about deliveries that are as they should be: logs, packages, where they go."""

import grp
import gzip
import os
import stat
from datetime import date
from hashlib import sha256
from pathlib import Path
from tarfile import TarInfo

import pytest

from tests.services.packing import Arrivals, Key, tarred, zipped

DAY = "riveru-edx-events-2016-03-05.log"
LINES = b'{"event_type": "play_video"}\n' * 100
LOGS = "riveru/clickstream_logs/events"
STATES = "riveru/database_state"
WEEK, NEXT_WEEK = "riveru-2016-03-06", "riveru-2016-03-13"
TABLE = "RiverU-Bees101-2016_T1-auth_user-prod-analytics.sql"
ARCHIVE = "RiverU-Bees101-2016_T1-course-prod-analytics"


@pytest.fixture
def arrivals(tmp_path: Path, key: Key) -> Arrivals:
    return Arrivals(tmp_path, gpg_home=key.home)


def latest(arrivals: Arrivals, folder: str = STATES) -> str:
    return str((arrivals.data / folder / "latest").readlink())


def week(key: Key, name: str = WEEK, **members: bytes) -> bytes:
    """A package of encrypted tables, below a folder of the zip's name."""
    files = members or {"auth_user": b"id\n1\n"}
    return zipped(
        {
            f"{name}/RiverU-Bees101-2016_T1-{table}-prod-analytics.sql.gpg": key.encrypt(content)
            for table, content in files.items()
        }
    )


# --- logs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".gz.gpg", ".gpg", ".gz"])
def test_a_log_is_published_unpacked_however_it_was_packed(arrivals, key, ending):
    content = gzip.compress(LINES) if ".gz" in ending else LINES
    arrivals.deliver(DAY + ending, key.encrypt(content) if ".gpg" in ending else content)
    arrivals.ingest()
    assert arrivals.published() == {f"{LOGS}/{DAY}": LINES}
    assert latest(arrivals, "riveru/clickstream_logs") == "events"
    assert arrivals.left_aside() == []


def test_logs_may_stay_packed(tmp_path, key):
    arrivals = Arrivals(tmp_path, gpg_home=key.home, unpack_logs=False)
    packed = gzip.compress(LINES)
    arrivals.deliver(f"{DAY}.gz.gpg", key.encrypt(packed))
    arrivals.ingest()
    assert arrivals.published() == {f"{LOGS}/{DAY}.gz": packed}


def test_a_log_that_was_never_packed_is_not_packed_to_please_a_setting(tmp_path, key):
    arrivals = Arrivals(tmp_path, gpg_home=key.home, unpack_logs=False)
    arrivals.deliver(f"{DAY}.gz.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert arrivals.published() == {f"{LOGS}/{DAY}": LINES}


def test_a_note_tells_of_the_other_form_of_a_log_that_would_hide_the_new_one(tmp_path, key):
    Arrivals(tmp_path, gpg_home=key.home).deliver(f"{DAY}.gz.gpg", key.encrypt(LINES))
    Arrivals(tmp_path, gpg_home=key.home).ingest()
    arrivals = Arrivals(tmp_path, gpg_home=key.home, unpack_logs=False)
    arrivals.deliver(f"{DAY}.gz.gpg", key.encrypt(gzip.compress(LINES)))
    arrivals.ingest()
    assert arrivals.notes("extract") == [
        f"{DAY} lies beside {DAY}.gz. Remove it: only one of them is read."
    ]


def test_an_empty_log_is_published(arrivals, key):
    arrivals.deliver(f"{DAY}.gz.gpg", key.encrypt(gzip.compress(b"")))
    arrivals.ingest()
    assert arrivals.published() == {f"{LOGS}/{DAY}": b""}


@pytest.mark.parametrize("where", ["somewhere/else", "latest/logs"])
def test_logs_go_where_latest_is(arrivals, key, where):
    logs = arrivals.data / "riveru" / "clickstream_logs"
    (logs / where).mkdir(parents=True)
    if not (logs / "latest").exists():
        (logs / "latest").symlink_to(where)
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert list(arrivals.published()) == [f"riveru/clickstream_logs/{where}/{DAY}"]


def test_logs_go_where_latest_is_even_outside_of_the_data_folder(arrivals, key, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (arrivals.data / "riveru" / "clickstream_logs").mkdir(parents=True)
    (arrivals.data / "riveru" / "clickstream_logs" / "latest").symlink_to(outside)
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert (outside / DAY).read_bytes() == LINES
    assert arrivals.query("SELECT path FROM packages.deliveries") == [(str(outside / DAY),)]


def test_no_latest_is_made_that_would_hide_logs(arrivals, key):
    older = arrivals.data / "riveru" / "clickstream_logs" / "riveru-edx-events-2016-03-04.log"
    older.parent.mkdir(parents=True)
    older.write_bytes(b"")
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert f"{LOGS}/{DAY}" in arrivals.published()
    assert not (older.parent / "latest").exists()


def test_logs_of_two_servers_with_one_name_are_both_kept(arrivals, key):
    for server in ("edxapp-001", "edxapp-002"):
        content = key.encrypt(server.encode())
        arrivals.deliver(f"logs/{server}/2013-10-01_RiverU.log.gpg", content)
    arrivals.ingest()
    assert arrivals.published() == {
        f"{LOGS}/{server}/2013-10-01_RiverU.log": server.encode()
        for server in ("edxapp-001", "edxapp-002")
    }


def test_a_log_of_one_course_goes_to_its_org(arrivals, key):
    arrivals.deliver("RiverU-Bees101-2016_T1-events-2016-03-05.log.gpg", key.encrypt(LINES))
    arrivals.ingest()
    [path] = arrivals.published()
    assert path == f"{LOGS}/RiverU-Bees101-2016_T1-events-2016-03-05.log"


# --- packages ---------------------------------------------------------------------------------


def test_a_package_is_published_decrypted_with_its_courses_unpacked(arrivals, key):
    course = {"2016_T1/course.xml": b"<course/>", "2016_T1/chapter/one.xml": b"<chapter/>"}
    members = {
        TABLE: b"id\n1\n",
        "ora/RiverU-Bees101-2016_T1-submissions_score-prod-analytics.sql": b"id\n",
        "RiverU-Bees101-2016_T1-prod.mongo": b"{}\n",
        "RiverU-Bees101-2016_T1-course_structure-prod-analytics.json": b"{}",
        "RiverU-email_opt_in-prod-analytics.csv": b"user_id\n",
        f"{ARCHIVE}.xml.tar.gz": tarred(course),
    }
    content = {"a-top-folder/": b"", "a-top-folder/ora/": b""}
    content |= {f"a-top-folder/{name}.gpg": key.encrypt(data) for name, data in members.items()}
    arrivals.deliver(f"course-data/{WEEK}.zip", zipped(content))
    arrivals.ingest()
    del members[f"{ARCHIVE}.xml.tar.gz"]
    members[f"{ARCHIVE}/course.xml"] = b"<course/>"
    members[f"{ARCHIVE}/chapter/one.xml"] = b"<chapter/>"
    expected = {f"{STATES}/{WEEK}/{name}": data for name, data in members.items()}
    assert arrivals.published() == expected
    assert latest(arrivals) == WEEK
    assert arrivals.left_aside() == []
    assert (arrivals.only().counts["lines"], arrivals.only().counts["rows"]) == (6, 6)


@pytest.mark.parametrize("top", ["", "ora/"])
def test_a_zip_without_a_top_folder_and_unencrypted_members_will_do(arrivals, top):
    arrivals.deliver(f"{WEEK}.zip", zipped({f"{top}{TABLE}": b"id\n1\n"}))
    arrivals.ingest()
    assert arrivals.published() == {f"{STATES}/{WEEK}/{top}{TABLE}": b"id\n1\n"}


@pytest.mark.parametrize("top", ["", "./", "export/", "./export/"])
def test_a_course_lies_in_the_folder_of_its_archive_whatever_its_own_was_called(arrivals, top):
    archive = tarred({f"{top}course.xml": b"<course/>", f"{top}course/2016.xml": b"<course/>"})
    arrivals.deliver(f"{WEEK}.zip", zipped({f"{ARCHIVE}.xml.tar.gz": archive}))
    arrivals.ingest()
    assert set(arrivals.published()) == {
        f"{STATES}/{WEEK}/{ARCHIVE}/course.xml",
        f"{STATES}/{WEEK}/{ARCHIVE}/course/2016.xml",
    }


def test_an_archive_in_an_archive_is_left_packed(arrivals):
    inner = tarred({"x": b"x"})
    archive = tarred({"e/course.xml": b"<course/>", "e/more.xml.tar.gz": inner})
    members = {f"{ARCHIVE}.xml.tar.gz": archive, "notes.zip": zipped({"a": b"b"})}
    arrivals.deliver(f"{WEEK}.zip", zipped(members))
    arrivals.ingest()
    published = arrivals.published()
    assert published[f"{STATES}/{WEEK}/{ARCHIVE}/more.xml.tar.gz"] == inner
    assert published[f"{STATES}/{WEEK}/notes.zip"] == members["notes.zip"]


def test_what_edx_could_not_make_is_published_counted_and_named(arrivals, key):
    failed = f"{ARCHIVE}.xml.tar.gz.failed"
    members = {TABLE: b"id\n", f"{failed}.gpg": key.encrypt(b"Traceback")}
    arrivals.deliver(f"{WEEK}.zip", zipped(members))
    arrivals.ingest()
    assert f"{STATES}/{WEEK}/{failed}" in arrivals.published()
    assert arrivals.only().counts["failed"] == 1
    assert arrivals.notes("extract") == [f"edX could not make 1 of the files: {failed}."]


def test_links_and_devices_are_left_out_counted_and_named(arrivals):
    link, device = TarInfo(), TarInfo()
    link.type, link.linkname, device.type = b"2", "/etc/passwd", b"3"
    archive = tarred({"e/course.xml": b"<course/>", "e/link": link, "e/device": device})
    content = zipped({f"{ARCHIVE}.xml.tar.gz": archive, "elsewhere": b"/etc/passwd"})
    # The second half of the external attributes is the mode of Unix.
    at = content.rindex(b"PK\1\2") + 40
    mode = stat.S_IFLNK | 0o777
    arrivals.deliver(f"{WEEK}.zip", content[:at] + mode.to_bytes(2, "little") + content[at + 2 :])
    arrivals.ingest()
    assert list(arrivals.published()) == [f"{STATES}/{WEEK}/{ARCHIVE}/course.xml"]
    counts = arrivals.only().counts
    assert (counts["lines"], counts["rows"], counts["rejects"]) == (4, 1, 3)
    assert counts["reasons"] == {"left_out": 3}


# --- which is the newest ----------------------------------------------------------------------


def test_latest_moves_forward_only(arrivals, key):
    arrivals.deliver(f"{NEXT_WEEK}.zip", week(key, NEXT_WEEK))
    arrivals.ingest()
    arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.ingest()
    assert {Path(path).parent.name for path in arrivals.published()} == {WEEK, NEXT_WEEK}
    assert latest(arrivals) == NEXT_WEEK


def test_latest_moves_to_a_newer_package(arrivals, key):
    for name in (WEEK, NEXT_WEEK):
        arrivals.deliver(f"{name}.zip", week(key, name))
        arrivals.ingest()
        assert latest(arrivals) == name


def test_a_newer_package_that_lies_elsewhere_stays_the_latest(arrivals, key, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "riveru-2016-04-03"
    elsewhere.mkdir(parents=True)
    (arrivals.data / STATES).mkdir(parents=True)
    (arrivals.data / STATES / "latest").symlink_to(elsewhere)
    arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.ingest()
    assert latest(arrivals) == str(elsewhere)


def test_a_latest_that_is_a_folder_is_left_alone_with_a_note(arrivals, key):
    folder = arrivals.data / STATES / "latest"
    folder.mkdir(parents=True)
    arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.ingest()
    assert f"{STATES}/{WEEK}/{TABLE}" in arrivals.published()
    assert not folder.is_symlink()
    [note] = arrivals.notes("extract")
    assert "is a folder and no link" in note


# --- whose it is ------------------------------------------------------------------------------


def test_each_org_has_a_data_folder_of_its_own(arrivals, key):
    arrivals.deliver("riveru-2016-03-06.zip", week(key))
    arrivals.deliver("LakeU-2016-03-06.zip", week(key, "LakeU-2016-03-06", auth_user=b"2"))
    arrivals.deliver("LakeU-edge-events-2016-03-05.log.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert set(arrivals.published()) == {
        f"riveru/database_state/riveru-2016-03-06/{TABLE}",
        f"lakeu/database_state/LakeU-2016-03-06/{TABLE}",
        "lakeu/clickstream_logs/events/LakeU-edge-events-2016-03-05.log",
    }


def test_courses_of_an_org_under_another_spelling_stay_in_their_package(arrivals):
    names = [TABLE, TABLE.replace("RiverU", "RiverUx")]
    arrivals.deliver(f"{WEEK}.zip", zipped(dict.fromkeys(names, b"id\n")))
    arrivals.ingest()
    assert set(arrivals.published()) == {f"{STATES}/{WEEK}/{name}" for name in names}


@pytest.mark.parametrize("there", ["clickstream_logs", "database_state/2016-02-28"])
def test_a_data_folder_that_is_in_use_goes_on_being_used(arrivals, key, there):
    (arrivals.data / there).mkdir(parents=True)
    arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert set(arrivals.published()) == {
        f"database_state/{WEEK}/{TABLE}",
        f"clickstream_logs/events/{DAY}",
    }


@pytest.mark.parametrize(
    "there",
    [
        pytest.param("database_state/lakeu-2016-02-28/x", id="a package of another"),
        pytest.param("clickstream_logs/latest/lakeu-edx-events-2016-02-28.log", id="its log"),
        pytest.param("clickstream_logs/s1/2013-02-28_LakeU.log.gz", id="its old log"),
        pytest.param("riveru/anything", id="a folder of its own"),
    ],
)
def test_a_data_folder_of_another_org_is_left_to_it(arrivals, key, there):
    (arrivals.data / there).parent.mkdir(parents=True)
    (arrivals.data / there).write_bytes(b"")
    arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.ingest()
    assert set(arrivals.published()) == {there, f"{STATES}/{WEEK}/{TABLE}"}


def test_a_data_folder_that_is_called_like_its_org_needs_no_other(tmp_path, key):
    arrivals = Arrivals(tmp_path, gpg_home=key.home, data_paths=[tmp_path / "RiverU"])
    arrivals.data = tmp_path / "RiverU"
    arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.deliver("lakeu-2016-03-06.zip", week(key, "lakeu-2016-03-06", auth_user=b"2"))
    arrivals.ingest()
    assert set(arrivals.published()) == {
        f"database_state/{WEEK}/{TABLE}",
        f"lakeu/database_state/lakeu-2016-03-06/{TABLE}",
    }


def test_a_zip_of_email_preferences_does_not_hide_the_package_of_its_name(arrivals, key):
    preferences = "RiverU-email_opt_in-prod-analytics.csv"
    arrivals.deliver(f"course-data/{WEEK}.zip", week(key))
    members = {f"{WEEK}/{preferences}.gpg": key.encrypt(b"user_id\n")}
    arrivals.deliver(f"course-data/email-opt-in/{WEEK}.zip", zipped(members))
    arrivals.ingest()
    apart = "riveru-email_opt_in/database_state"
    assert set(arrivals.published()) == {
        f"{STATES}/{WEEK}/{TABLE}",
        f"{apart}/{WEEK}/{preferences}",
    }
    assert (latest(arrivals), latest(arrivals, apart)) == (WEEK, WEEK)


# --- rights -----------------------------------------------------------------------------------


def test_files_folders_and_group_are_as_the_settings_say(tmp_path, key):
    name = _another_group()
    arrivals = Arrivals(tmp_path, gpg_home=key.home, publish_mode="0644", publish_group=name)
    archive = tarred({"e/course.xml": b"<course/>"})
    arrivals.deliver(f"{WEEK}.zip", zipped({f"{ARCHIVE}.xml.tar.gz": archive}))
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    made = [path for path in arrivals.data.rglob("*") if not path.is_symlink()]
    made.remove(arrivals.data / ".incoming")
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in made}
    assert modes == {(True, 0o755), (False, 0o644)}
    assert {path.group() for path in made} == {name}


def test_what_is_not_published_yet_is_nobodys_business(arrivals, key):
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert stat.S_IMODE((arrivals.data / ".incoming").stat().st_mode) == 0o700


def _another_group() -> str:
    """A group that the user of the tests may give files to."""
    mine = [group for group in grp.getgrall() if group.gr_gid in os.getgroups()]
    found = grp.getgrall() if os.geteuid() == 0 else mine
    return next(group.gr_name for group in found if group.gr_gid != os.getegid())


# --- once -------------------------------------------------------------------------------------


def test_a_delivery_is_done_once(arrivals, key):
    path = arrivals.deliver(f"{WEEK}.zip", week(key))
    arrivals.ingest()
    os.utime(path, (1, 1))
    arrivals.ingest()
    assert [run.outcome for run in arrivals.runs("extract")] == ["done", "unchanged"]


def test_a_published_file_that_was_removed_comes_back_when_it_is_asked_for(arrivals, key):
    path = arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    published = arrivals.data / LOGS / DAY
    published.unlink()
    os.utime(path, (1, 1))
    arrivals.ingest()
    assert not published.exists()
    arrivals.queue.retry("extract", done=True)
    arrivals.ingest()
    assert published.read_bytes() == LINES


def test_another_delivery_of_the_same_name_takes_the_place_of_the_first(arrivals, key):
    arrivals.deliver(f"{WEEK}.zip", week(key, auth_user=b"old", teams=b"gone"))
    arrivals.ingest()
    arrivals.deliver(f"{WEEK}.zip", week(key, auth_user=b"new"))
    arrivals.ingest()
    assert arrivals.published() == {f"{STATES}/{WEEK}/{TABLE}": b"new"}
    assert arrivals.query("SELECT count(*) FROM packages.deliveries") == [(1,)]
    assert arrivals.left_aside() == []


def test_a_second_copy_of_a_delivery_counts_as_the_first(arrivals, key):
    content = key.encrypt(LINES)
    for folder in ("one", "two"):
        arrivals.deliver(f"{folder}/{DAY}.gpg", content)
    arrivals.ingest()
    assert sorted(run.outcome for run in arrivals.runs("extract")) == ["copy", "done"]
    assert arrivals.query("SELECT count(*) FROM packages.deliveries") == [(1,)]


def test_the_lake_knows_what_was_published(arrivals, key):
    archive = tarred({"e/course.xml": b"<course/>", "e/a.xml": b"<a/>"})
    members = {TABLE: b"id\n1\n", f"{ARCHIVE}.xml.tar.gz": archive, f"x-{TABLE}.failed": b"no"}
    arrivals.deliver(f"in/{WEEK}.zip", zipped(members))
    arrivals.deliver(f"{DAY}.gz.gpg", key.encrypt(gzip.compress(LINES)))
    arrivals.ingest()
    week, sunday, saturday = f"in/{WEEK}.zip", date(2016, 3, 6), date(2016, 3, 5)
    folder = f"{STATES}/{WEEK}"
    assert arrivals.query("SELECT * FROM packages.deliveries ORDER BY path") == [
        (f"{DAY}.gz.gpg", saturday, "events", f"{LOGS}/{DAY}", len(LINES), hash_of(LINES), False),
        (week, sunday, "table", f"{folder}/{TABLE}", 5, hash_of(b"id\n1\n"), False),
        (week, sunday, "course_archive", f"{folder}/{ARCHIVE}", 13, hash_of(archive), False),
        (week, sunday, "table", f"{folder}/x-{TABLE}.failed", 2, hash_of(b"no"), True),
    ]


def hash_of(content: bytes) -> str:
    return sha256(content).hexdigest()
