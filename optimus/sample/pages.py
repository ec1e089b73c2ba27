"""Moving through a course: arriving, turning pages, leaving."""

from optimus.sample.courses import Module, Problem, Section, Unit, Video
from optimus.sample.exercises import hand_in, look_at
from optimus.sample.forums import Board
from optimus.sample.moments import HOUR
from optimus.sample.videos import watch, watch_in_app
from optimus.sample.visit import NO_FIELDS, NOTHING, Visit

CLOSING = 23.6 * HOUR
ON_PHONE = 0.3
LOGS_IN = 0.15
READS_COURSE_PAGES = 0.1
GOES_ON = 0.8
CLOSES_PAGE = 0.7
READS_FORUM = 0.35
JUMPS = 0.3
WANTS_NEW = {"video": 0.8, "problem": 0.85}
WANTS_AGAIN = {"video": 0.4, "problem": 0.4}
COURSE_PAGES = ("/info", "/progress", "/about", "/wiki/hives/", "/pdfbook/0/", "/courseware/")


def spend(visit: Visit, board: Board, size: int, seed: int) -> None:
    """Fill a visit with about ``size`` lines."""
    is_on_phone = visit.person.is_mobile and visit.chance(ON_PHONE)
    if visit.chance(LOGS_IN):
        _log_in(visit)
    visit.implicit(f"{visit.course.name.path}/info")
    visit.wait(10)
    section = -1
    while len(visit.lines) < size and visit.now < CLOSING:
        if visit.chance(READS_COURSE_PAGES):
            _course_page(visit, board)
            continue
        unit, is_new = _next_unit(visit)
        if unit.section != section:
            section = unit.section
            _enter(visit, visit.course.sections[section], unit)
        else:
            _turn(visit, visit.course.sections[section], unit)
        for leaf in unit.leaves:
            if len(visit.lines) >= size or visit.now > CLOSING:
                break
            _use(visit, board, leaf, (WANTS_NEW if is_new else WANTS_AGAIN, is_on_phone, seed))
    if visit.chance(CLOSES_PAGE):
        visit.browser("page_close", NOTHING)


def _log_in(visit: Visit) -> None:
    """Requests from before and after the log-in: they belong to no course."""
    for path, username, user_id in (
        ("/login_ajax", "", '""'),
        ("/heartbeat", "", "null"),
        ("/dashboard", visit.person.username, str(visit.person.id)),
    ):
        visit.lines.append(
            f'{{"username": "{username}", "event_type": "{path}", '
            f'"ip": "{visit.person.addresses[0]}", "agent": "{visit.person.agent}", '
            f'"host": "{visit.course.name.host}", "event": {NO_FIELDS}, '
            f'"event_source": "server", "context": {{"user_id": {user_id}, "org_id": "", '
            f'"course_id": "", "path": "{path}"}}, "time": "{visit.stamp()}", "page": null}}\n'
        )
        visit.wait(3)


def _course_page(visit: Visit, board: Board) -> None:
    if visit.chance(READS_FORUM):
        board.browse(visit)
        return
    path = visit.course.name.path + visit.dice.choice(COURSE_PAGES)
    visit.implicit(path)
    visit.open(path)
    visit.wait(40)


def _next_unit(visit: Visit) -> tuple[Unit, bool]:
    """Choose the page to read; says as well whether it is read for the first time."""
    enrolment, units = visit.enrolment, visit.course.units
    if enrolment.next_unit < enrolment.reach and (not enrolment.next_unit or visit.chance(GOES_ON)):
        enrolment.next_unit += 1
        return units[enrolment.next_unit - 1], True
    return units[visit.dice.randrange(enrolment.next_unit)], False


def _enter(visit: Visit, section: Section, unit: Unit) -> None:
    """Open a sequence: the course, the chapter and the sequence all get a state."""
    course, progress = visit.course, visit.progress
    visit.implicit(section.path)
    visit.open(section.path)
    chapter = course.chapters[section.chapter]
    for module in (course.root, chapter, section.module):
        progress.touch(module, visit.second)
    progress.detail[course.root.index] = section.chapter + 1
    progress.detail[chapter.index] = section.position
    progress.detail[section.module.index] = unit.position
    visit.wait(5)


def _turn(visit: Visit, section: Section, unit: Unit) -> None:
    """Go to another page of the sequence that is open."""
    progress = visit.progress
    old = progress.detail[section.module.index]
    is_jump = old + 1 != unit.position or visit.chance(JUMPS)
    event_type = "seq_goto" if is_jump else "seq_next"
    name = f"edx.ui.lms.sequence.{'tab' if is_jump else 'next'}_selected"
    payload = (
        f'"{{\\"old\\": {old}, \\"new\\": {unit.position}, '
        f'\\"current_tab\\": {old}, \\"tab_count\\": {len(section.units)}, '
        f'\\"id\\": \\"{section.module.key}\\"}}"'
    )
    visit.browser(event_type, payload, name if visit.course.number % 2 else "")
    visit.spend(0.1)
    fields = f'"{{\\"POST\\": {{\\"position\\": [\\"{unit.position}\\"]}}, \\"GET\\": {{}}}}"'
    visit.implicit(f"{section.module.handler}/xmodule_handler/goto_position", fields)
    progress.touch(section.module, visit.second)
    progress.detail[section.module.index] = unit.position
    visit.wait(15)


def _use(visit: Visit, board: Board, leaf: Module, how: tuple[dict[str, float], bool, int]) -> None:
    wants, is_on_phone, seed = how
    if isinstance(leaf, Video):
        if visit.chance(wants["video"]):
            (watch_in_app if is_on_phone else watch)(visit, leaf)
    elif isinstance(leaf, Problem):
        if visit.chance(wants["problem"]):
            look_at(visit, leaf)
    elif leaf.kind == "discussion":
        if visit.chance(READS_FORUM):
            board.browse(visit, leaf)
    elif leaf.kind == "openassessment":
        hand_in(visit, leaf, seed)
    elif leaf.kind == "word_cloud":
        visit.progress.touch(leaf, visit.second)
        visit.implicit(f"{leaf.handler}/xmodule_handler/get_state")
    visit.wait(20)
