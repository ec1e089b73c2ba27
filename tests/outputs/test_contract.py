"""What is promised of every output alike: the lake, the tables of MySQL, the documents of MongoDB.

A try writes unseen; what it publishes takes the place of what its source gave before, as a
whole; what is discarded or killed leaves nothing that a reader sees.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest

from optimus.outputs.bson_documents import document_id, encode_event
from optimus.outputs.lake import LakeWriter
from optimus.outputs.mongo import CollectionOfDelivery, SourceDocuments
from optimus.outputs.mysql import MySqlTables, SqlTable
from optimus.outputs.staging import Staging, sweep

SOURCE = "0123456789abcdef" * 4
FIELDS: "list[pa.Field[Any]]" = [pa.field("number", pa.int64()), pa.field("text", pa.string())]
SCHEMA = pa.schema(FIELDS)
Row = tuple[int, str]
ONE, TWO = [(1, "a"), (2, "bé\n🐝")], [(3, "other")]


class Try(Protocol):
    """One try at a source, whatever it writes to."""

    def write(self, rows: list[Row]) -> None: ...

    def publish(self) -> None: ...

    def discard(self) -> None: ...


class Output(Protocol):
    """An output with one source in it."""

    def try_it(self) -> Try: ...

    def rows(self) -> list[Row]: ...


def origin() -> dict[str, str]:
    return {"source": "a.log", "content_sha256": "x", "delivered": "2016-02-07"}


def batch(rows: list[Row]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"number": number, "text": text} for number, text in rows], SCHEMA
    )


class Lake:
    def __init__(self, folder: Path) -> None:
        self._root = folder / "lake"
        self._epoch = 0

    def try_it(self) -> Try:
        self._epoch += 1
        if self._root.exists():
            sweep([self._root])
        return LakeTry(self._root, Staging(f"source.{self._epoch}"))

    def rows(self) -> list[Row]:
        files = [path for path in self._root.rglob("*") if path.is_file()]
        found = [pa.parquet.read_table(path) for path in files if not path.name.startswith(".")]
        return sorted((r["number"], r["text"]) for table in found for r in table.to_pylist())


class LakeTry:
    def __init__(self, root: Path, staging: Staging) -> None:
        self._staging = staging
        self._writer = LakeWriter(root, staging, origin)

    def write(self, rows: list[Row]) -> None:
        with self._writer.open("events/a.parquet", SCHEMA) as file:
            file.write(batch(rows))

    def publish(self) -> None:
        self._staging.publish()

    def discard(self) -> None:
        self._staging.discard()


class Tables:
    def __init__(self, mariadb: Any) -> None:
        self._mariadb = mariadb
        self._epoch = 0

    def try_it(self) -> Try:
        self._epoch += 1
        return TablesTry(MySqlTables(self._mariadb.server, f"{SOURCE[:12]}.{self._epoch}", origin))

    def rows(self) -> list[Row]:
        tables = self._mariadb.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'course'"
        )
        if ("events",) not in tables:
            return []
        found = self._mariadb.execute("SELECT number, text FROM course.events")
        return sorted((int(str(number)), str(text)) for number, text in found)


class TablesTry:
    def __init__(self, tables: MySqlTables) -> None:
        self._tables = tables

    def write(self, rows: list[Row]) -> None:
        with self._tables.open(SqlTable("course", "events", SCHEMA)) as table:
            assert table.load(batch(rows)) == []

    def publish(self) -> None:
        self._tables.publish()

    def discard(self) -> None:
        self._tables.discard()


class Documents:
    """Both kinds of documents: of a source among others, and a collection of its own."""

    def __init__(self, mongodb: Any, folder: Path, *, of_delivery: bool) -> None:
        self._mongodb = mongodb
        self._spool = folder / "spool"
        self._of_delivery = of_delivery

    def try_it(self) -> Try:
        server = self._mongodb.server
        if self._of_delivery:
            return DeliveryTry(CollectionOfDelivery(server, "course", "events", self._spool))
        return SourceTry(SourceDocuments(server, "course", "events", SOURCE, self._spool))

    def rows(self) -> list[Row]:
        with self._mongodb.server.connect() as client:
            found = list(client["course"]["events"].find())
        return sorted((one["number"], one["text"]) for one in found)


class SourceTry:
    def __init__(self, documents: SourceDocuments) -> None:
        self._documents = documents

    def write(self, rows: list[Row]) -> None:
        self._content = repr(rows)
        for line, (number, text) in enumerate(rows, start=1):
            document = {"number": number, "text": text}
            self._documents.add(encode_event(document, document_id(SOURCE, line), None))

    def publish(self) -> None:
        self._documents.publish(origin() | {"content_sha256": self._content}, lambda: None)

    def discard(self) -> None:
        self._documents.discard()


class DeliveryTry:
    def __init__(self, documents: CollectionOfDelivery) -> None:
        self._documents = documents

    def write(self, rows: list[Row]) -> None:
        self._content = repr(rows)
        self._documents.write(
            {"_id": document_id(SOURCE, number), "number": number, "text": text}
            for number, text in rows
        )

    def publish(self) -> None:
        self._documents.publish(origin() | {"content_sha256": self._content}, lambda: None)

    def discard(self) -> None:
        self._documents.discard()


OUTPUTS = ["lake", "tables of MySQL", "documents of a source", "documents of a delivery"]


@pytest.fixture(params=OUTPUTS)
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Output:
    makers: dict[str, Callable[[], Output]] = {
        "lake": lambda: Lake(tmp_path),
        "tables of MySQL": lambda: Tables(request.getfixturevalue("mariadb")),
        "documents of a source": lambda: Documents(
            request.getfixturevalue("mongodb"), tmp_path, of_delivery=False
        ),
        "documents of a delivery": lambda: Documents(
            request.getfixturevalue("mongodb"), tmp_path, of_delivery=True
        ),
    }
    return makers[request.param]()


def published(output: Output, rows: list[Row]) -> None:
    attempt = output.try_it()
    attempt.write(rows)
    attempt.publish()
    attempt.discard()


def test_what_is_written_is_seen_when_it_is_published_and_not_before(output):
    attempt = output.try_it()
    attempt.write(ONE)
    assert output.rows() == []
    attempt.publish()
    assert output.rows() == ONE
    attempt.discard()
    assert output.rows() == ONE


def test_what_is_discarded_is_never_seen(output):
    attempt = output.try_it()
    attempt.write(ONE)
    attempt.discard()
    assert output.rows() == []


def test_what_is_published_again_is_there_once(output):
    published(output, ONE)
    published(output, ONE)
    assert output.rows() == ONE


def test_new_content_takes_the_place_of_the_old_as_a_whole(output):
    published(output, ONE)
    published(output, TWO)
    assert output.rows() == TWO


def test_content_without_a_row_takes_the_place_of_the_old_too(output):
    published(output, ONE)
    published(output, [])
    assert output.rows() == []


def test_a_try_that_was_killed_while_it_wrote_changes_nothing(output):
    published(output, ONE)
    killed = output.try_it()
    killed.write(TWO)
    assert output.rows() == ONE
    published(output, TWO)
    assert output.rows() == TWO


def test_a_discarded_try_leaves_what_was_there(output):
    published(output, ONE)
    attempt = output.try_it()
    attempt.write(TWO)
    attempt.discard()
    assert output.rows() == ONE
