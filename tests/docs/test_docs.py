"""What the program has, the pages tell; and they point to nothing that is not there."""

import ast
import inspect
import re

import pytest
from typer.main import get_command

from optimus import cli, documenting, errors
from optimus.api.app import create_app
from optimus.queue.store import Queue
from optimus.registry import load_registry
from optimus.scheduler import Wishes
from optimus.service import Service
from optimus.settings import WITHOUT_EFFECT, FixedSettings, Settings
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, commands, links, name_of, text_of
from tests.house import with_everything_in_use

REGISTRY = load_registry(with_everything_in_use())
ADRS = sorted((DOCS / "adr").glob("*.md"))
LONGEST_ADR = 60


def all_commands() -> list[str]:
    """Every command, groups by their parts."""
    found = []
    for name, command in get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        inner = getattr(command, "commands", {})
        found += [f"{name} {part}" for part in inner] or [name]
    return found


def named_reasons() -> set[str]:
    """Every reason that the code gives to a bad record."""
    files = [*(ROOT / "optimus").rglob("*.py"), *(ROOT / "services").rglob("*.py")]
    calls = (
        node
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BadRecordError"
    )
    firsts = (call.args[0] for call in calls if call.args)
    return {str(first.value) for first in firsts if isinstance(first, ast.Constant)}


# -- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["docs/settings.md", "config.example.py"])
@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_every_setting_is_documented(page, name):
    assert re.search(rf"\b{name}\b", text_of(page))


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_every_setting_without_effect_is_documented(name):
    assert f"`{name}`" in text_of("docs/settings.md")


@pytest.mark.parametrize("path", documenting.pages(), ids=lambda path: path.name)
def test_generated_pages_are_what_the_code_says_now(path):
    assert path.read_text(encoding="utf-8") == documenting.pages()[path], "run 'make docs'"


# -- commands, routes, errors, reasons -------------------------------------------------------


@pytest.mark.parametrize("command", all_commands())
def test_every_command_is_told_to_the_operator(command):
    assert f"`{command}`" in text_of("docs/operate.md")


@pytest.mark.parametrize("target", ["setup", "demo", "run", "test", "check", "docs"])
def test_every_make_target_that_people_need_is_mentioned(target):
    told = {command.words[1] for command in commands("make")}
    assert target in told


def test_every_make_target_that_is_mentioned_is_there():
    there = set(re.findall(r"^([a-z0-9-]+):", text_of("Makefile"), re.MULTILINE))
    assert {command.words[1] for command in commands("make")} <= there


def test_every_route_is_told_to_the_operator(tmp_path):
    settings = FixedSettings(state_path=tmp_path)
    app = create_app(Queue(tmp_path / "queue.sqlite"), REGISTRY, Wishes(), settings)
    page = text_of("docs/operate.md")
    paths = [str(getattr(route, "path", "")) for route in app.routes]
    assert paths
    assert [path for path in paths if not re.search(rf"`(?:GET )?{re.escape(path)}`", page)] == []


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(errors, inspect.isclass)])
def test_every_error_class_has_its_cure(name):
    assert f"`{name}`" in text_of("docs/troubleshooting.md")


@pytest.mark.parametrize("name", ["BadFileError", "FileChangedError", "OutputUnavailableError"])
def test_an_error_that_operators_meet_has_more_than_a_row(name):
    assert text_of("docs/troubleshooting.md").count(f"`{name}`") > 1


@pytest.mark.parametrize("reason", sorted(named_reasons()))
def test_every_reason_of_a_reject_is_explained(reason):
    assert f"`{reason}`" in text_of("docs/operate.md")


@pytest.mark.xdist_group("docs")
def test_every_reason_met_in_the_demo_is_explained(demo):
    kinds = ("reasons", "repairs")
    sources = [source for one in REGISTRY.services for source in demo.house.sources(one.name)]
    met = {reason for row in sources for kind in kinds for reason in row.counts.get(kind, {})}
    assert met
    page = text_of("docs/operate.md")
    assert [reason for reason in met if f"`{reason}`" not in page] == []


# -- services --------------------------------------------------------------------------------


@pytest.mark.parametrize("service", REGISTRY.services, ids=lambda service: service.name)
def test_every_service_has_a_readme_that_says_what_it_depends_on(service: Service):
    page = text_of(f"services/{service.name}/README.md")
    assert [word for word in (*service.needs, *service.options) if f"`{word}`" not in page] == []


@pytest.mark.parametrize("service", REGISTRY.services, ids=lambda service: service.name)
def test_every_service_is_in_the_table_of_the_main_readme(service: Service):
    row = f"| [{service.name}](services/{service.name}/README.md) | {service.spelled} |"
    assert row in text_of("README.md")


@pytest.mark.parametrize("service", REGISTRY.services, ids=lambda service: service.name)
def test_every_service_is_in_the_index(service: Service):
    assert f"(../services/{service.name}/README.md)" in text_of("docs/index.md")


@pytest.mark.parametrize(
    "table",
    [f"{t.schema}.{t.table}" for t in REGISTRY.lake_tables if "{" not in t.schema + t.table],
)
def test_every_table_is_shown_to_researchers(table):
    assert f"`{table}`" in text_of("docs/query.md")


# -- the pages themselves --------------------------------------------------------------------


def test_every_link_leads_somewhere():
    broken = []
    for page, target in links():
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(f"{name_of(page)}: {target}")
    assert broken == []


def test_every_page_can_be_reached_from_the_index_or_the_readme():
    starts = (ROOT / "README.md", DOCS / "index.md")
    reached = {
        (page.parent / target.partition("#")[0]).resolve()
        for page, target in links()
        if page in starts
    }
    assert [name_of(page) for page in PAGES if page not in reached and page not in starts] == []


@pytest.mark.parametrize("adr", ADRS, ids=lambda adr: adr.stem)
def test_a_decision_is_short_and_whole(adr):
    text = adr.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_ADR
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert "**Status**: " in text


@pytest.mark.xdist_group("docs")
def test_the_readme_shows_what_the_demo_says(demo):
    page, report = text_of("README.md"), demo.report
    assert (
        f"Wrote a synthetic package: {len(report.courses)} courses, {report.learners} learners, "
        f"{report.days} days, {report.events:,} events, {report.broken_lines} of them broken on "
        "purpose"
    ) in page
    names = ("lines", "rows", "rejects", "repaired", "repeats")
    logs = demo.house.sources("clickstream")
    totals = [f"{sum(log.counts.get(name, 0) for log in logs):,}" for name in names]
    assert re.search(r"all files +" + " +".join(totals), page)
