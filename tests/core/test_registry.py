"""What is promised about finding the services, and how a bad folder is told."""

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from optimus import registry
from optimus.errors import ServiceDefinitionError
from optimus.registry import Registry, load_registry
from optimus.settings import FixedSettings
from tests.house import with_everything_in_use

SERVICE = """
from optimus.service import DerivedService, FileService

class It({kind}):
    name, spelled, title, needs = {name!r}, {spelled!r}, "It", {needs!r}
    def wants(self, package): return ()
    def ingest(self, run): pass
    def derive(self, run): pass
"""


class Folder:
    """A services folder of its own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = root / "services"
        self.path.mkdir()
        (self.path / "__init__.py").write_text("")
        for name in [name for name in sys.modules if name.split(".")[0] == "services"]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.syspath_prepend(str(root))
        monkeypatch.setattr(registry, "SERVICES_FOLDER", self.path)

    def add(self, name: str, *needs: str, kind: str = "FileService", text: str = "") -> None:
        folder = self.path / name
        folder.mkdir()
        spelled = name.title().replace("_", "")
        (folder / "service.py").write_text(
            text or SERVICE.format(kind=kind, name=name, spelled=spelled, needs=needs)
        )

    def load(self, *ignored: str) -> Registry:
        return load_registry(FixedSettings(ignore_services=list(ignored)))

    def fault(self) -> str:
        with pytest.raises(ServiceDefinitionError) as caught:
            self.load()
        return str(caught.value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    yield Folder(tmp_path, monkeypatch)
    for name in [name for name in sys.modules if name.split(".")[0] == "services"]:
        del sys.modules[name]


def names(found: Registry) -> list[str]:
    return [service.name for service in found.services]


def test_dropping_a_folder_in_is_all_it_takes(folder):
    folder.add("new_one")
    assert names(folder.load()) == ["new_one"]


def test_a_service_comes_after_all_that_it_needs(folder):
    folder.add("a", "b", "c")
    folder.add("b", "c")
    folder.add("c")
    assert names(folder.load()) == ["c", "b", "a"]


def test_needs_of_needs_are_needs(folder):
    folder.add("a", "b")
    folder.add("b", "c")
    folder.add("c")
    found = folder.load()
    assert found.all_needs(found["a"]) == {"b", "c"}


def test_folders_without_a_service_and_loose_files_are_passed_over(folder):
    folder.add("a")
    (folder.path / "notes").mkdir()
    (folder.path / "README.md").write_text("")
    assert names(folder.load()) == ["a"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nothing_of_that_name", "cannot be imported: ModuleNotFoundError"),
        ("def", "cannot be imported: SyntaxError"),
        ("1/0", "cannot be imported: ZeroDivisionError"),
        ("x = 1", "it defines 0"),
        (2 * SERVICE.format(kind="FileService", name="a", spelled="A", needs=()), None),
        (SERVICE.format(kind="FileService", name="b", spelled="B", needs=()), "calls itself 'b'"),
        (SERVICE.format(kind="FileService", name="a", spelled=None, needs=()), "say its spelled"),
    ],
)
def test_a_folder_that_holds_no_usable_service_is_told_with_its_name(folder, text, told):
    folder.add("a", text=text.replace("class It", "class Other", 1) if told is None else text)
    assert "services/a" in folder.fault()
    assert (told or "it defines 2") in folder.fault()


def test_a_service_that_lacks_a_method_is_told_with_its_name(folder):
    text = SERVICE.format(kind="FileService", name="a", spelled="A", needs=())
    folder.add("a", text=text.replace("def ingest", "def digest"))
    assert "services/a" in folder.fault()


def test_an_unknown_need_is_told(folder):
    folder.add("a", "nobody")
    assert "services/a needs nobody" in folder.fault()


def test_needs_in_a_circle_are_told_as_a_circle(folder):
    folder.add("a", "b")
    folder.add("b", "c")
    folder.add("c", "a")
    assert "circle: " in folder.fault()


def test_an_ignored_service_does_not_run_and_what_it_needs_is_waited_for_in_its_place(folder):
    folder.add("clicks")
    folder.add("times", "clicks")
    folder.add("report", "times")
    found = folder.load("times")
    assert names(found) == ["clicks", "report"]
    assert found["report"].needs == ("clicks",)


@pytest.mark.parametrize("spelling", ["time_finder", "TimeFinder", "TIMEFINDER"])
def test_a_service_is_ignored_by_either_name_in_any_case(folder, spelling):
    folder.add("time_finder")
    assert names(folder.load(spelling)) == []


def test_ignoring_a_service_once_leaves_no_trace_the_next_time(folder):
    folder.add("clicks")
    folder.add("times", "clicks")
    folder.add("report", "times")
    folder.load("times")
    assert folder.load()["report"].needs == ("times",)


def test_the_tables_of_an_ignored_service_can_still_be_asked():
    ignoring = load_registry(FixedSettings(ignore_services=["clickstream"]))
    assert "clickstream" not in names(ignoring)
    assert ignoring.lake_tables == load_registry(FixedSettings()).lake_tables


def test_the_services_of_the_house_are_all_there_each_under_its_folders_name():
    found = load_registry(with_everything_in_use())
    folders = {path.parent.name for path in registry.SERVICES_FOLDER.glob("*/service.py")}
    assert set(names(found)) == folders


def test_a_service_that_only_writes_to_a_server_is_not_there_without_it():
    with_server = load_registry(FixedSettings(mongo_host=SecretStr("localhost")))
    assert set(names(with_server)) - set(names(load_registry(FixedSettings()))) == {"event_indexes"}
