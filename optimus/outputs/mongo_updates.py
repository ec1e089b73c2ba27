"""Changes to documents that are in MongoDB already, made by the server itself.

No document travels: a slice of the collection is changed by one statement. All functions take a
collection from ``mongo.opened``, in whose block the driver's errors become sentences, and
a guard that is called after every slice (some seconds at most) and may raise to stop. What was
changed before stays changed; the next call goes on from there.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

from optimus.outputs.bson_documents import FIRST_YEAR
from optimus.outputs.mongo import Guard, foreign_count, in_flight, opened
from optimus.servers import Document, MongoServer

DOCUMENTS_PER_SLICE = 25_000
BYTES_PER_STATEMENT = 4 * 1024 * 1024
BYTES_PER_CHANGE = 200
"""About what a place takes up in a statement, besides the text of the address."""
LONGEST_ADDRESS = 1000
"""Bytes; what is longer is taken for no address."""
TEXTS_PER_LEAF = 32
"""How many texts are compared one by one after the search tree; measured, flat from 16 to 64."""
LOOKED_THROUGH = "_looked_through"
"""Collection of how many documents of others each service has seen."""
PLACE_FIELDS = ("country", "subdivision", "city")
WITHOUT_PLACE = ("", "::1")
BLANK: Document = {"country": "", "geo_attempt": 1}
UNKNOWN: Document = {"geo_attempt": 1}

Lookup = Callable[[Sequence[str]], Mapping[str, Mapping[str, str] | None]]
"""Gives for texts of ``ip`` the country, subdivision and city, or None or nothing."""
IdRange = tuple[ObjectId, ObjectId]
Documents = Collection[Document]

_BY_ID = [("_id", 1)]
_LACKING_PLACE: Document = {
    "ip": {"$exists": True},
    "country": {"$exists": False},
    "geo_attempt": {"$exists": False},
}
_WITH_UNKNOWN_PLACE: Document = {
    "ip": {"$exists": True},
    "country": {"$exists": False},
    "geo_attempt": {"$exists": True},
}
_IS_SHORT = {"$lte": [{"$strLenBytes": "$ip"}, LONGEST_ADDRESS]}
_USABLE_TEXT = {
    "$cond": [
        {"$eq": [{"$type": "$ip"}, "string"]},
        {"$cond": [_IS_SHORT, "$ip", None]},
        None,
    ]
}
_UNUSABLE: Document = {"$expr": {"$eq": [_USABLE_TEXT, None]}}


class Newcomers:
    """Documents that others have written, since a service last went through all of them.

    There are only few while an import or the original is at work, and none later: then nobody
    has to look through the whole collection.
    """

    def __init__(self, server: MongoServer, database: str, collection: str, service: str) -> None:
        """Compare what is there with what the service saw the last time.

        Raises:
            OutputUnavailableError: the server is away.
        """
        self._server = server
        self._place = database, collection
        self._key = {"_id": f"{collection} {service}"}
        self._count = foreign_count(server, database, collection)

    def have_come(self) -> bool:
        """Whether there are others than the last time."""
        with opened(self._server, *self._place) as collection:
            seen = collection.database[LOOKED_THROUGH].find_one(self._key) or {"documents": 0}
        return bool(seen["documents"] != self._count)

    def were_seen(self) -> None:
        """Note that the service has gone through all of them."""
        with opened(self._server, *self._place) as collection:
            record = {**self._key, "documents": self._count}
            collection.database[LOOKED_THROUGH].replace_one(self._key, record, upsert=True)


def fill_dates(
    collection: Documents, guard: Guard, text_field: str = "time", date_field: str = "time_date"
) -> int:
    """Give a date to every document that has the text of a moment and no date yet.

    A text that MongoDB cannot read gives none. A text without a zone is UTC; a moment that is
    a date already is copied.

    Returns:
        How many documents got a date.
    """
    text = f"${text_field}"
    is_date = {"$eq": [{"$type": text}, "date"]}
    read = {
        "$dateFromString": {
            "dateString": text,
            "onError": {"$cond": [is_date, text, None]},
            "onNull": None,
        }
    }
    is_usable = {"$gte": ["$$moment", datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)]}
    usable = {"$cond": [is_usable, "$$moment", "$$REMOVE"]}
    date = {"$let": {"vars": {"moment": read}, "in": usable}}
    lacking = {date_field: {"$exists": False}, text_field: {"$exists": True}}
    changes: list[int] = []

    def change(ids: Document) -> None:
        found = {**ids, **lacking}
        result = collection.update_many(found, [{"$set": {date_field: date}}], hint=_BY_ID)
        changes.append(result.modified_count)

    with in_flight() as start:
        for ids in slices(collection):
            start(partial(change, ids))
            guard()
    return sum(changes)


def fill_places(
    collection: Documents, lookup: Lookup, guard: Guard, id_range: IdRange | None = None
) -> Counter[str]:
    """Give ``country``, ``subdivision`` and ``city`` to documents that have an ``ip``.

    An empty ``ip`` and ``::1`` get the country "". What is not found, or is no text, gets no
    country, but ``geo_attempt``, and is not looked at here again: see ``retry_places``.

    Args:
        collection: from ``mongo.opened``.
        lookup: asked once a slice, for the different texts in it.
        guard: called after every slice.
        id_range: the first and the last ``_id`` to look at; None for all documents.

    Returns:
        How many documents came out ``with_country``, ``blank`` or ``unknown``.
    """
    counts: Counter[str] = Counter()
    with in_flight() as start:
        for ids in slices(collection, id_range):
            lacking = {**ids, **_LACKING_PLACE}
            texts, unusable = _texts(collection, lacking)
            if unusable:
                collection.update_many({**lacking, **_UNUSABLE}, {"$set": UNKNOWN}, hint=_BY_ID)
            changes = {text: BLANK for text in texts if text.strip() in WITHOUT_PLACE}
            changes |= _found(lookup, [text for text in texts if text not in changes])
            everything = {text: changes.get(text, UNKNOWN) for text in texts}
            start(partial(_apply, collection, lacking, everything))
            counts += _outcomes(texts, changes, unusable)
            guard()
    return counts


def retry_places(collection: Documents, lookup: Lookup, guard: Guard) -> Counter[str]:
    """Look up again what was not found: a newer geo database may know it.

    Returns:
        How many documents came out ``with_country`` or stay ``unknown``.
    """
    counts: Counter[str] = Counter()
    with in_flight() as start:
        for ids in slices(collection):
            unknown = {**ids, **_WITH_UNKNOWN_PLACE}
            texts, unusable = _texts(collection, unknown)
            changes = _found(lookup, list(texts))
            start(partial(_apply, collection, unknown, changes))
            counts += _outcomes(texts, changes, unusable)
            guard()
    return counts


def slices(
    collection: Documents, id_range: IdRange | None = None, size: int = DOCUMENTS_PER_SLICE
) -> Iterator[Document]:
    """Filters that, one after the other, select every document once, ``size`` at most at a time.

    A comparison never matches an ``_id`` of another type, so the types follow one another.
    """
    if id_range is not None:
        yield from _slices_between({"$gte": id_range[0], "$lte": id_range[1]}, collection, size)
        return
    first = _first_id(collection.find({}, {"_id": 1}).sort("_id", 1))
    while first is not None:
        of_its_type = {"$gte": first["_id"]}
        yield from _slices_between(of_its_type, collection, size)
        last = _first_id(collection.find({"_id": of_its_type}, {"_id": 1}).sort("_id", -1))
        if last is None:
            return
        beyond = collection.find({}, {"_id": 1}).hint(_BY_ID).min([("_id", last["_id"])])
        first = _first_id(beyond.sort("_id", 1).skip(1))


def _slices_between(bounds: Document, collection: Documents, size: int) -> Iterator[Document]:
    while True:
        ids = collection.find({"_id": bounds}, {"_id": 1}).sort("_id", 1)
        following = _first_id(ids.skip(size))
        if following is None:
            yield {"_id": bounds}
            return
        yield {"_id": {"$gte": bounds["$gte"], "$lt": following["_id"]}}
        bounds = {**bounds, "$gte": following["_id"]}


def _first_id(cursor: Any) -> Document | None:
    return next(iter(cursor.limit(1)), None)


def _texts(collection: Documents, wanted: Document) -> tuple[dict[str, int], int]:
    """How many documents have which text of ``ip``, and how many have none to look up."""
    groups = collection.aggregate(
        [{"$match": wanted}, {"$group": {"_id": _USABLE_TEXT, "documents": {"$sum": 1}}}],
        hint={"_id": 1},
        allowDiskUse=True,
    )
    texts = {group["_id"]: int(group["documents"]) for group in groups}
    unusable = texts.pop(None, 0)
    return texts, unusable


def _found(lookup: Lookup, texts: Sequence[str]) -> dict[str, Document]:
    """What to set in the documents of the texts that have a country."""
    places = lookup(texts) if texts else {}
    return {
        text: {name: place[name] for name in PLACE_FIELDS if place.get(name)}
        for text, place in places.items()
        if place and place.get("country")
    }


def _outcomes(
    texts: Mapping[str, int], changes: Mapping[str, Document], unusable: int
) -> Counter[str]:
    outcomes = Counter(unknown=unusable)
    for text, documents in texts.items():
        country = changes.get(text, UNKNOWN).get("country")
        outcome = "with_country" if country else "unknown" if country is None else "blank"
        outcomes[outcome] += documents
    return outcomes


def _apply(collection: Documents, wanted: Document, changes: Mapping[str, Document]) -> None:
    """Set for every text what it says, in the documents that have it."""
    # To set one field costs the server a third less than to merge documents.
    countries = {
        text: change["country"] for text, change in changes.items() if change.keys() == {"country"}
    }
    others = {text: change for text, change in changes.items() if text not in countries}
    for texts in _statements(sorted(countries)):
        country = _search_tree(texts, countries, "$$REMOVE")
        _update(collection, wanted, texts, {"$set": {"country": country}})
    for texts in _statements(sorted(others)):
        merged = {"$mergeObjects": ["$$ROOT", _search_tree(texts, others, {})]}
        _update(collection, wanted, texts, {"$replaceWith": merged})


def _update(
    collection: Documents, wanted: Document, texts: Sequence[str], change: Document
) -> None:
    # Between the first and the last text everything else is left alone by the tree.
    have_one = {"ip": {"$gte": texts[0], "$lte": texts[-1]}}
    collection.update_many({**wanted, **have_one}, [change], hint=_BY_ID)


def _statements(texts: Sequence[str]) -> Iterator[list[str]]:
    """As many of the texts at a time as a statement should hold."""
    chosen: list[str] = []
    size = 0
    for text in texts:
        length = BYTES_PER_CHANGE + len(text.encode())
        if chosen and size + length > BYTES_PER_STATEMENT:
            yield chosen
            chosen, size = [], 0
        chosen.append(text)
        size += length
    if chosen:
        yield chosen


def _search_tree(texts: Sequence[str], values: Mapping[str, Any], otherwise: Any) -> Document:
    """An expression for the value of the ``ip`` of a document, and for that of any other text.

    MongoDB looks through a list from its start, so long lists are halved until they are short.
    """
    if len(texts) > TEXTS_PER_LEAF:
        middle = len(texts) // 2
        return {
            "$cond": [
                {"$lt": ["$ip", {"$literal": texts[middle]}]},
                _search_tree(texts[:middle], values, otherwise),
                _search_tree(texts[middle:], values, otherwise),
            ]
        }
    position = {"$indexOfArray": [{"$literal": list(texts)}, "$ip"]}
    value = {"$arrayElemAt": [{"$literal": [values[text] for text in texts]}, "$$position"]}
    is_known = {"$gte": ["$$position", 0]}
    chosen = {"$cond": [is_known, value, otherwise]}
    return {"$let": {"vars": {"position": position}, "in": chosen}}
