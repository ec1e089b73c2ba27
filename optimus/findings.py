"""What ``check`` says about a thing, and what it says alike about several."""

from collections.abc import Callable

Found = tuple[str, str, str]
"""Verdict, the thing that was looked at, and a sentence with what to do."""

GOOD, LOOK, BAD, AWAY = "good", "look", "bad", "away"

FREE_BYTES_WANTED = 5_000_000_000
SECONDS_APART_ALLOWED = 5.0

Clock = Callable[[], float]
"""Tells the time as Unix seconds."""


def good(thing: str, sentence: str) -> Found:
    """All is well, or as it was wanted."""
    return (GOOD, thing, sentence)


def look(thing: str, sentence: str) -> Found:
    """It works, but the operator should know."""
    return (LOOK, thing, sentence)


def bad(thing: str, sentence: str) -> Found:
    """It does not work until it is mended."""
    return (BAD, thing, sentence)


def away(thing: str, sentence: str) -> Found:
    """A server that cannot be reached, or that does not let us in."""
    return (AWAY, thing, sentence)


def disk_finding(thing: str, where: str, free: float) -> Found:
    """Say how much room there is."""
    told = f"{where}: {free / 1e9:,.1f} GB free."
    if free > FREE_BYTES_WANTED:
        return good(thing, told)
    return look(thing, f"{told} Free space there before it is full.")


def seconds_ahead(told: Clock, now: Clock) -> float:
    """How far another clock is ahead of ours; the way there and back counts for neither."""
    before = now()
    theirs = told()
    return theirs - (before + now()) / 2


def clock_findings(thing: str, ahead: float) -> list[Found]:
    """Speak of a clock only when it is wrong, or ours is."""
    if abs(ahead) <= SECONDS_APART_ALLOWED:
        return []
    direction = "ahead of" if ahead > 0 else "behind"
    return [
        look(
            thing,
            f"The server's clock is {abs(ahead):,.0f} s {direction} that of this host. Let both "
            "keep time by NTP (timedatectl set-ntp true): times in the queue are the server's, "
            "those in the log are this host's.",
        )
    ]
