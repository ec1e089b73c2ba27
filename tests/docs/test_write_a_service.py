"""The service that the page makes is made here, in a copy of the program, and used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT, blocks, commands

pytestmark = pytest.mark.xdist_group("docs")

PAGE = DOCS / "write-a-service.md"
CODE = blocks(PAGE, "python")
NAME = re.compile(r'^    name = "(\w+)"$', re.MULTILINE)
COPIED = ("ingestor.py", "pyproject.toml", "optimus", "services", "tests/house.py")
TEST = Path("tests/services/test_mailing_consent.py")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the program with what the page adds."""
    tree = tmp_path_factory.mktemp("program")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tree / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tree / name)
    for code in CODE:
        if named := NAME.search(code):
            folder = tree / "services" / named[1]
            folder.mkdir()
            (folder / "__init__.py").touch()
            (folder / "service.py").write_text(code)
        else:
            (tree / TEST).parent.mkdir()
            (tree / TEST).write_text(code)
    return tree


def run(tree: Path, *words: str, **variables: str) -> str:
    clean = {key: text for key, text in os.environ.items() if not key.startswith("OPTIMUS_")}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=tree,
        env=clean | variables,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_the_services_of_the_page_do_what_it_says(tree):
    told = [command for command in commands("./ingestor.py") if command.page == PAGE]
    answers = [run(tree, "ingestor.py", *one.arguments, **one.variables) for one in told]
    assert re.search(r"mailing_consent +1 +[1-9]", answers[1])
    assert re.search(r"True +\d", answers[2])
    sql = "select sum(events) from Reports.daily_events"
    assert re.search(r"^\d+", run(tree, "ingestor.py", "query", sql, "--csv").splitlines()[1])


def test_the_test_of_the_page_passes(tree):
    assert "2 passed" in run(tree, "-m", "pytest", str(TEST), "-p", "no:cacheprovider")


def test_the_code_of_the_page_is_as_tidy_as_ours(tree):
    added = [f"services/{named[1]}" for code in CODE if (named := NAME.search(code))]
    run(tree, "-m", "ruff", "format", "--check", *added, str(TEST))
    run(tree, "-m", "ruff", "check", *added, str(TEST))
