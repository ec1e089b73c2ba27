"""The only parser of package file names, and the only maker of names taken from them.

A name tells less than it seems to: suffixes are free text, a run may be called
``edge_trial``, and a stem that holds dashes cannot be taken apart again. So the parser
looks for the tables it knows, and for the site in the suffix alone.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum, auto
from itertools import count
from urllib.parse import quote

from optimus.package.tables import KNOWN_TABLES, TABLE_ALIASES

WRAPPINGS = (".gz", ".gpg", ".failed")
SUFFIX_WORDS = frozenset({"prod", "edge", "analytics", "edx", "replica", "mongodb"})
KNOWN_SUFFIXES = (
    "prod-edge-analytics",
    "prod-analytics",
    "edge-analytics",
    "prod-edx-replica",
    "prod-mongodb",
    "prod",
    "edge",
)
FROM_MONGODB = "mongodb-"
"""How the names of logs begin that were written from the documents of a collection."""
LONGEST_DATABASE_NAME = 64
LONGEST_COURSE_KEY = LONGEST_DATABASE_NAME - len("personcourse_")
LONGEST_FILE_NAME = 200
# A course's database must never be one of the server's own or one that all courses share.
RESERVED_DATABASES = re.compile(
    "admin|api|config|course_event|course_structure|daily_count|discussion_forum|email_crm|"
    "email_opt_in|geo_location|google_analytics|information_schema|local|logs|main|mysql|packages|"
    "performance_schema|person_course|pg_catalog|report_notifier|sys|system|temp",
    re.IGNORECASE,
)

_PARTS_OF_A_COURSE = 3
_DATE = re.compile(r"(?<![0-9])[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")
_DATED_ORG = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_(.+)", re.DOTALL)
_EVENTS = re.compile(r"(.+)-events(?:[-_.](.*))?", re.DOTALL | re.IGNORECASE)
_EVENT_SITES = {"edx": "prod", "prod": "prod", "edge": "edge"}
_CUT = re.compile(r"(.+)-([0-9a-f]{32})", re.DOTALL)
_TABLES = KNOWN_TABLES.keys() | TABLE_ALIASES.keys()
_COULD_BE_A_TABLE = re.compile(r"[a-z0-9_]+")
_PLAIN_STEM = re.compile(r"[A-Za-z0-9_-]*")
_UNSAFE_IN_SQL = re.compile(r"[^A-Za-z0-9_]")
# The producer cuts a long name anywhere, then adds the hash of its suffix: the hash is all
# that is left to tell edge from production.
_SUFFIX_OF_HASH = {
    hashlib.md5(suffix.encode(), usedforsecurity=False).hexdigest(): suffix
    for suffix in KNOWN_SUFFIXES
}


class FileKind(StrEnum):
    """What a package file holds."""

    events = auto()
    table = auto()
    forum = auto()
    course_structure = auto()
    course_archive = auto()
    email_opt_in = auto()
    package_zip = auto()


@dataclass(frozen=True)
class PackageName:
    """What the name of a package file says.

    Attributes:
        kind: what the file holds.
        stem: org, course and run joined by dashes; the org alone for org-wide files; for
            tracking logs what stands before ``-events-`` without the site, else empty.
        site: ``prod`` or ``edge``.
        table: the table of a dump as spelled, known or not; None if the name was cut before it.
        day: the day of a tracking log, if its name says so.
        suffix: the producer's suffix as spelled; the site word of a tracking log.
        failed: the producer could not make the file; it holds a notice, not data.
        logical: the name without what it was wrapped in for transport.
    """

    kind: FileKind
    stem: str
    site: str
    table: str | None = None
    day: date | None = None
    suffix: str = ""
    failed: bool = False
    logical: str = ""


def parse_name(filename: str) -> PackageName | None:
    """Read the name of one file, without its folder; None if it is no package file.

    Hidden and half-transferred files (``.x``, ``x.tmp``, ``x.part``, ``x~``,
    ``x.1a2b3c4d``) are no package files, and neither is any ending not listed here.
    """
    if filename.startswith(".") or "/" in filename:
        return None
    bare, wrapping = _unwrapped(filename)
    for extension, read in _READERS.items():
        if bare[-len(extension) :].lower() != extension:
            continue
        name = read(bare[: -len(extension)])
        logical = f"{bare}.gz" if extension == ".xml.tar" else bare
        return name and replace(name, failed=".failed" in wrapping, logical=logical)
    return None


def _unwrapped(filename: str) -> tuple[str, str]:
    bare, wrapping = filename, ""
    while bare.lower().endswith(WRAPPINGS):
        bare, _, outermost = bare.rpartition(".")
        wrapping = f".{outermost.lower()}{wrapping}"
    return bare, wrapping


def _read_events(root: str) -> PackageName:
    dated_org = _DATED_ORG.fullmatch(root)
    named = _EVENTS.fullmatch(root)
    if not named:
        stem = dated_org[1] if dated_org else ""
        return PackageName(FileKind.events, stem, "prod", day=_day_in(root))
    before, after = named[1], named[2] or ""
    stem, _, word = before.rpartition("-")
    site = _EVENT_SITES.get(word.lower())
    if site is None:
        stem, word, site = before, "", "prod"
    day = _day_in(after) or _day_in(root)
    return PackageName(FileKind.events, stem, site, day=day, suffix=word)


def _day_in(text: str) -> date | None:
    for found in _DATE.findall(text):
        try:
            return date.fromisoformat(found)
        except ValueError:
            continue
    return None


def _read_table(root: str) -> PackageName | None:
    visible, hashed = _uncut(root)
    parts = visible.split("-")
    # The last part of a cut name may be half a word: half a table must not pass for one.
    whole = parts if hashed is None else parts[:-1]
    at = _rightmost(whole, _TABLES)
    if at is None and hashed is None:
        at = _rightmost(whole, set(filter(_COULD_BE_A_TABLE.fullmatch, whole)) - SUFFIX_WORDS)
    if at is not None:
        return replace(_named(FileKind.table, parts, at, hashed), table=parts[at])
    if hashed is None:
        return None
    return PackageName(FileKind.table, visible, _site_of(hashed), suffix=hashed)


def _read_course_structure(root: str) -> PackageName | None:
    visible, hashed = _uncut(root)
    parts = visible.split("-")
    at = _rightmost(parts, {"course_structure"})
    if at is None:
        at = _rightmost(parts, {"course"})
        if at is None or not SUFFIX_WORDS.issuperset(parts[at + 1 :]):
            return None
    return _named(FileKind.course_structure, parts, at, hashed)


def _read_course_archive(root: str) -> PackageName | None:
    visible, hashed = _uncut(root)
    parts = visible.split("-")
    at = _rightmost(parts, {"course"})
    if at is None:
        return None
    # "course" may be the course's number: then what stands before it is too short for a stem.
    if at < _PARTS_OF_A_COURSE and not SUFFIX_WORDS.issuperset(parts[at + 1 :]):
        return None
    return _named(FileKind.course_archive, parts, at, hashed)


def _read_email_opt_in(root: str) -> PackageName | None:
    visible, hashed = _uncut(root)
    parts = visible.split("-")
    at = _rightmost(parts, {"email_opt_in"})
    return None if at is None else _named(FileKind.email_opt_in, parts, at, hashed)


def _read_forum(root: str) -> PackageName:
    visible, hashed = _uncut(root)
    if hashed is None:
        for suffix in KNOWN_SUFFIXES:
            if visible[1:].lower().endswith(f"-{suffix}"):
                stem = visible[: -len(suffix) - 1]
                return PackageName(FileKind.forum, stem, _site_of(suffix), suffix=suffix)
    return PackageName(FileKind.forum, visible, _site_of(hashed or ""), suffix=hashed or "")


_READERS: dict[str, Callable[[str], PackageName | None]] = {
    ".log": _read_events,
    ".sql": _read_table,
    ".mongo": _read_forum,
    ".json": _read_course_structure,
    ".xml.tar": _read_course_archive,
    ".csv": _read_email_opt_in,
}


def _uncut(root: str) -> tuple[str, str | None]:
    """Take the hash off a name that was cut; the suffix it stands for, "" if unknown."""
    cut = _CUT.fullmatch(root)
    return (cut[1], _SUFFIX_OF_HASH.get(cut[2], "")) if cut else (root, None)


def _rightmost(parts: list[str], wanted: Container[str]) -> int | None:
    """Where the last wanted part stands, if it leaves something for a stem."""
    found = (at for at in range(len(parts) - 1, 0, -1) if parts[at] in wanted)
    return next((at for at in found if any(parts[:at])), None)


def _named(kind: FileKind, parts: list[str], at: int, hashed: str | None) -> PackageName:
    suffix = hashed or "-".join(parts[at + 1 :])
    return PackageName(kind, "-".join(parts[:at]), _site_of(suffix), suffix=suffix)


def _site_of(suffix: str) -> str:
    return "edge" if "edge" in re.split(r"[^a-z0-9]+", suffix.lower()) else "prod"


def database_name(stem: str, site: str) -> str:
    """The original's database of a course: ``UQx-PSYC1030.1x-4T2016`` -> ``UQx_PSYC10301x_4T2016``.

    Always ``[A-Za-z0-9_]``, 1 to 64 of them. Different stems may share one:
    :func:`database_names` keeps them apart.
    """
    name = _sql_name(stem, site, LONGEST_DATABASE_NAME)
    if RESERVED_DATABASES.fullmatch(name):
        return _marked(stem, site, LONGEST_DATABASE_NAME, stem)
    return name


def course_key_name(stem: str, site: str) -> str:
    """The original's course id in table names: the database name without the org.

    At most 51 characters, so that ``personcourse_<key>`` is a name MySQL takes.
    """
    return _sql_name(stem.partition("-")[2] or stem, site, LONGEST_COURSE_KEY)


def database_names(stems: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A database name for every (stem, site), no two alike even where case does not count.

    Of stems that want the same name one gets it, before others the one that lost nothing
    but its dashes, then the first in order; the rest get a hash of their stem.
    """
    return _distinct(stems, database_name, LONGEST_DATABASE_NAME)


def course_key_names(stems: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """A course key for every (stem, site), no two alike even where case does not count.

    Where two orgs have a course and run of the same name, the keys of both are their
    database names.
    """
    pairs = set(stems)
    databases = database_names(pairs)
    alike: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for pair in pairs:
        alike[course_key_name(*pair).lower()].append(pair)
    shared = {
        pair
        for group in alike.values()
        if len({stem.partition("-")[0] for stem, _ in group}) > 1
        for pair in group
    }

    def key_name(stem: str, site: str) -> str:
        if (stem, site) not in shared:
            return course_key_name(stem, site)
        fits = len(databases[stem, site]) <= LONGEST_COURSE_KEY
        return databases[stem, site] if fits else _marked(stem, site, LONGEST_COURSE_KEY, stem)

    return _distinct(pairs, key_name, LONGEST_COURSE_KEY)


def _sql_name(text: str, site: str, limit: int) -> str:
    name = _cleaned(text) + _tail(site)
    return name if len(name) <= limit else _marked(text, site, limit, text)


def _marked(text: str, site: str, limit: int, seed: str) -> str:
    mark = f"_{_hash(seed)}{_tail(site)}"
    return _cleaned(text)[: limit - len(mark)] + mark


def _cleaned(text: str) -> str:
    return _UNSAFE_IN_SQL.sub("_", text.replace(".", "")) or "_"


def _tail(site: str) -> str:
    return "_Edge" if site == "edge" else ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _distinct(
    pairs: Iterable[tuple[str, str]], name_of: Callable[[str, str], str], limit: int
) -> dict[tuple[str, str], str]:
    names: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    latecomers: list[tuple[str, str]] = []
    for pair in sorted(set(pairs), key=lambda pair: (not _PLAIN_STEM.fullmatch(pair[0]), pair)):
        name = name_of(*pair)
        if name.lower() in taken:
            latecomers.append(pair)
        else:
            names[pair] = name
            taken.add(name.lower())
    for stem, site in latecomers:
        wanted = name_of(stem, site).removesuffix(_tail(site))
        seeds = (f"{stem}#{attempt}" if attempt else stem for attempt in count())
        marked = (_marked(wanted, site, limit, seed) for seed in seeds)
        name = next(name for name in marked if name.lower() not in taken)
        names[stem, site] = name
        taken.add(name.lower())
    return names


def safe_file_name(text: str) -> str:
    """Spell any text as a file name: one text, one name; no folder, no hidden file.

    Everything but ``A-Za-z0-9._-`` is percent-encoded, a leading dot too, and the empty
    text is ``%``. Names over 200 bytes are cut and end in ``~`` and a hash.
    """
    name = quote(text, safe="", errors="surrogatepass").replace("~", "%7E") or "%"
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) <= LONGEST_FILE_NAME:
        return name
    mark = f"~{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
    return name[: LONGEST_FILE_NAME - len(mark)] + mark
