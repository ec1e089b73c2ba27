"""What package file names say, and what names are made of them: one promise per test."""

import hashlib
import re
from datetime import date
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from optimus.package.names import (
    KNOWN_SUFFIXES,
    LONGEST_COURSE_KEY,
    FileKind,
    course_key_name,
    course_key_names,
    database_name,
    database_names,
    parse_name,
    safe_file_name,
)
from optimus.package.tables import KNOWN_TABLES, TABLE_ALIASES

DAY = date(2014, 3, 4)
EDGE_STRUCTURE = ("course_structure", "edge")
LONG_STEM = f"RiverU-{'Bees' * 44}-2016_T1"
STEMS = st.from_regex(r"[A-Z][A-Za-z]{0,8}(-[A-Za-z0-9_.~]{1,12}){2,4}", fullmatch=True)
TRICKY_STEMS = st.sampled_from(
    [
        "RiverU-A-1",
        "RiverU-Bees-101-2016-T1",
        "RiverU-Bees101-edge_trial",
        "RiverU-Bees101-edge",
        "River-prod-analytics",
        "RiverU-course-2016_T1",
        "RiverU-auth_user-teams",
        "River.U-Bees1.01-2016_T1-ccx-7",
        "-RiverU-; DROP-'x'\n",
    ]
)
ANY_STEM = STEMS | TRICKY_STEMS
TABLES = st.sampled_from(sorted(KNOWN_TABLES) + sorted(TABLE_ALIASES))
SUFFIXES = st.sampled_from(KNOWN_SUFFIXES)
WRAPPINGS = st.sampled_from(["", ".gz", ".gpg", ".gz.gpg", ".failed", ".failed.gpg", ".GPG"])
SITES = st.sampled_from(["prod", "edge"])
PAIRS = st.tuples(
    st.from_regex(r"[ABab](-[A1a.]{1,3}){1,2}", fullmatch=True) | st.text(max_size=80), SITES
)


def table(*rows: tuple[object, ...]) -> list[object]:
    return [pytest.param(*row[1:], id=str(row[0])) for row in rows]


@pytest.mark.parametrize(
    ("stem", "dumped", "rest", "site"),
    table(
        ("usual", "RiverU-Bees101-2016_T1", "auth_user", "-prod-analytics.sql.gpg", "prod"),
        ("edge, though prod too", "RiverU-A-1", "auth_user", "-prod-edge-analytics.sql", "edge"),
        ("edge as the guide says", "RiverU-A-1", "auth_userprofile", "-edge-analytics.sql", "edge"),
        ("a run called edge_trial", "RiverU-A-edge_trial", "auth_user", "-prod.sql", "prod"),
        ("a run called edge", "RiverU-A-edge", "auth_user", "-prod-analytics.sql", "prod"),
        ("edge inside a word", "RiverU-A-1", "auth_user", "-knowledge.sql", "prod"),
        ("dashes everywhere", "River-U-A-1-T-1", "wiki_article", "-prod-edx-replica.sql", "prod"),
        ("no suffix", "RiverU-A-1", "auth_user", ".sql", "prod"),
        ("no site", "RiverU-A-1", "courseware_studentmodule", "-analytics.sql.gz", "prod"),
        ("teams as the guide says", "RiverU-A-1", "teams_courseteam", "-prod.sql", "prod"),
        ("a run called teams", "RiverU-A-teams", "teams_membership", "-prod.sql", "prod"),
        ("a suffix never seen", "RiverU-A-1", "auth_user", "-weekly-dump9.sql", "prod"),
        ("a table never seen", "RiverU-A-2016_T1", "new_table", "-prod-edge-analytics.sql", "edge"),
        ("mongodb is no table", "RiverU-A-1", "new_table", "-prod-mongodb.sql", "prod"),
    ),
)
def test_a_dump_names_its_course_its_table_and_its_site(stem, dumped, rest, site):
    name = parse_name(f"{stem}-{dumped}{rest}")
    assert name is not None
    assert (name.kind, name.stem, name.table, name.site) == (FileKind.table, stem, dumped, site)


@given(ANY_STEM, TABLES, SUFFIXES, WRAPPINGS)
def test_a_dump_name_comes_apart_into_what_it_was_made_of(stem, dumped, suffix, wrapping):
    name = parse_name(f"{stem}-{dumped}-{suffix}.sql{wrapping}")
    assert name is not None
    assert (name.stem, name.table, name.suffix) == (stem, dumped, suffix)
    assert name.site == ("edge" if "edge" in suffix.split("-") else "prod")
    assert name.logical == f"{stem}-{dumped}-{suffix}.sql"
    assert name.failed == ("failed" in wrapping)


@given(ANY_STEM, SUFFIXES, WRAPPINGS)
def test_an_archive_name_comes_apart_into_what_it_was_made_of(stem, suffix, wrapping):
    name = parse_name(f"{stem}-course-{suffix}.xml.tar.gz{wrapping}")
    assert name is not None
    assert (name.kind, name.stem, name.suffix) == (FileKind.course_archive, stem, suffix)
    assert name.logical == f"{stem}-course-{suffix}.xml.tar.gz"


@pytest.mark.parametrize(
    ("stem", "rest", "kind", "site"),
    table(
        ("structure", "R-A-1", "-course_structure-prod-analytics.json", "course_structure", "prod"),
        ("on edge", "R-A-1", "-course_structure-prod-edge-analytics.json", *EDGE_STRUCTURE),
        ("structure, re-packed", "R-A-1", "-course-prod.json", "course_structure", "prod"),
        ("archive", "R-A-1", "-course-prod-analytics.xml.tar.gz.gpg", "course_archive", "prod"),
        ("archive, re-packed", "R-A-1", "-course.xml.tar.gz", "course_archive", "prod"),
        ("archive, unzipped", "R-course-1", "-course-edge.xml.tar", "course_archive", "edge"),
        ("forum", "R-A-1", "-prod.mongo", "forum", "prod"),
        ("forum on edge", "R-A-1", "-edge.mongo", "forum", "edge"),
        ("forum, long suffix", "R-A-1", "-prod-edge-analytics.mongo.gz", "forum", "edge"),
        ("old forum", "R-A-edge_trial", ".mongo", "forum", "prod"),
        ("opt-in", "RiverU", "-email_opt_in-prod-analytics.csv", "email_opt_in", "prod"),
        ("opt-in, org with a dash", "River-U", "-email_opt_in-prod.csv", "email_opt_in", "prod"),
    ),
)
def test_every_other_file_of_a_course_is_known_by_its_name(stem, rest, kind, site):
    name = parse_name(f"{stem}{rest}")
    assert name is not None
    assert (name.kind, name.stem, name.site, name.table) == (kind, stem, site, None)


@pytest.mark.parametrize(
    ("filename", "stem", "site", "day"),
    table(
        ("edx", "uqx-edx-events-2014-03-04.log.gz", "uqx", "prod", DAY),
        ("prod", "RiverU-PROD-events-2014-03-04.log", "RiverU", "prod", DAY),
        ("edge", "river-u-Edge-events-2014-03-04.log", "river-u", "edge", DAY),
        ("before Nov 2014", "2014-03-04_RiverU.log.gz", "RiverU", "prod", DAY),
        ("per course", "R-A-2016_T1-events-2014-03-04.log", "R-A-2016_T1", "prod", DAY),
        ("run is a date", "R-2013-01-01-events-2014-03-04.log", "R-2013-01-01", "prod", DAY),
        ("run is edge_trial", "R-edge_trial-events-2014-03-04.log", "R-edge_trial", "prod", DAY),
        ("downloaded twice", "riveru-edge-events-2014-03-04 (1).log", "riveru", "edge", DAY),
        ("no org", "edge-events-2014-03-04.log", "", "edge", DAY),
        ("of unknown origin", "tracking.log", "", "prod", None),
        ("a date somewhere", "my 2014-03-04 clicks.log.gz", "", "prod", DAY),
        ("impossible date", "clicks-2014-13-04.log", "", "prod", None),
        ("longer numbers", "clicks-12014-03-040.log", "", "prod", None),
        ("first possible date", "x-2014-02-30-2014-03-04.log", "", "prod", DAY),
    ),
)
def test_any_log_is_a_tracking_log_and_may_name_its_day(filename, stem, site, day):
    name = parse_name(filename)
    assert name is not None
    assert (name.kind, name.stem, name.site, name.day) == (FileKind.events, stem, site, day)


@given(STEMS, st.sampled_from(["edx", "prod", "edge", "EDGE"]), st.dates(), WRAPPINGS)
def test_a_log_name_comes_apart_into_what_it_was_made_of(org, word, day, wrapping):
    name = parse_name(f"{org}-{word}-events-{day}.log{wrapping}")
    assert name is not None
    assert (name.stem, name.day, name.suffix) == (org, day, word)
    assert name.site == ("edge" if word.lower() == "edge" else "prod")


@pytest.mark.parametrize("wrapping", ["", ".gz", ".gz.gpg", ".gpg", ".GZ"])
def test_a_day_is_the_same_source_however_it_is_wrapped(wrapping):
    name = parse_name(f"uqx-edx-events-2014-03-04.log{wrapping}")
    assert name is not None
    assert name.logical == "uqx-edx-events-2014-03-04.log"


@pytest.mark.parametrize("wrapping", [".failed", ".failed.gpg"])
def test_a_file_that_edx_could_not_make_says_so(wrapping):
    name = parse_name(f"RiverU-A-1-auth_user-prod-analytics.sql{wrapping}")
    assert name is not None
    assert name.failed
    assert name.table == "auth_user"


@pytest.mark.parametrize(
    "filename",
    [
        ".uqx-edx-events-2014-03-04.log.gz",
        ".awsXYZ.log",
        "uqx-edx-events-2014-03-04.log.gz.tmp",
        "uqx-edx-events-2014-03-04.log.gz.part",
        "uqx-edx-events-2014-03-04.log.gz.filepart",
        "uqx-edx-events-2014-03-04.log.gz.crdownload",
        "uqx-edx-events-2014-03-04.log.gz.1a2B3c4D",
        "RiverU-A-1-auth_user-prod-analytics.sql~",
        "RiverU-A-1-auth_user-prod-analytics.sql.part.gpg",
    ],
)
def test_a_half_transferred_file_is_no_package_file(filename):
    assert parse_name(filename) is None


@pytest.mark.parametrize(
    "filename",
    [
        "",
        "README.txt",
        "policy.json",
        "metadata_file.json",
        "course.xml",
        "RiverU_Bees101_T1.tar.gz",
        "riveru-2016-03-06.zip",
        "grades.csv",
        "email_opt_in.csv",
        "auth_user-prod-analytics.sql",
        "backup.sql",
        "RiverU-course-notes.json",
        "RiverU-course-2016_T1.xml.tar.gz",
        "ora/RiverU-A-1-auth_user-prod.sql",
    ],
)
def test_what_is_not_in_the_grammar_is_no_package_file(filename):
    assert parse_name(filename) is None


def cut(name: str, length: int) -> str:
    """Cut a name as the producer does: what is lost of the suffix survives as its hash only."""
    return f"{name[:length]}-{hashlib.md5(b'prod-edge-analytics').hexdigest()}.sql"


def test_a_cut_name_still_tells_its_table_and_by_its_hash_its_site():
    name = parse_name(cut(f"{LONG_STEM}-auth_user-prod-edge-analytics", len(LONG_STEM) + 15))
    assert name is not None
    assert (name.stem, name.table, name.site) == (LONG_STEM, "auth_user", "edge")
    assert name.suffix == "prod-edge-analytics"


def test_half_a_table_does_not_pass_for_one():
    name = parse_name(cut(f"{LONG_STEM}-teams_membership-prod", len(f"{LONG_STEM}-teams")))
    assert name is not None
    assert (name.table, name.site) == (None, "edge")


@given(st.text() | st.from_regex(r"[\w.~-]*\.(log|sql|mongo|json|csv|xml\.tar)(\.gz|\.gpg)*"))
def test_no_text_makes_the_parser_fail(text):
    name = parse_name(text)
    if name is not None:
        assert text.startswith(name.logical.removesuffix(".gz"))
        assert name.site in {"prod", "edge"}
        assert name.stem or name.kind is FileKind.events


@pytest.mark.parametrize(
    ("stem", "site", "database", "key"),
    [
        ("UQx-PSYC1030.1x-4T2016", "prod", "UQx_PSYC10301x_4T2016", "PSYC10301x_4T2016"),
        ("UQx-Think101x-1T2014", "edge", "UQx_Think101x_1T2014_Edge", "Think101x_1T2014_Edge"),
        ("RiverU-Bees~1-2016_T1", "prod", "RiverU_Bees_1_2016_T1", "Bees_1_2016_T1"),
        ("RiverU-Bün-1", "prod", "RiverU_B_n_1", "B_n_1"),
        ("RiverU", "prod", "RiverU", "RiverU"),
    ],
)
def test_databases_and_keys_are_spelled_as_the_original_did(stem, site, database, key):
    assert database_name(stem, site) == database
    assert course_key_name(stem, site) == key


@given(st.text(max_size=200), SITES)
def test_names_are_always_safe_in_sql(stem, site):
    assert re.fullmatch(r"[A-Za-z0-9_]{1,64}", database_name(stem, site))
    assert re.fullmatch(r"[A-Za-z0-9_]{1,51}", course_key_name(stem, site))


@pytest.mark.parametrize("stem", ["mysql", "information-schema", "Person-Course", "api", "Logs"])
def test_no_course_takes_a_database_that_is_not_its_own(stem):
    assert re.fullmatch(rf"{stem.replace('-', '_')}_[0-9a-f]{{8}}", database_name(stem, "prod"))


def test_long_stems_that_differ_at_their_end_stay_apart():
    long = f"RiverU-{'Bees' * 20}-"
    names = {database_name(long + run, site) for run in "12" for site in ("prod", "edge")}
    assert len(names) == 4


def test_of_two_courses_that_want_one_name_the_plain_one_gets_it():
    names = database_names([("A-B.1-r", "prod"), ("A-B1-r", "prod"), ("A-B2-r", "prod")])
    assert names["A-B1-r", "prod"] == "A_B1_r"
    assert names["A-B2-r", "prod"] == "A_B2_r"
    assert re.fullmatch(r"A_B1_r_[0-9a-f]{8}", names["A-B.1-r", "prod"])


def test_courses_that_differ_by_case_alone_stay_apart_on_servers_that_ignore_it():
    names = database_names([("A-b-r", "prod"), ("A-B-r", "prod")])
    assert names["A-B-r", "prod"] == "A_B_r"
    assert re.fullmatch(r"A_b_r_[0-9a-f]{8}", names["A-b-r", "prod"])


def test_where_two_orgs_share_course_and_run_the_key_keeps_the_org():
    names = course_key_names([("A-B1-r", "prod"), ("C-B1-r", "prod"), ("C-B2-r", "prod")])
    assert names == {
        ("A-B1-r", "prod"): "A_B1_r",
        ("C-B1-r", "prod"): "C_B1_r",
        ("C-B2-r", "prod"): "B2_r",
    }


def test_edge_and_production_are_no_clash():
    pairs = [("A-B1-r", "prod"), ("A-B1-r", "edge")]
    assert course_key_names(pairs) == {pairs[0]: "B1_r", pairs[1]: "B1_r_Edge"}


@given(st.lists(PAIRS))
@pytest.mark.parametrize("make", [database_names, course_key_names])
def test_names_of_a_package_are_all_different_and_the_same_in_any_order(make, pairs):
    names = make(pairs)
    assert set(names) == set(pairs)
    assert len({name.lower() for name in names.values()}) == len(names)
    assert names == make(reversed(pairs))
    longest = LONGEST_COURSE_KEY if make is course_key_names else 64
    assert all(re.fullmatch(rf"\w{{1,{longest}}}", name, re.ASCII) for name in names.values())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("course-v1:RiverU+Bees101+2016_T1", "course-v1%3ARiverU%2BBees101%2B2016_T1"),
        ("RiverU/Bees1.01/2013_Fall", "RiverU%2FBees1.01%2F2013_Fall"),
        ("..", "%2E."),
        (".", "%2E"),
        ("", "%"),
        ("a~b", "a%7Eb"),
        ("50%", "50%25"),
    ],
)
def test_file_names_are_percent_encoded(text, name):
    assert safe_file_name(text) == name


@given(st.text(st.characters(), min_size=1, max_size=250))
def test_a_file_name_is_safe_and_can_be_read_back(text):
    name = safe_file_name(text)
    assert re.fullmatch(r"[A-Za-z0-9_%-][A-Za-z0-9._%~-]{0,199}", name)
    if "~" not in name:
        assert unquote(name, errors="surrogatepass") == text


@given(st.lists(st.text(st.sampled_from("ab.~%/\N{HONEYBEE}"), max_size=90), unique=True))
def test_no_two_texts_share_a_file_name(texts):
    assert len({safe_file_name(text) for text in texts}) == len(texts)


def test_a_long_text_does_not_share_its_file_name_with_a_text_that_looks_like_it():
    short = safe_file_name("b" * 10_000)
    assert len(short) == 200
    assert safe_file_name(short) != short
