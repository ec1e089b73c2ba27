"""Documents on their way into MongoDB: ids, keys that it can hold, bytes, files of bytes.

Nothing here talks to a server. Whatever a document holds that MongoDB cannot take is either
put into a form that can be turned back (keys of events) or refused with a reason.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import bson
from bson import CodecOptions, ObjectId
from bson.errors import InvalidDocument
from bson.raw_bson import RawBSONDocument

from optimus.errors import BadFileError, BadRecordError, OutputUnavailableError
from optimus.outputs.staging import FILE_MODE, make_folder
from optimus.package.forum import ObjectIdText

FIRST_YEAR = 1000
LARGEST_DOCUMENT = 16 * 1024 * 1024
DEEPEST_NESTING = 100
SMALLEST_LEVEL = 7
"""Bytes that an object in an object needs at least."""
DOCUMENTS_PER_BATCH = 1000
BYTES_PER_BATCH = 24 * 1024 * 1024
HEX_DIGITS_OF_SOURCE = 16
LAST_LINE = 2**32 - 1
OWN_KEYS = {"_id": "%5Fid", "time_date": "time%5Fdate"}
"""Keys that an event gets here, and how the same keys are written when they were delivered."""

RAW: CodecOptions[RawBSONDocument] = CodecOptions(document_class=RawBSONDocument)
Batch = list[RawBSONDocument]

_INT64 = range(-(2**63), 2**63)
_TROUBLE = re.compile(r"\A\$|\.|%(?=24|25|2E|5F)")
_ESCAPE = re.compile(r"%(24|25|2E|5F)")
_ESCAPE_IN_BYTES = re.compile(rb"%(?:24|25|2E|5F)")
_KEYS_REMEMBERED = 10_000
_LONGEST_KEY_REMEMBERED = 100


def document_id(identity: str, line: int) -> ObjectId:
    """The ``_id`` of what a line of a source became: the same line always has the same.

    Args:
        identity: SHA-256 of the source, in hex digits.
        line: its number in the source.

    Raises:
        BadFileError: the source has more lines than there are ids.
    """
    if line > LAST_LINE:
        raise BadFileError(
            f"The file has more than {LAST_LINE:,} lines, which is all that MongoDB documents of "
            "one file can be told apart by. Split it."
        )
    return ObjectId(_first_bytes(identity) + line.to_bytes(4, "big"))


@lru_cache
def _first_bytes(identity: str) -> bytes:
    return bytes.fromhex(identity[:HEX_DIGITS_OF_SOURCE])


def id_range(identity: str) -> tuple[ObjectId, ObjectId]:
    """The smallest and the largest ``_id`` that a document of a source can have."""
    return document_id(identity, 0), document_id(identity, LAST_LINE)


def escape_key(key: str) -> str:
    """Write a key so that MongoDB sees no operator and no path in it.

    A ``.`` becomes ``%2E``, a leading ``$`` becomes ``%24``, and a ``%`` that would read as
    the start of one of our escapes (``%24 %25 %2E %5F``) becomes ``%25``. Others stay as they are.
    """
    return _TROUBLE.sub(lambda found: f"%{ord(found[0]):02X}", key)


def unescape_key(key: str) -> str:
    """Turn what ``escape_key`` wrote, or a delivered ``_id`` or ``time_date``, back."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), key)


def encode_event(document: dict[str, Any], _id: ObjectId, time_date: datetime | None) -> bytes:
    """The BSON of a tracking-log event as it was delivered, with its id and its moment.

    Keys are escaped at any depth as ``escape_key`` says; a delivered ``_id`` or ``time_date``
    becomes ``%5Fid`` or ``time%5Fdate``. Integers beyond 64 bits become doubles, halves of
    characters become U+FFFD.

    Args:
        document: the event, as ``read_document`` gives it, which allows fewer levels than
            MongoDB; it is not changed.
        _id: see ``document_id``.
        time_date: when it happened, kept to the millisecond; None, or a year that readers of
            dates cannot spell, leaves the field out.

    Raises:
        BadRecordError: ``nul_key``, ``doc_too_large`` or ``not_indexable``.
    """
    context = document.get("context")
    if isinstance(document.get("event_type"), list):
        _check_indexable(context)
    moment = {} if time_date is None or time_date.year < FIRST_YEAR else {"time_date": time_date}
    if "_id" in document or "time_date" in document:
        return _encode_escaped(document, _id, moment)
    event = {"_id": _id, **document, **moment}
    # Tags are named xblock.partition_service.…: of all ordinary keys only these need escaping.
    percents = 0
    if (
        isinstance(context, dict)
        and (tags := context.get("course_user_tags"))
        and isinstance(tags, dict)
    ):
        tags = {_escaped_keys[key]: value for key, value in tags.items()}
        event["context"] = {**context, "course_user_tags": tags}
        percents = "".join(tags).count("%")
    try:
        encoded = bson.encode(event, check_keys=True)
    except (InvalidDocument, OverflowError, RecursionError, UnicodeEncodeError):
        return _encode_escaped(document, _id, moment)
    if encoded.count(b"%") != percents and len(_ESCAPE_IN_BYTES.findall(encoded)) != percents:
        return _encode_escaped(document, _id, moment)
    _check_size(encoded)
    return encoded


def encode_document(document: Mapping[str, Any]) -> bytes:
    """The BSON of a document whose keys are what they should be.

    Integers beyond 64 bits become doubles, halves of characters become U+FFFD.

    Raises:
        BadRecordError: ``nul_key``, ``doc_too_large`` or ``too_deep``.
    """
    try:
        try:
            encoded = bson.encode(document)
        except (OverflowError, UnicodeEncodeError):
            document = _storable(document, 1)
            encoded = bson.encode(document)
    except RecursionError as error:
        raise _too_deep() from error
    except InvalidDocument:
        # The driver's error quotes the document.
        if _has_nul_key(document):
            raise BadRecordError("nul_key", "the name of a field holds a NUL character") from None
        raise
    _check_size(encoded)
    _check_depth(encoded, document)
    return encoded


def forum_document(values: Mapping[str, Any]) -> dict[str, Any]:
    """A forum post as the original stored it.

    In keys of any depth ``$`` becomes ``_`` and ``.`` becomes ``"-`` (a quote and a dash, as the
    original wrote it). When that name is taken, ``_2``, ``_3`` and so on is put after it; a key
    that was delivered under the name keeps it. Texts of object ids become object ids, integers
    beyond 64 bits doubles; dates stay.

    Raises:
        BadRecordError: ``too_deep``.
    """
    return _forum_object(values, 1)


def id_key(document: Mapping[str, Any]) -> bytes:
    """Bytes that are equal for two documents when they have the same ``_id``, of any type."""
    return bson.encode({"_id": document["_id"]})


def in_batches(documents: Iterable[RawBSONDocument]) -> Iterator[Batch]:
    """As many documents at a time as one message to the server should hold."""
    batch: Batch = []
    size = 0
    for document in documents:
        length = len(document.raw)
        if batch and (len(batch) == DOCUMENTS_PER_BATCH or size + length > BYTES_PER_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(document)
        size += length
    if batch:
        yield batch


class Spool:
    """A file of BSON documents, in batches as large as a message to the server should be.

    There is no file until the first batch is full or asked for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._sizes: list[int] = []
        self.rows = 0

    def add(self, document: bytes) -> None:
        """Append a document.

        Raises:
            OutputUnavailableError: it cannot be written.
        """
        if self._waiting and self._waiting_bytes + len(document) > BYTES_PER_BATCH:
            self._write()
        self._waiting.append(document)
        self._waiting_bytes += len(document)
        self.rows += 1
        if len(self._waiting) == DOCUMENTS_PER_BATCH:
            self._write()

    def _write(self) -> None:
        if not self._waiting:
            return
        with self._errors():
            if self._file is None:
                make_folder(self._path.parent)
                self._file = self._path.open("wb")
                self._path.chmod(FILE_MODE)
            self._file.write(b"".join(self._waiting))
        self._sizes.append(self._waiting_bytes)
        self._waiting, self._waiting_bytes = [], 0

    def batches(self) -> Iterator[Batch]:
        """The documents, as many at a time as one message should hold.

        Raises:
            OutputUnavailableError: the file cannot be written or read.
        """
        self._write()
        if self._file is None:
            return
        with self._errors():
            self._file.flush()
            with self._path.open("rb") as file:
                for size in self._sizes:
                    yield bson.decode_all(file.read(size), RAW)

    def discard(self) -> None:
        """Remove the file; what cannot be removed is left to whoever sweeps the folder."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        self._file = None
        self._waiting, self._waiting_bytes, self._sizes = [], 0, []
        self.rows = 0

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputUnavailableError(
                f"{self._path} cannot be used ({error.strerror}). Free space there, or give the "
                "daemon's user the right to write."
            ) from error


def _encode_escaped(
    document: dict[str, Any], _id: ObjectId, moment: Mapping[str, datetime]
) -> bytes:
    """The slow way, for an event with anything out of the ordinary in it."""
    fields = {
        OWN_KEYS.get(key) or escape_key(key): _escaped(item, 2) for key, item in document.items()
    }
    return encode_document({"_id": _id, **fields, **moment})


class _EscapedKeys(dict[str, str]):
    """Remembers how a key is escaped; the keys of events are always the same few."""

    def __missing__(self, key: str) -> str:
        escaped = escape_key(key)
        if len(self) < _KEYS_REMEMBERED and len(key) <= _LONGEST_KEY_REMEMBERED:
            self[key] = escaped
        return escaped


_escaped_keys = _EscapedKeys()


def _escaped(value: Any, level: int) -> Any:
    if not isinstance(value, dict | list):
        return value
    if level > DEEPEST_NESTING:
        raise _too_deep()
    if isinstance(value, list):
        return [_escaped(item, level + 1) for item in value]
    return {_escaped_keys[key]: _escaped(item, level + 1) for key, item in value.items()}


def _storable(value: Any, level: int) -> Any:
    """Every value in it in a form that BSON can hold."""
    if level > DEEPEST_NESTING + 1:
        raise _too_deep()
    if isinstance(value, Mapping):
        return {_text(key): _storable(item, level + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, level + 1) for item in value]
    return _scalar(value)


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int) and value not in _INT64:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


def _text(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _forum_object(values: Mapping[str, Any], level: int) -> dict[str, Any]:
    return {
        name: _forum_value(value, level + 1)
        for name, value in zip(_forum_names(values), values.values(), strict=True)
    }


def _forum_value(value: Any, level: int) -> Any:
    if isinstance(value, ObjectIdText):
        return ObjectId(value)
    if isinstance(value, dict | list) and level > DEEPEST_NESTING:
        raise _too_deep()
    if isinstance(value, dict):
        return _forum_object(value, level)
    if isinstance(value, list):
        return [_forum_value(item, level + 1) for item in value]
    return _scalar(value)


def _forum_names(keys: Iterable[str]) -> list[str]:
    """The keys under the names that the original gave them, no two the same."""
    renamed = {key: key.replace("$", "_").replace(".", '"-') for key in keys}
    taken = {key for key, name in renamed.items() if key == name}
    for key, name in renamed.items():
        if key == name:
            continue
        free, number = name, 2
        while free in taken:
            free, number = f"{name}_{number}", number + 1
        taken.add(free)
        renamed[key] = free
    return list(renamed.values())


def _check_indexable(context: Any) -> None:
    """Refuse what the index over event_type and context.course_id would refuse."""
    course = context.get("course_id") if isinstance(context, dict) else context
    if isinstance(course, list):
        raise BadRecordError(
            "not_indexable", "event_type and context.course_id are both lists; MongoDB takes one"
        )


def _check_size(encoded: bytes) -> None:
    size = len(encoded)
    if size > LARGEST_DOCUMENT:
        raise BadRecordError("doc_too_large", f"{size:,} bytes; MongoDB takes {LARGEST_DOCUMENT:,}")


def _check_depth(encoded: bytes, document: Mapping[str, Any]) -> None:
    # Objects are marked by a 3 and lists by a 4: with fewer of these nothing can be too deep.
    if (
        len(encoded) > SMALLEST_LEVEL * DEEPEST_NESTING
        and encoded.count(b"\x03") + encoded.count(b"\x04") >= DEEPEST_NESTING
        and _is_deeper(document, DEEPEST_NESTING)
    ):
        raise _too_deep()


def _is_deeper(value: Any, levels: int) -> bool:
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list):
        return False
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in value)


def _has_nul_key(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any("\0" in key or _has_nul_key(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul_key(item) for item in value)


def _too_deep() -> BadRecordError:
    return BadRecordError("too_deep", f"more than {DEEPEST_NESTING} levels of lists and objects")
