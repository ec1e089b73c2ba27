"""What is promised about the days that have a log."""

from datetime import date

from optimus.package.days import streams_of

BEST_FIRST = ("done", "failed")


def streams(*names: str):
    return {stream.name: stream for stream in streams_of([(n, "done") for n in names], BEST_FIRST)}


def test_days_between_the_first_and_the_last_are_missing():
    found = streams(
        "riveru-edx-events-2016-02-27.log.gz",
        "riveru-edx-events-2016-03-02.log",
        "riveru-edx-events-2016-02-29.log.gz",
    )["riveru-edx"]
    assert found.missing() == [date(2016, 2, 28), date(2016, 3, 1)]


def test_each_site_and_organisation_has_days_of_its_own():
    found = streams(
        "riveru-edx-events-2016-02-01.log",
        "riveru-edge-events-2016-02-03.log",
        "lakeu-edx-events-2016-02-05.log",
        "2013-01-01_RiverU.log",
    )
    assert sorted(found) == ["RiverU", "lakeu-edx", "riveru-edge", "riveru-edx"]
    assert not any(stream.missing() for stream in found.values())


def test_names_without_a_day_are_no_log_of_a_day():
    assert streams("tracking.log", "notes.txt") == {}


def test_of_several_logs_of_a_day_the_best_counts():
    names = ("2013-01-01_RiverU.log", "2013-01-01_RiverU.log.gz")
    for words in (BEST_FIRST, BEST_FIRST[::-1]):
        [stream] = streams_of(zip(names, words, strict=True), BEST_FIRST)
        assert stream.days == {date(2013, 1, 1): "done"}
