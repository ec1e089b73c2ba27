"""The examples on the pages run."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from optimus import cli
from optimus.outputs.catalog import Catalog, check_one_select
from optimus.settings import ENVIRONMENT_PREFIX, Settings
from tests.docs.pages import DOCS, Command, blocks, commands, name_of

pytestmark = pytest.mark.xdist_group("docs")

COMMANDS = commands("./ingestor.py")
READING = ("query", "status", "rejects", "check")
WRITING = {"replay", "accept", "--save"}
TRIED_ELSEWHERE = "docs/write-a-service.md"


def is_tried_here(command: Command) -> bool:
    words = command.own_arguments
    cheap = words[0] in READING and not command.variables and WRITING.isdisjoint(words)
    return cheap and name_of(command.page) != TRIED_ELSEWHERE


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_every_command_on_a_page_can_be_typed(command: Command):
    answer = CliRunner().invoke(cli.app, [*command.arguments, "--help"])
    assert answer.exit_code == 0, answer.output
    known = {f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(command.variables) <= known


@pytest.mark.parametrize("command", [one for one in COMMANDS if is_tried_here(one)], ids=str)
def test_every_command_that_only_looks_has_an_answer(demo, command: Command):
    answer = CliRunner().invoke(cli.app, ["--config", str(demo.config), *command.own_arguments])
    assert answer.exit_code == 0, answer.exception
    assert answer.output.strip()


@pytest.mark.parametrize(
    "sql", blocks(DOCS / "query.md", "sql"), ids=lambda sql: sql.split("\n")[0]
)
def test_every_query_on_the_page_finds_rows(demo, sql):
    check_one_select(sql)
    settings, tables = demo.house.settings, demo.house.registry.lake_tables
    catalog = Catalog(settings.lake_path, tables)
    with catalog.connect_confined(sql, settings.state_path / "spill") as connection:
        assert connection.sql(sql).to_arrow_table().num_rows > 0


@pytest.mark.parametrize("number", range(len(blocks(DOCS / "query.md", "python"))))
def test_the_lake_can_be_read_as_the_page_shows(demo, number, tmp_path, monkeypatch):
    code = blocks(DOCS / "query.md", "python")[number]
    if "import pandas" in code:
        pytest.importorskip("pandas")
    (tmp_path / "var").mkdir()
    Path(tmp_path, "var", "lake").symlink_to(demo.house.settings.lake_path)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "query.md", "exec"), {})
