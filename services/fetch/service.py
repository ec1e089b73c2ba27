"""Fetch: new deliveries are copied from S3 to where the scan finds them.

In     the buckets of S3_SOURCES
Out    STATE_PATH/fetched/<bucket>/<key>
Waits  for nothing
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from optimus.errors import OptimusError, SettingsError, SourceUnavailableError
from optimus.package.deliveries import parse_delivery
from optimus.service import PeriodicService, Run
from services.fetch.looking import Look
from services.fetch.objects import Source

if TYPE_CHECKING:
    from services.fetch.store import Store

SOURCES, ENDPOINT, INTERVAL = "S3_SOURCES", "S3_ENDPOINT", "S3_INTERVAL"


class Fetch(PeriodicService):
    """A copy of every delivery. What was fetched once is not fetched again."""

    name = "fetch"
    spelled = "Fetch"
    title = "Deliveries from S3"
    options = (SOURCES, ENDPOINT, INTERVAL)
    interval = INTERVAL
    feeds_the_package = True

    def is_used(self, options: Mapping[str, Any]) -> bool:
        """Only where there is anything to look at."""
        return bool(options[SOURCES])

    def check(self, options: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """List every source."""
        try:
            store = _store(options)
        except OptimusError as error:
            return [("bad", str(error))]
        return [_finding(store, source) for source in _sources(options)]

    def look(self, run: Run) -> None:
        """Fetch what is new.

        Raises:
            SourceUnavailableError: the store does not answer; what was begun is gone on with.
            OptimusError: something else could not be fetched, and is tried at the next look.
        """
        look = Look(run, _store(run.options), _sources(run.options))
        try:
            run.patiently(look.go)
        finally:
            look.stop()


def _sources(options: Mapping[str, Any]) -> list[Source]:
    return [Source.parse(url) for url in options[SOURCES]]


def _store(options: Mapping[str, Any]) -> "Store":
    try:
        from services.fetch.store import Store  # noqa: PLC0415 - boto3 is there only if wanted
    except ModuleNotFoundError as error:
        raise SettingsError(
            "S3_SOURCES is set, and boto3 is not installed. Say 'make setup-s3', or "
            "'.venv/bin/python -m pip install -r requirements-s3.txt'."
        ) from error
    return Store(options[ENDPOINT])


def _finding(store: "Store", source: Source) -> tuple[str, str]:
    objects = deliveries = size = 0
    try:
        for stored in store.objects(source):
            objects += 1
            if parse_delivery(stored.filename):
                deliveries += 1
                size += stored.size
    except SourceUnavailableError as error:
        return "away", str(error)
    except OptimusError as error:
        return "bad", str(error)
    found = f"{source}: objects: {objects:,}, of which deliveries: {deliveries:,}"
    return "good" if deliveries else "look", f"{found} ({size / 1e9:,.1f} GB)."
