"""The tables about people: accounts, profiles, enrolments, roles, groups."""

from collections.abc import Iterator
from datetime import date

from optimus.sample.courses import ORGANISATION
from optimus.sample.dumps import Dumps, Row
from optimus.sample.moments import SECONDS_PER_DAY, sql_time
from optimus.sample.people import Enrolment, Person, Role
from optimus.sample.plan import SamplePlan
from optimus.sample.profiles import Profile, make_profile
from optimus.sample.words import hex_name, pick_number

AUTH_USER = (
    "id username first_name last_name email password is_staff is_active is_superuser last_login "
    "date_joined status email_key avatar_type country show_country date_of_birth "
    "interesting_tags ignored_tags email_tag_filter_strategy display_tag_filter_strategy "
    "consecutive_days_visit_count"
)
USER_PROFILE = (
    "id user_id name language location meta courseware gender mailing_address year_of_birth "
    "level_of_education goals allow_certificate country city bio profile_image_uploaded_at"
)
RENAMED_ON = date(2022, 10, 13)
LANGUAGE_CODES = ("en", "zh_HANS", "es_419", "de", "pt-br")
LANGUAGE_EVERY = 3
OLD_NAME_EVERY = 13
OPT_IN_COLUMNS = (
    "user_id,username,email,full_name,course_id,is_opted_in_for_email,preference_set_datetime"
)
NEVER_CHOSEN = "2014-12-01 00:00:00"
CHOICES = 3


def write_people(dumps: Dumps, plan: SamplePlan, enrolments: tuple[Enrolment, ...]) -> None:
    """Write the tables about people of one course."""
    there = [one.person for one in enrolments if not one.person.is_deleted]
    dumps.write("auth_user", AUTH_USER, _accounts(plan, there))
    dumps.write("auth_userprofile", USER_PROFILE, _profiles(plan, there))
    dumps.write("student_languageproficiency", "id user_profile_id code", _languages(there))
    dumps.write(
        "student_courseenrollment",
        "id user_id course_id created is_active mode",
        (
            (
                4_000 + one.number, one.person.id, one.course.id, sql_time(one.created),
                one.is_active, one.mode,
            )
            for one in enrolments
            # Of the deleted accounts only some left their enrolment behind.
            if not one.person.is_deleted or one.number % 2
        ),
    )  # fmt: skip
    _write_ids(dumps, plan, enrolments)
    _write_roles(dumps, enrolments)
    _write_groups(dumps, enrolments)


def profile_id(person: Person) -> int:
    """The id of somebody's profile; it is not the user id."""
    return 31_000 + 2 * person.number


def opt_in_lines(plan: SamplePlan, by_course: tuple[tuple[Enrolment, ...], ...]) -> Iterator[str]:
    """The lines of the organisation's file of e-mail choices, with their line ends."""
    yield OPT_IN_COLUMNS + "\r\n"
    for enrolments in by_course:
        for one in enrolments:
            if one.person.is_deleted or one.person.is_edge:
                continue
            profile = make_profile(one.person, plan.seed, odd=plan.quirks)
            has_chosen = pick_number(CHOICES, "chosen", one.number) > 0
            is_in = not has_chosen or pick_number(2, "opt-in", one.number) > 0
            moment = sql_time(one.created) if has_chosen else NEVER_CHOSEN
            cells = (
                str(one.person.id),
                one.person.username,
                profile.email,
                profile.name,
                one.course.id,
                str(is_in),
                moment,
            )
            yield ",".join(_quoted(cell) for cell in cells) + "\r\n"


def _quoted(cell: str) -> str:
    if any(mark in cell for mark in '",\r\n'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _accounts(plan: SamplePlan, people: list[Person]) -> Iterator[Row]:
    for person in people:
        profile = make_profile(person, plan.seed, odd=plan.quirks)
        joined = plan.midnight - profile.joined_days * SECONDS_PER_DAY + person.number
        last_login = sql_time(person.last_seen) if person.last_seen else None
        yield (
            person.id, person.username, "", "", profile.email, "", profile.is_staff,
            profile.is_confirmed, 0, last_login, sql_time(joined),
            "", None, "", "", 0, None, "", "", 0, 0, 0,
        )  # fmt: skip


def _profiles(plan: SamplePlan, people: list[Person]) -> Iterator[Row]:
    for person in people:
        profile = make_profile(person, plan.seed, odd=plan.quirks)
        yield (
            profile_id(person), person.id, profile.name, "", "", _meta(person, profile),
            "course.xml", profile.gender, profile.address, profile.birth_year, profile.level,
            profile.goals, 1, profile.country, profile.city, profile.bio, None,
        )  # fmt: skip


def _meta(person: Person, profile: Profile) -> str:
    if person.number % OLD_NAME_EVERY:
        return ""
    return f'{{"old_names": [["Old \\"{person.username}\\"", "\\u00fc", "{profile.joined_days}"]]}}'


def _languages(people: list[Person]) -> Iterator[Row]:
    for person in people:
        if person.number % LANGUAGE_EVERY == 0:
            code = LANGUAGE_CODES[person.number % len(LANGUAGE_CODES)]
            yield 200 + person.number, profile_id(person), code


def _write_ids(dumps: Dumps, plan: SamplePlan, enrolments: tuple[Enrolment, ...]) -> None:
    id_column = "user_id" if plan.start >= RENAMED_ON else "id"
    dumps.write(
        "user_id_map",
        f"hash_id {id_column} username",
        (
            (hex_name(plan.seed, "map", one.person.number), one.person.id, one.person.username)
            for one in enrolments
            if not one.person.is_deleted
        ),
    )
    dumps.write(
        "student_anonymoususerid",
        "id user_id anonymous_user_id course_id",
        (
            (9_000 + one.number, one.person.id, one.anonymous_id(plan.seed), one.course.id)
            for one in enrolments
        ),
    )


def _write_roles(dumps: Dumps, enrolments: tuple[Enrolment, ...]) -> None:
    course = dumps.course
    team = [one.person.id for one in enrolments if one.role is Role.TEAM]
    dumps.write(
        "student_courseaccessrole",
        "org course_id user_id role",
        (
            (ORGANISATION, course.id, user, role)
            for user in team
            for role in ("instructor", "staff")
        ),
    )
    dumps.write(
        "django_comment_client_role_users",
        "course_id user_id name",
        [
            *((course.id, user, "Administrator") for user in team),
            *((course.id, one.person.id, "Student") for one in enrolments),
        ],
    )


def _write_groups(dumps: Dumps, enrolments: tuple[Enrolment, ...]) -> None:
    course = dumps.course
    dumps.write(
        "user_api_usercoursetag",
        "id user_id key course_id value",
        (
            (500 + one.number, one.person.id, course.tag, course.id, str(one.group))
            for one in enrolments
            if one.progress is not None
        ),
    )
    dumps.write(
        "course_groups_cohortmembership",
        "user_id course_id group_type name",
        (
            (one.person.id, course.id, "cohort", f"Bank {one.group}")
            for one in enrolments
            if course.number == 0
        ),
    )
