"""Email CRM: whom to write to about which course run, for the university's contact database.

In     the lake: e-mail preferences, accounts, profiles, person_course, titles of courses
Out    emailcrm_<time>.csv in EXPORT_PATH: all contacts, or those that are new or changed
       lake/derived/email_crm/*.parquet and MySQL Email_CRM: emailcrm, lastexport, countries_io
Waits  for email_opt_in, person_course, database_state

Who is a contact, and who may be written to, is in contacts.sql.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pycountry

from optimus.outputs.catalog import LakeTables
from optimus.outputs.courses import Course, create_view, find_courses
from optimus.outputs.csv import STAMP, export_csv
from optimus.outputs.mysql import SqlTable
from optimus.service import MYSQL, DerivedRun, DerivedService
from services.email_crm.columns import (
    CONTACTS,
    COUNTRIES,
    COUNTRIES_IO,
    COURSE,
    EMAILCRM,
    INPUTS,
    LASTEXPORT,
)

HERE = Path(__file__).parent
FULL_EXPORT = "EMAILCRM_FULL_EXPORT"
CSV = "emailcrm"
SCHEMAS = ("email_opt_in", "course_structure", "Person_Course", "Email_CRM")
ROWS_AT_ONCE = 10_000
CONTACTS_SQL = (HERE / "contacts.sql").read_text()
LASTEXPORT_SQL = (HERE / "lastexport.sql").read_text()
CHANGED_SQL = """
SELECT * FROM contact
EXCEPT SELECT * EXCLUDE (extract_date, extract_file) FROM Email_CRM.lastexport
"""
EMAILCRM_SQL = """
SELECT user_id, username, email, full_name, course_id,
       CASE WHEN is_opted_in_for_email THEN 'True' ELSE 'False' END AS is_opted_in_for_email,
       preference_set_datetime
FROM preference
"""
OUTPUTS = (
    (EMAILCRM, f"{EMAILCRM_SQL} ORDER BY course_id, user_id, email"),
    (COUNTRIES_IO, "SELECT * FROM countries_io ORDER BY country_code"),
    (LASTEXPORT, f"{LASTEXPORT_SQL} ORDER BY course_id, user_id"),
)
NO_PREFERENCES = (
    "No e-mail preferences were delivered, so there is no contact list. edX sends them in a zip of "
    "their own: deliver that as well, or put <org>-email_opt_in-….csv with the other dumps."
)
# edX offers it, and ISO 3166 leaves its code to whoever needs one.
KOSOVO = {"country_code": "XK", "country_name": "Kosovo"}


def _lake_tables(table: SqlTable, about: str) -> LakeTables:
    return LakeTables(
        pattern=_path(table),
        schema=table.database,
        table=table.name,
        empty=table.schema,
        about=about,
    )


def _path(table: SqlTable) -> str:
    return f"derived/email_crm/{table.name}.parquet"


class EmailCrm(DerivedService):
    """The contact list. It is made anew each time, and compared with what was exported before."""

    name = "email_crm"
    spelled = "EmailCRM"
    title = "Contact list"
    needs = ("email_opt_in", "person_course", "database_state")
    options = (FULL_EXPORT,)
    servers = (MYSQL,)
    lake_tables = (
        _lake_tables(EMAILCRM, "One row per learner and course run: the preference as delivered."),
        _lake_tables(COUNTRIES_IO, "One row per country."),
        _lake_tables(LASTEXPORT, "One row per contact ever exported: what was exported last."),
    )

    def stamp(self, options: Mapping[str, Any]) -> str:
        """Other rules make other contacts, and another kind of export is wanted at once."""
        rules = f"{CONTACTS_SQL}{LASTEXPORT_SQL}{options[FULL_EXPORT]}"
        return hashlib.sha256(rules.encode()).hexdigest()

    def derive(self, run: DerivedRun) -> None:
        """Make the list, export it or what changed, and remember what was exported."""
        with run.connect(run.catalog.in_schemas(*SCHEMAS)) as connection:
            if not _register_inputs(run, connection):
                run.note(NO_PREFERENCES)
                return
            connection.execute(f"CREATE TEMP TABLE contact AS {CONTACTS_SQL}")
            run.tick()
            connection.execute(f"CREATE TEMP TABLE changed AS {CHANGED_SQL}")
            run.tick()
            _count(run, connection)
            _export(run, connection)
            # After the export: what changed is exported again if its file was never published.
            for table, sql in OUTPUTS:
                run.write_table(_path(table), table, _batches(connection, sql))


def _register_inputs(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> bool:
    """Create the relations that the .sql files name in their heads.

    Returns:
        Whether there are any preferences; without them nothing is created.
    """
    preferences = [table for table in run.catalog.tables() if table.schema == "email_opt_in"]
    if not preferences:
        return False
    selects = [f"SELECT * FROM {table.qualified} WHERE site = 'prod'" for table in preferences]  # noqa: S608 - quoted
    connection.execute(f"CREATE TEMP VIEW preference AS {' UNION ALL '.join(selects)}")
    found = find_courses(run.catalog, connection)
    courses = [course for course in found if course.run.site == "prod"]
    for name, columns in INPUTS.items():
        create_view(connection, run.catalog, courses, name, columns)
    connection.register("course", pa.Table.from_pylist(list(map(_row_of, courses)), COURSE))
    connection.register("countries_io", _countries())
    connection.register("export", pa.Table.from_pylist([_about_export(run)]))
    return True


def _row_of(course: Course) -> dict[str, str | None]:
    """What the query is told about a course run, as a row of ``COURSE``."""
    start = course.info.get("start")
    return {
        "database": course.run.database,
        "course": course.run.key,
        "course_id": course.course_id,
        "name": course.info.get("display_name"),
        "start_date": start and start.strftime("%d/%m/%Y"),
    }


def _countries() -> pa.Table:
    """Codes and names; the name that people use, where the standard has one besides its own."""
    rows = [
        {
            "country_code": country.alpha_2,
            "country_name": getattr(country, "common_name", country.name),
        }
        for country in pycountry.countries
    ]
    return pa.Table.from_pylist([*rows, KOSOVO], COUNTRIES)


def _about_export(run: DerivedRun) -> dict[str, Any]:
    return {
        "year": run.started.year,
        "extract_date": run.started.replace(microsecond=0),
        "extract_file": f"{CSV}_{run.started.strftime(STAMP)}.csv",
    }


def _count(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> None:
    for name, relation in (
        ("preferences", "preference"),
        ("rows", "contact"),
        ("changed", "changed"),
        ("opted_in", "contact WHERE is_opted_in_for_email = 'Yes'"),
    ):
        [(run.counts[name],)] = connection.execute(f"SELECT count(*) FROM {relation}").fetchall()  # noqa: S608 - our names
    without = run.counts["preferences"] - run.counts["rows"]
    if without:
        run.note(
            f"{without:,} of {run.counts['preferences']:,} preferences are of learners or course "
            "runs that the dumps do not have, or come twice: they are no contacts."
        )
    if not run.counts["changed"]:
        run.note("No contact is new or changed since the last export.")


def _export(run: DerivedRun, connection: duckdb.DuckDBPyConnection) -> None:
    """Write all contacts, or those that changed; no file when none did."""
    is_full = run.options[FULL_EXPORT]
    if not is_full and not run.counts["changed"]:
        return
    contacts = "contact" if is_full else "changed"
    batches = _batches(connection, f"SELECT * FROM {contacts} ORDER BY course_id, user_id")  # noqa: S608 - our names
    export_csv(
        run.staging, run.place.exports, CSV, run.started, (CONTACTS.names, _rows(run, batches))
    )


def _batches(connection: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
    batches: pa.RecordBatchReader = connection.sql(sql).to_arrow_reader(ROWS_AT_ONCE)
    return batches


def _rows(run: DerivedRun, batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Any, ...]]:
    for batch in batches:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)
        run.tick(rows=batch.num_rows)
