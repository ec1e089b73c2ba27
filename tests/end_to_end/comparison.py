"""Says where the product and the oracle differ, one readable sentence for each value."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

from tests.end_to_end.installation import Installation
from tests.end_to_end.oracle import (
    PERSON_COLUMNS,
    PROFILE_COLUMNS,
    Answers,
    Record,
    calculate,
)

SHOWN = 40
MATTER_OF_ROUNDING = 1e-9


def assert_equals_oracle(installation: Installation, geo_database: Path) -> Answers:
    """Compare every value of person_course and course_profile; gives what the oracle said."""
    answers = calculate(installation.package, geo_database)
    found = [
        *person_differences(installation, answers),
        *profile_differences(installation, answers),
    ]
    assert_none(found)
    return answers


def assert_none(found: Iterable[str]) -> None:
    """Fail with the first of the differences."""
    told = list(found)
    more = f"\n… and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
    shown = "\n".join(told[:SHOWN])
    assert not told, f"{len(told)} differences:\n{shown}{more}"


def person_differences(installation: Installation, answers: Answers) -> list[str]:
    selects = [
        f'SELECT \'{key}\' AS asked, * FROM "Person_Course"."personcourse_{key}"'
        for key in answers.person_course
    ]
    found = installation.query(" UNION ALL ".join(selects))
    told = []
    for key, expected in answers.person_course.items():
        rows = [{**row} for row in found if row["asked"] == key]
        for row in rows:
            del row["asked"]
        told += differences(key, "user_id", (rows, expected), PERSON_COLUMNS)
    return told


def profile_differences(installation: Installation, answers: Answers) -> list[str]:
    rows = installation.query('SELECT * FROM "Person_Course".courseprofile ORDER BY course')
    return differences("courseprofile", "course", (rows, answers.course_profile), PROFILE_COLUMNS)


def differences(
    table: str,
    key: str,
    whose: tuple[list[dict[str, Any]], list[Record]],
    columns: tuple[str, ...],
) -> list[str]:
    """Differences between the rows of the product and of the oracle, in this order."""
    ours, theirs = whose
    told = [
        f"{table}: the columns are {', '.join(row)}, not {', '.join(columns)}"
        for row in ours[:1]
        if tuple(row) != columns
    ]
    here = {str(row[key]): row for row in ours}
    there = {str(row[key]): row for row in theirs}
    if len(here) != len(ours):
        told.append(f"{table}: {len(ours) - len(here)} rows have the {key} of another")
    told += [f"{table}, {one}: no row, and the oracle has one" for one in there if one not in here]
    told += [f"{table}, {one}: a row, and the oracle has none" for one in here if one not in there]
    for one in here.keys() & there.keys():
        for column in columns:
            value, expected = here[one].get(column, "(no such column)"), there[one][column]
            if not are_equal(value, expected):
                told.append(f"{table}, {one}, {column}: {value!r}, the oracle says {expected!r}")
    return told


def are_equal(value: object, expected: object) -> bool:
    """Equal as JSON prints it: dates are texts, numbers are numbers, null is null."""
    if isinstance(expected, date):
        return value == expected.isoformat()
    if isinstance(expected, float) and isinstance(value, float):
        return abs(value - expected) < MATTER_OF_ROUNDING
    return type(value) is type(expected) and value == expected


def as_csv(expected: object) -> str:
    """A value as a CSV cell; null is empty."""
    return "" if expected is None else str(expected)


def csv_differences(
    name: str, key: str, rows: list[dict[str, str]], expected: list[Record]
) -> list[str]:
    """Differences between an export and the oracle."""
    texts = [{column: as_csv(value) for column, value in row.items()} for row in expected]
    columns = tuple(expected[0])
    # Numbers may be spelled in more than one way.
    for row in (*rows, *texts):
        if "grade" in row:
            row["grade"] = str(float(row["grade"]))
    return differences(f"{name}.csv", key, (rows, texts), columns)
