"""The columns of logs.event_times and logs.event_time_repairs."""

import pyarrow as pa

from optimus.service import described_schema

EVENT_TIMES_SCHEMA = described_schema(
    ("source", pa.string(), "Name of the log file, as in logs.clickstream."),
    (
        "form",
        pa.string(),
        "iso (as edX writes), iso_other, epoch, date_object, timestamp_key, missing, unreadable.",
    ),
    ("events", pa.int64(), "Events of this form."),
    ("usable", pa.int64(), "Those whose time is a plausible moment."),
    ("implausible", pa.int64(), "Those whose time is a moment, but not a plausible one."),
)
REPAIRS_SCHEMA = described_schema(
    ("source", pa.string(), "Name of the log file, as in logs.clickstream."),
    ("line", pa.int64(), "Line number in that file, from 1."),
    ("time", pa.timestamp("us", "UTC"), "When the event happened, as nearly as is known."),
    ("rule", pa.string(), "Where that is from: received_at."),
)
