"""What is promised about the list of known tables."""

import pytest

from optimus.package.tables import (
    EXPECTED_COLUMNS,
    KNOWN_TABLES,
    ColumnType,
    canonical_table,
    column_type,
    drift,
    exposed_columns,
    is_blanked,
)

# Both as printed in the package reference.
STUDENTMODULE = """
    id module_type module_id student_id state grade created modified max_grade done course_id"""
AUTH_USER = """
    id username first_name last_name email password is_staff is_active is_superuser last_login
    date_joined status email_key avatar_type country show_country date_of_birth interesting_tags
    ignored_tags email_tag_filter_strategy display_tag_filter_strategy
    consecutive_days_visit_count"""


def test_every_table_of_the_reference_is_known():
    assert len(KNOWN_TABLES) == 41


@pytest.mark.parametrize("table", KNOWN_TABLES)
def test_columns_of_every_year_are_known_columns(table):
    assert EXPECTED_COLUMNS[table] <= set(KNOWN_TABLES[table])
    assert EXPECTED_COLUMNS[table]


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("auth_user", "username", ColumnType.TEXT),
        ("auth_user", "last_login", ColumnType.DATETIME),
        ("auth_userprofile", "year_of_birth", ColumnType.INTEGER),
        ("certificates_generatedcertificate", "grade", ColumnType.TEXT),
        ("courseware_studentmodule", "grade", ColumnType.REAL),
        ("courseware_studentmodule", "state", ColumnType.JSON),
        ("courseware_studentmodule", "student_id", ColumnType.INTEGER),
        ("student_courseenrollment", "is_active", ColumnType.BOOLEAN),
        ("assessment_assessment", "scorer_id", ColumnType.TEXT),
        ("assessment_peerworkflowitem", "scorer_id", ColumnType.INTEGER),
    ],
)
def test_types_are_those_of_the_reference(table, column, kind):
    assert column_type(table, column) is kind


def test_a_column_or_table_nobody_documented_is_text():
    assert column_type("auth_user", "shoe_size") is ColumnType.TEXT
    assert column_type("shoes", "id") is ColumnType.TEXT


def test_a_table_that_goes_by_two_names_has_one_here():
    assert canonical_table("teams_courseteam") == "teams"
    assert canonical_table("teams_courseteammembership") == "teams_membership"
    assert canonical_table("auth_user") == "auth_user"
    assert column_type("teams_courseteam", "team_size") is ColumnType.INTEGER


def test_the_old_name_of_the_user_in_user_id_map_becomes_todays():
    assert exposed_columns("user_id_map", ["hash_id", "id", "username"]) == [
        "hash_id",
        "user_id",
        "username",
    ]


def test_an_old_name_stays_when_todays_is_there_too():
    assert exposed_columns("user_id_map", ["id", "user_id"]) == ["id", "user_id"]


def test_only_the_password_is_kept_without_its_values():
    assert is_blanked("auth_user", "password")
    assert not is_blanked("auth_user", "email")
    assert not is_blanked("shoes", "password")


@pytest.mark.parametrize(
    ("table", "header"),
    [
        ("auth_user", AUTH_USER.split()),
        ("courseware_studentmodule", STUDENTMODULE.split()),
        ("user_id_map", ["hash_id", "id", "username"]),
        ("user_id_map", ["hash_id", "user_id", "username"]),
        ("shoes", ["size"]),
    ],
)
def test_headers_of_any_year_do_not_drift(table, header):
    assert not drift(table, header)


def test_a_column_of_some_years_only_is_not_missed():
    header = [name for name in KNOWN_TABLES["auth_userprofile"] if name != "phone_number"]
    assert not drift("auth_userprofile", header)


def test_drift_names_what_came_and_what_went():
    header = [*(name for name in STUDENTMODULE.split() if name != "done"), "shoe_size"]
    found = drift("courseware_studentmodule", header)
    assert found
    assert found.new == ["shoe_size"]
    assert found.missing == ["done"]
