"""What fetching from S3 promises, told to a server that speaks its protocol."""

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from optimus.registry import options_of
from optimus.scanner import whole_package
from optimus.scheduler import Scheduler, owner_of
from optimus.settings import ROOT
from optimus.worker import Worker
from services.fetch import looking
from tests.house import House
from tests.services.s3_store import (
    ACCESS_KEY,
    BUCKET,
    REGION,
    SECRET_KEY,
    Request,
    S3Store,
    path,
)

DAY = "RiverU/prod/events/2016/RiverU-prod-events-2016-02-15.log.gz.gpg"
OTHER_DAY = "RiverU/prod/events/2016/RiverU-prod-events-2016-02-16.log.gz"
ZIP = "RiverU-2016-02-15.zip"
MEGABYTE = 1 << 20
LARGE = os.urandom(5 * MEGABYTE) + b"the end"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Store]:
    found = S3Store()
    yield found
    found.stop()


@pytest.fixture
def store(server: S3Store, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    # To read the library's descriptions of the protocol takes longer than most tests.
    monkeypatch.setattr("botocore.loaders.create_loader", lambda _: server.loader)
    for name, value in {
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    server.reset()
    return server


@pytest.fixture
def house(tmp_path: Path, store: S3Store) -> House:
    return house_of(tmp_path, store)


def house_of(folder: Path, store: S3Store, *sources: str, **settings: Any) -> House:
    urls = sources or (f"s3://{BUCKET}/",)
    return House(folder, ["fetch"], **{"s3_sources": urls, "s3_endpoint": store.url, **settings})


def fetched(house: House, key: str) -> Path:
    return house.settings.fetched_path / BUCKET / key


def records(house: House) -> Path:
    return house.settings.fetched_path / looking.RECORDS


def parts(house: House) -> list[Path]:
    return list(house.settings.fetched_path.glob(f".*{looking.PART}"))


def item(house: House) -> Any:
    [found] = house.sources("fetch")
    return found


def refuse(status: str, code: str, key: str | None = None) -> Callable[[Request], Any]:
    """Answer with an error: about one path, or about all there is."""
    body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>"
    return lambda request: (status, body) if key in (None, request.path) else None


# -- what is fetched -----------------------------------------------------------------------


def test_deliveries_lie_here_as_they_lie_in_the_bucket_and_nothing_else_does(house, store):
    store.put(DAY, b"a day")
    store.put(ZIP, b"a package")
    store.put("RiverU/readme.txt", b"not ours")
    store.put("RiverU/", b"")
    house.ingest()
    here = [found for found in house.settings.fetched_path.rglob("*") if found.is_file()]
    assert sorted(here) == sorted([records(house), fetched(house, DAY), fetched(house, ZIP)])
    assert fetched(house, DAY).read_bytes() == b"a day"
    assert fetched(house, ZIP).read_bytes() == b"a package"
    assert house.notes("fetch") == ["Objects in S3_SOURCES that are no deliveries: 2."]
    counts = item(house).counts
    assert (counts["fetched"], counts["fetched_bytes"], counts["left_alone"]) == (2, 14, 2)


def test_files_are_for_the_group_and_folders_too(house, store):
    store.put(DAY, b"a day")
    house.ingest()
    assert fetched(house, DAY).stat().st_mode & 0o777 == 0o640
    assert fetched(house, DAY).parent.stat().st_mode & 0o777 == 0o750


def test_only_what_is_under_the_prefix_is_fetched(tmp_path, store):
    house = house_of(tmp_path, store, f"s3://{BUCKET}/RiverU-", f"s3://{BUCKET}/RiverU/prod")
    store.put(DAY, b"a day")
    store.put(ZIP, b"a package")
    store.put("LakeU-2016-02-15.zip", b"of others")
    house.ingest()
    assert fetched(house, DAY).is_file()
    assert fetched(house, ZIP).is_file()
    assert not fetched(house, "LakeU-2016-02-15.zip").exists()


def test_the_scan_finds_what_was_fetched_as_a_delivery(house, store):
    store.put(DAY, b"a day")
    house.ingest()
    [delivery] = whole_package(house.settings).deliveries
    assert delivery.path == fetched(house, DAY)
    assert str(delivery.day) == "2016-02-15"


def test_nothing_is_fetched_twice_even_after_a_restart(tmp_path, store):
    store.put(DAY, b"a day")
    house_of(tmp_path, store).ingest()
    store.put(OTHER_DAY, b"another")
    again = house_of(tmp_path, store)
    again.ingest()
    again.ingest()
    assert [request.path for request in store.gets()] == [path(DAY), path(OTHER_DAY)]


def test_what_has_changed_in_the_bucket_is_fetched_again(house, store):
    store.put(DAY, b"old day")
    house.ingest()
    store.put(DAY, b"new day")
    house.ingest()
    assert fetched(house, DAY).read_bytes() == b"new day"


def test_what_was_deleted_here_stays_away_until_its_record_is_taken_out(house, store):
    store.put(DAY, b"a day")
    store.put(OTHER_DAY, b"another")
    house.ingest()
    shutil.rmtree(fetched(house, DAY).parent)
    house.ingest()
    assert not fetched(house, DAY).exists()
    lines = records(house).read_text().splitlines()
    assert {json.loads(line)["object"] for line in lines} == {
        f"s3://{BUCKET}/{DAY}",
        f"s3://{BUCKET}/{OTHER_DAY}",
    }
    records(house).write_text("".join(f"{line}\n" for line in lines if DAY not in line))
    house.ingest()
    assert fetched(house, DAY).read_bytes() == b"a day"
    assert not fetched(house, OTHER_DAY).exists()


def test_a_record_that_a_crash_has_cut_costs_a_repetition_and_spoils_no_other(house, store):
    store.put(DAY, b"a day")
    house.ingest()
    records(house).write_bytes(records(house).read_bytes()[:-9])
    house.ingest()
    house.ingest()
    assert [request.path for request in store.gets()] == [path(DAY)] * 2


def test_an_empty_object_is_an_empty_file(house, store):
    store.put(DAY, b"")
    house.ingest()
    assert fetched(house, DAY).read_bytes() == b""


def test_more_objects_than_one_answer_lists_are_all_seen(house, store):
    for number in range(1_001):
        store.put_oddly_named(f"a/{number}.txt", b"")
    store.put(f"z/{ZIP}", b"the last")
    house.ingest()
    assert fetched(house, f"z/{ZIP}").read_bytes() == b"the last"
    assert item(house).counts["left_alone"] == 1_001


def test_new_days_come_first_and_a_day_that_arrives_meanwhile_does_not_wait(
    house, store, monkeypatch
):
    monkeypatch.setattr(looking, "DOWNLOADS_AT_ONCE", 1)
    monkeypatch.setattr(looking, "LISTED_AGAIN_AFTER", 2)
    days = [f"RiverU-edge-events-2016-02-{day}.log.gz" for day in (10, 12, 11, 13)]
    for day in days:
        store.put(day, b"a day")
    newest = "RiverU-edge-events-2016-02-14.log.gz"

    def arrive(request: Request) -> None:
        if request.path == path(days[3]):
            store.before.clear()
            store.put(newest, b"a day")

    store.before.append(arrive)
    house.ingest()
    order = [request.path[-13:-7] for request in store.gets()]
    assert order == ["-02-13", "-02-12", "-02-14", "-02-11", "-02-10"]


# -- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(f"../../{ZIP}", id="upwards"),
        pytest.param(f"a/../../../{ZIP}", id="upwards, further down"),
        pytest.param(f"/etc/{ZIP}", id="absolute"),
        pytest.param(f"a//{ZIP}", id="a part without a name"),
        pytest.param(f"a/./{ZIP}", id="a part that is a dot"),
        pytest.param(f"a\\b/{ZIP}", id="a backslash"),
        pytest.param(f"a\nb/{ZIP}", id="two lines"),
        pytest.param(f"{'é' * 130}/{ZIP}", id="a name that is too long in bytes"),
    ],
)
def test_a_key_that_cannot_be_a_path_is_named_and_left_alone(house, store, tmp_path, key):
    store.put_oddly_named(key, b"evil")
    store.put(DAY, b"a day")
    before = {found for found in tmp_path.rglob("*") if found.suffix == ".zip"}
    house.ingest()
    assert {found for found in tmp_path.rglob("*") if found.suffix == ".zip"} == before
    assert not any(ZIP in request.path for request in store.gets())
    [note] = house.notes("fetch")
    assert ascii(f"s3://{BUCKET}/{key}")[1:-1] in note
    assert fetched(house, DAY).is_file()


def test_a_name_that_is_a_file_and_a_folder_is_the_file(house, store):
    store.put(OTHER_DAY, b"a day")
    store.put(f"{OTHER_DAY}/{ZIP}", b"below it")
    house.ingest()
    assert fetched(house, OTHER_DAY).read_bytes() == b"a day"
    assert f"{OTHER_DAY}/{ZIP}" in house.notes("fetch")[0]
    house.ingest()
    assert f"{OTHER_DAY}/{ZIP}" in house.notes("fetch")[0]
    assert item(house).state == "done"


# -- interruptions -------------------------------------------------------------------------


def test_a_download_that_breaks_off_goes_on_where_it_stopped(house, store):
    store.put(ZIP, LARGE)
    store.put(DAY, b"a day")
    store.cuts[path(ZIP)] = 3 * MEGABYTE + 7
    house.ingest()
    assert (item(house).state, item(house).reason) == ("queued", "unavailable")
    assert not fetched(house, ZIP).exists()
    assert fetched(house, DAY).read_bytes() == b"a day"
    [part] = parts(house)
    came = part.stat().st_size
    assert 0 < came <= 3 * MEGABYTE + 7
    house.ingest()
    first, second = [request for request in store.gets() if request.path == path(ZIP)]
    assert (first.range, second.range) == ("bytes=0-", f"bytes={came}-")
    assert second.if_match == store.etag(ZIP)
    assert fetched(house, ZIP).read_bytes() == LARGE
    assert parts(house) == []
    assert item(house).state == "done"


def test_a_killed_daemon_goes_on_where_it_stopped(tmp_path, store):
    store.put(ZIP, LARGE)
    store.cuts[path(ZIP)] = 2 * MEGABYTE
    store.stalls.add(path(ZIP))
    house = house_of(tmp_path, store)
    settings = {
        "DATA_PATHS": json.dumps([str(house.package)]),
        "STATE_PATH": str(house.settings.state_path),
        "LAKE_PATH": str(house.settings.lake_path),
        "EXPORT_PATH": str(house.settings.export_path),
        "WWW_PATH": str(house.settings.www_path),
        "IGNORE_SERVICES": json.dumps(house.settings.ignore_services),
        "S3_SOURCES": json.dumps([f"s3://{BUCKET}/"]),
        "S3_ENDPOINT": store.url,
    }
    environment = os.environ | {f"OPTIMUS_{name}": value for name, value in settings.items()}
    daemon = subprocess.Popen(
        [sys.executable, str(ROOT / "ingestor.py"), "once"],
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while sum(part.stat().st_size for part in parts(house)) < MEGABYTE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(daemon.pid, signal.SIGKILL)
    daemon.wait()
    store.release.set()
    [part] = parts(house)
    came = part.stat().st_size
    house.queue.take_over(owner_of(house.settings))
    house.ingest()
    assert [request.range for request in store.gets()] == ["bytes=0-", f"bytes={came}-"]
    assert fetched(house, ZIP).read_bytes() == LARGE


def test_a_stop_does_not_wait_for_a_silent_store_and_nothing_is_written_after_it(house, store):
    store.put(ZIP, LARGE)
    store.cuts[path(ZIP)] = MEGABYTE
    store.stalls.add(path(ZIP))
    claim = claimed(house)
    worker = Worker(house.settings, house.registry, house.queue)
    reason = worker.do(claim, lambda progress: progress.done < MEGABYTE)
    assert reason == "stopped"
    assert item(house).state == "queued"
    store.release.set()
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join()
    [part] = parts(house)
    assert part.stat().st_size == MEGABYTE


def claimed(house: House) -> Any:
    scheduler = Scheduler(house.settings, house.registry, house.queue)
    scheduler._settle, scheduler._look = 0, "a look"
    scheduler._scan()
    return scheduler._claim()


def test_a_new_version_is_begun_anew(house, store):
    store.put(ZIP, LARGE)
    store.cuts[path(ZIP)] = 3 * MEGABYTE
    house.ingest()
    [of_old_version] = parts(house)
    store.put(ZIP, LARGE[::-1])
    house.ingest()
    assert store.gets()[-1].range == "bytes=0-"
    assert fetched(house, ZIP).read_bytes() == LARGE[::-1]
    assert not of_old_version.exists()


def test_an_object_that_is_replaced_between_listing_and_reading_is_fetched_as_it_is_now(
    house, store
):
    store.put(ZIP, b"old")
    replace = change_before("GET", ZIP, lambda: store.put(ZIP, b"newer"))
    store.before.append(replace)
    house.ingest()
    assert fetched(house, ZIP).read_bytes() == b"newer"
    assert parts(house) == []
    assert item(house).state == "done"


def test_an_object_that_is_replaced_after_reading_is_fetched_as_it_is_now(house, store):
    store.put(ZIP, b"old")
    store.before.append(change_before("HEAD", ZIP, lambda: store.put(ZIP, b"newer")))
    house.ingest()
    assert fetched(house, ZIP).read_bytes() == b"newer"


def test_an_object_that_vanishes_meanwhile_is_no_failure(house, store):
    store.put(ZIP, b"a package")
    delete = lambda: store.client.delete_object(Bucket=BUCKET, Key=ZIP)  # noqa: E731 - one use
    store.before.append(change_before("GET", ZIP, delete))
    house.ingest()
    assert item(house).state == "done"
    assert not fetched(house, ZIP).exists()


def test_an_object_that_never_rests_is_given_up_for_this_look(house, store):
    contents = iter(range(1_000))
    store.put(ZIP, b"first")

    def replace(request: Request) -> None:
        if request.method == "GET" and request.path == path(ZIP):
            store.put(ZIP, b"%d" % next(contents))

    store.before.append(replace)
    house.ingest()
    assert len(store.gets()) == looking.TRIES
    assert item(house).reason == "changed"
    store.before.clear()
    house.ingest()
    assert item(house).state == "done"


def change_before(method: str, key: str, change: Callable[[], object]) -> Callable[[Request], None]:
    """Something that happens once, just before a request is answered."""
    left = [change]

    def happen(request: Request) -> None:
        if request.method == method and request.path == path(key) and left:
            left.pop()()

    return happen


# -- what came, and what should have -------------------------------------------------------


def test_what_does_not_fit_its_etag_is_thrown_away_and_fetched_again_later(house, store):
    store.put(ZIP, LARGE)
    store.put(DAY, b"a day")
    store.lies.add(path(ZIP))
    house.ingest()
    assert (item(house).state, item(house).reason) == ("failed", "bad_file")
    assert f"s3://{BUCKET}/{ZIP}" in item(house).message
    assert not fetched(house, ZIP).exists()
    assert parts(house) == []
    assert fetched(house, DAY).is_file()
    store.lies.clear()
    house.ingest()
    assert fetched(house, ZIP).read_bytes() == LARGE
    assert item(house).state == "done"


@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param((5, 5, 1), id="parts of one size"),
        pytest.param((5, 6, 5, 2), id="parts of several sizes"),
        pytest.param((6, 5, 7), id="the first part is not the longest"),
    ],
)
def test_the_etag_of_an_upload_in_parts_is_checked(house, store, sizes):
    pieces = [os.urandom(size * MEGABYTE) for size in sizes]
    etag = store.put_parts(ZIP, *pieces)
    assert etag.endswith(f'-{len(sizes)}"')
    store.lies.add(path(ZIP))
    house.ingest()
    assert item(house).reason == "bad_file"
    store.lies.clear()
    house.ingest()
    assert fetched(house, ZIP).read_bytes() == b"".join(pieces)


def test_an_etag_that_kms_made_is_not_taken_for_an_md5(house, store):
    store.put(ZIP, b"a package", ServerSideEncryption="aws:kms")
    store.call_version(ZIP, "0123456789abcdef" * 2)
    house.ingest()
    assert fetched(house, ZIP).read_bytes() == b"a package"


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_the_checksum_of_the_store_counts_where_the_etag_proves_nothing(house, store, algorithm):
    store.put(ZIP, b"a package", ServerSideEncryption="aws:kms", ChecksumAlgorithm=algorithm)
    store.call_version(ZIP, "0123456789abcdef" * 2)
    store.lies.add(path(ZIP))
    house.ingest()
    assert item(house).reason == "bad_file"
    store.lies.clear()
    house.ingest()
    assert fetched(house, ZIP).read_bytes() == b"a package"


# -- refusals ------------------------------------------------------------------------------


def test_without_boto3_the_run_and_the_check_say_how_to_install_it(house, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    monkeypatch.delitem(sys.modules, "services.fetch.store", raising=False)
    house.ingest()
    assert item(house).state == "failed"
    assert "make setup-s3" in item(house).message
    [(verdict, sentence)] = findings(house)
    assert verdict == "bad"
    assert "requirements-s3.txt" in sentence


def findings(house: House) -> list[tuple[str, str]]:
    service = house.registry["fetch"]
    return list(service.check(options_of(service, house.settings)))


def test_without_sources_it_is_not_there(tmp_path, store):
    house = House(tmp_path, ["fetch"])
    assert house.registry.services == ()


def test_check_counts_what_lies_in_every_source(tmp_path, store):
    sources = [f"s3://{BUCKET}/RiverU", f"s3://{BUCKET}/nobody/"]
    house = house_of(tmp_path, store, *sources)
    store.put(DAY, b"a day")
    store.put("RiverU/readme.txt", b"not ours")
    assert findings(house) == [
        ("good", f"{sources[0]}: objects: 2, of which deliveries: 1 (0.0 GB)."),
        ("look", f"{sources[1]}: objects: 0, of which deliveries: 0 (0.0 GB)."),
    ]


def test_a_bucket_that_is_not_there_is_named_and_the_others_are_fetched(tmp_path, store):
    house = house_of(tmp_path, store, "s3://no-such-bucket/x", f"s3://{BUCKET}/")
    store.put(DAY, b"a day")
    house.ingest()
    assert fetched(house, DAY).is_file()
    assert item(house).state == "failed"
    assert "s3://no-such-bucket/x: there is no such bucket" in item(house).message
    assert findings(house)[0][0] == "bad"
    assert findings(house)[1][0] == "good"


def test_an_object_that_may_not_be_read_is_named_and_the_others_are_fetched(house, store):
    store.put(DAY, b"a day")
    store.put(ZIP, b"a package")
    store.before.append(refuse("403 Forbidden", "AccessDenied", path(ZIP)))
    house.ingest()
    assert fetched(house, DAY).is_file()
    assert item(house).state == "failed"
    assert f"s3://{BUCKET}/{ZIP}: access is denied (AccessDenied)" in item(house).message
    assert "s3:GetObject" in item(house).message
    store.before.clear()
    house.ingest()
    assert fetched(house, ZIP).is_file()


def test_an_archived_object_is_named(house, store):
    store.put(ZIP, b"a package", StorageClass="GLACIER")
    house.ingest()
    assert f"s3://{BUCKET}/{ZIP} is archived" in item(house).message


def test_a_busy_store_is_asked_again_soon(house, store):
    store.put(DAY, b"a day")
    store.before.append(refuse("503 Slow Down", "SlowDown", path(DAY)))
    house.ingest()
    assert (item(house).state, item(house).reason) == ("queued", "unavailable")
    assert "SlowDown" in item(house).message


def test_a_store_that_goes_away_is_not_asked_for_every_object(house, store, monkeypatch):
    monkeypatch.setattr(looking, "DOWNLOADS_AT_ONCE", 1)
    for day in range(10, 20):
        key = f"RiverU-edge-events-2016-02-{day}.log.gz"
        store.put(key, b"a day")
        store.cuts[path(key)] = 2
    house.ingest()
    assert len({request.path for request in store.gets()}) == looking.FAILURES_ALLOWED + 1
    assert item(house).reason == "unavailable"


def test_a_store_that_cannot_be_reached_is_away(tmp_path, store):
    house = house_of(tmp_path, store, s3_endpoint="http://127.0.0.1:9")
    house.ingest()
    assert (item(house).state, item(house).reason) == ("queued", "unavailable")
    [(verdict, sentence)] = findings(house)
    assert verdict == "away"
    assert "S3_ENDPOINT" in sentence


@pytest.mark.parametrize("endpoint", ["not a url", "http://user:hunter2@"])
def test_an_endpoint_that_is_no_url_is_a_wrong_setting(tmp_path, store, endpoint):
    house = house_of(tmp_path, store, s3_endpoint=endpoint)
    house.ingest()
    assert item(house).state == "failed"
    assert "S3_ENDPOINT is no URL" in item(house).message
    assert "hunter2" not in item(house).message


@pytest.mark.parametrize("status", ["200 OK", "302 Found"])
def test_something_that_does_not_speak_s3_is_told_from_an_empty_bucket(house, store, status):
    store.before.append(lambda request: (status, "<html>Please log in.</html>"))
    house.ingest()
    assert item(house).state == "failed"
    assert "Mend S3_ENDPOINT" in item(house).message


def test_missing_credentials_are_named(house, store, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    house.ingest()
    assert item(house).state == "failed"
    assert "AWS_SECRET_ACCESS_KEY" in item(house).message


def test_an_object_that_does_not_fit_on_the_disk_is_not_begun(house, store, monkeypatch):
    store.put(ZIP, LARGE)
    store.put(DAY, b"a day")
    free = looking.KEPT_FREE + MEGABYTE
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))
    house.ingest()
    assert fetched(house, DAY).is_file()
    assert [request.path for request in store.gets()] == [path(DAY)]
    assert (item(house).state, item(house).reason) == ("queued", "unavailable")
    assert "Free space" in item(house).message


def test_a_folder_that_cannot_be_written_to_is_named(house, store):
    store.put(DAY, b"a day")
    records(house).mkdir(parents=True)
    house.ingest()
    assert (item(house).state, item(house).reason) == ("queued", "unavailable")
    assert f"{DAY} cannot be written below {house.settings.fetched_path}" in item(house).message


def test_no_secret_is_told_to_anybody(house, store, caplog):
    caplog.set_level("INFO")
    store.put(DAY, b"a day")
    store.put(ZIP, b"a package")
    store.before.append(refuse("403 Forbidden", "SignatureDoesNotMatch", path(ZIP)))
    house.ingest()
    told = [caplog.text, item(house).message, *map(str, findings(house))]
    told += [
        found.read_text(errors="replace")
        for found in house.settings.state_path.rglob("*")
        if found.is_file()
    ]
    for secret in (ACCESS_KEY, SECRET_KEY, "Signature="):
        assert not any(secret in text for text in told)


def test_the_requests_name_us(house, store):
    house.ingest()
    assert all("optimus-ingestor" in request.agent for request in store.requests)


# -- the whole way -------------------------------------------------------------------------


def test_a_log_in_a_bucket_becomes_rows_of_the_lake(tmp_path, store):
    event = {"time": "2016-02-15T10:00:00+00:00", "event_type": "play_video", "username": "otter"}
    log = "".join(f"{json.dumps(event | {'session': str(n)})}\n" for n in range(3))
    store.put(OTHER_DAY, gzip.compress(log.encode()))
    house = House(
        tmp_path,
        ["fetch", "extract", "clickstream"],
        s3_sources=[f"s3://{BUCKET}/"],
        s3_endpoint=store.url,
    )
    house.ingest()
    assert house.query("SELECT count(*), min(event_type) FROM logs.clickstream") == [
        (3, "play_video")
    ]
    items = sum(len(house.runs(name)) for name in ("extract", "clickstream"))
    house.ingest()
    assert sum(len(house.runs(name)) for name in ("extract", "clickstream")) == items
