"""Times as packages spell them. Everything is UTC; seconds count from 1970."""

from datetime import date
from functools import cache

SECONDS_PER_DAY = 86_400
LAST_SECOND = SECONDS_PER_DAY - 1
HOUR = 3_600

# Looked up once per event: formatting hours, minutes and seconds each time would cost as much
# as the rest of the line.
CLOCK = tuple(
    f"{second // HOUR:02}:{second // 60 % 60:02}:{second % 60:02}"
    for second in range(SECONDS_PER_DAY)
)


EPOCH_DAY = date(1970, 1, 1).toordinal()


def day_text(second: int) -> str:
    """The date of a second since 1970, such as ``2016-02-01``."""
    return _date_text(second // SECONDS_PER_DAY)


def sql_time(second: int) -> str:
    """A second since 1970 as tables spell it, such as ``2016-02-01 10:15:00``."""
    return f"{day_text(second)} {CLOCK[second % SECONDS_PER_DAY]}"


def event_time(second: int, micro: int = 0) -> str:
    """A moment as events spell it, such as ``2016-02-01T10:15:00.000412+00:00``."""
    return f"{day_text(second)}T{CLOCK[second % SECONDS_PER_DAY]}.{micro:06}+00:00"


def zulu_time(second: int) -> str:
    """A second since 1970 as course files spell it, such as ``2016-02-01T10:15:00Z``."""
    return f"{day_text(second)}T{CLOCK[second % SECONDS_PER_DAY]}Z"


@cache
def _date_text(day: int) -> str:
    return date.fromordinal(EPOCH_DAY + day).isoformat()
