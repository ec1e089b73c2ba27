"""What is promised about the settings: where they come from, and how a fault is told."""

import os
from pathlib import Path

import pytest

from optimus.errors import SettingsError
from optimus.settings import (
    ROOT,
    WITHOUT_EFFECT,
    FixedSettings,
    Settings,
    load_settings,
    settings_without_effect,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("OPTIMUS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def config(tmp_path):
    def write(*lines: str) -> Path:
        path: Path = tmp_path / "config.py"
        path.write_text("\n".join(lines))
        return path

    return write


def problems(config: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    return str(caught.value)


def test_without_any_line_everything_has_its_default(config):
    settings = load_settings(config())
    assert (settings.api_port, settings.api_host) == (8850, "127.0.0.1")
    assert settings.data_paths == [ROOT / "data"]


def test_a_setting_is_written_under_its_name_in_capitals(config):
    assert load_settings(config("API_PORT = 9000")).api_port == 9000


def test_names_in_small_letters_are_the_operators_own(config):
    assert load_settings(config("here = '/data'", "DATA_PATHS = [here]")).data_paths == [
        Path("/data")
    ]


def test_a_relative_path_starts_where_the_program_lies(config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert load_settings(config("LAKE_PATH = 'var/x'")).lake_path == ROOT / "var/x"


def test_the_environment_wins_over_the_file(config, monkeypatch):
    monkeypatch.setenv("OPTIMUS_API_PORT", "9001")
    assert load_settings(config("API_PORT = 9000")).api_port == 9001


def test_lists_in_the_environment_are_json(config, monkeypatch):
    monkeypatch.setenv("OPTIMUS_DATA_PATHS", '["/a", "/b"]')
    assert load_settings(config()).data_paths == [Path("/a"), Path("/b")]


def test_a_list_in_the_environment_that_is_no_json_is_told_with_an_example(config, monkeypatch):
    monkeypatch.setenv("OPTIMUS_DATA_PATHS", "/a:/b")
    told = problems(config())
    assert "DATA_PATHS" in told
    assert '["/data"]' in told


def test_every_problem_is_told_at_once(config, monkeypatch):
    monkeypatch.setenv("OPTIMUS_WORKERS", "many")
    monkeypatch.setenv("OPTIMUS_LAKE_PAHT", "/lake")
    monkeypatch.setenv("OPTIMUS_IGNORE_SERVICES", "clickstream")
    told = problems(config("API_PORT = 99999", "SETTLE_SECONDS = -1", "NONSENSE = 1"))
    assert "6 problems" in told
    for name in (
        "WORKERS",
        "LAKE_PAHT",
        "IGNORE_SERVICES",
        "API_PORT",
        "SETTLE_SECONDS",
        "NONSENSE",
    ):
        assert name in told


def test_an_unknown_name_is_told_with_the_one_it_resembles(config):
    assert "LAKE_PAHT is no setting; did you mean LAKE_PATH?" in problems(config("LAKE_PAHT = '/'"))


def test_a_wrong_entry_of_a_list_is_told_with_its_place(config):
    assert "DATA_PATHS[1]" in problems(config("DATA_PATHS = ['/a', 5]"))


@pytest.mark.parametrize(
    "line",
    [
        "API_PORT = 'x'",
        "API_PORT = 65536",
        "WORKERS = 0",
        "SCAN_INTERVAL = 0",
        "MAX_REJECT_SHARE = 1.5",
        "STOP_TIMEOUT = 0",
        "MAX_ATTEMPTS = 0",
        "DATA_PATHS = '/data'",
        "LAKE_PATH = None",
        "LAKE_PATH = 5",
        "SETTLE_SECONDS = float('nan')",
    ],
)
def test_a_value_that_cannot_be_is_refused(config, line):
    assert line.split()[0] in problems(config(line))


@pytest.mark.parametrize("line", ["def", "1/0", "import nothing_of_that_name"])
def test_a_file_that_cannot_be_run_is_told_by_its_name(config, line):
    assert "config.py cannot be read" in problems(config(line))


def test_a_settings_file_that_is_not_there_is_told(tmp_path):
    assert "no such settings file" in problems(tmp_path / "nothing.py")


@pytest.mark.parametrize("name", sorted(WITHOUT_EFFECT))
def test_a_setting_of_the_original_is_no_fault_and_its_lack_of_effect_is_told(config, name):
    path = config(f"{name} = 'something'")
    load_settings(path)
    [sentence] = settings_without_effect(path)
    assert sentence.startswith(f"{name} is set and has no effect: ")


def test_a_setting_of_the_original_that_is_left_blank_is_not_remarked(config):
    assert settings_without_effect(config("SERVER_URL = ''", "RESET_CACHE = False")) == []


def test_a_setting_of_the_original_in_the_environment_is_no_fault(config, monkeypatch):
    monkeypatch.setenv("OPTIMUS_SERVER_URL", "http://x")
    load_settings(config())


def test_a_secret_of_the_original_is_never_told(config):
    path = config("SQL_PASSWORD = 'secret'", "API_PORT = 'x'")
    assert "secret" not in problems(path) + " ".join(settings_without_effect(path))


def test_settings_do_not_change_while_they_are_used(config):
    with pytest.raises(ValueError, match="frozen"):
        load_settings(config()).api_port = 1


def test_every_setting_is_described():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_fixed_settings_ask_neither_the_environment_nor_a_file(monkeypatch):
    monkeypatch.setenv("OPTIMUS_API_PORT", "9001")
    assert FixedSettings().api_port == 8850
