"""The tables of a data package: their columns, and what is in each column.

The header of a file governs what is read. This list only says which columns are more than
text, and which ones a reader may count on. Types are given where a wrong guess cannot cost
rows: a column nobody documented stays text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """What the cells of a column hold; ``JSON`` is text that happens to be JSON."""

    INTEGER = "integer"
    BOOLEAN = "boolean"
    TEXT = "text"
    REAL = "real"
    DATETIME = "datetime"
    JSON = "json"


@dataclass(frozen=True)
class Drift:
    """How a header differs from the known columns of its table.

    Attributes:
        new: columns of the header that the table is not known to have.
        missing: columns every delivery had so far and this header lacks.
    """

    new: list[str]
    missing: list[str]

    def __bool__(self) -> bool:
        return bool(self.new or self.missing)


# A bare name is text; a name in brackets is not in the deliveries of every year.
_LAYOUTS: dict[str, str] = {
    "auth_user": """
        id:integer username first_name last_name email [password]
        is_staff:boolean is_active:boolean is_superuser:boolean
        last_login:datetime date_joined:datetime
        [status] [email_key] [avatar_type] [country] [show_country] [date_of_birth]
        [interesting_tags] [ignored_tags] [email_tag_filter_strategy]
        [display_tag_filter_strategy] [consecutive_days_visit_count]""",
    "auth_userprofile": """
        id:integer user_id:integer name language location meta:json courseware gender
        mailing_address year_of_birth:integer level_of_education goals
        [allow_certificate:boolean] country city [bio] [profile_image_uploaded_at:datetime]
        [state] [phone_number]""",
    "student_courseenrollment": """
        id:integer user_id:integer course_id created:datetime is_active:boolean mode""",
    "user_id_map": "hash_id user_id:integer username",
    "student_anonymoususerid": "id:integer user_id:integer anonymous_user_id course_id",
    "student_languageproficiency": "id:integer user_profile_id:integer code",
    "student_courseaccessrole": "[id:integer] org course_id user_id:integer role",
    "django_comment_client_role_users": "course_id user_id:integer name",
    "user_api_usercoursetag": "[id:integer] user_id:integer key course_id value",
    "certificates_generatedcertificate": """
        id:integer user_id:integer download_url grade course_id key distinction:boolean status
        verify_uuid download_uuid name created_date:datetime modified_date:datetime
        error_reason mode""",
    "courseware_studentmodule": """
        id:integer module_type module_id student_id:integer state:json grade:real
        created:datetime modified:datetime max_grade:real done course_id""",
    "grades_persistentcoursegrade": """
        course_id user_id:integer grading_policy_hash percent_grade:real letter_grade
        passed_timestamp:datetime created:datetime modified:datetime""",
    "grades_persistentsubsectiongrade": """
        course_id user_id:integer usage_key earned_all:real possible_all:real
        earned_graded:real possible_graded:real first_attempted:datetime
        created:datetime modified:datetime""",
    "credit_crediteligibility": """
        id:integer created:datetime modified:datetime username deadline:datetime course_id""",
    "course_groups_cohortmembership": "user_id:integer course_id group_type name",
    "verify_student_verificationstatus": """
        timestamp:datetime status course_id checkpoint_location user_id:integer""",
    "teams": """
        id:integer team_id discussion_topic_id name course_id topic_id date_created:datetime
        description country language last_activity_at:datetime team_size:integer
        [organization_protected]""",
    "teams_membership": """
        id:integer user_id:integer team_id:integer date_joined:datetime
        last_activity_at:datetime""",
    "wiki_article": """
        id:integer current_revision_id:integer created:datetime modified:datetime
        owner_id:integer group_id:integer group_read:boolean group_write:boolean
        other_read:boolean other_write:boolean""",
    "wiki_articlerevision": """
        id:integer revision_number:integer user_message automatic_log ip_address
        user_id:integer modified:datetime created:datetime previous_revision_id:integer
        deleted:boolean locked:boolean article_id:integer content title""",
    "assessment_rubric": "id:integer content_hash [structure_hash]",
    "assessment_criterion": "id:integer rubric_id:integer name [label] order_num:integer prompt",
    "assessment_criterionoption": """
        id:integer criterion_id:integer order_num:integer points:integer name [label]
        explanation""",
    "assessment_assessment": """
        id:integer submission_uuid rubric_id:integer scored_at:datetime scorer_id score_type
        feedback""",
    "assessment_assessmentpart": """
        id:integer assessment_id:integer [criterion_id:integer] option_id:integer feedback""",
    "assessment_assessmentfeedback": "id:integer submission_uuid feedback_text",
    "assessment_assessmentfeedback_assessments": """
        id:integer assessmentfeedback_id:integer assessment_id:integer""",
    "assessment_assessmentfeedback_options": """
        id:integer assessmentfeedback_id:integer assessmentfeedbackoption_id:integer""",
    "assessment_assessmentfeedbackoption": "id:integer text",
    "assessment_peerworkflow": """
        id:integer student_id item_id course_id submission_uuid created_at:datetime
        completed_at:datetime grading_completed_at:datetime [cancelled_at:datetime]""",
    "assessment_peerworkflowitem": """
        id:integer scorer_id:integer author_id:integer submission_uuid started_at:datetime
        assessment_id:integer scored:boolean""",
    "assessment_studenttrainingworkflow": """
        id:integer submission_uuid student_id item_id course_id [deleted]""",
    "assessment_studenttrainingworkflowitem": """
        id:integer workflow_id:integer order_num:integer started_at:datetime
        completed_at:datetime training_example_id:integer [deleted]""",
    "assessment_trainingexample": "id:integer raw_answer:json rubric_id:integer content_hash",
    "assessment_trainingexample_options_selected": """
        id:integer trainingexample_id:integer criterionoption_id:integer""",
    "submissions_studentitem": "id:integer student_id course_id item_id item_type",
    "submissions_submission": """
        id:integer uuid student_item_id:integer attempt_number:integer submitted_at:datetime
        created_at:datetime raw_answer:json [status] [team_submission_id]""",
    "submissions_score": """
        id:integer student_item_id:integer submission_id:integer points_earned:integer
        points_possible:integer created_at:datetime reset:boolean""",
    "submissions_scoresummary": """
        id:integer student_item_id:integer highest_id:integer latest_id:integer""",
    "workflow_assessmentworkflow": """
        id:integer created:datetime modified:datetime status status_changed:datetime
        submission_uuid uuid course_id item_id""",
    "workflow_assessmentworkflowstep": """
        id:integer workflow_id:integer name submitter_completed_at:datetime
        assessment_completed_at:datetime order_num:integer [skipped:boolean]""",
}


def _columns(layout: str) -> dict[str, ColumnType]:
    columns = {}
    for word in layout.split():
        name, _, kind = word.strip("[]").partition(":")
        columns[name] = ColumnType(kind or "text")
    return columns


def _columns_of_every_year(layout: str) -> frozenset[str]:
    return frozenset(word.partition(":")[0] for word in layout.split() if word[0] != "[")


KNOWN_TABLES: dict[str, dict[str, ColumnType]] = {
    table: _columns(layout) for table, layout in _LAYOUTS.items()
}
EXPECTED_COLUMNS: dict[str, frozenset[str]] = {
    table: _columns_of_every_year(layout) for table, layout in _LAYOUTS.items()
}

TABLE_ALIASES: Mapping[str, str] = {
    "teams_courseteam": "teams",
    "teams_courseteammembership": "teams_membership",
}

# One name per meaning, whatever the year of the delivery.
COLUMN_ALIASES: Mapping[str, Mapping[str, str]] = {
    "user_id_map": {"id": "user_id"},
    "credit_crediteligibility": {"course_key": "course_id"},
}

# The producer blanks these; a delivery that does not must not spread them.
BLANKED_COLUMNS: Mapping[str, frozenset[str]] = {"auth_user": frozenset({"password"})}


def canonical_table(name: str) -> str:
    """Give the one name we use for a table that goes by two."""
    return TABLE_ALIASES.get(name, name)


def column_type(table: str, column: str) -> ColumnType:
    """Tell what a column holds; text when the table or the column is not known."""
    return KNOWN_TABLES.get(canonical_table(table), {}).get(column, ColumnType.TEXT)


def is_blanked(table: str, column: str) -> bool:
    """Say whether a column is kept without its values."""
    return column in BLANKED_COLUMNS.get(canonical_table(table), frozenset())


def exposed_columns(table: str, header: Sequence[str]) -> list[str]:
    """Give the names under which the columns of a header are kept.

    An older spelling becomes today's, unless the header has today's as well.
    """
    aliases = COLUMN_ALIASES.get(canonical_table(table), {})
    return [
        aliases[name] if name in aliases and aliases[name] not in header else name
        for name in header
    ]


def drift(table: str, header: Sequence[str]) -> Drift:
    """Compare a header with the known columns; nothing can be said of an unknown table."""
    table = canonical_table(table)
    if table not in KNOWN_TABLES:
        return Drift(new=[], missing=[])
    names = exposed_columns(table, header)
    known, expected = KNOWN_TABLES[table], EXPECTED_COLUMNS[table]
    return Drift(
        new=[name for name in names if name not in known],
        missing=[name for name in known if name in expected and name not in names],
    )
