"""The commands. Each reads the settings, does one thing, and says how it went.

Exit codes: 0 done, 1 something failed to ingest or is wrong, 2 wrong usage or settings, 3 a
server or another output is out of reach, 4 already running.
"""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from optimus import __version__
from optimus.errors import OptimusError, UsageError
from optimus.settings import Settings, load_settings, settings_without_effect

app = typer.Typer(
    name="ingestor.py",
    help="Turns edX research data packages into databases and a Parquet lake.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
rejects_app = typer.Typer(
    help="Look at the lines that were set aside; mend them, or agree to it.", no_args_is_help=True
)
app.add_typer(rejects_app, name="rejects")
packages_app = typer.Typer(help="Look at database packages: what they hold, and what changed.")
app.add_typer(packages_app, name="packages")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
ServiceName = Annotated[str | None, typer.Option(help="Only this service.")]
FileName = Annotated[str, typer.Argument(help="Name of a file, or a part of it.")]
Reason = Annotated[str | None, typer.Option(help="Only rejects of this reason.")]
WithAccepted = Annotated[bool, typer.Option("--all", help="Also those that were accepted.")]

WIDTH_OF_A_FILE = 200
"""Columns when the output goes into a file or a pipe: nothing needs to be folded there."""

out = Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)
complaints = Console(stderr=True, soft_wrap=True)


class _Chosen:
    """What the options before the command say."""

    config: Path | None = None

    def settings(self) -> Settings:
        return load_settings(self.config)


chosen = _Chosen()


def main() -> None:
    """Run a command; errors the operator can mend become one sentence and an exit code."""
    os.umask(0o027)
    try:
        app()
    except OptimusError as error:
        complaints.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(error.exit_code)


def _version(wanted: bool) -> None:  # noqa: FBT001 - the library calls it so
    if wanted:
        out.print(f"Optimus Ingestor {__version__}")
        raise typer.Exit


@app.callback()
def choose(
    config: Annotated[
        Path | None, typer.Option(help="The settings file; default: config.py, if there is one.")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Turns edX research data packages into databases and a Parquet lake."""
    chosen.config = config


@app.command()
def run() -> None:
    """Watch the data folders and ingest what arrives, until stopped."""
    from optimus.running import run_daemon

    run_daemon(chosen.settings(), settings_without_effect(chosen.config))


@app.command()
def once() -> None:
    """Look through the data folders, ingest all that can be, and exit."""
    from optimus.packaging import tell_of_missing_days
    from optimus.running import run_once

    settings = chosen.settings()
    code = run_once(settings, out)
    tell_of_missing_days(settings, out)
    raise typer.Exit(code)


@app.command()
def status(
    name: Annotated[
        str | None, typer.Argument(help="The ledger of the files whose name contains this.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what is waiting, running, done and failed; with a name, the ledger of these files."""
    from optimus.asking import show_ledger, show_status
    from optimus.packaging import tell_of_missing_days, tell_what_is_held_back

    if name is None:
        settings = chosen.settings()
        show_status(settings, out, as_json=as_json)
        if not as_json:
            tell_what_is_held_back(settings, out)
            tell_of_missing_days(settings, out)
    else:
        show_ledger(chosen.settings(), name, out, as_json=as_json)


@app.command()
def query(
    sql: Annotated[
        str, typer.Argument(help='One SELECT, such as "select * from logs.clickstream"')
    ],
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the lake: one SELECT over logs, course databases, forums and derived tables."""
    from optimus.asking import answer_query

    answer_query(chosen.settings(), sql, out, form="csv" if as_csv else "json" if as_json else "")


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.")],
    courses: Annotated[int, typer.Option(help="Course runs; the third is on edge.")] = 3,
    learners: Annotated[int, typer.Option(help="People with an account.")] = 400,
    days: Annotated[int, typer.Option(help="Days with logs.")] = 14,
    events: Annotated[int, typer.Option(help="About so many log lines in all.")] = 60_000,
    seed: Annotated[int, typer.Option(help="Another number makes other people.")] = 1,
    start: Annotated[str, typer.Option(help="First day, like 2016-02-01.")] = "2016-02-01",
    gzip: Annotated[bool, typer.Option("--gzip/--plain", help="Pack the logs.")] = True,
    quirks: Annotated[
        bool, typer.Option("--quirks/--clean", help="With the oddities of real packages.")
    ] = True,
) -> None:
    """Write a synthetic data package: made-up learners in real formats."""
    from optimus.demo import write_sample
    from optimus.sample import SamplePlan

    try:
        first_day = date.fromisoformat(start)
    except ValueError as error:
        raise UsageError(f"--start {start}: this is no day; write it like 2016-02-01.") from error
    plan = SamplePlan(courses, learners, days, events, seed, gzip, quirks, first_day)
    write_sample(folder, plan, out)


@app.command()
def demo() -> None:
    """Write a synthetic package under var/demo, ingest it, and show what came out."""
    from optimus.demo import run_demo

    raise typer.Exit(run_demo(out))


@app.command()
def retry(
    name: Annotated[str | None, typer.Argument(help="Only items whose name contains this.")] = None,
    service: ServiceName = None,
    done: Annotated[
        bool, typer.Option("--done", "--again", help="Also do again what is done.")
    ] = False,
) -> None:
    """Queue failed items again, as if they had never been tried."""
    from optimus.asking import retry_items

    retry_items(chosen.settings(), service, name, out, done=done)


@app.command()
def check(as_json: AsJson = False) -> None:
    """Say what is wrong with settings, folders and databases, and what to do."""
    from optimus.checking import show_check

    raise typer.Exit(
        show_check(chosen.settings(), settings_without_effect(chosen.config), out, as_json=as_json)
    )


@app.command()
def migrate(
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; without this it is only told.")
    ] = False,
) -> None:
    """Say what has to be done to a queue of an older version or of the original, or do it."""
    from optimus.migrating import show_migration

    raise typer.Exit(show_migration(chosen.settings(), out, apply=apply))


@app.command("import-legacy")
def import_legacy(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how much there is.")] = False,
) -> None:
    """Write logs from the events in MongoDB whose own logs are gone, to be ingested."""
    from optimus.importing import import_legacy as read_back

    raise typer.Exit(read_back(chosen.settings(), out, dry_run=dry_run))


@rejects_app.command("list")
def rejects_list(
    service: ServiceName = None, with_accepted: WithAccepted = False, as_json: AsJson = False
) -> None:
    """List the files that have rejects nobody has accepted, and how many."""
    from optimus.rejecting import Choice, list_rejects

    choice = Choice(service=service)
    list_rejects(chosen.settings(), choice, out, with_accepted=with_accepted, as_json=as_json)


@rejects_app.command("by-reason")
def rejects_by_reason(
    service: ServiceName = None, with_accepted: WithAccepted = False, as_json: AsJson = False
) -> None:
    """Count the rejects by reason."""
    from optimus.rejecting import Choice
    from optimus.rejecting import rejects_by_reason as answer

    choice = Choice(service=service)
    answer(chosen.settings(), choice, out, with_accepted=with_accepted, as_json=as_json)


@rejects_app.command("show")
def rejects_show(
    name: FileName,
    service: ServiceName = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    raw: Annotated[bool, typer.Option(help="Do not mask addresses and names.")] = False,
    save: Annotated[
        Path | None, typer.Option(help="Write all of them, unmasked, into a new file to edit.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show rejected lines: file, line number, reason, text."""
    from optimus.rejecting import Choice, show_rejects
    from optimus.replaying import save_rejects

    settings, choice = chosen.settings(), Choice(name, service, reason)
    if save is None:
        show_rejects(settings, choice, out, limit=limit, masked=not raw, as_json=as_json)
    else:
        save_rejects(settings, choice, out, save)


@rejects_app.command("replay")
def rejects_replay(
    name: FileName,
    service: ServiceName = None,
    reason: Reason = None,
    lines: Annotated[
        Path | None, typer.Option(help="An edited copy of the rejects, of 'show --save'.")
    ] = None,
) -> None:
    """Ingest files again, so that each line that was set aside gets another chance."""
    from optimus.rejecting import Choice
    from optimus.replaying import replay_rejects

    replay_rejects(chosen.settings(), Choice(name, service, reason), out, lines)


@rejects_app.command("accept")
def rejects_accept(name: FileName, service: ServiceName = None, reason: Reason = None) -> None:
    """Agree that rejects stay out; a file that failed for too many of them is ingested."""
    from optimus.rejecting import Choice, accept_rejects

    accept_rejects(chosen.settings(), Choice(name, service, reason), out)


@packages_app.callback(invoke_without_command=True)
def packages(context: typer.Context, as_json: AsJson = False) -> None:
    """List the database packages: course runs, rows, what edX could not make, what is held back."""
    from optimus.packaging import show_packages

    if context.invoked_subcommand is None:
        show_packages(chosen.settings(), out, as_json=as_json)


@packages_app.command("diff")
def packages_diff(
    before: Annotated[
        str | None, typer.Argument(help="Date of a package, or its folder; default: the last two.")
    ] = None,
    after: Annotated[str | None, typer.Argument(help="The same, of the later one.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what has not changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how two packages differ: courses, tables, columns, rows."""
    from optimus.packaging import show_diff

    show_diff(chosen.settings(), before, after, out, everything=everything, as_json=as_json)


@packages_app.command("accept")
def packages_accept(
    course: Annotated[
        str | None, typer.Option(help="The course run, such as RiverU-Bees101-2016_T1.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is held back.")] = False,
) -> None:
    """Let course runs in that are held back because a table has lost many rows."""
    from optimus.packaging import accept_courses

    accept_courses(chosen.settings(), course, out, everything=everything)


@app.command()
def days(as_json: AsJson = False) -> None:
    """Show which days have a tracking log, and which have none."""
    from optimus.packaging import show_days

    show_days(chosen.settings(), out, as_json=as_json)
