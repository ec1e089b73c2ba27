"""The columns of the contact list and its tables: names and order are the original's."""

import pyarrow as pa

from optimus.outputs.mysql import SqlTable
from optimus.service import described_schema

DATABASE = "Email_CRM"
WHOLE, TEXT, MOMENT = pa.int64(), pa.string(), pa.timestamp("us", "UTC")

PREFERENCES = described_schema(
    ("user_id", WHOLE, "auth_user.id; null in files from before 2017."),
    ("username", TEXT, "auth_user.username; null in files from before 2017."),
    ("email", TEXT, "The address, as delivered."),
    ("full_name", TEXT, "The name, as delivered."),
    ("course_id", TEXT, "The course run, as in the dumps and events."),
    ("is_opted_in_for_email", TEXT, "True or False, as delivered."),
    ("preference_set_datetime", MOMENT, "When the learner chose; 2014-12-01 for never."),
)

CONTACTS = described_schema(
    ("user_id", WHOLE, "auth_user.id."),
    ("is_staff", TEXT, "Yes or No."),
    ("is_active", WHOLE, "1 if the account's address was confirmed."),
    ("email", TEXT, "The address, without dots at its end."),
    ("viewed", WHOLE, "As in person_course."),
    ("explored", WHOLE, "As in person_course."),
    ("certified", WHOLE, "As in person_course."),
    ("mode", TEXT, "As in person_course."),
    ("first_name", TEXT, "The name up to its first blank, cleaned."),
    ("last_name", TEXT, "The rest of the name, cleaned, 30 characters at most."),
    ("course_id", TEXT, "Course key in table names."),
    ("course_name", TEXT, "Title of the course."),
    ("course_start_date", TEXT, "Start of the course, as 31/12/2016."),
    ("enrolled", TEXT, "person_course.start_time, as 31/12/2016."),
    ("is_opted_in_for_email", TEXT, "Yes if the learner may be written to, else No."),
    ("gender", TEXT, "Male, Female, Other or null."),
    ("year_of_birth", WHOLE, "From 1901; null if unknown."),
    ("level_of_education", TEXT, "As in auth_userprofile."),
    ("levelofEd", TEXT, "The level of education in words."),
    ("country_name", TEXT, "Name of the country in the learner's profile."),
)

_RENAMED = {"enrolled": "enrolled_date"}
EXPORTED = pa.schema(
    [
        *(field.with_name(_RENAMED.get(field.name, field.name)) for field in CONTACTS),
        *described_schema(
            ("extract_date", MOMENT, "When the contact was first exported as it is (UTC)."),
            ("extract_file", TEXT, "Name of that file."),
        ),
    ]
)

COUNTRIES = described_schema(
    ("country_code", TEXT, "ISO 3166 code of two letters."),
    ("country_name", TEXT, "The country's usual name in English."),
)

# The types in MySQL are the original's, where they are not those of the lake.
EMAILCRM = SqlTable(
    database=DATABASE,
    name="emailcrm",
    schema=PREFERENCES,
    indexes=(("user_id", "course_id"),),
    types={"user_id": "int", "preference_set_datetime": "datetime"},
)
COUNTRIES_IO = SqlTable(
    database=DATABASE, name="countries_io", schema=COUNTRIES, unique=("country_code",)
)
LASTEXPORT = SqlTable(
    database=DATABASE,
    name="lastexport",
    schema=EXPORTED,
    unique=("user_id", "course_id"),
    types={
        **dict.fromkeys(("user_id", "is_active", "viewed", "explored", "certified"), "int"),
        "year_of_birth": "varchar(255)",
        "extract_date": "datetime",
    },
)

COURSE = pa.schema(dict.fromkeys(("database", "course", "course_id", "name", "start_date"), TEXT))
"""One row per course run: what the query is told about it."""

INPUTS: dict[str, dict[str, str]] = {
    "auth_user": {
        "id": "BIGINT",
        "email": "VARCHAR",
        "is_staff": "BOOLEAN",
        "is_active": "BOOLEAN",
    },
    "auth_userprofile": {
        "user_id": "BIGINT",
        "gender": "VARCHAR",
        "year_of_birth": "BIGINT",
        "level_of_education": "VARCHAR",
        "country": "VARCHAR",
    },
}
"""Tables of the dumps that the query reads, with the columns it uses."""
