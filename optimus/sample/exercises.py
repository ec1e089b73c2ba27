"""Answering problems and handing in essays."""

from optimus.sample.answers import encode
from optimus.sample.courses import ORGANISATION, Module, Problem
from optimus.sample.people import Enrolment, percent
from optimus.sample.visit import Visit
from optimus.sample.words import hex_name

SHOW_ANSWER = 0.07
SAVE = 0.06
HINT = 0.04
GRADED_AS_LIST = 0.5
ANSWER_AGAIN = 0.1
SUBMITTED = "edx.grades.problem.submitted"


def look_at(visit: Visit, problem: Problem) -> None:
    """Open a problem, and answer it as far as that is still allowed and wanted."""
    progress = visit.progress
    visit.implicit(f"{problem.handler}/xmodule_handler/problem_get")
    progress.touch(problem, visit.second)
    visit.wait(20)
    last, tries = progress.detail[problem.index], progress.tries[problem.index]
    if problem.limit:
        is_open = tries < problem.limit and last != 1
    else:
        is_open = last != 1 or visit.chance(ANSWER_AGAIN)
    if not is_open:
        return
    if visit.chance(SAVE):
        _save(visit, problem)
    _answer(visit, problem, last)
    if visit.chance(SHOW_ANSWER):
        visit.wait(4)
        path = f"{problem.handler}/xmodule_handler/problem_show"
        visit.browser("problem_show", encode(encode({"problem": problem.key})))
        visit.server("showanswer", f'{{"problem_id": "{problem.key}"}}', path, problem)


def hand_in(visit: Visit, module: Module, seed: int) -> None:
    """Hand in the essay, once."""
    visit.progress.touch(module, visit.second)
    path = f"{module.handler}/render_submission"
    visit.implicit(path)
    if visit.enrolment.essay:
        return
    visit.wait(300)
    visit.enrolment.essay = visit.second
    visit.progress.touch(module, visit.second)
    payload = {
        "submission_uuid": submission_uuid(visit.enrolment, seed),
        "answer": {"parts": [{"text": essay_text(visit.enrolment)}]},
        "attempt_number": 1,
        "submitted_at": visit.stamp(),
        "created_at": visit.stamp(),
    }
    visit.server(
        "openassessmentblock.create_submission", encode(payload), f"{module.handler}/submit", module
    )


def submission_uuid(enrolment: Enrolment, seed: int) -> str:
    """The id of the essay somebody handed in, with dashes."""
    text = hex_name(seed, "essay", enrolment.course.id, enrolment.person.id)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def essay_text(enrolment: Enrolment) -> str:
    """The essay of somebody: short, with line ends and quotes."""
    return f'My "{enrolment.course.title}" essay.\nPart {enrolment.number}\tof many.'


def _save(visit: Visit, problem: Problem) -> None:
    answer = visit.dice.choice(problem.answers)
    visit.browser("problem_save", answer.form)
    path = f"{problem.handler}/xmodule_handler/problem_save"
    visit.implicit(path, answer.post)
    payload = (
        f'{{"problem_id": "{problem.key}", "answers": {answer.state}, "state": {{"seed": 1}}}}'
    )
    visit.server("save_problem_success", payload, path, problem)
    visit.wait(10)


def _answer(visit: Visit, problem: Problem, last: int) -> None:
    progress = visit.progress
    is_right = visit.chance(visit.enrolment.skill)
    number = 1 if is_right else visit.dice.randint(2, len(problem.answers))
    answer = problem.answers[number - 1]
    progress.tries[problem.index] += 1
    path = f"{problem.handler}/xmodule_handler/problem_check"
    visit.browser("problem_check", answer.form)
    visit.spend(0.05)
    visit.implicit(path, answer.post)
    visit.spend(0.03)
    tries = progress.tries[problem.index]
    visit.server("problem_check", f"{_check(problem, number, last)}{tries}}}", path, problem)
    progress.detail[problem.index] = number
    progress.touch(problem, visit.second)
    visit.spend(0.02)
    _announce(visit, problem, path)
    visit.spend(0.2)
    if visit.chance(GRADED_AS_LIST):
        visit.browser("problem_graded", f'[{answer.form}, "<p>\\n {problem.title} </p>"]')
    else:
        visit.browser("problem_graded", encode(answer.form))


def _check(problem: Problem, number: int, last: int) -> str:
    """Text of the answer event up to the number of tries; the same few come again and again."""
    text = problem.checks.get((number, last))
    if text is None:
        text = problem.checks[(number, last)] = _check_text(problem, number, last)
    return text


def _check_text(problem: Problem, number: int, last: int) -> str:
    answer = problem.answers[number - 1]
    before = problem.answers[last - 1] if last else None
    submission = {
        part: {
            "question": f"{problem.title}?",
            "answer": value,
            "response_type": problem.response,
            "input_type": "choicegroup" if "choice" in problem.response else "textline",
            "correct": is_right,
            "variant": "",
            "group_label": "",
        }
        for part, value, is_right in zip(problem.parts, answer.values, answer.right, strict=True)
    }
    state = (
        f'{{"seed": 1, "done": {"true" if before else "null"}, '
        f'"student_answers": {before.state if before else "{}"}, '
        f'"correct_map": {before.correct_map if before else "{}"}, '
        f'"input_state": {encode({part: {} for part in problem.parts})}}}'
    )
    success = "correct" if all(answer.right) else "incorrect"
    return (
        f'{{"problem_id": "{problem.key}", "success": "{success}", "grade": {answer.points}, '
        f'"max_grade": {len(problem.parts)}, "answers": {answer.state}, '
        f'"correct_map": {answer.correct_map}, "submission": {encode(submission)}, '
        f'"state": {state}, "attempts": '
    )


def _announce(visit: Visit, problem: Problem, path: str) -> None:
    """Write the grade events that follow an answer."""
    progress, course, person = visit.progress, visit.course, visit.person
    transaction = f"{visit.dice.getrandbits(128):032x}"
    whose = (
        f'{{"user_id": "{person.id}", "course_id": "{course.id}", '
        f'"event_transaction_id": "{transaction}", "event_transaction_type": "{SUBMITTED}"'
    )
    earned = problem.earned(progress.detail[problem.index])
    visit.server(
        SUBMITTED,
        f'{whose}, "problem_id": "{problem.key}", "weighted_earned": {earned}, '
        f'"weighted_possible": {problem.possible}}}',
        path,
        problem,
    )
    graded = course.graded_by_problem.get(problem.index)
    if graded is not None:
        _calculated(
            visit,
            "edx.grades.subsection.grade_calculated",
            f'{whose}, "block_id": "{graded.section.module.key}", '
            f'"weighted_graded_earned": {progress.earned(graded.problems)}, '
            f'"weighted_graded_possible": {graded.possible}}}',
        )
        _course_grade(visit, whose)


def _course_grade(visit: Visit, whose: str) -> None:
    enrolment = visit.enrolment
    share = percent(enrolment)
    letter = visit.course.letter(share)
    _calculated(
        visit,
        "edx.grades.course.grade_calculated",
        f'{whose}, "percent_grade": {share}, "letter_grade": "{letter}"}}',
    )
    if letter and not enrolment.passed:
        enrolment.passed = visit.second
        _calculated(visit, "edx.course.grade.passed.first_time", f"{whose}}}")


def _calculated(visit: Visit, event_type: str, payload: str) -> None:
    """Write an event of a background task: it knows the learner only inside its payload."""
    visit.lines.append(
        f'{{"username": "", "event_type": "{event_type}", "name": "{event_type}", "ip": "", '
        f'"agent": "", "host": "", "session": "", "referer": "", "accept_language": "", '
        f'"event": {payload}, "event_source": "server", "context": {{"org_id": '
        f'"{ORGANISATION}", "course_id": "{visit.course.id}"}}, '
        f'"time": "{visit.stamp()}", "page": null}}\n'
    )
