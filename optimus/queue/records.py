"""The values that go into the queue and come out of it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

LONGEST_BACK_OFF = 300.0
WAITING = ("queued", "running")
"""States of what is not at rest."""
SENDERS_OWN = "sender_failed"
"""Reason of files that edX itself has marked as failed."""
TOO_MANY_REJECTS = "too_many_rejects"
"""Reason of files of which more would be set aside than an operator has agreed to."""


@dataclass(frozen=True)
class Observed:
    """What a scan saw of one source.

    Attributes:
        service: the service that wants it.
        spelled: the service's name in the original's spelling.
        kind: ``file`` or ``derived``.
        name: the source's logical name.
        path: where it lies now; empty for derived work.
        facts: what the service needs to know of it again (plain JSON).
        fingerprint: changes when the source may have changed. What follows a blank names the
            outputs that are in use, and not the content.
    """

    service: str
    spelled: str
    kind: str
    name: str
    fingerprint: str
    path: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def identity(self) -> str:
        """Hash of service and logical name: what makes the source itself."""
        return hashlib.sha256(f"{self.service}\0{self.name}".encode()).hexdigest()


@dataclass(frozen=True)
class Claim:
    """One try at one source, as its worker holds it."""

    source_id: int
    service: str
    kind: str
    name: str
    path: str
    facts: dict[str, Any]
    identity: str
    fingerprint: str
    gen: int
    epoch: int
    attempts: int
    done_sha256: str | None
    published: list[str]
    outputs: str | None
    owner: str
    started: float


@dataclass(frozen=True)
class Result:
    """What a finished try has to say.

    Attributes:
        outcome: ``done``, ``unchanged`` (the bytes were ingested before) or ``copy``.
        sha256: of the delivered bytes, for file services.
        counts: lines, rows, rejects and so on.
        notes: sentences for the operator.
        touches: keys of the courses whose data it gave, or ``*``.
        published: paths of the files it gave, relative to the lake.
        upto: newest run that was taken into account (derived services).
        stamp: what else the result depends on (derived services).
        message: a sentence that goes with the outcome.
        stale_edits: lines that are not what they were when they were edited.
    """

    outcome: str = "done"
    sha256: str | None = None
    counts: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    touches: Sequence[str] = ()
    published: Sequence[str] = ()
    upto: int = 0
    stamp: str = ""
    message: str | None = None
    stale_edits: Sequence[int] = ()


@dataclass(frozen=True)
class Changes:
    """What the needs of a derived service did since its own last success.

    Attributes:
        touches: keys of the courses that changed; None for all of them.
        published: lake files that are new; None when all count as new.
        upto: id of the newest run among them.
    """

    touches: frozenset[str] | None
    published: tuple[str, ...] | None
    upto: int


def back_off(attempts: int) -> float:
    """Seconds to wait after so many attempts: 1, 4, 16, 64, then 300."""
    return float(min(4.0 ** (attempts - 1), LONGEST_BACK_OFF))
