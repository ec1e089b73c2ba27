"""A course run whose learners leave their names everywhere, for the tests of extract_sample."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optimus.package.cells import write_cell
from tests.services.deliveries import COURSE, STEM, SUFFIX, Deliveries
from tests.services.geo_house import BRISBANE, LONDON, write_database

HIVE = range(1, 41)
"""Numbers of the learners; each has id 1000 + number."""
SERVICES = (
    "clickstream",
    "course_structure",
    "database_state",
    "discussion_forums",
    "ip_to_country",
    "person_course",
    "time_finder",
)
BLOCK = "block-v1:DemoX+Bees101+2016_T1+type@"
TEACHER = 7
TREE = """<course org="DemoX" course="Bees101" url_name="2016_T1" start="2016-02-01T00:00:00Z"
  display_name="Bees, by Anna Hive"><chapter url_name="a" display_name="Anna's week">
  <sequential url_name="s" graded="true" format="Homework" due="2016-02-09T00:00:00Z">
  <vertical url_name="u"><video url_name="v"/><problem url_name="p" weight="2.0">
  <p>How many?</p></problem></vertical></sequential></chapter><chapter url_name="b"/></course>"""


def user_id(number: int) -> int:
    return 1000 + number


def username(number: int) -> str:
    return f"keeper_{number}x"


def full_name(number: int) -> str:
    return f"Änna{number} O'Hive"


def email(number: int) -> str:
    return f"{username(number)}@hive.example"


def anonymous_id(number: int) -> str:
    return f"{number:032x}"


def names_of(number: int) -> tuple[str, str, str]:
    return username(number), full_name(number), email(number)


def mode(number: int) -> str:
    return ("honor", "verified", "audit")[number % 3]


def is_certified(number: int) -> bool:
    return number % 4 == 0


def is_active(number: int) -> bool:
    return number % 5 != 0


class University(Deliveries):
    """A house that samples, and the numbers of the learners it is about."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        write_database(folder / "country.mmdb")
        fixed = {"geoip_country_db": folder / "country.mmdb"}
        super().__init__(folder, [*SERVICES, "extract_sample"], **fixed, **settings)

    def dump(
        self, table: str, header: str, rows: Iterable[tuple[Any, ...]], *, site: str = "prod"
    ) -> None:
        """A table whose cells may hold anything."""
        lines = ["\t".join(map(write_cell, row)) for row in rows]
        name = f"{STEM}-{table}-{SUFFIX[site]}.sql"
        self.deliver(name, "".join(f"{line}\n" for line in (header.replace(" ", "\t"), *lines)))

    def deliver_members(self, numbers: Iterable[int] = HIVE, site: str = "prod") -> None:
        """What strata are made of, in the order given."""
        numbers = list(numbers)
        _deliver_accounts(self, site, numbers)
        _deliver_results(self, site, numbers)

    def deliver_hive(self, numbers: Iterable[int] = HIVE, site: str = "prod") -> None:
        """All that is known of the learners."""
        numbers = list(numbers)
        self.deliver_members(numbers, site)
        _deliver_profiles(self, site, numbers)
        _deliver_essays(self, site, numbers)
        self.forum(*map(json.dumps, _posts(numbers)), site=site)
        folder = STEM if site == "prod" else f"{STEM}-course-prod-edge-analytics"
        self.olx(folder, course=TREE)
        word = "edx" if site == "prod" else "edge"
        self.log(f"demox-{word}-events-2016-02-03.log", *_events(numbers))
        # The same once more, and a stranger: else the second log would not count.
        self.log(f"demox-{word}-events-2016-02-04.log", *_events(numbers), *_events([99]))


def _deliver_accounts(house: University, site: str, numbers: list[int]) -> None:
    house.dump(
        "auth_user",
        "id username email is_staff first_name last_name nickname",
        ((user_id(n), username(n), email(n), n == TEACHER, "", "", full_name(n)) for n in numbers),
        site=site,
    )
    house.dump(
        "student_courseenrollment",
        "id user_id course_id created is_active mode",
        ((n, user_id(n), COURSE, "2016-01-31 10:00:00", True, mode(n)) for n in numbers),
        site=site,
    )


def _deliver_profiles(house: University, site: str, numbers: list[int]) -> None:
    house.dump(
        "auth_userprofile",
        "id user_id name meta gender year_of_birth level_of_education goals bio country",
        (
            (
                *(500 + n, user_id(n), full_name(n), "{}", "f", 1980, "m"),
                *(f"I, {full_name(n)},\nwrite to {email(n)}", f"\\{username(n)}\t", "AU"),
            )
            for n in numbers
        ),
        site=site,
    )
    house.dump(
        "student_languageproficiency",
        "id user_profile_id code",
        ((n, 500 + n, "en") for n in numbers),
        site=site,
    )
    house.dump(
        "student_anonymoususerid",
        "id user_id anonymous_user_id course_id",
        ((n, user_id(n), anonymous_id(n), COURSE) for n in numbers),
        site=site,
    )


def _deliver_results(house: University, site: str, numbers: list[int]) -> None:
    house.dump(
        "certificates_generatedcertificate",
        "id user_id course_id status grade name",
        (
            (n, user_id(n), COURSE, "downloadable" if is_certified(n) else "notpassing",
             str(n / 100), full_name(n))
            for n in numbers
        ),
        site=site,
    )  # fmt: skip
    house.dump(
        "courseware_studentmodule",
        "id module_type module_id student_id state created course_id",
        (
            (10 * n + place, kind, f"{BLOCK}{kind}+block@{block}", user_id(n), state,
             f"2016-02-0{3 + place} 01:02:03", COURSE)
            for n in numbers
            if is_active(n)
            for place, (kind, block, state) in enumerate(_states(n))
        ),
        site=site,
    )  # fmt: skip


def _deliver_essays(house: University, site: str, numbers: list[int]) -> None:
    house.dump(
        "submissions_studentitem",
        "id student_id course_id item_id item_type",
        ((n, anonymous_id(n), COURSE, f"{BLOCK}x", "openassessment") for n in numbers),
        site=site,
    )
    house.dump(
        "submissions_submission",
        "id uuid student_item_id raw_answer",
        ((70 + n, f"aa-{n:06}", n, json.dumps({"text": full_name(n)})) for n in numbers),
        site=site,
    )
    house.dump(
        "assessment_assessment",
        "id submission_uuid rubric_id scorer_id score_type feedback",
        (
            (90 + n, f"aa{n:06}", 1, anonymous_id(n % len(HIVE) + 1), "PE", full_name(n))
            for n in numbers
        ),
        site=site,
    )
    house.dump(
        "assessment_assessmentpart",
        "id assessment_id option_id feedback",
        ((n, 90 + n, 3, "") for n in numbers),
        site=site,
    )
    house.dump("assessment_rubric", "id content_hash", [(1, "ab")], site=site)


def _states(number: int) -> list[tuple[str, str, str]]:
    answer = {"student_answers": {"p_2_1": full_name(number)}, "attempts": 2}
    return [
        ("chapter", "a", '{"position": 1}'),
        ("chapter", "no_longer_there", "{}"),
        ("chapter", "nor_this_one", "{}"),
        ("video", "v", '{"saved_video_position": "00:01:02"}'),
        ("problem", "p", json.dumps({"correct_map": {"p_2_1": {"msg": email(number)}}, **answer})),
        ("problem", "cut", '{"correct_map": {"p_2_1'),
    ][: 3 + number % 4]


def _posts(numbers: list[int]) -> Iterable[dict[str, Any]]:
    for n in numbers:
        yield {
            "_id": {"$oid": f"{n:024x}"},
            "_type": "CommentThread",
            "course_id": COURSE,
            "author_id": str(user_id(n)),
            "author_username": username(n),
            "title": full_name(n),
            "body": f"Mail me: {email(n)}",
            "votes": {"up": [str(user_id(one)) for one in numbers[:3]], "down": []},
            "created_at": {"$date": 1454500000000},
            "signature": full_name(n),
        }


def _events(numbers: list[int]) -> Iterable[dict[str, Any]]:
    for n in numbers:
        who = {"username": username(n), "ip": LONDON if n % 2 else BRISBANE, "host": "courses"}
        at = {"time": f"2016-02-03T04:05:{n:02}.000001+00:00"}
        context = {"user_id": user_id(n), "course_id": COURSE, "org_id": "DemoX"}
        path = f"/courses/{COURSE}/discussion/forum/users/{user_id(n)}/{username(n)}"
        yield (
            who
            | at
            | {
                "event_type": path,
                "event": json.dumps({"POST": {"name": [full_name(n)]}, "GET": {}}),
                "context": context | {"path": path, "nickname": full_name(n)},
                "event_source": "server",
            }
        )
        yield (
            who
            | at
            | {
                "event_type": "play_video",
                "event": json.dumps({"id": "v", "currentTime": 1.5, email(n): 1}),
                "page": f"https://courses/courses/{COURSE}/courseware/a/?who={email(n)}",
                "context": {"user_id": str(user_id(n)), "course_id": ""},
                "event_source": "browser",
                "session": f"{n:032x}",
                "agent": f"Browser of {full_name(n)}",
                full_name(n): "a key that nobody knows",
            }
        )
        yield who | {
            "event_type": "edx.forum.thread.voted",
            "event": {"id": f"{n:024x}", "target_username": username(n), "user_id": user_id(n)},
            "context": context | {"received_at": "2016-02-03T04:05:06Z"},
            "time": "1970-01-01T00:00:00+00:00",
        }
        yield {
            "username": username(n),
            "event_type": "page_close",
            "context": {"course_id": COURSE},
        }
        yield (
            who
            | at
            | {
                "event_type": "/dashboard",
                "referer": f"https://courses/courses/{COURSE}/info",
                "context": {"user_id": user_id(n), "course_id": ""},
            }
        )
