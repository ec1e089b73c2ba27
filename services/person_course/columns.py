"""The columns of person_course and course_profile: names and order are the original's."""

import pyarrow as pa

from optimus.package.olx import StructureCounts
from optimus.service import described_schema

WHOLE, TEXT, DATE = pa.int64(), pa.string(), pa.date32()

PERSON_COURSE = described_schema(
    ("course_id", TEXT, "The course run, as in the dumps and events."),
    ("user_id", WHOLE, "auth_user.id."),
    ("registered", WHOLE, "1."),
    ("viewed", WHOLE, "1 if ndays_act > 0."),
    ("explored", WHOLE, "1 if at least half of the chapters were opened; null if unknown."),
    ("certified", WHOLE, "1 if the certificate's status is one of CERTIFIED_STATUSES."),
    ("final_cc_cname", TEXT, "ISO 3166 codes of the countries of the events, sorted."),
    ("LoE", TEXT, "Level of education."),
    ("YoB", WHOLE, "Year of birth, 1901 to 2155."),
    ("gender", TEXT, "m, f, o or blank."),
    ("mode", TEXT, "Enrolment mode of the last enrolment."),
    ("grade", pa.float64(), "Grade of the last certificate; 0 without one."),
    ("start_time", DATE, "Date of the last enrolment's first creation (UTC)."),
    ("last_event", DATE, "Date of the latest event (UTC)."),
    ("nevents", WHOLE, "Events in the course."),
    ("ndays_act", WHOLE, "Days on which a module was opened for the first time."),
    ("nplay_video", WHOLE, "Videos opened."),
    ("nchapters", WHOLE, "Chapters opened."),
    ("nforum_posts", WHOLE, "Threads, responses and comments written."),
    ("roles", TEXT, "auth_user.is_staff: 1 or 0."),
    ("attempted_problems", WHOLE, "Modules whose state has a correct_map."),
    ("inconsistent_flag", WHOLE, "1 if there is activity but no event."),
)

COURSE_PROFILE = described_schema(
    ("course", TEXT, "Course key in table names."),
    ("dbname", TEXT, "Database of the course run."),
    ("mongoname", TEXT, "Course id as in the dumps and events."),
    ("discussiontable", TEXT, "Table of the forum."),
    ("registration_open_date", DATE, "Date of the earliest enrolment (UTC)."),
    ("course_launch_date", DATE, "Start of the course."),
    ("course_close_date", DATE, "End of the course."),
    ("nregistered_students", WHOLE, "Learners."),
    ("nviewed_students", WHOLE, "Learners with viewed = 1."),
    ("nexplored_students", WHOLE, "Learners with explored = 1."),
    ("ncertified_students", WHOLE, "Learners with certified = 1."),
    ("nhonor_students", WHOLE, "Enrolments with mode honor."),
    ("naudit_students", WHOLE, "Enrolments with mode audit."),
    ("nvertified_students", WHOLE, "Enrolments with mode verified (the original's spelling)."),
    ("course_effort", pa.float64(), "Never filled."),
    ("course_length", WHOLE, "Weeks from start to end, rounded up; 0 if unknown."),
    *(
        (name, WHOLE, f"{name[1:].replace('_', ' ')} of the course.")
        for name in (
            "nchapters",
            "nvideos",
            "nhtmls",
            "nassessments",
            "nsummative_assessments",
            "nformative_assessments",
            "nincontent_discussions",
            "nactivities",
        )
    ),
    ("best_assessment", TEXT, "Never filled."),
    ("worst_assessment", TEXT, "Never filled."),
)

_NAME, _FLAG, _COUNT = "varchar(255)", "tinyint(1)", "int"
_COUNTS = {
    field.name: _COUNT
    for field in (*PERSON_COURSE, *COURSE_PROFILE)
    if field.type == WHOLE and field.name.startswith(("n", "course_length", "attempted"))
}
PERSON_COURSE_TYPES = {
    **_COUNTS,
    **dict.fromkeys(("viewed", "explored", "certified", "inconsistent_flag"), _FLAG),
    "registered": f"{_FLAG} DEFAULT 1",
    "user_id": _NAME,
    "YoB": "year",
}
"""The original's types in MySQL, where they are not those of the lake."""
COURSE_PROFILE_TYPES = _COUNTS

_COURSE_COLUMNS: dict[str, pa.DataType] = {
    **dict.fromkeys(("database", "course", "stem", "site", "discussiontable", "course_id"), TEXT),
    **dict.fromkeys(("start_at", "end_at"), pa.timestamp("us", "UTC")),
    "ndays": WHOLE,
    **dict.fromkeys(StructureCounts.__dataclass_fields__, WHOLE),
}
COURSE = pa.schema(_COURSE_COLUMNS)
"""One row per course run: what both queries are told about it."""

INPUTS: dict[str, dict[str, str]] = {
    "auth_user": {"id": "BIGINT", "is_staff": "BOOLEAN"},
    "auth_userprofile": {
        "user_id": "BIGINT",
        "level_of_education": "VARCHAR",
        "year_of_birth": "BIGINT",
        "gender": "VARCHAR",
    },
    "student_courseenrollment": {
        "user_id": "BIGINT",
        "course_id": "VARCHAR",
        "created": "TIMESTAMPTZ",
        "mode": "VARCHAR",
    },
    "certificates_generatedcertificate": {
        "user_id": "BIGINT",
        "course_id": "VARCHAR",
        "status": "VARCHAR",
        "grade": "VARCHAR",
    },
    "courseware_studentmodule": {
        "student_id": "BIGINT",
        "course_id": "VARCHAR",
        "module_type": "VARCHAR",
        "module_id": "VARCHAR",
        "state": "VARCHAR",
        "created": "TIMESTAMPTZ",
    },
}
"""Tables of the dumps that the queries read, with the columns they use."""
POST = {"author_id": "BIGINT"}
