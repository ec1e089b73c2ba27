"""Whatever is odd in a package counts as the texts say: one ingestion of every oddity we know.

What must come is written down beside each case; the oracle is held to it, and the product to
the oracle.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end import odd_events, odd_tables, odd_trees
from tests.end_to_end.comparison import are_equal, as_csv, assert_none, differences
from tests.end_to_end.installation import Installation
from tests.end_to_end.odd_events import COURSE, LOG_DAY
from tests.end_to_end.oracle import PERSON_COLUMNS, PROFILE_COLUMNS, Answers, Record, calculate
from tests.end_to_end.oracle_events import ledger
from tests.end_to_end.oracle_files import all_logs

ODD, TWIN = "Odd1_2016_T1", "Odd1_2016_T1_Edge"
STEM = "RiverU-Odd.1-2016-T1"
SITES = {"prod": ("riveru-edx", "prod-analytics"), "edge": ("riveru-edge", "prod-edge-analytics")}
TYPED, TYPED_STEM = "Typed_1", "RiverU-Typed-1"
EVENTS, ROWS, ILL_TYPED = odd_events.all_cases(), odd_tables.CASES, odd_tables.ILL_TYPED


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory, geo_database: Path) -> Installation:
    folder = tmp_path_factory.mktemp("odd")
    write_logs(folder / "package" / "clickstream_logs" / "latest")
    write_dumps(folder / "package" / "database_state" / "2016-03-06")
    odd_trees.write_tree(folder / "package" / "database_state" / "2016-03-06")
    installation = Installation(folder, folder / "package", geo_database)
    installation.once()
    return installation


@pytest.fixture(scope="module")
def answers(odd: Installation, geo_database: Path) -> Answers:
    return calculate(odd.package, geo_database)


def write_logs(folder: Path) -> None:
    """Write a log for each site; that of production comes three times, of which one counts."""
    folder.mkdir(parents=True)
    for site, (name, _) in SITES.items():
        mine = [(user, case) for user, case in EVENTS.items() if case.edge is (site == "edge")]
        zeros = [odd_events.Case("", context={"user_id": zero}).lines(0) for zero in (0, "0")]
        lines = [b"", b"   ", *(case.lines(user) for user, case in mine), *zeros]
        (folder / f"{name}-events-{LOG_DAY}.log.gz").write_bytes(gzip.compress(b"\n".join(lines)))
        if site == "prod":
            (folder / f"{name}-events-{LOG_DAY}.log").write_bytes(b"\n".join(lines))
            (folder / f"{name}-events-2016-03-05.log").write_bytes(b"\n".join(lines))


def write_dumps(folder: Path) -> None:
    """Write one course for both sites; the rows of the cases are production's. And another."""
    folder.mkdir(parents=True)
    for table in odd_tables.COLUMNS:
        text = odd_tables.table_text(table, ROWS, (0, *EVENTS))
        path = folder / f"{STEM}-{table}-prod-analytics.sql"
        path.write_text(text, encoding="utf-8", newline="")
        text = odd_tables.table_text(table, ILL_TYPED)
        path = folder / f"{TYPED_STEM}-{table}-prod-analytics.sql"
        path.write_text(text, encoding="utf-8", newline="")
    (folder / f"{STEM}-prod.mongo").write_text(odd_tables.forum_text(), encoding="utf-8")
    twin = "".join(f"{user}\tu{user}\t0\n" for user in (0, *EVENTS))
    path = folder / f"{STEM}-auth_user-prod-edge-analytics.sql"
    path.write_text("id\tusername\tis_staff\n" + twin, encoding="utf-8", newline="")
    path = folder / f"{STEM}-student_courseenrollment-prod-edge-analytics.sql"
    row = f"1\t0\t{COURSE}\t2016-01-01 00:00:00\t1\thonor\n"
    header = "\t".join(odd_tables.COLUMNS["student_courseenrollment"]) + "\n"
    path.write_text(header + row, encoding="utf-8", newline="")


def expected_of_events() -> Iterator[tuple[int, str, Record]]:
    """What must come of each odd line: learner, what is odd, some columns."""
    for user, case in EVENTS.items():
        yield (
            user,
            case.about,
            {
                "nevents": case.events,
                "last_event": case.day,
                "final_cc_cname": case.countries,
            },
        )
    yield 0, "user: 0, as a number and as text", {"nevents": 2, "last_event": LOG_DAY}


def told_wrong(rows: list[Record], expected: Iterator[tuple[int, str, Record]]) -> Iterator[str]:
    """Where rows are not what was written down by hand."""
    found = {int(row["user_id"]): row for row in rows}
    for user, about, columns in expected:
        row = found.get(user)
        if row is None:
            yield f"{about} (user {user}): no row"
            continue
        for name, value in columns.items():
            told = row[name].isoformat() if hasattr(row[name], "isoformat") else row[name]
            if not are_equal(told, value):
                yield f"{about} (user {user}): {name} is {told!r}, must be {value!r}"


def expected_of_rows() -> Iterator[tuple[int, str, Record]]:
    for user, case in ROWS.items():
        yield user, case.about, case.expected


def people(installation: Installation, key: str) -> list[Record]:
    return installation.query(f'SELECT * FROM "Person_Course"."personcourse_{key}"')


def test_the_oracle_takes_odd_lines_as_written_down(answers):
    assert_none(told_wrong(answers.person_course[ODD], expected_of_events()))


def test_the_oracle_takes_odd_rows_as_written_down(answers):
    assert_none(told_wrong(answers.person_course[ODD], expected_of_rows()))


def test_the_oracle_takes_an_odd_tree_as_written_down(answers):
    [row] = [row for row in answers.course_profile if row["course"] == odd_trees.KEY]
    told = {name: str(row[name]) for name in odd_trees.EXPECTED}
    assert told == {name: str(value) for name, value in odd_trees.EXPECTED.items()}


def test_odd_lines_count_as_written_down(odd):
    assert_none(told_wrong(people(odd, ODD), expected_of_events()))


def test_odd_rows_count_as_written_down(odd):
    assert_none(told_wrong(people(odd, ODD), expected_of_rows()))


@pytest.fixture(scope="module")
def typed(odd: Installation) -> dict[int, Record]:
    return {row["user_id"]: row for row in people(odd, TYPED)}


@pytest.mark.parametrize("user", ILL_TYPED, ids=lambda user: ILL_TYPED[user].about)
def test_a_row_with_a_cell_of_the_wrong_kind_or_without_id_does_not_count(typed, answers, user):
    expected = ILL_TYPED[user].expected
    [theirs] = [row for row in answers.person_course[TYPED] if row["user_id"] == user]
    assert {name: as_csv(theirs[name]) for name in expected} == {
        name: as_csv(value) for name, value in expected.items()
    }
    assert {name: typed[user][name] for name in expected} == expected


def test_an_odd_tree_counts_as_written_down(odd):
    sql = f"SELECT * FROM \"Person_Course\".courseprofile WHERE course = '{odd_trees.KEY}'"
    [row] = odd.query(sql)
    assert {name: row[name] for name in odd_trees.EXPECTED} == odd_trees.EXPECTED


@pytest.mark.parametrize("key", [ODD, TWIN])
def test_every_value_of_odd_courses_is_the_oracles(odd, answers, key):
    whose = (people(odd, key), answers.person_course[key])
    assert_none(differences(key, "user_id", whose, PERSON_COLUMNS))


def test_every_profile_of_odd_courses_is_the_oracles(odd, answers):
    sql = f"SELECT * FROM \"Person_Course\".courseprofile WHERE course <> '{TYPED}'"
    expected = [row for row in answers.course_profile if row["course"] != TYPED]
    whose = (odd.query(sql), expected)
    assert_none(differences("courseprofile", "course", whose, PROFILE_COLUMNS))


def test_the_twin_at_edge_has_only_what_happened_at_edge(odd):
    counted = {row["user_id"]: row["nevents"] for row in people(odd, TWIN) if row["nevents"]}
    [there] = [user for user, case in EVENTS.items() if case.edge]
    assert counted == {0: 2, there: 1}


def test_odd_lines_are_rows_or_rejects_and_equal_logs_count_once(odd):
    told = {name: one for name, one in odd.counts("clickstream").items() if "rows" in one}
    expected = {log.path.name: ledger(log) for log in all_logs(odd.package)}
    for name, counts in told.items():
        assert counts["lines"] == counts["rows"] + counts["rejects"]
        assert (counts["lines"], counts["rejects"]) == expected[name]
    [rows] = odd.query("SELECT count(*) AS n FROM logs.clickstream")
    once = [f"riveru-edx-events-{LOG_DAY}.log", f"riveru-edge-events-{LOG_DAY}.log.gz"]
    assert rows["n"] == sum(expected[name][0] - expected[name][1] for name in once)
