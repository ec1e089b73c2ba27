"""Which days have a tracking log, and which have none between the first and the last."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from optimus.package.names import parse_name

ONE_DAY = timedelta(days=1)


@dataclass
class Stream:
    """The logs of one organisation on one site.

    Attributes:
        name: as the logs' names begin: ``riveru-edx``; the organisation alone, or ``logs``, where
            they say no more.
        days: the days that have a log, each with a word for how it is.
    """

    name: str
    days: dict[date, str] = field(default_factory=dict)

    @property
    def first(self) -> date:
        """The first day that has a log."""
        return min(self.days)

    @property
    def last(self) -> date:
        """The last day that has a log."""
        return max(self.days)

    def missing(self) -> list[date]:
        """The days in between that have none."""
        return [day for day in _days(self.first, self.last) if day not in self.days]


def streams_of(logs: Iterable[tuple[str, str]], better: tuple[str, ...]) -> list[Stream]:
    """Sort logs into streams, by name.

    Args:
        logs: name of each log, without its folder, and a word for how it is.
        better: the words from the best to the worst: of several logs of a day the best counts.
    """
    found: dict[str, Stream] = {}
    for filename, word in logs:
        name = parse_name(filename)
        if name is None or name.day is None:
            continue
        label = "-".join(filter(None, (name.stem, name.suffix))) or "logs"
        stream = found.setdefault(label, Stream(label))
        known = stream.days.get(name.day, word)
        stream.days[name.day] = min(known, word, key=better.index)
    return [found[label] for label in sorted(found)]


def _days(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        yield day
        day += ONE_DAY
