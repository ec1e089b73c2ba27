"""What is promised about files that appear whole or not at all."""

import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from optimus.errors import OutputUnavailableError
from optimus.outputs import linux
from optimus.outputs.staging import Rights, Shelf, Staging, make_folder, sweep


@pytest.fixture
def staging():
    return Staging("mark.1")


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_seen_before_it_is_published(tmp_path, staging):
    final = tmp_path / "lake" / "x.parquet"
    staging.write_bytes(final, b"new")
    assert not final.exists()
    assert not list(tmp_path.glob("lake/[!.]*"))


def test_everything_is_seen_once_it_is_published(tmp_path, staging):
    finals = [tmp_path / "a", tmp_path / "deep" / "er" / "b"]
    for final in finals:
        staging.write_bytes(final, b"new")
    assert staging.publish() == finals
    assert [final.read_bytes() for final in finals] == [b"new", b"new"]
    assert hidden(tmp_path) == []


def test_publishing_replaces_what_was_there(tmp_path, staging):
    final = tmp_path / "a"
    final.write_bytes(b"old")
    staging.write_bytes(final, b"new")
    assert final.read_bytes() == b"old"
    staging.publish()
    assert final.read_bytes() == b"new"


def test_a_reader_who_has_the_old_file_open_reads_on_in_it(tmp_path, staging):
    final = tmp_path / "a"
    final.write_bytes(b"old")
    with final.open("rb") as reader:
        staging.write_bytes(final, b"new")
        staging.publish()
        assert reader.read() == b"old"


def test_every_file_reaches_the_disk_before_any_is_renamed(tmp_path, staging, monkeypatch):
    deeds: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        deeds.append("sync folder" if is_folder else "sync file")
        fsync(descriptor)

    def renamed(path: Path, target: Path) -> Path:
        deeds.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    for name in ("a", "b"):
        staging.write_bytes(tmp_path / name, b"")
    staging.publish()
    assert deeds == ["sync file", "sync file", "rename", "rename", "sync folder"]


def test_when_one_file_cannot_reach_the_disk_none_is_published(tmp_path, staging, monkeypatch):
    calls = iter([None, OSError(5, "Input/output error")])

    def failing(_: int) -> None:
        if error := next(calls):
            raise error

    for name in ("a", "b"):
        staging.write_bytes(tmp_path / name, b"new")
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="Input/output error"):
            staging.publish()
    staging.discard()
    assert list(tmp_path.iterdir()) == []


def test_discarding_leaves_nothing(tmp_path, staging):
    staging.write_bytes(tmp_path / "a", b"new")
    staging.discard()
    assert list(tmp_path.iterdir()) == []
    assert staging.publish() == []


def test_a_file_that_was_never_written_is_discarded_without_complaint(tmp_path, staging):
    staging.path_for(tmp_path / "a")
    staging.discard()


def test_one_staged_file_can_be_taken_back(tmp_path, staging):
    for name in ("a", "b"):
        staging.write_bytes(tmp_path / name, b"new")
    staging.drop(tmp_path / "a")
    assert staging.publish() == [tmp_path / "b"]
    assert hidden(tmp_path) == []


def test_all_but_one_staged_file_can_be_taken_back(tmp_path, staging):
    for name in ("a", "b", "c"):
        staging.write_bytes(tmp_path / name, b"new")
    staging.keep_only(tmp_path / "b")
    assert staging.publish() == [tmp_path / "b"]


def test_a_staged_file_can_be_staged_under_a_second_name(tmp_path, staging):
    staging.write_bytes(tmp_path / "a", b"new")
    staging.copy(tmp_path / "a", tmp_path / "b")
    staging.publish()
    assert (tmp_path / "b").read_bytes() == b"new"


def test_two_tries_at_one_file_do_not_write_into_each_other(tmp_path, staging):
    final = tmp_path / "a"
    other = Staging("mark.2")
    staging.write_bytes(final, b"first")
    other.write_bytes(final, b"second")
    staging.publish()
    other.discard()
    assert final.read_bytes() == b"first"


def test_files_and_folders_are_for_the_owner_and_the_group_only(tmp_path, staging):
    final = tmp_path / "lake" / "deep" / "x.parquet"
    before = os.umask(0)
    try:
        staging.write_bytes(final, b"")
        staging.publish()
    finally:
        os.umask(before)
    assert mode(final) == 0o640
    assert mode(final.parent) == 0o750


def test_folders_in_between_are_for_the_owner_and_the_group_only(tmp_path):
    # Python gives the mode to the last folder only; the others get what the mask leaves.
    before = os.umask(0o027)
    try:
        make_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/c")] == [0o750] * 3


def test_a_name_as_long_as_a_name_may_be_can_be_staged(tmp_path, staging):
    final = tmp_path / ("x" * 255)
    staging.write_bytes(final, b"new")
    staging.publish()
    assert final.read_bytes() == b"new"


def test_two_long_names_with_one_beginning_do_not_share_a_hidden_file(tmp_path, staging):
    finals = [tmp_path / ("x" * 220 + end) for end in ("a", "b")]
    for final in finals:
        staging.write_bytes(final, final.name[-1].encode())
    staging.publish()
    assert [final.read_bytes() for final in finals] == [b"a", b"b"]


def test_a_name_of_many_bytes_and_few_letters_can_be_staged(tmp_path, staging):
    final = tmp_path / ("é" * 110)
    staging.write_bytes(final, b"new")
    staging.publish()
    assert final.exists()


def test_a_folder_that_cannot_be_made_is_an_outage_with_a_remedy(tmp_path, staging):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputUnavailableError, match="cannot be made"):
        staging.path_for(tmp_path / "file" / "x" / "a")


def test_a_sweep_removes_what_interrupted_tries_left_and_nothing_else(tmp_path, staging):
    staging.write_bytes(tmp_path / "deep" / "left", b"")
    kept = [tmp_path / "a.parquet", tmp_path / ".gitkeep", tmp_path / "notes.tmp"]
    for path in kept:
        path.write_bytes(b"")
    assert sweep([tmp_path]) == 1
    assert all(path.exists() for path in kept)
    assert list((tmp_path / "deep").iterdir()) == []


def test_what_another_try_is_writing_stays_when_leftovers_are_removed(tmp_path):
    for mark in ("aaaa.1", "bbbb.2"):
        Staging(mark).write_bytes(tmp_path / "part.parquet", b"half")
    assert sweep([tmp_path], at_work=["bbbb.2"]) == 1
    assert [path.name for path in tmp_path.iterdir()] == [".part.parquet.bbbb.2.tmp"]


# --- folders, links, and what is staged apart -------------------------------------------------


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / ".incoming", Rights(0o660, 0o770))


def test_a_folder_appears_whole_with_the_rights_of_its_shelf(tmp_path, staging, shelf):
    final = tmp_path / "out" / "2016-02-07"
    hidden = staging.folder_for(final, shelf)
    (hidden / "ora").mkdir()
    (hidden / "ora" / "x.sql").write_bytes(b"new")
    assert not final.exists()
    assert [path.name for path in tmp_path.iterdir() if path != shelf.folder] == ["out"]
    staging.publish()
    assert (final / "ora" / "x.sql").read_bytes() == b"new"
    assert [mode(path) for path in (final, final / "ora", final / "ora" / "x.sql")] == [
        0o770,
        0o770,
        0o660,
    ]
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_folder_takes_the_place_of_an_older_one(tmp_path, staging, monkeypatch, can_exchange):
    if not can_exchange:
        without_renameat2 = SimpleNamespace(syncfs=lambda descriptor: 0)
        monkeypatch.setattr(linux, "_library", without_renameat2)
    final = tmp_path / "a"
    final.mkdir()
    (final / "old").write_bytes(b"")
    (staging.folder_for(final) / "new").write_bytes(b"")
    staging.publish()
    assert [path.name for path in final.iterdir()] == ["new"]
    assert hidden(tmp_path) == []


def test_a_folder_that_is_taken_back_leaves_nothing(tmp_path, staging, shelf):
    (staging.folder_for(tmp_path / "a", shelf) / "x").write_bytes(b"")
    staging.discard()
    assert list(shelf.folder.iterdir()) == []
    assert not (tmp_path / "a").exists()


def test_a_half_filled_folder_is_swept_away(tmp_path, staging, shelf):
    (staging.folder_for(tmp_path / "a", shelf) / "x").write_bytes(b"")
    assert sweep([shelf.folder]) == 1
    assert list(shelf.folder.iterdir()) == []


def test_things_of_one_name_share_a_shelf(tmp_path, staging, shelf):
    finals = [tmp_path / folder / "x.log" for folder in ("a", "b")]
    for final in finals:
        staging.path_for(final, shelf).write_text(final.parent.name)
    staging.publish()
    assert [final.read_text() for final in finals] == ["a", "b"]


def test_a_link_is_moved_in_one_step_after_all_else(tmp_path, staging, shelf):
    latest, seen = tmp_path / "latest", []
    latest.symlink_to("old")
    staging.folder_for(tmp_path / "new", shelf)

    def is_wanted() -> bool:
        seen.append((tmp_path / "new").is_dir())
        return True

    staging.point(latest, "new", shelf, is_wanted)
    assert str(latest.readlink()) == "old"
    staging.publish()
    assert (str(latest.readlink()), seen) == ("new", [True])
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize(("is_wanted", "is_folder"), [(False, False), (True, True)])
def test_a_link_stays_where_it_is_not_wanted_or_is_no_link(
    tmp_path, staging, shelf, is_wanted, is_folder
):
    latest = tmp_path / "latest"
    if is_folder:
        latest.mkdir()
    else:
        latest.symlink_to("old")
    staging.point(latest, "new", shelf, lambda: is_wanted)
    staging.publish()
    assert latest.is_dir() if is_folder else str(latest.readlink()) == "old"
