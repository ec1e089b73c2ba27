"""Events about accounts: enrolling, changing the mode, leaving, certificates."""

from random import Random

from optimus.sample.courses import ORGANISATION
from optimus.sample.moments import CLOCK, LAST_SECOND, SECONDS_PER_DAY
from optimus.sample.people import Enrolment, percent
from optimus.sample.visit import Day
from optimus.sample.words import hex_name

ACTIVATED = "edx.course.enrollment.activated"
DEACTIVATED = "edx.course.enrollment.deactivated"
MODE_CHANGED = "edx.course.enrollment.mode_changed"
COURSE_ONLY_IN_PAYLOAD = 0.3
BY_STAFF_EVERY = 17
STAFF_ID = 12
AGENT = "Mozilla/5.0 (X11; Linux x86_64)"


class Changes:
    """The changes of enrolments, sorted into days once."""

    def __init__(self, enrolments: tuple[Enrolment, ...], midnight: int, days: int) -> None:
        self._by_day: list[list[tuple[Enrolment, str]]] = [[] for _ in range(days)]
        for enrolment in enrolments:
            day = (enrolment.created - midnight) // SECONDS_PER_DAY
            if day >= 0:
                self._by_day[day].append((enrolment, ACTIVATED))
            if enrolment.upgrade_day >= 0:
                self._by_day[enrolment.upgrade_day].append((enrolment, MODE_CHANGED))
            if enrolment.leave_day >= 0:
                self._by_day[enrolment.leave_day].append((enrolment, DEACTIVATED))

    def lines(self, day: Day, dice: Random, *, is_edge: bool) -> list[str]:
        """Make the changes of a day happen at one site; gives their events."""
        return [
            self._happen(enrolment, event_type, day, dice)
            for enrolment, event_type in self._by_day[day.number]
            if enrolment.person.is_edge is is_edge
        ]

    def _happen(self, enrolment: Enrolment, event_type: str, day: Day, dice: Random) -> str:
        second = dice.randrange(SECONDS_PER_DAY)
        if event_type == ACTIVATED:
            second = enrolment.created - day.midnight
        elif event_type == MODE_CHANGED:
            enrolment.mode = "verified"
        else:
            enrolment.is_active = False
        # Staff enrol some learners: the actor is then not the learner.
        by_staff = event_type == ACTIVATED and enrolment.number % BY_STAFF_EVERY == 0
        is_blank = dice.random() < COURSE_ONLY_IN_PAYLOAD
        actor = "course_team" if by_staff else enrolment.person.username
        known = "" if is_blank else enrolment.course.id
        return (
            f'{{"username": "{actor}", "event_type": "{event_type}", "name": "{event_type}", '
            f'"ip": "{enrolment.person.addresses[0]}", "agent": "{AGENT}", '
            f'"host": "{enrolment.course.name.host}", "session": "{dice.getrandbits(128):032x}", '
            f'"event": {{"course_id": "{enrolment.course.id}", '
            f'"user_id": {enrolment.person.id}, "mode": "{enrolment.mode}"}}, '
            f'"event_source": "server", "context": {{'
            f'"user_id": {STAFF_ID if by_staff else enrolment.person.id}, '
            f'"org_id": "{"" if is_blank else ORGANISATION}", "course_id": "{known}", '
            f'"path": "/change_enrollment"}}, '
            f'"time": "{day.text}T{CLOCK[second]}.{dice.randrange(10**6):06}+00:00", '
            '"page": null}\n'
        )


def certificate_id(seed: int, enrolment: Enrolment) -> str:
    """The id of somebody's certificate, 32 hex digits."""
    return hex_name(seed, "certificate", enrolment.course.id, enrolment.person.id)


def certificate_status(enrolment: Enrolment) -> str:
    """What the certificate of somebody says who did anything in the course."""
    has_passed = enrolment.course.letter(percent(enrolment)) != ""
    if enrolment.mode == "audit":
        return "audit_passing" if has_passed else "audit_notpassing"
    return "downloadable" if has_passed else "notpassing"


def certificate_lines(
    enrolments: tuple[Enrolment, ...], day: Day, dice: Random, seed: int
) -> list[str]:
    """The events of the certificates issued in the last hour of the last day."""
    return [
        _certificate_line(enrolment, day, dice, seed)
        for enrolment in enrolments
        if enrolment.comes
        and enrolment.progress is not None
        and certificate_status(enrolment) == "downloadable"
    ]


def _certificate_line(enrolment: Enrolment, day: Day, dice: Random, seed: int) -> str:
    course = enrolment.course
    return (
        '{"username": "", "event_type": "edx.certificate.created", '
        '"name": "edx.certificate.created", "ip": "", "agent": "", "host": "", "session": "", '
        f'"event": {{"user_id": {enrolment.person.id}, "course_id": "{course.id}", '
        f'"certificate_id": "{certificate_id(seed, enrolment)}", '
        f'"enrollment_mode": "{enrolment.mode}", "generation_mode": "batch"}}, '
        f'"event_source": "server", "context": {{"org_id": "{ORGANISATION}", '
        f'"course_id": "{course.id}"}}, "time": "{day.text}T{CLOCK[LAST_SECOND]}'
        f'.{dice.randrange(10**6):06}+00:00", "page": null}}\n'
    )
