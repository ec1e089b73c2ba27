"""The columns of event_count, and of what its queries are told about a course run."""

import pyarrow as pa

from optimus.service import described_schema

WHOLE, TEXT = pa.int64(), pa.string()

EVENT_COUNT = described_schema(
    ("course_id", TEXT, "The course run, as in the dumps and events."),
    ("block_id", TEXT, "The block, as in course_structure.blocks."),
    ("block_type", TEXT, "problem, video, sequential …"),
    ("url_name", TEXT, "Name of the block among those of its type."),
    ("display_name", TEXT, "Title that learners see; null if none is known."),
    ("event_date", pa.date32(), "Day (UTC)."),
    ("events", WHOLE, "Events about the block on that day."),
    ("learners", WHOLE, "Different users who acted in them."),
)
EVENT_COUNT_TYPES = {"events": "int", "learners": "int"}
"""Types in MySQL, where they are not those of the lake."""

COURSE = pa.schema(
    dict.fromkeys(
        ("database", "site", "course_id", "block_prefix", "name_mark", "html_prefix"), TEXT
    )
)
"""One row per course run: its names, and how it spells the ids of its blocks."""
