"""Every form of event that names a block, or seems to, for the tests of event_count."""

import json
from typing import Any, NamedTuple

from tests.services.deliveries import COURSE

NEW = "block-v1:DemoX+Bees101+2016_T1+type@{}+block@{}"
OLD_COURSE, OLD = "DemoX/Old.1x/1T2013", "i4x://DemoX/Old.1x/{}/{}"
HANDLER = "/courses/{}/xblock/{}/handler/xmodule_handler/problem_get"


class Form(NamedTuple):
    """An event, and the block that it is about: its type and name; None for no block."""

    event: dict[str, Any]
    block: tuple[str, str] | None


def payload(event_type: str, event: Any, **more: Any) -> dict[str, Any]:
    return {"event_type": event_type, "event": event, **more}


def address(path: str) -> dict[str, Any]:
    return payload(path, '{"POST": {}, "GET": {}}')


def page(url: str) -> dict[str, Any]:
    return payload("page_close", "", page=f"https://courses.example.org{url}")


def module(block_id: str, event: Any = None) -> dict[str, Any]:
    return payload("x", event or {}, context={"module": {"usage_key": block_id}})


WINGS, DANCE, HIVES = ("problem", "wings.2"), ("video", "dance"), ("sequential", "hives")
NEW_WINGS, NEW_DANCE, NEW_HIVES = (NEW.format(*block) for block in (WINGS, DANCE, HIVES))
OLD_WINGS, OLD_DANCE, OLD_HIVES = (OLD.format(*block) for block in (WINGS, DANCE, HIVES))
GONE = NEW.format("problem", "gone")
SEQUENCE = {"old": 1, "new": 2, "id": NEW_HIVES}
COURSEWARE = f"/courses/{COURSE}/courseware"
MODX = f"/courses/{OLD_COURSE}/modx"
NEW_FORMS: dict[str, Form] = {
    # The payload.
    "an answer on the server": Form(payload("problem_check", {"problem_id": NEW_WINGS}), WINGS),
    "a hint": Form(payload("edx.problem.hint.feedback", {"module_id": NEW_WINGS}), WINGS),
    "a grade": Form(payload("edx.grades.x", {"block_id": NEW_HIVES}), HIVES),
    "a bookmark": Form(payload("edx.bookmark.added", {"component_usage_id": NEW_DANCE}), DANCE),
    "a bumper": Form(payload("edx.video.bumper.x", {"host_component_id": NEW_DANCE}), DANCE),
    "an exam": Form(payload("edx.special_exam.x", {"exam_content_id": NEW_HIVES}), HIVES),
    "a library": Form(payload("x", {"location": NEW.format("library_content", "some")}),
                      ("library_content", "some")),
    "a child": Form(payload("x", {"child-id": NEW_WINGS}), WINGS),
    "the first key of two": Form(payload("x", {"id": NEW_HIVES, "problem_id": NEW_WINGS}), WINGS),
    "a key that holds no id": Form(payload("x", {"problem_id": "7", "id": NEW_HIVES}), HIVES),
    "a sequence": Form(payload("seq_next", SEQUENCE), HIVES),
    "an id between line ends": Form(payload("x", {"id": f"\n{NEW_HIVES}\n"}), HIVES),
    "a sequence in JSON text": Form(payload("seq_goto", json.dumps(SEQUENCE)), HIVES),
    "text in text": Form(
        payload("problem_show", json.dumps(json.dumps({"problem": NEW_WINGS}))), WINGS
    ),
    "a video": Form(payload("play_video", json.dumps({"id": "dance", "code": "x"})), DANCE),
    "a video after a line end": Form(payload("load_video", {"id": "\ndance"}), DANCE),
    "a transcript": Form(payload("show_transcript", {"id": "dance"}), DANCE),
    "a video in the app": Form(
        payload("edx.video.played", json.dumps({"id": "dance"}), event_source="mobile"), DANCE
    ),
    "a capture": Form({"name": "edx.video.paused", "data": {"id": "dance"}}, DANCE),
    "a video that is whole": Form(payload("stop_video", {"id": NEW_DANCE}), DANCE),
    "a form": Form(payload("problem_check", "input_one_2_1=choice_0&input_x_3_1=7"),
                   ("problem", "one")),
    "a form with brackets": Form(payload("problem_save", "input_one_2_1%5B%5D=a"),
                                 ("problem", "one")),
    "a form in quotes": Form(payload("problem_check", '"input_one_2_1=a"'), ("problem", "one")),
    "a form and a page": Form(payload("problem_graded", ["input_one_2_1=a", f"<p>{NEW_WINGS}"]),
                              ("problem", "one")),
    "a form and a page in text": Form(
        payload("problem_graded", json.dumps(["input_one_2_1=a", "<p>"])), ("problem", "one")
    ),
    "a form of a formula": Form(payload("problem_check", "input_one_2_1_dynamath=a"),
                                ("problem", "one")),
    "a name that ends like a part": Form(payload("problem_check", "input_legs_2_1_2_1=a"),
                                         ("problem", "legs_2_1")),
    # The address.
    "a handler": Form(address(HANDLER.format(COURSE, NEW_WINGS)), WINGS),
    "a handler with a cut payload": Form(
        payload(HANDLER.format(COURSE, NEW_WINGS), '{"POST": {"input_one_2_1": ["ab'), WINGS
    ),
    "an encoded handler": Form(
        address(HANDLER.format(COURSE, NEW_WINGS.replace("+", "%2B").replace("@", "%40"))), WINGS
    ),
    "a twice encoded jump": Form(
        address(f"/courses/{COURSE}/jump_to/{NEW_WINGS.replace('+', '%252B')}"), WINGS
    ),
    "a jump": Form(address(f"/courses/{COURSE}/jump_to/{NEW_HIVES}"), HIVES),
    "a jump by name": Form(address(f"/courses/{COURSE}/jump_to_id/dance"), DANCE),
    "a jump to an unknown name": Form(address(f"/courses/{COURSE}/jump_to_id/gone"), None),
    "a page of a draft": Form(
        address(f"/xblock/{NEW_WINGS.replace('+type', '+branch@draft-branch+type')}"), WINGS
    ),
    "a content page": Form(address(f"{COURSEWARE}/week1/hives/"), HIVES),
    "a place on a content page": Form(address(f"{COURSEWARE}/week1/hives/2?x=y"), HIVES),
    "a chapter": Form(address(f"{COURSEWARE}/week1/"), ("chapter", "week1")),
    "the entrance": Form(address(f"{COURSEWARE}/"), None),
    "a page of the course": Form(address(f"/courses/{COURSE}/progress"), None),
    # The context.
    "a module": Form(module(NEW_WINGS), WINGS),
    "a module and another payload": Form(module(NEW_WINGS, {"block_id": NEW_HIVES}), HIVES),
    "a post": Form(payload("edx.forum.thread.created", {"id": "0" * 24}), None),
    # The page.
    "a closed page": Form(page(f"{COURSEWARE}/week1/hives/?activate_block_id=x"), HIVES),
    "a page with a block": Form(page(f"/xblock/{NEW_WINGS}?show_title=0"), WINGS),
    "an innermost block": Form(page(f"/learning/course/{COURSE}/{NEW_HIVES}/{NEW_WINGS}"), WINGS),
    "a block in the query": Form(page(f"/courses/{COURSE}/course/?activate={NEW_WINGS}"), None),
    "a block behind a hash": Form(page(f"/courses/{COURSE}/course/#{NEW_WINGS}"), None),
    "a page and a payload": Form(
        payload("seq_next", SEQUENCE, page=f"https://x/xblock/{NEW_WINGS}"), HIVES
    ),
    # What the structure does not know.
    "an unknown block": Form(payload("showanswer", {"problem_id": GONE}), ("problem", "gone")),
    "an unknown video": Form(payload("play_video", {"id": "lost"}), ("video", "lost")),
    # What is no block.
    "no payload": Form(payload("page_close", ""), None),
    "a number": Form(payload("x", 17), None),
    "a broken id": Form(payload("x", {"id": "block-v1:DemoX+Bees101"}), None),
    "an id of 300 letters": Form(payload("x", {"id": NEW.format("problem", "x" * 300)}), None),
    "an aside": Form(address(HANDLER.format(COURSE, "aside-usage-v1:block-v1$:D+B")), None),
}  # fmt: skip
OLD_FORMS: dict[str, Form] = {
    "an old answer": Form(payload("problem_check", {"problem_id": OLD_WINGS}), WINGS),
    "an old sequence": Form(payload("seq_prev", json.dumps({"id": OLD_HIVES})), HIVES),
    "an old video": Form(payload("play_video", {"id": "i4x-DemoX-Old_1x-video-dance"}), DANCE),
    "a short name in an old course": Form(payload("play_video", {"id": "dance"}), DANCE),
    "an old form": Form(
        payload("problem_check", "input_i4x-DemoX-Old_1x-problem-wings_2_2_1=a"), WINGS
    ),
    "an old handler": Form(
        address(HANDLER.format(OLD_COURSE, "i4x:;_;_DemoX;_Old.1x;_problem;_wings.2")), WINGS
    ),
    "an old request": Form(address(f"{MODX}/{OLD_WINGS}/problem_check"), WINGS),
    "a lost slash": Form(address(f"{MODX}/{OLD_WINGS.replace('//', '/')}/problem_get"), WINGS),
    "an old page": Form(address(f"/courses/{OLD_COURSE}/courseware/week1/hives/"), HIVES),
    "an old module": Form(module(OLD_DANCE), DANCE),
    "an unknown old block": Form(payload("x", {"id": OLD.format("html", "x.y")}), ("html", "x.y")),
    "an unknown old name": Form(
        payload("play_video", {"id": "i4x-DemoX-Old_1x-video-a-b"}), ("video", "a-b")
    ),
    "an id of another course": Form(payload("x", {"id": "i4x-Else-X-video-dance"}), None),
}
