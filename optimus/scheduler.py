"""What may start now, and the loop that starts it."""

import logging
import math
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from optimus.errors import OptimusError, OutputUnavailableError
from optimus.pool import Pool
from optimus.queue.records import WAITING, Claim, Observed
from optimus.queue.store import LEASE_SECONDS, Queue
from optimus.registry import Registry, options_of, stamp_of
from optimus.scanner import Scan, scan
from optimus.service import DerivedService, FileService, PeriodicService, Service
from optimus.settings import Settings

log = logging.getLogger(__name__)

DERIVED_ITEM = "all courses"
"""Name of the one item that a derived service has."""
PERIODIC_ITEM = "all sources"
"""Name of the one item that a periodic service has."""
PATIENCE = 20.0
LONGEST_WAIT = 0.5
SECONDS_BETWEEN_LOOKS = 2.0
SECONDS_BETWEEN_SCANS = 1.0
LOOP_IS_DEAD_AFTER = 60.0
PATIENCE_WITH_A_SERVER = 60.0
"""Seconds that a single pass waits for a server that does not answer."""
LONGEST_PAUSE = 60.0
UNAVAILABLE = OutputUnavailableError.reason
QUEUE = "the queue"
"""Name of the queue among what may be away."""


def at_rest(needs: set[str], states: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether nothing that a derived service builds on is waiting, running or being retried.

    Args:
        needs: all services it builds on, directly or not.
        states: how many sources each service has in each state.
    """
    return not any(states.get(name, {}).get(state) for name in needs for state in WAITING)


def order_of_claims(services: list[Service], running: Mapping[str, int]) -> list[Service]:
    """Who may claim next: first the services that have the fewest items running."""
    return sorted(services, key=lambda service: running.get(service.name, 0))


def owner_of(settings: Settings) -> str:
    """How the names of all workers begin that work from a state folder; of no other's."""
    return f"{socket.gethostname()}:{settings.state_path}:"


class Wishes:
    """What the outside asks of the loop. Every method may be called from any thread."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.scan = threading.Event()
        self._scans = threading.Condition()
        self._begun = self._ended = 0
        self._succeeded = True
        self._last_turn = time.monotonic()

    def ask_for_scan(self, timeout: float) -> bool:
        """Ask for a scan that begins now, and wait for its end.

        Returns:
            Whether it succeeded within ``timeout`` seconds.
        """
        with self._scans:
            # A scan that is under way may have passed the new file already: wait for the next.
            wanted = self._begun + 1
            self.scan.set()
            return self._scans.wait_for(lambda: self._ended >= wanted, timeout) and self._succeeded

    @contextmanager
    def scanning(self) -> Iterator[None]:
        """Around every scan: those who asked for one are told of its end."""
        with self._scans:
            self.scan.clear()
            self._begun += 1
            self._succeeded = False
        try:
            yield
            self._succeeded = True
        finally:
            with self._scans:
                self._ended = self._begun
                self._scans.notify_all()

    def turn(self) -> None:
        """The loop is alive."""
        self._last_turn = time.monotonic()

    def is_alive(self) -> bool:
        """Whether the loop has turned lately."""
        return time.monotonic() - self._last_turn < LOOP_IS_DEAD_AFTER


class Outages:
    """Which services rest because an output of theirs does not answer.

    Every outage in a row makes the pause four times as long, so that a server that is away
    costs one try now and then, and not one for every file that waits.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pauses: dict[str, float] = {}
        self._until: dict[str, float] = {}
        self._began: float | None = None

    def ended(self, service: str, reason: str | None) -> None:
        """Take in how an item of a service came to its end."""
        now = self._clock()
        if reason != UNAVAILABLE:
            self._pauses.pop(service, None)
            self._until.pop(service, None)
            if not self._pauses:
                self._began = None
        elif now >= self._until.get(service, 0.0):
            self._began = self._began or now
            self._pauses[service] = min(4 * self._pauses.get(service, 0.25), LONGEST_PAUSE)
            self._until[service] = now + self._pauses[service]

    def rests(self, service: str) -> bool:
        """Whether the service must not start anything now."""
        return self._clock() < self._until.get(service, 0.0)

    def is_suspect(self, service: str) -> bool:
        """Whether its last word was of an outage: one item at a time may find out."""
        return service in self._pauses

    def seconds(self) -> float:
        """For how long something has been away; 0 when nothing is."""
        return 0.0 if self._began is None else self._clock() - self._began


class Scheduler:
    """Scans, queues derived work, claims and hands out, until told to stop."""

    def __init__(self, settings: Settings, registry: Registry, queue: Queue) -> None:
        self.settings = settings
        self.registry = registry
        self.queue = queue
        self.pool = Pool(settings, queue)
        self.wishes = Wishes()
        self.outages = Outages()
        self.last_scan: Scan | None = None
        self.owner = owner_of(settings)
        self._settle = settings.settle_seconds
        self._scan_interval = float(settings.scan_interval)
        self._changed = True
        self._next_look = 0.0
        self._last_scan = float("-inf")
        self._is_fed = False
        self._look = ""
        self._no_expiry_before = 0.0
        self._patience = math.inf
        self._told = queue.last_run_id()

    def run_for_ever(self) -> None:
        """The daemon's loop: until ``wishes.stop``."""
        self._patiently(self._start)
        while not self.wishes.stop.is_set():
            self.wishes.turn()
            if self._is_time_to_scan():
                self._patiently(self._scan)
            self._patiently(self._turn)
        self.pool.stop(self.settings.stop_timeout)

    def run_once(self, look: Callable[["Scheduler"], None]) -> None:
        """Scan, ingest all that can be, and return.

        Args:
            look: called often, to show the progress.

        Raises:
            OutputUnavailableError: the queue does not answer for longer than a pass may wait.
        """
        self._settle = 0.0
        self._patience = PATIENCE_WITH_A_SERVER
        self._start()
        self._look = f"once {self.queue.now()}"
        self._scan()
        is_over = False

        def turn() -> None:
            nonlocal is_over
            if self._is_fed and (self._is_time_to_scan() or not self.pool.running):
                self._scan()
            self._hand_out()
            is_over = not (self.pool.running or self._is_fed or self._worth_waiting())
            if not is_over:
                self._wait()
                look(self)

        while not self.wishes.stop.is_set() and not is_over:
            self._patiently(turn)
        self.pool.stop(self.settings.stop_timeout)
        look(self)

    def _turn(self) -> None:
        self._hand_out()
        self._wait()

    def _is_time_to_scan(self) -> bool:
        """Whether the last scan is long enough ago for one that somebody asks for, or for any."""
        # A copy of many files brings an event each: they share one scan a second.
        is_asked_for = self.wishes.scan.is_set() or self._is_fed
        wait = SECONDS_BETWEEN_SCANS if is_asked_for else self._scan_interval
        return time.monotonic() - self._last_scan >= wait

    def _patiently(self, action: Callable[[], None]) -> bool:
        """Do something with the queue; when it does not answer, say so and wait a little.

        Returns:
            Whether it was done.

        Raises:
            OutputUnavailableError: it does not answer for longer than there is patience.
        """
        try:
            action()
        except OutputUnavailableError as error:
            if self.outages.seconds() > self._patience:
                raise
            if not self.outages.rests(QUEUE):
                log.warning("%s", error)
            self.outages.ended(QUEUE, UNAVAILABLE)
            # What runs could not renew its lease: nobody may take it for dead.
            self._no_expiry_before = time.monotonic() + LEASE_SECONDS
            self.wishes.stop.wait(LONGEST_WAIT)
            return False
        return True

    def _start(self) -> None:
        freed = self.queue.take_over(self.owner)
        if freed:
            log.warning("%d items were interrupted and are tried again", freed)

    def _wait(self) -> None:
        """Wait for word from the workers, and put what has ended into the log."""
        ended = self.pool.poll(LONGEST_WAIT)
        for word in ended:
            self.outages.ended(word.claim.service, word.reason)
            self._is_fed |= self.registry[word.claim.service].feeds_the_package
        if not ended:
            return
        self._changed = True
        for row in self.queue.runs(since=self._told):
            self._told = row.id
            counts, where = row.counts, f"{row.service}: {row.source_name}"
            if row.outcome == "failed":
                log.error("%s failed: %s", where, row.message)
            else:
                log.info(
                    "%s %s: %d rows, %d rejects in %.1f s. %s",
                    where,
                    row.outcome,
                    counts.get("rows", 0),
                    counts.get("rejects", 0),
                    row.seconds,
                    row.message or "",
                )
            for note in row.notes:
                log.warning("%s: %s", where, note)

    def _scan(self) -> None:
        self._changed = True
        try:
            with self.wishes.scanning():
                self._queue_periodic()
                found = scan(self.settings, self.registry, self.queue, self._settle)
        except OutputUnavailableError:
            raise
        except (OptimusError, OSError):
            log.exception("the scan of the data folders failed")
            found = None
        self._last_scan, self._is_fed = time.monotonic(), False
        if found is None:
            return
        before = set(self.last_scan.remarks) if self.last_scan else set()
        for remark in found.remarks:
            if remark not in before:
                log.warning("%s", remark)
        if found.queued:
            log.info("%d of %d files are new or changed", found.queued, found.files)
        self.last_scan = found

    def _hand_out(self) -> None:
        """Start what may start. Looks at the queue only when something can have changed."""
        if not self._changed and time.monotonic() < self._next_look:
            return
        self._changed, self._next_look = False, time.monotonic() + SECONDS_BETWEEN_LOOKS
        if time.monotonic() >= self._no_expiry_before:
            self.queue.expire()
        self._queue_derived()
        while self.pool.has_room and (claim := self._claim()) is not None:
            log.debug("%s: %s started (attempt %d)", claim.service, claim.name, claim.attempts)
            self.pool.start(claim)
        self.outages.ended(QUEUE, None)

    def _claim(self) -> Claim | None:
        running = Counter(claim.service for claim, _ in self.pool.running)
        owner = f"{self.owner}{os.getpid()}"
        able = [
            service
            for service in self._may_start()
            if not self.outages.rests(service.name)
            and not (self.outages.is_suspect(service.name) and running[service.name])
        ]
        for service in order_of_claims(able, running):
            claim = self.queue.claim(service.name, owner)
            if claim is not None:
                return claim
        return None

    def _may_start(self) -> list[Service]:
        """Files at any time; derived work only while what it builds on is at rest."""
        states = self.queue.states()
        return [
            service
            for service in self.registry.services
            if (states.get(service.name, {}).get("queued"))
            and at_rest(self.registry.all_needs(service), states)
            and not (service.needs and self._is_growing(states))
        ]

    def _is_growing(self, states: Mapping[str, Mapping[str, int]]) -> bool:
        """Whether more files are on their way at this moment: soon there is more to derive from.

        What looks at something outside may take days over it, and is not waited for.
        """
        return self._is_fed or any(
            service.feeds_the_package and states.get(service.name, {}).get("running")
            for service in self.registry.services
            if isinstance(service, FileService)
        )

    def _queue_derived(self) -> None:
        """Queue each derived service whose needs have news and are at rest."""
        # One look for all of them: what builds on another must not see it rest a moment later.
        states = self.queue.states()
        for service in self.registry.services:
            if not isinstance(service, DerivedService):
                continue
            newest = self.queue.newest_run(service.needs)
            if newest and at_rest(self.registry.all_needs(service), states):
                item = Observed(
                    service=service.name,
                    spelled=service.spelled,
                    kind="derived",
                    name=DERIVED_ITEM,
                    fingerprint=f"{newest}|{stamp_of(service, self.settings)}"[:255],
                )
                if self.queue.observe([item]):
                    states.setdefault(service.name, {})["queued"] = 1

    def _queue_periodic(self) -> None:
        """Queue each periodic service whose time has come."""
        for service in self.registry.services:
            if isinstance(service, PeriodicService):
                interval = options_of(service, self.settings)[service.interval]
                item = Observed(
                    service=service.name,
                    spelled=service.spelled,
                    kind="periodic",
                    name=PERIODIC_ITEM,
                    fingerprint=self._look or str(self.queue.now() // interval),
                )
                self.queue.observe([item])

    def _worth_waiting(self) -> bool:
        """Whether something will start by itself soon enough for a single pass to wait."""
        allowed = {service.name for service in self._may_start()}
        soon = self.queue.now() + PATIENCE
        # A server may come back, but a single pass does not wait for it for ever.
        is_patient = self.outages.seconds() < self._patience
        return any(
            row.service in allowed
            and row.not_before <= soon
            and (is_patient or row.reason != UNAVAILABLE)
            for row in self.queue.sources(states=["queued"])
        )
