"""Documents that others have written get their dates and countries, and are looked at once."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.house import House
from tests.services.geo_house import (
    AUSTRALIA,
    BRISBANE,
    ENGLAND,
    LATER,
    LONDON,
    NOWHERE,
    service_of,
    write_database,
)

TIME = "2013-05-01T10:00:00.123456+00:00"
MOMENT = datetime(2013, 5, 1, 10, 0, 0, 123000, tzinfo=UTC)
LOG, NEXT_LOG = "demox-edx-events-2014-03-04.log", "demox-edx-events-2014-03-05.log"
OURS = {"event_type": "ours", "ip": LONDON, "time": "2014-03-04T05:06:07+00:00"}

NewHouse = Callable[..., House]


@pytest.fixture
def new_house(tmp_path: Path, mongodb: Any) -> NewHouse:
    write_database(tmp_path / "lib" / "country.mmdb")

    def new(**settings: Any) -> House:
        services = ["clickstream", "ip_to_country", "time_finder", "event_indexes"]
        place = f"127.0.0.1:{mongodb.port}"
        house = House(tmp_path, services, mongo_host=place, **settings)
        service_of(house).library = tmp_path / "lib"
        return house

    return new


def insert(mongodb: Any, *documents: dict[str, Any]) -> None:
    with mongodb.server.connect() as client:
        client["logs"]["clickstream"].insert_many([{"time": TIME, **one} for one in documents])


def found(mongodb: Any) -> dict[str, dict[str, Any]]:
    """Every document by its event type."""
    with mongodb.server.connect() as client:
        return {one["event_type"]: one for one in client["logs"]["clickstream"].find()}


def changed_by(mongodb: Any, action: Callable[[], object]) -> int:
    """How many documents of the collection the server changes during an action."""
    with mongodb.server.connect() as client:
        before = client.admin.command("serverStatus")["metrics"]["document"]["updated"]
        action()
        after = client.admin.command("serverStatus")["metrics"]["document"]["updated"]
    return int(after - before)


def test_documents_of_the_original_get_what_they_lack(new_house, mongodb):
    insert(
        mongodb,
        {"event_type": "known", "ip": BRISBANE},
        {"event_type": "unknown", "ip": NOWHERE},
        {"event_type": "blank", "ip": ""},
        {"event_type": "local", "ip": "::1"},
        {"event_type": "unreadable", "ip": BRISBANE, "time": "yesterday"},
        {"event_type": "finished", "ip": LONDON, "country": "XX", "time_date": MOMENT},
    )
    house = new_house()
    house.log(LOG, OURS)
    house.ingest()
    documents = found(mongodb)
    assert (documents["known"]["country"], documents["known"]["time_date"]) == ("AU", MOMENT)
    assert "country" not in documents["unknown"]
    assert documents["unknown"]["geo_attempt"] == 1
    for kind in ("blank", "local"):
        assert (documents[kind]["country"], documents[kind]["geo_attempt"]) == ("", 1)
    assert "time_date" not in documents["unreadable"]
    assert documents["finished"]["country"] == "XX"
    assert documents["ours"]["country"] == "GB"
    assert documents["known"]["time"] == TIME


def test_what_was_looked_at_is_not_looked_at_again(new_house, mongodb):
    insert(mongodb, {"event_type": "unknown", "ip": NOWHERE})
    house = new_house()
    house.log(LOG, OURS)
    house.ingest()
    house.log(NEXT_LOG, {**OURS, "event_type": "more"})
    # The country of the new document, and the records of what was done.
    assert changed_by(mongodb, house.ingest) < 6
    assert found(mongodb)["more"]["country"] == "GB"


def test_documents_that_come_later_are_found(new_house, mongodb):
    house = new_house()
    house.log(LOG, OURS)
    house.ingest()
    insert(mongodb, {"event_type": "later", "ip": BRISBANE})
    house.log(NEXT_LOG, {**OURS, "event_type": "more"})
    house.ingest()
    later = found(mongodb)["later"]
    assert (later["country"], later["time_date"]) == ("AU", MOMENT)


def test_a_newer_geo_database_is_asked_for_what_was_not_found(new_house, mongodb, tmp_path):
    house = new_house()
    house.log(LOG, {**OURS, "ip": NOWHERE})
    house.ingest()
    assert "country" not in found(mongodb)["ours"]
    networks: dict[str, dict[str, Any]] = {"93.184.0.0/16": ENGLAND, "1.120.0.0/13": AUSTRALIA}
    write_database(tmp_path / "lib" / "country.mmdb", networks, built=LATER)
    house.ingest()
    assert found(mongodb)["ours"]["country"] == "GB"
    assert house.query("SELECT country FROM logs.ip_country") == [("GB",)]


def test_a_country_in_the_lake_is_the_country_in_mongodb_whatever_the_database_says_now(
    new_house, mongodb, tmp_path
):
    house = new_house()
    house.log(LOG, OURS)
    house.ingest()
    write_database(tmp_path / "lib" / "country.mmdb", {"81.2.69.0/24": AUSTRALIA}, built=LATER)
    house.log(NEXT_LOG, {**OURS, "event_type": "more"})
    house.ingest()
    assert found(mongodb)["more"]["country"] == "GB"


def test_an_index_in_the_way_is_named_with_the_remedy_and_the_item_waits(new_house, mongodb):
    with mongodb.server.connect() as client:
        client["logs"]["clickstream"].create_index("country", unique=True, sparse=True, name="mine")
    house = new_house()
    house.log(LOG, OURS)
    house.ingest()
    [item] = house.sources("event_indexes")
    assert (item.state, item.reason) == ("queued", "unavailable")
    assert "mine" in item.message
    assert "dropIndex" in item.message
