"""Which rows of a table are a learner's, and what of them is kept where names are not.

``column=table.column`` in ``LINKS`` means: a row is a learner's when its cell stands in that
column of a row that is theirs. ``learner`` are those of the sample: user_id, username.
"""

from collections.abc import Mapping

BY_USER_ID = "user_id=learner.user_id"
_BY_ANONYMOUS_ID = "student_id=student_anonymoususerid.anonymous_user_id"
_BY_ITEM = "student_item_id=submissions_studentitem.id"
_BY_SUBMISSION = "submission_uuid=submissions_submission.uuid"
_BY_ASSESSMENT_FEEDBACK = "assessmentfeedback_id=assessment_assessmentfeedback.id"
WHOLE = ""

LINKS: Mapping[str, str] = {
    "auth_user": "id=learner.user_id",
    "courseware_studentmodule": "student_id=learner.user_id",
    "student_languageproficiency": "user_profile_id=auth_userprofile.id",
    "credit_crediteligibility": "username=learner.username",
    "teams": "id=teams_membership.team_id",
    "wiki_article": "owner_id=learner.user_id",
    "submissions_studentitem": _BY_ANONYMOUS_ID,
    "submissions_submission": _BY_ITEM,
    "submissions_score": _BY_ITEM,
    "submissions_scoresummary": _BY_ITEM,
    "workflow_assessmentworkflow": _BY_SUBMISSION,
    "workflow_assessmentworkflowstep": "workflow_id=workflow_assessmentworkflow.id",
    "assessment_assessment": (
        f"{_BY_SUBMISSION} scorer_id=student_anonymoususerid.anonymous_user_id"
    ),
    "assessment_assessmentpart": "assessment_id=assessment_assessment.id",
    "assessment_assessmentfeedback": _BY_SUBMISSION,
    "assessment_assessmentfeedback_assessments": _BY_ASSESSMENT_FEEDBACK,
    "assessment_assessmentfeedback_options": _BY_ASSESSMENT_FEEDBACK,
    "assessment_peerworkflow": _BY_ANONYMOUS_ID,
    "assessment_peerworkflowitem": (
        "scorer_id=assessment_peerworkflow.id author_id=assessment_peerworkflow.id"
    ),
    "assessment_studenttrainingworkflow": _BY_ANONYMOUS_ID,
    "assessment_studenttrainingworkflowitem": "workflow_id=assessment_studenttrainingworkflow.id",
    # What a task is made of: it names nobody.
    "assessment_rubric": WHOLE,
    "assessment_criterion": WHOLE,
    "assessment_criterionoption": WHOLE,
    "assessment_assessmentfeedbackoption": WHOLE,
    "assessment_trainingexample": WHOLE,
    "assessment_trainingexample_options_selected": WHOLE,
}
"""Tables that are not here are linked by ``BY_USER_ID``."""

ORA = ("assessment_", "submissions_", "workflow_")
"""How the names of tables begin that lie in the folder ``ora/``."""

# A name without a kind is "code". Kinds are explained in pseudonyms.py.
_KEPT: Mapping[str, str] = {
    "auth_user": """
        id:user username:username email:email is_staff is_active is_superuser last_login
        date_joined""",
    "auth_userprofile": """
        id:row user_id:user gender:choice year_of_birth level_of_education:choice
        allow_certificate country:choice profile_image_uploaded_at""",
    "student_courseenrollment": "id:row user_id:user course_id created is_active mode:choice",
    "user_id_map": "hash_id:anonymous user_id:user username:username",
    "student_anonymoususerid": "id:row user_id:user anonymous_user_id:anonymous course_id",
    "student_languageproficiency": "id:row user_profile_id:row code:choice",
    "student_courseaccessrole": "id:row org course_id user_id:user role:choice",
    "django_comment_client_role_users": "course_id user_id:user name:choice",
    "user_api_usercoursetag": "id:row user_id:user key course_id value",
    "certificates_generatedcertificate": """
        id:row user_id:user grade:number course_id distinction status:choice created_date
        modified_date mode:choice""",
    "courseware_studentmodule": """
        id:row module_type module_id student_id:user state:state grade created modified
        max_grade done course_id""",
    "grades_persistentcoursegrade": """
        course_id user_id:user percent_grade letter_grade:choice passed_timestamp created
        modified""",
    "grades_persistentsubsectiongrade": """
        course_id user_id:user usage_key earned_all possible_all earned_graded possible_graded
        first_attempted created modified""",
    "credit_crediteligibility": "id:row created modified username:username deadline course_id",
    "course_groups_cohortmembership": "user_id:user course_id group_type name",
    "verify_student_verificationstatus": """
        timestamp status:choice course_id checkpoint_location user_id:user""",
    "teams": """
        id:row team_id discussion_topic_id course_id topic_id date_created country:choice
        language:choice last_activity_at team_size""",
    "teams_membership": "id:row user_id:user team_id:row date_joined last_activity_at",
    "wiki_article": """
        id:row current_revision_id:row created modified owner_id:user group_read group_write
        other_read other_write""",
    "wiki_articlerevision": """
        id:row revision_number user_id:user modified created previous_revision_id:row deleted
        locked article_id:row""",
    "assessment_rubric": "id:row",
    "assessment_criterion": "id:row rubric_id:row order_num",
    "assessment_criterionoption": "id:row criterion_id:row order_num points",
    "assessment_assessment": """
        id:row submission_uuid:opaque rubric_id:row scored_at scorer_id:anonymous
        score_type:choice""",
    "assessment_assessmentpart": "id:row assessment_id:row criterion_id:row option_id:row",
    "assessment_assessmentfeedback": "id:row submission_uuid:opaque",
    "assessment_assessmentfeedback_assessments": """
        id:row assessmentfeedback_id:row assessment_id:row""",
    "assessment_assessmentfeedback_options": """
        id:row assessmentfeedback_id:row assessmentfeedbackoption_id:row""",
    "assessment_assessmentfeedbackoption": "id:row",
    "assessment_peerworkflow": """
        id:row student_id:anonymous item_id course_id submission_uuid:opaque created_at
        completed_at grading_completed_at cancelled_at""",
    "assessment_peerworkflowitem": """
        id:row scorer_id:row author_id:row submission_uuid:opaque started_at assessment_id:row
        scored""",
    "assessment_studenttrainingworkflow": """
        id:row submission_uuid:opaque student_id:anonymous item_id course_id""",
    "assessment_studenttrainingworkflowitem": """
        id:row workflow_id:row order_num started_at completed_at training_example_id:row""",
    "assessment_trainingexample": "id:row rubric_id:row",
    "assessment_trainingexample_options_selected": """
        id:row trainingexample_id:row criterionoption_id:row""",
    "submissions_studentitem": "id:row student_id:anonymous course_id item_id item_type",
    "submissions_submission": """
        id:row uuid:opaque student_item_id:row attempt_number submitted_at created_at
        status:choice""",
    "submissions_score": """
        id:row student_item_id:row submission_id:row points_earned points_possible created_at
        reset""",
    "submissions_scoresummary": "id:row student_item_id:row highest_id:row latest_id:row",
    "workflow_assessmentworkflow": """
        id:row created modified status:choice status_changed submission_uuid:opaque uuid:opaque
        course_id item_id""",
    "workflow_assessmentworkflowstep": """
        id:row workflow_id:row name:choice submitter_completed_at assessment_completed_at
        order_num skipped""",
}


def kinds_of(layout: str) -> dict[str, str]:
    """Names, each with its kind."""
    pairs = (word.partition(":") for word in layout.split())
    return {name: kind or "code" for name, _, kind in pairs}


KEPT: Mapping[str, Mapping[str, str]] = {table: kinds_of(layout) for table, layout in _KEPT.items()}
"""What is kept of a table where names are not: columns, and what each holds."""
