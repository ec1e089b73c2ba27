"""What uqx_api should be told of the uses of modules, worked out from the files alone."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, timedelta
from urllib.parse import unquote

from tests.end_to_end.oracle_events import course_of, day_of, payload_of, read_line
from tests.end_to_end.oracle_files import counting_logs
from tests.end_to_end.oracle_olx import Block, chapters_below, page_leaves
from tests.with_servers.old_answers import Delivery, Json

Name = tuple[str, str]
"""The tag and the ``url_name`` of a block."""

PAYLOAD_KEYS = ("problem_id", "block_id", "problem", "id")
NEW = re.compile(r"type@([^+]+)\+block@([^/]+)")
OLD = re.compile(r"i4x:(?:/|;_){2}[^/;]+(?:/|;_)[^/;]+(?:/|;_)([^/;]+)(?:/|;_)([^/;]+)")
HTML = re.compile(r"i4x-\w+-\w+-([a-z]+)-(\w+)")
CONTENT = re.compile(r"/courseware/[^/]+/([^/]+)")
FORM = re.compile(r'[\["]*input_(\S+?)_\d+_\d+(?:%5B%5D)?=')


def course_events(package: Delivery, course: str) -> Json:
    """meta/courseevents."""
    modules = {
        f"u_{leaf.attributes['url_name'].replace('.', '$')}": leaf
        for leaf in leaves(package, course)
    }
    uses = uses_by_day(package, course)
    days = {column: uses[leaf.tag, leaf.attributes["url_name"]] for column, leaf in modules.items()}
    sums = {column: counts.total() for column, counts in days.items()}
    used = [day for counts in days.values() for day in counts]
    structure = package.courses[course].structure
    assert structure is not None
    assert structure.start is not None
    weeks, start = {}, structure.start
    while start + timedelta(days=6) < max(used):
        week = {start + timedelta(days=number) for number in range(7)}
        weeks[start] = {
            # The sum of no rows is none.
            column: sum(days[column][day] for day in week) if week & set(used) else None
            for column in modules
            if sums[column]
        }
        start += timedelta(days=7)
    return {
        "events": list(modules),
        "event_start": str(min(used)),
        "event_end": str(max(used)),
        "event_display_names": {
            column: leaf.attributes.get("display_name", leaf.attributes["url_name"])
            for column, leaf in modules.items()
        },
        "sum_events": sums,
        "weeks": weeks,
    }


def leaves(package: Delivery, course: str) -> list[Block]:
    chapters = chapters_below(package.trees[course])
    return [leaf for chapter in chapters for leaf in page_leaves(chapter)]


def uses_by_day(package: Delivery, course: str) -> dict[Name, Counter[date]]:
    """How often each block was used on each day."""
    one = package.courses[course]
    found: dict[Name, Counter[date]] = defaultdict(Counter)
    for log in counting_logs(package.root):
        bodies = map(read_line, log.lines()) if log.site == one.run.site else ()
        for body in filter(None, bodies):
            context = body.get("context")
            context = context if isinstance(context, dict) else {}
            if course_of(body, context) != one.course_id:
                continue
            name = next(names_in(body, context), None)
            day = day_of(body, context, log.day)
            if name is not None and day is not None:
                found[name][day] += 1
    return found


def names_in(body: Json, context: Json) -> Iterator[Name]:
    """The blocks that an event names: the best known first."""
    payload = payload_of(body)
    event_type = str(body.get("event_type"))
    for key in PAYLOAD_KEYS:
        yield from names_in_text(payload.get(key))
    if payload.get("id") and ("video" in event_type or "transcript" in event_type):
        yield "video", str(payload["id"]).strip()
    form = FORM.match(form_of(body))
    if form:
        yield from names_in_text(form[1])
        yield "problem", form[1]
    if event_type.startswith("/"):
        yield from names_in_text(event_type)
    module = context.get("module")
    yield from names_in_text(module.get("usage_key") if isinstance(module, dict) else None)
    yield from names_in_text(body.get("page"))


def form_of(body: Json) -> str:
    """The text of a payload, at most once in quotes."""
    value = body.get("event")
    return value if isinstance(value, str) else json.dumps(value)


def names_in_text(value: object) -> Iterator[Name]:
    """The block of an id or an address; of several the last."""
    text = unquote(value.partition("?")[0]) if isinstance(value, str) else ""
    for pattern in (NEW, OLD, HTML):
        found = pattern.findall(text)
        if found:
            yield found[-1]
    page = CONTENT.search(text)
    if page:
        yield "sequential", page[1]
