"""Event indexes: what readers of MongoDB's events need to find them quickly.

In     MongoDB logs.clickstream
Out    its three indexes, as the original made them
Waits  for clickstream, ip_to_country and time_finder: one build after the bulk of the writing
       costs less than an index that is kept up to date with every document
"""

from optimus.outputs.mongo import CLICKSTREAM_INDEXES, ensure_indexes
from optimus.service import MONGODB, DerivedRun, DerivedService


class EventIndexes(DerivedService):
    """Indexes of the events. Those that are there are left as they are."""

    name = "event_indexes"
    spelled = "EventIndexes"
    title = "Indexes of events"
    needs = ("clickstream", "ip_to_country", "time_finder")
    servers = (MONGODB,)
    in_the_lake = False

    def derive(self, run: DerivedRun) -> None:
        """Build what is missing."""
        server = run.mongodb
        if server is not None:
            run.patiently(
                lambda: ensure_indexes(server, "logs", "clickstream", CLICKSTREAM_INDEXES)
            )
