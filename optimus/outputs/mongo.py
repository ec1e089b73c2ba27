"""Documents on their way into MongoDB: collected in a file, then published as a whole.

Until ``publish`` nothing is written to the server. There an effect record, in the collection
``_ingest`` of the same database, says what of each source is there. It is marked incomplete
before anything changes and complete after everything is counted and on the server's disk. So
an interruption costs a repetition and nothing else.
"""

import json
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from pymongo import IndexModel, ReplaceOne, WriteConcern
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError, OperationFailure

from optimus.errors import BadFileError, OptimusError, OutputUnavailableError
from optimus.outputs.bson_documents import (
    HEX_DIGITS_OF_SOURCE,
    RAW,
    Batch,
    Spool,
    encode_document,
    id_key,
    id_range,
    in_batches,
)
from optimus.servers import Document, MongoServer

RECORDS = "_ingest"
MESSAGES_IN_FLIGHT = 2
LONGEST_COLLECTION_NAME = 120
DUPLICATE_KEY = 11000

ON_DISK = WriteConcern(w="majority", j=True)

Index = tuple[str, ...]
"""The fields of an ascending index."""
CLICKSTREAM_INDEXES: tuple[Index, ...] = (
    ("country",),
    ("event_type", "context.course_id"),
    ("context.course_id",),
)
_ANOTHER_DEFINITION = (
    "unique",
    "sparse",
    "partialFilterExpression",
    "expireAfterSeconds",
    "hidden",
)
# What makes a server refuse a document for good: its shape, its size, its depth.
_REFUSED_FOR_GOOD = {2, 15, 22, 52, 53, 57, 171, 10334, 17280, 17419, 17420}

Guard = Callable[[], None]
"""Called between steps; it tells progress, and may raise StopRequested or LostClaimError."""


@contextmanager
def opened(server: MongoServer, database: str, collection: str) -> Iterator[Collection[Document]]:
    """A collection, for the length of a block; its writes are acknowledged when on the disk.

    Raises:
        OutputUnavailableError: the server cannot be reached or does not take what is written.
        BadFileError: the server refuses a document for what it is.
    """
    with server.errors(), server.connect() as client:
        try:
            yield client.get_database(database, write_concern=ON_DISK)[collection]
        except BulkWriteError as error:
            # The driver's error quotes the documents.
            raise _refusal(server, collection, error.details) from None


@contextmanager
def in_flight() -> Iterator[Callable[[Callable[[], object]], None]]:
    """A function that sends something to the server without waiting for the answer.

    At most two are under way at a time; at the end of the block all have been answered. What
    one of them raises is raised by a later call, or by the end of the block.
    """
    with ThreadPoolExecutor(MESSAGES_IN_FLIGHT) as threads:
        waiting: deque[Future[object]] = deque()

        def start(send: Callable[[], object]) -> None:
            if len(waiting) == MESSAGES_IN_FLIGHT:
                waiting.popleft().result()
            waiting.append(threads.submit(send))

        yield start
        for message in waiting:
            message.result()


def check_collection_name(name: str) -> str:
    """Refuse what MongoDB or this program cannot use as the name of a collection.

    Raises:
        BadFileError: it is such a name.
    """
    encoded = name.encode("utf-8", "replace")
    if (
        not name
        or any(character in name for character in "$\0")
        or name.startswith((".", "system."))
        or name.endswith(".")
        or ".." in name
        or name == RECORDS
        or len(encoded) > LONGEST_COLLECTION_NAME
        or encoded.decode() != name
    ):
        raise BadFileError(
            f"{name[:LONGEST_COLLECTION_NAME]!r} cannot be the name of a MongoDB collection: it "
            f"is empty, reserved, no UTF-8, longer than {LONGEST_COLLECTION_NAME} bytes, or has "
            "a $, a NUL or misplaced dots in it. Rename the file."
        )
    return name


class _Documents(ABC):
    """What one delivery gives to one collection, and the record of it.

    Attributes:
        notes: sentences for the operator.
    """

    def __init__(self, server: MongoServer, database: str, collection: str, spool: Path) -> None:
        self._server = server
        self._database = database
        self._collection = check_collection_name(collection)
        self._spool = Spool(spool)
        self.notes: list[str] = []

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many documents there will be."""

    @property
    @abstractmethod
    def _key(self) -> str:
        """The ``_id`` of the record."""

    @property
    @abstractmethod
    def _mine(self) -> Document:
        """The filter of the documents that ``rows`` counts."""

    @abstractmethod
    def _write(self, collection: Collection[Document], guard: Guard) -> None:
        """Bring the documents, and only these, into the collection."""

    def publish(self, origin: Mapping[str, str], guard: Guard) -> None:
        """Bring the collection to what was added, unless it is there already.

        Args:
            origin: ``source``, ``content_sha256``, ``gen``, ``epoch`` and so on, for the record.
            guard: called between the steps; whatever it raises is let pass. The next
                ``publish`` of the same source mends what is then half done.

        Raises:
            OutputUnavailableError: the server is away, full, or lost something.
            BadFileError: the server refuses a document for what it is.
        """
        if self._is_late(origin):
            self.notes.append(f"{self._collection} stays as it is: it holds a later delivery.")
            return
        with self._opened() as collection:
            if self._is_there(collection, origin):
                return
            self._record(collection, origin, complete=False)
            guard()
            self._write(collection, guard)
            stored = collection.count_documents(self._mine)
            if stored != self.rows:
                raise OutputUnavailableError(
                    f"{self._server.place}: {self._database}.{self._collection} holds {stored:,} "
                    f"documents of this source instead of {self.rows:,}. It is tried again; if "
                    "this stays, look for a unique index, or for another program that writes there."
                )
            guard()
            self._record(collection, origin, complete=True)

    def _is_late(self, _origin: Mapping[str, str]) -> bool:
        """Whether readers see something later already, which has to stay."""
        return False

    def remove(self) -> None:
        """Take away all documents that this source has given, and then the record of them.

        Raises:
            OutputUnavailableError: the server is away.
        """
        with self._opened() as collection:
            if collection.find_one(self._mine, {"_id": 1}) is not None:
                collection.delete_many(self._mine)
            collection.database[RECORDS].delete_one({"_id": self._key})

    def discard(self) -> None:
        """Forget what was added; never raises."""
        self._spool.discard()

    @contextmanager
    def _opened(self) -> Iterator[Collection[Document]]:
        with opened(self._server, self._database, self._collection) as collection:
            yield collection

    def _is_there(self, collection: Collection[Document], origin: Mapping[str, str]) -> bool:
        record = collection.database[RECORDS].find_one({"_id": self._key})
        return (
            record is not None
            and record.get("complete") is True
            and record.get("content_sha256") == origin.get("content_sha256")
            and record.get("rows") == self.rows
            and collection.count_documents(self._mine) == self.rows
        )

    def _record(
        self, collection: Collection[Document], origin: Mapping[str, str], *, complete: bool
    ) -> None:
        record = {
            **origin,
            "_id": self._key,
            "collection": self._collection,
            "rows": self.rows,
            "complete": complete,
            "at": datetime.now(UTC),
        }
        collection.database[RECORDS].replace_one({"_id": self._key}, record, upsert=True)


class SourceDocuments(_Documents):
    """The documents of one source in a collection that it shares with other sources.

    They are told from all others by their ids: see ``bson_documents.document_id``.
    """

    def __init__(
        self, server: MongoServer, database: str, collection: str, identity: str, spool: Path
    ) -> None:
        """Begin with no document.

        Args:
            server: where they go.
            database: its database.
            collection: its collection.
            identity: SHA-256 of the source, in hex digits.
            spool: where they wait; a file of that name is overwritten.

        Raises:
            BadFileError: the collection cannot have that name.
        """
        super().__init__(server, database, collection, spool)
        self._identity = identity

    def add(self, document: bytes) -> None:
        """Add a document; its ``_id`` is of this source.

        Raises:
            OutputUnavailableError: the spool cannot be written.
        """
        self._spool.add(document)

    @property
    def rows(self) -> int:
        """How many documents were added."""
        return self._spool.rows

    @property
    def _key(self) -> str:
        return self._identity[:HEX_DIGITS_OF_SOURCE]

    @property
    def _mine(self) -> Document:
        return of_source(self._identity)

    def _write(self, collection: Collection[Document], guard: Guard) -> None:
        if collection.find_one(self._mine, {"_id": 1}) is not None:
            collection.delete_many(self._mine)
            guard()
        with in_flight() as start:
            for batch in self._spool.batches():
                start(partial(_insert, self._server, collection, batch))
                guard()


class CollectionOfDelivery(_Documents):
    """A collection that holds what its newest delivery holds, and nothing else."""

    def __init__(self, server: MongoServer, database: str, collection: str, spool: Path) -> None:
        """Begin with no document.

        Args:
            server: where they go.
            database: its database.
            collection: its collection, for this kind of delivery alone.
            spool: where they wait; a file of that name is overwritten.

        Raises:
            BadFileError: the collection cannot have that name.
        """
        super().__init__(server, database, collection, spool)
        self._last: dict[bytes, int] = {}

    def write(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Add documents; of several with the same ``_id`` the last one counts.

        Raises:
            BadRecordError: MongoDB cannot hold one: ``nul_key``, ``doc_too_large``, ``too_deep``.
            OutputUnavailableError: the spool cannot be written.
        """
        for document in documents:
            encoded = encode_document(document)
            self._last[id_key(document)] = self._spool.rows
            self._spool.add(encoded)

    @property
    def rows(self) -> int:
        """How many different documents were added."""
        return len(self._last)

    def discard(self) -> None:
        """Forget what was added; never raises."""
        super().discard()
        self._last.clear()

    def holds_newer(self, delivered: str) -> bool:
        """Whether the collection holds, whole, what was delivered after that day.

        Args:
            delivered: the day in ISO form, as ``publish`` is told it in ``origin["delivered"]``.

        Raises:
            OutputUnavailableError: the server is away.
        """
        with self._opened() as collection:
            record = collection.database[RECORDS].find_one({"_id": self._key, "complete": True})
        return record is not None and str(record.get("delivered") or "") > delivered

    def _is_late(self, origin: Mapping[str, str]) -> bool:
        delivered = origin.get("delivered")
        return bool(delivered) and self.holds_newer(str(delivered))

    @property
    def _key(self) -> str:
        return self._collection

    @property
    def _mine(self) -> Document:
        return {}

    def _write(self, collection: Collection[Document], guard: Guard) -> None:
        position = 0
        for batch in self._spool.batches():
            upserts: list[ReplaceOne[Any]] = [
                ReplaceOne({"_id": document["_id"]}, document, upsert=True)
                for row, document in enumerate(batch, start=position)
                if self._last[id_key(document)] == row
            ]
            position += len(batch)
            if upserts:
                collection.bulk_write(upserts, ordered=False)
            guard()
        self._delete_others(collection, guard)

    def _delete_others(self, collection: Collection[Document], guard: Guard) -> None:
        ids = collection.with_options(RAW).find({}, {"_id": 1}).hint([("_id", 1)])
        for batch in in_batches(document for document in ids if document.raw not in self._last):
            collection.delete_many({"_id": {"$in": [document["_id"] for document in batch]}})
            guard()


def of_source(identity: str) -> Document:
    """The filter of the documents of a source."""
    first, last = id_range(identity)
    return {"_id": {"$gte": first, "$lte": last}}


def ensure_indexes(
    server: MongoServer, database: str, collection: str, indexes: Iterable[Index]
) -> None:
    """Make the indexes that a collection lacks; one of the same fields under any name will do.

    Raises:
        OutputUnavailableError: the server is away, or an index is in the way that is unique,
            partial or the like; the sentence says how to drop it.
    """
    with opened(server, database, collection) as target:
        existing = [dict(index) for index in target.list_indexes()]
        wanted = [IndexModel([(field, 1) for field in fields]) for fields in indexes]
        missing = [index for index in wanted if not _is_made(index, existing)]
        for index in missing:
            if in_the_way := [other for other in existing if _clash(index, other)]:
                raise OutputUnavailableError(_drop_sentence(server, target, in_the_way[0]))
        if missing:
            target.create_indexes(missing)


def foreign_count(server: MongoServer, database: str, collection: str) -> int:
    """How many documents of a collection this program has not written, about.

    Raises:
        OutputUnavailableError: the server is away.
    """
    with opened(server, database, collection) as target:
        records = target.database[RECORDS].find({"collection": collection})
        own = sum(_written(target, record) for record in records)
        return max(0, target.estimated_document_count() - own)


def _written(collection: Collection[Document], record: Document) -> int:
    if record["complete"]:
        return int(record["rows"])
    # Somebody is at it, or was interrupted: what is there by now is ours all the same.
    key = record["_id"]
    return collection.count_documents({} if key == collection.name else of_source(key))


def _insert(server: MongoServer, collection: Collection[Document], batch: Batch) -> None:
    """Insert documents; those whose ``_id`` is there already are taken for the same."""
    result = collection.database.command(
        {
            "insert": collection.name,
            "documents": batch,
            "ordered": False,
            "writeConcern": {"w": "majority"},
        }
    )
    refused = [error for error in result.get("writeErrors", ()) if error["code"] != DUPLICATE_KEY]
    if refused or "writeConcernError" in result:
        raise _refusal(server, collection.name, {**result, "writeErrors": refused})


def _refusal(server: MongoServer, collection: str, result: Mapping[str, Any]) -> OptimusError:
    """What to raise for the errors in the answer to a write; no document gets into it."""
    refused = result.get("writeErrors") or ()
    later = result.get("writeConcernErrors") or [result.get("writeConcernError") or {}]
    codes = [int(error.get("code") or 0) for error in (*refused, *later)]
    if refused and set(codes[: len(refused)]) <= _REFUSED_FOR_GOOD:
        return BadFileError(
            f"{server.place}: {collection} cannot hold {len(refused):,} of the documents (error "
            f"{codes[0]}). Look for an index or a rule of the collection that is not ours."
        )
    return OutputUnavailableError(server.sentence(OperationFailure("", codes[0])))


def _is_made(index: IndexModel, existing: Sequence[Document]) -> bool:
    return any(
        _fields(index.document) == _fields(other) and not _has_another_definition(other)
        for other in existing
    )


def _clash(index: IndexModel, other: Document) -> bool:
    same_fields = _fields(index.document) == _fields(other)
    return same_fields or index.document["name"] == other["name"]


def _fields(index: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(index["key"].items())


def _has_another_definition(index: Document) -> bool:
    return any(index.get(option, False) is not False for option in _ANOTHER_DEFINITION)


def _drop_sentence(server: MongoServer, collection: Collection[Document], index: Document) -> str:
    name = str(index["name"])
    in_mongosh = (
        f"db.getSiblingDB({json.dumps(collection.database.name)})"
        f".getCollection({json.dumps(collection.name)}).dropIndex({json.dumps(name)})"
    )
    return (
        f"{server.place}: the index {name} of {collection.full_name} has another definition than "
        f"the one needed here. Drop it, in mongosh: {in_mongosh}. The next try makes it anew."
    )
