"""The tables about what a course shares: teams and the wiki."""

from optimus.sample.courses import Course
from optimus.sample.dumps import Dumps, Row
from optimus.sample.moments import SECONDS_PER_DAY, sql_time
from optimus.sample.people import Enrolment
from optimus.sample.words import hex_name

TEAMS = (
    "id team_id discussion_topic_id name course_id topic_id date_created description country "
    "language last_activity_at team_size"
)
ARTICLES = (
    "id current_revision_id created modified owner_id group_id group_read group_write "
    "other_read other_write"
)
REVISIONS = (
    "id revision_number user_message automatic_log ip_address user_id modified created "
    "previous_revision_id deleted locked article_id content title"
)
TEAM_SIZE = 4
TEAM_COUNT = 2
PAGE_TEXT = "# Bees\n\n| kind | legs |\n|---|---|\n| bee | 6 |\n\n    code\\with\ttabs"


def write_shared(dumps: Dumps, enrolments: tuple[Enrolment, ...]) -> None:
    """Write the tables about teams and the wiki of one course."""
    course = dumps.course
    members = [one for one in enrolments if one.comes and not one.person.is_deleted]
    # Courses with an odd number have no teams: their files hold a header only.
    teams = range(0 if course.number % 2 else TEAM_COUNT)
    started = course.start + SECONDS_PER_DAY
    dumps.write("teams", TEAMS, [_team(course, team, started) for team in teams])
    dumps.write(
        "teams_membership",
        "id user_id team_id date_joined last_activity_at",
        (
            (team * TEAM_SIZE + seat + 1, one.person.id, team + 1, sql_time(started), None)
            for team in teams
            for seat, one in enumerate(members[team * TEAM_SIZE : (team + 1) * TEAM_SIZE])
        ),
    )
    moment = sql_time(started)
    owner = members[0].person.id
    article = 40 + course.number
    dumps.write(
        "wiki_article",
        ARTICLES,
        [(article, article * 10 + 1, moment, moment, owner, None, 1, 1, 1, 1)],
    )
    dumps.write(
        "wiki_articlerevision",
        REVISIONS,
        [
            (
                article * 10 + number, number + 1, "", "", "10.0.2.2", owner, moment, moment,
                article * 10 if number else None, 0, 0, article, PAGE_TEXT * number, course.title,
            )
            for number in range(2)
        ],
    )  # fmt: skip


def _team(course: Course, team: int, started: int) -> Row:
    slug = f"team-{team + 1}-{hex_name(course.id, team)[:6]}"
    moment = sql_time(started)
    return (
        team + 1, slug, hex_name("team", course.id, team), f'Team "{team + 1}"', course.id,
        "rivers", moment, "We meet\nat the weir.", "AU", "en", moment, TEAM_SIZE,
    )  # fmt: skip
