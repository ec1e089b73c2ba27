"""The first two minutes: a synthetic package, ingested under ``var/demo`` and shown."""

import os
import shutil
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from optimus.display import (
    table_of_ledger,
    table_of_rows,
    table_of_services,
    totals_since,
)
from optimus.log import log_to_files
from optimus.outputs.catalog import Catalog
from optimus.queue.records import SENDERS_OWN
from optimus.queue.store import Queue
from optimus.registry import Registry, load_registry
from optimus.running import ingest_all
from optimus.sample import SamplePlan, SampleReport, write_package
from optimus.sample.geo import write_geo_database
from optimus.settings import ROOT, FixedSettings, Settings

HOME = ROOT / "var" / "demo"
CONFIG = """\
# Settings of the demo; the package, the lake and the queue lie beside this file.
DATA_PATHS = ["{home}/package"]
STATE_PATH = "{home}/state"
LAKE_PATH = "{home}/lake"
EXPORT_PATH = "{home}/exports"
WWW_PATH = "{home}/www"
GEOIP_CITY_DB = "{home}/sample-city.mmdb"
"""
MOST_ACTIVE = """
SELECT user_id AS learner, mode, nevents AS events, ndays_act AS days, nplay_video AS videos,
       nforum_posts AS posts, grade, certified, final_cc_cname AS countries, last_event
FROM "Person_Course"."personcourse_{course}"
ORDER BY nevents DESC, user_id LIMIT 8
"""
BUSIEST = """
SELECT profile.course, profile.dbname, sum(learner.nevents) AS events
FROM "Person_Course".courseprofile AS profile
JOIN "Person_Course".personcourse AS learner ON learner.course = profile.course
GROUP BY ALL ORDER BY events DESC, course LIMIT 1
"""
TO_TRY = (
    "select event_type, count(*) n from logs.clickstream group by 1 order by 2 desc limit 5",
    'select course, nregistered_students, nviewed_students from "Person_Course".courseprofile',
    'select mode, count(*) n, avg(grade) from "Person_Course".personcourse group by 1 order by 2',
)


def write_sample(folder: Path, plan: SamplePlan, out: Console) -> SampleReport:
    """Write a package with a bar, and say what is in it.

    Raises:
        UsageError: the folder is not empty.
    """
    with Progress(
        TextColumn("writing the package"),
        BarColumn(bar_width=24),
        TextColumn("{task.completed:,.0f} events"),
        TimeRemainingColumn(),
        console=out,
        disable=not out.is_terminal,
    ) as bar:
        task = bar.add_task("", total=plan.events)
        report = write_package(
            folder, plan, lambda done, total: bar.update(task, completed=done, total=total)
        )
    broken = f", {report.broken_lines:,} of them broken on purpose" if report.broken_lines else ""
    out.print(
        f"Wrote a synthetic package: {len(report.courses):,} courses, "
        f"{report.learners:,} learners, {report.days:,} days, {report.events:,} events{broken} "
        f"({report.files:,} files, {report.bytes / 1e6:,.1f} MB in "
        f"{escape(os.path.relpath(report.root))}).",
        highlight=False,
    )
    return report


def run_demo(out: Console) -> int:
    """Write, ingest, show.

    Returns:
        The exit code: 1 when anything but the planted failure has failed.
    """
    if HOME.exists():
        out.print(f"Removing the demo of last time ({HOME.relative_to(ROOT)}/).", highlight=False)
        shutil.rmtree(HOME)
    write_sample(HOME / "package", SamplePlan(), out)
    write_geo_database(HOME / "sample-city.mmdb")
    settings = _demo_settings()
    registry = load_registry(settings)
    log_to_files(settings.state_path, rotate=True)
    queue = Queue(settings.queue_place)
    ingest_all(settings, registry, queue, out)
    _show(settings, registry, queue, out)
    failed = queue.failures()
    queue.close()
    return 1 if failed else 0


def _demo_settings() -> Settings:
    (HOME / "config.py").write_text(CONFIG.format(home=HOME.relative_to(ROOT)))
    return FixedSettings(
        data_paths=[HOME / "package"],
        state_path=HOME / "state",
        lake_path=HOME / "lake",
        export_path=HOME / "exports",
        www_path=HOME / "www",
        geoip_city_db=HOME / "sample-city.mmdb",
    )


def _show(settings: Settings, registry: Registry, queue: Queue, out: Console) -> None:
    totals = totals_since(queue, 0)
    out.print(table_of_services(registry, totals, queue))
    out.print(table_of_ledger(queue.sources("clickstream")))
    for row in queue.problems():
        mark = "as planted: " if row.reason == SENDERS_OWN else ""
        out.print(f"{row.service}: {mark}{row.message}", markup=False, highlight=False)
    for name, did in totals.items():
        for note in did.sentences():
            out.print(f"{name}: {note}", markup=False, highlight=False)
    _show_busiest_course(settings, registry, out)
    _show_next_steps(settings, out)


def _show_busiest_course(settings: Settings, registry: Registry, out: Console) -> None:
    catalog = Catalog(settings.lake_path, registry.lake_tables)
    with catalog.connect(settings.state_path / "spill") as connection:
        for course, database, events in connection.execute(BUSIEST).fetchall():
            cursor = connection.execute(MOST_ACTIVE.format(course=course))
            names = [column[0] for column in cursor.description or ()]
            out.print(f"\nThe most active course is {database} ({events:,} events):")
            out.print(table_of_rows(names, cursor.fetchall()))


def _show_next_steps(settings: Settings, out: Console) -> None:
    config = (HOME / "config.py").relative_to(ROOT)
    command = f"./ingestor.py --config {config} query"
    places = {
        "the lake (Parquet)": settings.lake_path,
        "CSV files": settings.export_path,
        "JSON for the web": settings.www_path,
        "queue, rejects, logs": settings.state_path,
    }
    out.print("\nWhere things are (nothing outside this folder was touched):")
    for what, where in places.items():
        out.print(f"  {what:<26}{where.relative_to(ROOT)}/", highlight=False)
    out.print("\nTry:")
    for sql in TO_TRY:
        quoted = f'"{sql}"' if '"' not in sql else f"'{sql}'"
        out.print(f"  {command} {quoted}", soft_wrap=True, markup=False, highlight=False)
