"""The tables about work: states, grades, certificates, essays."""

from collections.abc import Iterator

from optimus.package.cells import Value
from optimus.sample.accounts import certificate_id, certificate_status
from optimus.sample.answers import encode
from optimus.sample.courses import Module, Problem, Video
from optimus.sample.dumps import Dumps, Row
from optimus.sample.exercises import essay_text, submission_uuid
from optimus.sample.moments import SECONDS_PER_DAY, sql_time
from optimus.sample.people import Enrolment, Progress, percent
from optimus.sample.plan import SamplePlan
from optimus.sample.words import hex_name

STATES = "id module_type module_id student_id state grade created modified max_grade done course_id"
CERTIFICATES = (
    "id user_id download_url grade course_id key distinction status verify_uuid download_uuid "
    "name created_date modified_date error_reason mode"
)
TAB_EVERY = 29
BLANK_GRADE_EVERY = 37
CREDIT_DAYS = 365
# Longer than a common reader of tables takes for one cell.
LONG_STATE = '{"position": 1, "note": "' + "long " * 30_000 + '"}'


def write_work(dumps: Dumps, plan: SamplePlan, enrolments: tuple[Enrolment, ...]) -> None:
    """Write the tables about the work of one course."""
    busy = tuple(one for one in enrolments if one.progress is not None)
    dumps.write_states(STATES, _states(busy, odd=plan.quirks))
    dumps.write("certificates_generatedcertificate", CERTIFICATES, _certificates(plan, busy))
    dumps.write(
        "grades_persistentcoursegrade",
        "course_id user_id grading_policy_hash percent_grade letter_grade passed_timestamp "
        "created modified",
        _course_grades(busy),
    )
    dumps.write(
        "grades_persistentsubsectiongrade",
        "course_id user_id usage_key earned_all possible_all earned_graded possible_graded "
        "first_attempted created modified",
        _section_grades(busy),
    )
    after = plan.midnight + plan.days * SECONDS_PER_DAY
    dumps.write(
        "credit_crediteligibility",
        "id created modified username deadline course_id",
        (
            (
                70 + one.number,
                sql_time(one.passed),
                sql_time(one.passed),
                one.person.username,
                sql_time(after + CREDIT_DAYS * SECONDS_PER_DAY),
                one.course.id,
            )
            for one in busy
            if one.passed and one.mode == "verified"
        ),
    )
    _write_essays(dumps, plan, tuple(one for one in busy if one.essay))


def _states(enrolments: tuple[Enrolment, ...], *, odd: bool) -> Iterator[Row]:
    row = 0
    for one in enrolments:
        progress = one.work()
        for module in one.course.modules:
            if not progress.first[module.index]:
                continue
            row += 1
            points, most = _points(progress, module)
            state = _state(one, progress, module)
            if odd and row % TAB_EVERY == 0:
                state = state.replace(": ", ":\t", 1)
            yield (
                one.course.number * 10**9 + row,
                module.kind,
                module.key,
                one.person.id,
                state,
                points,
                sql_time(progress.first[module.index]),
                sql_time(progress.last[module.index]),
                most,
                "na",
                one.course.id,
            )
    if odd and enrolments:
        one = enrolments[0]
        moment = sql_time(one.created)
        root = one.course.root
        yield (
            one.course.number * 10**9, root.kind, root.key, None, LONG_STATE, None, moment,
             moment, None, "na", one.course.id,
        )  # fmt: skip


def _points(progress: Progress, module: Module) -> tuple[Value, Value]:
    if not isinstance(module, Problem) or not progress.detail[module.index]:
        return None, None
    return (
        float(module.answers[progress.detail[module.index] - 1].points),
        float(len(module.parts)),
    )


def _state(one: Enrolment, progress: Progress, module: Module) -> str:
    detail = progress.detail[module.index]
    if isinstance(module, Problem):
        return _problem_state(module, detail, progress)
    if isinstance(module, Video):
        clock = f"{detail // 3600:02}:{detail // 60 % 60:02}:{detail % 60:02}"
        return f'{{"speed": 1.0, "saved_video_position": "{clock}"}}'
    if module.kind == "openassessment":
        return f'{{"has_saved": {"true" if one.essay else "false"}}}'
    if module.kind == "word_cloud":
        return '{"submitted": false, "student_words": {}}'
    return f'{{"position": {max(detail, 1)}}}'


def _problem_state(problem: Problem, detail: int, progress: Progress) -> str:
    if not detail:
        return '{"seed": 1, "input_state": {}}'
    answer = problem.answers[detail - 1]
    moment = sql_time(progress.last[problem.index]).replace(" ", "T")
    return (
        f'{{"correct_map": {answer.correct_map}, "input_state": '
        f'{encode({part: {} for part in problem.parts})}, "last_submission_time": "{moment}Z", '
        f'"attempts": {progress.tries[problem.index]}, "seed": 1, "done": true, '
        f'"student_answers": {answer.state}}}'
    )


def _attempted(one: Enrolment, problems: tuple[Problem, ...]) -> tuple[int, int]:
    """First opening and last change of the problems that were answered; zeros for none."""
    progress = one.work()
    tried = [problem.index for problem in problems if progress.tries[problem.index]]
    if not tried:
        return 0, 0
    return min(progress.first[index] for index in tried), max(
        progress.last[index] for index in tried
    )


def _certificates(plan: SamplePlan, enrolments: tuple[Enrolment, ...]) -> Iterator[Row]:
    issued = sql_time(plan.midnight + plan.days * SECONDS_PER_DAY - 1)
    for one in enrolments:
        status = certificate_status(one)
        key = certificate_id(plan.seed, one)
        is_there = status == "downloadable"
        is_blank = plan.quirks and one.number % BLANK_GRADE_EVERY == 0 and not is_there
        yield (
            80_000 + one.number,
            one.person.id,
            f"https://courses.example.org/certificates/{key}" if is_there else "",
            "" if is_blank else str(percent(one)),
            one.course.id,
            key if is_there else "",
            0,
            status,
            key,
            hex_name("download", key) if is_there else "",
            one.person.username,
            issued,
            issued,
            "",
            one.mode,
        )


def _course_grades(enrolments: tuple[Enrolment, ...]) -> Iterator[Row]:
    for one in enrolments:
        problems = tuple(problem for graded in one.course.graded for problem in graded.problems)
        first, last = _attempted(one, problems)
        if not last:
            continue
        share = percent(one)
        letter = one.course.letter(share)
        passed = sql_time(one.passed or last) if one.passed or letter else None
        yield (
            one.course.id,
            one.person.id,
            hex_name("policy", one.course.id),
            share,
            letter,
            passed,
            sql_time(first),
            sql_time(last),
        )


def _section_grades(enrolments: tuple[Enrolment, ...]) -> Iterator[Row]:
    for one in enrolments:
        progress = one.work()
        for graded in one.course.graded:
            module = graded.section.module
            opened = progress.first[module.index]
            if not opened:
                continue
            first, last = _attempted(one, graded.problems)
            earned = progress.earned(graded.problems)
            yield (
                one.course.id,
                one.person.id,
                module.key,
                earned,
                graded.possible,
                earned,
                graded.possible,
                sql_time(first) if first else None,
                sql_time(first or opened),
                sql_time(last or opened),
            )


def _write_essays(dumps: Dumps, plan: SamplePlan, authors: tuple[Enrolment, ...]) -> None:
    dumps.write(
        "submissions_studentitem",
        "id student_id course_id item_id item_type",
        (
            (one.number, one.anonymous_id(plan.seed), one.course.id, one.course.essay.key,
             "openassessment")
            for one in authors
        ),
        "ora/",
    )  # fmt: skip
    dumps.write(
        "submissions_submission",
        "id uuid student_item_id attempt_number submitted_at created_at raw_answer status",
        (
            (
                one.number, submission_uuid(one, plan.seed), one.number, 1, sql_time(one.essay),
                sql_time(one.essay), encode({"parts": [{"text": essay_text(one)}]}), "A",
            )
            for one in authors
        ),
        "ora/",
    )  # fmt: skip
    dumps.write(
        "assessment_assessment",
        "id submission_uuid rubric_id scored_at scorer_id score_type feedback",
        (
            (
                # Without dashes here: both spellings of these ids are met.
                one.number, submission_uuid(one, plan.seed).replace("-", ""), 1,
                sql_time(one.essay + 60), one.anonymous_id(plan.seed), "SE", "Well,\nit is mine.",
            )
            for one in authors
        ),
        "ora/",
    )  # fmt: skip
