"""The command ``migrate``: what would be done to the queue, and on request, doing it."""

from collections.abc import Iterable

from rich.console import Console

from optimus.daemon import holder, single_instance
from optimus.errors import AlreadyRunningError
from optimus.queue.databases import Database, database_at
from optimus.queue.migrations import VERSION, Plan, migrate, plan
from optimus.servers import SqlServer
from optimus.settings import Settings


def show_migration(settings: Settings, out: Console, *, apply: bool) -> int:
    """Say what a migration of the queue would do, or do it and say what was done.

    Args:
        settings: where the queue is.
        out: where to say it.
        apply: do it.

    Returns:
        The exit code.

    Raises:
        AlreadyRunningError: a daemon works from this queue.
        SettingsError: the queue belongs to a newer version of this program.
        OutputUnavailableError: the place cannot be reached or written.
    """
    _refuse_while_running(settings)
    database = database_at(settings.queue_place)
    try:
        planned = plan(database)
        _say(out, f"The queue is in {_where(settings)}. {_state(planned)}")
        if not planned.sentences:
            return 0
        if apply:
            _apply(settings, database)
        _say(out, *_story(planned, settings, applied=apply))
    finally:
        database.writing.dispose()
        database.reading.dispose()
    return 0


def _refuse_while_running(settings: Settings) -> None:
    running = holder(settings.state_path)
    if running:
        raise AlreadyRunningError(
            f"{settings.state_path} is held by {running}, which works from this queue. Stop it "
            "first (Ctrl-C, or end the service), then run 'migrate' again."
        )


def _apply(settings: Settings, database: Database) -> None:
    # Nobody starts a daemon meanwhile.
    with single_instance(settings.state_path):
        migrate(database, consent=True)


def _state(planned: Plan) -> str:
    if planned.version == VERSION:
        return f"It is up to date (version {VERSION}): nothing to do."
    if planned.version == 0:
        return "This program has made none there yet."
    return f"It is of version {planned.version}; this program needs version {VERSION}."


def _story(planned: Plan, settings: Settings, *, applied: bool) -> Iterable[str]:
    yield "This was done:" if applied else "This would be done:"
    for number, sentence in enumerate(planned.sentences, start=1):
        yield f"  {number}. {sentence}"
    if applied:
        yield f"The queue is of version {VERSION} now; './ingestor.py run' goes on from there."
        return
    if isinstance(settings.queue_place, SqlServer):
        yield "Stop the daemons of other hosts that work from this server first."
    yield "Nothing was changed. './ingestor.py migrate --apply' does it."


def _where(settings: Settings) -> str:
    place = settings.queue_place
    return f"the database api, {place.place}" if isinstance(place, SqlServer) else str(place)


def _say(out: Console, *sentences: str) -> None:
    for sentence in sentences:
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)
