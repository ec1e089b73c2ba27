"""Events that the original left in MongoDB, read back as the lines they once were.

Whatever ``_id`` a document has, it is read once and in order: the index is walked between
borders, each the least value of a kind of ``_id``, and nothing lies outside of them. What
this program wrote itself is jumped over: its ids begin with the id of a record of it.
"""

import base64
import hashlib
import json
import math
import re
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from typing import Any, NamedTuple

import bson
import orjson
from bson import (
    Binary,
    CodecOptions,
    DatetimeMS,
    DBRef,
    Decimal128,
    MaxKey,
    MinKey,
    ObjectId,
    Regex,
    Timestamp,
    json_util,
)
from bson.codec_options import DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo.collection import Collection
from pymongo.cursor import Cursor

from optimus.outputs.bson_documents import HEX_DIGITS_OF_SOURCE
from optimus.outputs.mongo import RECORDS, opened
from optimus.servers import Document, MongoServer

DATABASE, COLLECTION = "logs", "clickstream"
DOCUMENTS_PER_BATCH = 1000
BYTES_PER_BATCH = 4 << 20
NOTHING_YET: Any = object()
"""Where a reading begins; None is an ``_id`` that a document may have."""
ADDED = ("_id", "time_date", "country", "subdivision", "city", "loc", "geo_attempt")
"""What the original and its forks added to an event, all of it at the top."""

_BITS_OF_LINE = 32
_ALL_OBJECT_IDS = 1 << 96
_HEX_DIGITS_OF_NAME = 24
_END_OF_NOT_FINITE = re.compile(rb"[\xf0-\xff][\x7f\xff]")
_EARLIEST_DATE = DatetimeMS(-(2**63))
_CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True,
    tzinfo=UTC,
    unicode_decode_error_handler="replace",
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)
_RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
_EXACT = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL,
    tz_aware=True,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
)


def _number_text(number: Decimal128) -> orjson.Fragment | None:
    return orjson.Fragment(str(number)) if number.to_decimal().is_finite() else None


_FORMS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Decimal128, _number_text),
    (bytes, lambda binary: base64.b64encode(binary).decode()),
    # No calendar has it: it stays what it was in the JSON.
    (DatetimeMS, lambda moment: {"$date": int(moment)}),
    (Timestamp, Timestamp.as_datetime),
    (Regex, lambda expression: expression.pattern),
    (DBRef, lambda reference: dict(reference.as_doc())),
    (object, str),
)


@dataclass(frozen=True)
class Bracket:
    """A kind of ``_id``: all from one border to the next.

    Attributes:
        name: what it is called.
        first: its least ``_id``.
        end: the least of the next bracket; None when there is only one ``_id`` of the kind.
    """

    name: str
    first: Any
    end: Any


OBJECT_IDS = Bracket("object_id", ObjectId(bytes(12)), False)  # noqa: FBT003 - a border
BRACKETS = (
    Bracket("null", MinKey(), math.nan),
    Bracket("number", math.nan, ""),
    Bracket("text", "", {}),
    Bracket("object", {}, Binary(b"")),
    Bracket("binary", Binary(b""), OBJECT_IDS.first),
    OBJECT_IDS,
    Bracket("boolean", OBJECT_IDS.end, _EARLIEST_DATE),
    Bracket("date", _EARLIEST_DATE, Timestamp(0, 0)),
    Bracket("other", Timestamp(0, 0), MaxKey()),
    Bracket("greatest", MaxKey(), None),
)
"""All there can be, in the server's own order."""


class Exported(NamedTuple):
    """A document, as the line that it came from, with its line feed."""

    id: Any
    line: bytes


@dataclass(frozen=True)
class Estimate:
    """About how many documents there are, without looking at them.

    Attributes:
        documents: all of them.
        ours: those that this program wrote.
    """

    documents: int
    ours: int

    @property
    def others(self) -> int:
        """Those that it did not write."""
        return max(self.documents - self.ours, 0)


class ForeignDocuments:
    """The documents of a collection that this program did not write.

    Attributes:
        nulls: how many numbers were read that JSON does not know; they became null.
    """

    def __init__(self, collection: Collection[Document]) -> None:
        """Learn which documents are ours.

        Args:
            collection: where to read.
        """
        self.nulls = 0
        self._collection = collection
        self._records = collection.database[RECORDS]
        every_source = {"_id": {"$regex": f"^[0-9a-f]{{{HEX_DIGITS_OF_SOURCE}}}$"}}
        self._own: list[int] = []
        self._own_rows = 0
        for record in self._records.find(every_source, {"rows": 1}):
            self._own.append(int(record["_id"], 16))
            self._own_rows += int(record.get("rows") or 0)
        self._own.sort()

    def estimate(self) -> Estimate:
        """Ask how many there are."""
        return Estimate(self._collection.estimated_document_count(), self._own_rows)

    def batches(self, bracket: Bracket, last: Any) -> Iterator[list[Exported]]:
        """Read on, in the order of the ids.

        Args:
            bracket: the kind of ``_id`` to read.
            last: where an earlier reading ended, or ``NOTHING_YET``.

        Returns:
            Documents with a greater ``_id``, some at a time; a batch may be empty.
        """
        if bracket is OBJECT_IDS:
            yield from self._between_our_own(last)
        elif last is NOTHING_YET:
            yield from self._read(bracket.first, bracket.end)
        elif bracket.end is not None:
            yield from self._read(last, bracket.end, {"_id": {"$ne": last}})

    def _between_our_own(self, last: Any) -> Iterator[list[Exported]]:
        start = 0 if last is NOTHING_YET else _number(last) + 1
        while gap := self._next_gap(start):
            first, start = gap
            end = _object_id(start) if start < _ALL_OBJECT_IDS else OBJECT_IDS.end
            for batch in self._read(_object_id(first), end):
                own = self._learn(batch)
                yield [document for document in batch if _source_of(document.id) not in own]
                if own:
                    # The daemon wrote it just now: the rest of it is jumped over.
                    start = _number(batch[-1].id) + 1
                    break

    def _next_gap(self, start: int) -> tuple[int, int] | None:
        """The next ids that are not ours, from the first of them to the end."""
        source = start >> _BITS_OF_LINE
        at = bisect_left(self._own, source)
        while at < len(self._own) and self._own[at] == source:
            source, at = source + 1, at + 1
        start = max(start, source << _BITS_OF_LINE)
        if start >= _ALL_OBJECT_IDS:
            return None
        end = self._own[at] << _BITS_OF_LINE if at < len(self._own) else _ALL_OBJECT_IDS
        return start, end

    def _learn(self, batch: Iterable[Exported]) -> set[int]:
        """Which sources of ours there are in a batch, although they were not there at first.

        The record of a source is written before its documents, so it is there when they are.
        """
        sources = {_source_of(document.id) for document in batch}
        names = [f"{source:0{HEX_DIGITS_OF_SOURCE}x}" for source in sources]
        found = self._records.find({"_id": {"$in": names}}, {"_id": 1})
        own = {int(record["_id"], 16) for record in found}
        for source in own:
            insort(self._own, source)
        return own

    def _read(
        self, first: Any, end: Any, wanted: Document | None = None
    ) -> Iterator[list[Exported]]:
        documents = self._collection.with_options(_RAW).find(
            {"_id": first} if end is None else wanted or {},
            sort=[("_id", 1)],
            hint=[("_id", 1)],
            batch_size=DOCUMENTS_PER_BATCH,
        )
        if end is not None:
            documents.min([("_id", first)]).max([("_id", end)])
        for batch in _batches(documents):
            yield [self._exported(document) for document in batch]

    def _exported(self, raw: bytes) -> Exported:
        document = bson.decode(raw, _CODEC)
        _id = document["_id"]
        for name in ADDED:
            document.pop(name, None)
        # To look at every number costs as much as all the rest, and few documents need it.
        if (b"\x7f" in raw or b"\xff" in raw) and _END_OF_NOT_FINITE.search(raw):
            self.nulls += _not_finite(document)
        # The library hands out far more memory than it has filled; a sum has what it needs.
        return Exported(_id, orjson.dumps(document, default=self._plain) + b"\n")

    def _plain(self, value: Any) -> Any:
        """What JSON has no form for."""
        plain = next(form for kind, form in _FORMS if isinstance(value, kind))(value)
        self.nulls += plain is None
        return plain


@contextmanager
def foreign_documents(server: MongoServer) -> Iterator[ForeignDocuments]:
    """The documents of ``logs.clickstream`` that this program did not write.

    Raises:
        OutputUnavailableError: the server cannot be reached, now or at any time in the block.
    """
    with opened(server, DATABASE, COLLECTION) as collection:
        yield ForeignDocuments(collection)


def spelled_id(_id: Any) -> str:
    """How an id is written in the name of a file: 24 hex digits."""
    if isinstance(_id, ObjectId):
        return str(_id)
    return hashlib.sha256(bson.encode({"_id": _id})).hexdigest()[:_HEX_DIGITS_OF_NAME]


def id_to_json(_id: Any) -> Any:
    """An id of any kind as plain JSON, from which ``id_from_json`` makes it again."""
    return json.loads(json_util.dumps(_id, json_options=_EXACT))


def id_from_json(value: Any) -> Any:
    """The id that ``id_to_json`` was given.

    Raises:
        ValueError: it is none.
    """
    try:
        return json_util.loads(json.dumps(value), json_options=_EXACT)
    except (BSONError, TypeError) as error:
        raise ValueError("this is no id") from error


def _batches(documents: Cursor[RawBSONDocument]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    with documents:
        for document in documents:
            raw = bytes(document.raw)
            batch.append(raw)
            size += len(raw)
            if len(batch) >= DOCUMENTS_PER_BATCH or size >= BYTES_PER_BATCH:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


def _not_finite(value: Any) -> int:
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        return 0
    return sum(map(_not_finite, value))


def _number(_id: ObjectId) -> int:
    return int.from_bytes(_id.binary)


def _object_id(number: int) -> ObjectId:
    return ObjectId(number.to_bytes(12))


def _source_of(_id: ObjectId) -> int:
    """The number that all ids of one source of ours begin with."""
    return _number(_id) >> _BITS_OF_LINE
