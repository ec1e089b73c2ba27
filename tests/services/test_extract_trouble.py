"""What is promised when a delivery is damaged, or the key is not there: nothing is published."""

import gzip
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from optimus.service import Progress
from tests.services.packing import Arrivals, Key, zipped

DAY = "riveru-edx-events-2016-03-05.log"
LINES = b"".join(b'{"event_type": "play_video", "number": %d}\n' % n for n in range(20_000))
WEEK = "riveru-2016-03-06.zip"
TABLE = "RiverU-Bees101-2016_T1-auth_user-prod-analytics.sql"
FIVE_MINUTES = 300


@pytest.fixture
def arrivals(tmp_path: Path, key: Key) -> Arrivals:
    return Arrivals(tmp_path, gpg_home=key.home)


def refused(arrivals: Arrivals) -> str:
    """Why the one delivery failed; nothing of it is to be seen."""
    arrivals.ingest()
    source = arrivals.only()
    assert (source.state, source.reason) == ("failed", "bad_file")
    assert arrivals.published() == {}
    assert arrivals.left_aside() == []
    assert arrivals.query("SELECT * FROM packages.deliveries") == []
    return str(source.message)


def waits(arrivals: Arrivals) -> str:
    """Why the one delivery waits for a key; nothing of it is to be seen."""
    before = arrivals.queue.now()
    arrivals.ingest()
    source = arrivals.only()
    assert (source.state, source.reason, source.attempts) == ("queued", "key", 0)
    assert source.not_before >= before + FIVE_MINUTES
    assert arrivals.published() == {}
    assert arrivals.left_aside() == []
    return str(source.message)


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def children() -> Iterator[Path]:
    """What the system tells of the programs that were started here and still run."""
    for thread in Path("/proc/self/task").glob("*/children"):
        yield from (Path("/proc", process) for process in thread.read_text().split())


def try_again(arrivals: Arrivals) -> None:
    arrivals.queue.retry("extract")
    arrivals.ingest()


# --- what is encrypted ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        pytest.param(lambda content: content[: len(content) // 2], "cut off or changed", id="cut"),
        pytest.param(lambda content: content[:-1], "cut off or changed", id="the last byte gone"),
        pytest.param(lambda content: flipped(content, -3), "cut off or changed", id="its hash"),
        pytest.param(lambda content: content + b"more", "cut off or changed", id="more behind it"),
        pytest.param(lambda content: content[:40], "cut off at its beginning", id="cut early"),
        pytest.param(lambda content: b"", "not encrypted, or was cut off", id="nothing"),
        pytest.param(lambda content: LINES, "not encrypted, or was cut off", id="no gpg"),
    ],
)
@pytest.mark.parametrize("name", [f"{DAY}.gpg", WEEK])
def test_damaged_encryption_is_refused(arrivals, key, name, damage, words):
    content = damage(key.encrypt(LINES))
    if name == WEEK:
        content = zipped({"good.sql.gpg": key.encrypt(b"good"), f"{TABLE}.gpg": content})
    arrivals.deliver(name, content)
    message = refused(arrivals)
    assert words in message
    assert (f"{TABLE}.gpg" if name == WEEK else name) in message


def test_what_stands_behind_an_encrypted_file_is_refused_with_it(arrivals, key):
    # Unlike a long one, it says how long it is: gpg takes the rest for another.
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(b"short") + b"more")
    refused(arrivals)


def test_a_changed_byte_in_the_middle_is_noticed(arrivals, key):
    content = key.encrypt(gzip.compress(LINES))
    arrivals.deliver(f"{DAY}.gz.gpg", flipped(content, len(content) // 2))
    refused(arrivals)


def test_a_file_that_only_looks_encrypted_is_refused(arrivals, key):
    arrivals.deliver(f"{DAY}.gpg", key.gpg("--store", data=LINES))
    assert "not encrypted" in refused(arrivals)


@pytest.mark.parametrize("first", ["encrypted", "stored"])
def test_nothing_unencrypted_is_smuggled_in_beside_what_is_encrypted(arrivals, key, first):
    both = [key.encrypt(LINES), key.gpg("--store", data=b"smuggled")]
    arrivals.deliver(f"{DAY}.gpg", b"".join(both if first == "encrypted" else reversed(both)))
    refused(arrivals)


def test_encryption_without_protection_against_changes_is_refused(arrivals, key):
    old = ("--rfc2440", "--disable-mdc", "--cipher-algo=AES256")
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES, *old))
    assert "without protection against changes" in refused(arrivals)


def test_a_delivery_that_failed_is_tried_again_when_it_is_another(arrivals, key):
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES)[:1000])
    refused(arrivals)
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert list(arrivals.published().values()) == [LINES]


def test_what_was_there_stays_when_the_next_delivery_is_damaged(arrivals):
    arrivals.deliver(WEEK, zipped({TABLE: b"good"}))
    arrivals.ingest()
    before = arrivals.published()
    arrivals.deliver(WEEK, zipped({TABLE: b"better"})[:-5])
    arrivals.ingest()
    assert arrivals.only().state == "failed"
    assert arrivals.published() == before


# --- keys -------------------------------------------------------------------------------------


def test_without_the_secret_key_it_waits_until_there_is_one(tmp_path, key):
    home = tmp_path / "home"
    home.mkdir(0o700)
    arrivals = Arrivals(tmp_path, gpg_home=home)
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    message = waits(arrivals)
    assert "the secret key" in message
    assert str(home) in message
    try_again(Arrivals(tmp_path, gpg_home=key.home))
    assert list(arrivals.published().values()) == [LINES]


def test_a_package_with_one_member_for_another_key_waits_whole(arrivals, key, locked_key):
    members = {"a.sql.gpg": key.encrypt(b"a"), "b.sql.gpg": locked_key.encrypt(b"b")}
    arrivals.deliver(WEEK, zipped(members))
    assert "b.sql.gpg cannot be decrypted" in waits(arrivals)


def test_the_passphrase_opens_the_key(tmp_path, locked_key):
    locked_key.forget()
    file = tmp_path / "passphrase"
    file.write_text(f"{locked_key.passphrase}\n")
    arrivals = Arrivals(tmp_path, gpg_home=locked_key.home, gpg_passphrase_file=file)
    arrivals.deliver(f"{DAY}.gz.gpg", locked_key.encrypt(gzip.compress(LINES)))
    arrivals.ingest()
    assert list(arrivals.published().values()) == [LINES]


@pytest.mark.parametrize("written", ["another\n", "", None])
def test_a_wrong_passphrase_is_not_taken_for_a_damaged_file(tmp_path, locked_key, written):
    locked_key.forget()
    file = tmp_path / "passphrase"
    if written is not None:
        file.write_text(written)
    arrivals = Arrivals(tmp_path, gpg_home=locked_key.home, gpg_passphrase_file=file)
    arrivals.deliver(f"{DAY}.gpg", locked_key.encrypt(LINES))
    message = waits(arrivals)
    assert "GPG_PASSPHRASE_FILE" in message
    assert "another" not in message


def test_without_gpg_it_waits(arrivals, key, monkeypatch):
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    monkeypatch.setenv("PATH", "/nowhere")
    assert "Install GnuPG" in waits(arrivals)


def test_a_key_that_has_expired_still_opens_what_was_encrypted_for_it(tmp_path):
    key = Key("", "2020-06-01", "--faked-system-time=20200101T000000")
    try:
        arrivals = Arrivals(tmp_path, gpg_home=key.home)
        content = key.encrypt(LINES, "--faked-system-time=20200201T000000")
        arrivals.deliver(f"{DAY}.gpg", content)
        arrivals.ingest()
    finally:
        key.remove()
    assert list(arrivals.published().values()) == [LINES]


def test_the_passphrase_is_seen_by_nobody(tmp_path, locked_key):
    locked_key.forget()
    file = tmp_path / "passphrase"
    file.write_text(locked_key.passphrase)
    arrivals = Arrivals(tmp_path, gpg_home=locked_key.home, gpg_passphrase_file=file)
    arrivals.deliver(f"{DAY}.gpg", locked_key.encrypt(LINES))
    seen: list[bytes] = []

    def look(progress: Progress) -> bool:
        for child in children():
            seen.extend((child / what).read_bytes() for what in ("cmdline", "environ"))
        return True

    arrivals.try_once(look)
    assert any(b"--decrypt" in words for words in seen)
    assert not any(locked_key.passphrase.encode() in words for words in seen)


# --- gzip -------------------------------------------------------------------------------------


PACKED = gzip.compress(LINES)


@pytest.mark.parametrize("unpack", [True, False])
@pytest.mark.parametrize(
    ("packed", "words"),
    [
        pytest.param(PACKED[:-20], "cut off", id="cut"),
        pytest.param(flipped(PACKED, -6), "damaged", id="its checksum"),
        pytest.param(b"", "0 bytes", id="nothing"),
    ],
)
def test_damaged_gzip_is_refused_even_when_it_stays_packed(tmp_path, key, packed, words, unpack):
    arrivals = Arrivals(tmp_path, gpg_home=key.home, unpack_logs=unpack)
    arrivals.deliver(f"{DAY}.gz.gpg", key.encrypt(packed))
    assert words in refused(arrivals)


@pytest.mark.parametrize("name", [f"{DAY}.gpg", f"{DAY}.gz.gpg", WEEK, f"again-{WEEK}"])
def test_a_bomb_is_refused_wherever_it_is_packed(arrivals, key, monkeypatch, name):
    monkeypatch.setattr("optimus.package.files.BOMB_FLOOR", 1 << 20)
    zeros, small = bytes(8 << 20), key.encrypt(bytes(1 << 19))
    contents = {
        f"{DAY}.gpg": key.encrypt(zeros),
        f"{DAY}.gz.gpg": key.encrypt(gzip.compress(zeros)),
        WEEK: zipped({TABLE: zeros}),
        # Each is small enough: it is their number.
        f"again-{WEEK}": zipped({f"{n}-{TABLE}.gpg": small for n in range(16)}),
    }
    arrivals.deliver(name, contents[name])
    assert "200 times its size" in refused(arrivals)


# --- while it is read -------------------------------------------------------------------------


@pytest.mark.parametrize("name", [f"{DAY}.gpg", WEEK])
def test_a_delivery_that_is_replaced_while_it_is_read_is_read_again(arrivals, key, name):
    def content_of(line: bytes) -> bytes:
        return key.encrypt(line) if name != WEEK else zipped({f"{TABLE}.gpg": key.encrypt(line)})

    new = arrivals.deliver("aside/new.part", content_of(b"new"))
    path = arrivals.deliver(name, content_of(b"old"))

    def replace(progress: Progress) -> bool:
        if new.exists():
            new.replace(path)
        return True

    arrivals.try_once(replace)
    assert (arrivals.only().state, arrivals.only().reason) == ("queued", "changed")
    assert arrivals.published() == {}
    try_again(arrivals)
    assert list(arrivals.published().values()) == [b"new"]


def test_what_is_cut_while_it_is_read_is_not_taken_for_a_damaged_file(arrivals):
    path = arrivals.deliver(WEEK, zipped({f"{n}-{TABLE}": bytes([n]) * 100 for n in range(100)}))

    def cut(progress: Progress) -> bool:
        with path.open("r+b") as file:
            file.truncate(1000)
        return True

    arrivals.try_once(cut)
    assert (arrivals.only().state, arrivals.only().reason) == ("queued", "changed")


@pytest.mark.parametrize("name", [f"{DAY}.gpg", WEEK])
def test_a_stop_ends_gpg_and_leaves_nothing(arrivals, key, name):
    encrypted = key.encrypt(LINES * 10)
    arrivals.deliver(name, encrypted if name != WEEK else zipped({f"{TABLE}.gpg": encrypted}))
    seen: list[Path] = []

    def stop_once_gpg_runs(progress: Progress) -> bool:
        seen.extend(one for one in children() if b"--decrypt" in (one / "cmdline").read_bytes())
        return not seen

    arrivals.try_once(stop_once_gpg_runs)
    assert (arrivals.only().state, arrivals.only().reason) == ("queued", "stopped")
    assert seen
    assert not any(process.exists() for process in seen)
    assert (arrivals.published(), arrivals.left_aside()) == ({}, [])
    arrivals.ingest()
    assert list(arrivals.published().values()) == [LINES * 10]


def test_a_group_that_is_not_there_is_named(tmp_path, key):
    arrivals = Arrivals(tmp_path, gpg_home=key.home, publish_group="no such group")
    arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
    arrivals.ingest()
    assert arrivals.only().state == "queued"
    assert "PUBLISH_GROUP: there is no group no such group" in arrivals.only().message


def test_a_signature_of_a_stranger_stands_in_nobodys_way(tmp_path, key):
    stranger = Key()
    try:
        stranger.gpg("--import", data=key.gpg("--export"))
        signed = stranger.gpg(f"-r{key.fingerprint}", "--sign", "--encrypt", data=LINES)
    finally:
        stranger.remove()
    arrivals = Arrivals(tmp_path, gpg_home=key.home)
    arrivals.deliver(f"{DAY}.gpg", signed)
    arrivals.ingest()
    assert list(arrivals.published().values()) == [LINES]


# --- room -------------------------------------------------------------------------------------


def test_it_does_not_begin_what_the_disk_cannot_hold(arrivals, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9))
    arrivals.deliver(WEEK, zipped({TABLE: bytes(10)}))
    arrivals.ingest()
    assert (arrivals.only().state, arrivals.only().reason) == ("queued", "unavailable")
    assert "needs more than 10 bytes" in arrivals.only().message


def test_a_size_that_no_disk_could_hold_is_not_waited_for(arrivals):
    content = zipped({TABLE: b"x"})
    at = content.rindex(b"PK\1\2") + 24
    arrivals.deliver(WEEK, content[:at] + b"\xfe\xff\xff\xff" + content[at + 4 :])
    assert "200 times its size" in refused(arrivals)


def test_a_disk_that_fills_up_publishes_nothing(arrivals):
    arrivals.deliver(WEEK, zipped({TABLE: os.urandom(6_000_000)}))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_500_000, hard))
    try:
        arrivals.ingest()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert (arrivals.only().state, arrivals.only().reason) == ("queued", "unavailable")
    assert (arrivals.published(), arrivals.left_aside()) == ({}, [])
    try_again(arrivals)
    assert arrivals.only().state == "done"


def test_a_latest_on_another_file_system_is_named(arrivals, key):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == arrivals.data.stat().st_dev:
        pytest.skip("there is one file system only")
    logs = arrivals.data / "riveru" / "clickstream_logs"
    logs.mkdir(parents=True)
    with tempfile.TemporaryDirectory(dir=shared) as elsewhere:
        (logs / "latest").symlink_to(elsewhere)
        arrivals.deliver(f"{DAY}.gpg", key.encrypt(LINES))
        arrivals.ingest()
    assert "on another file system" in arrivals.only().message
