"""Keys that say whose data a run has changed, so that only that is derived again."""

EVERYTHING = "*"
"""All courses."""


def course_touch(database: str) -> str:
    """The dumps, the forum or the structure of a course run, named by its database."""
    return f"course:{database}"


def events_touch(site: str, course_id: str) -> str:
    """The events of a course run on a site."""
    return f"events:{site}:{course_id}"
