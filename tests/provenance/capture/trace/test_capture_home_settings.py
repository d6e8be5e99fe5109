"""Which names of settings in its home folder a job records whose kind nobody has traced yet."""

import os
import time
from pathlib import Path

import pytest

from jobprov.provenance.capture.trace import home_settings
from jobprov.provenance.capture.trace.home_settings import MOST_NAMES, list_settings
from tests.library.hook import Runner, entry_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty home folder; the look into it may take as long as a busy machine needs."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    for limit in ("_CPU_SECONDS", "_SECONDS", "_LONGEST_SECONDS"):
        monkeypatch.setattr(home_settings, limit, 60.0)
    return folder


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def listed(environment: dict[str, str] | None = None, known: frozenset[str] = frozenset()) -> list:
    return list_settings(environment or {}, set(known), time.time() + 10)


def test_settings_are_files_with_a_dot_and_what_lies_below_such_folders(home: Path) -> None:
    put(home, ".rootrc", ".config/matplotlib/matplotlibrc", "thesis.pdf", "data/run_1.root")
    (home / ".config/empty").mkdir()

    assert listed() == ["~/.config/matplotlib/matplotlibrc", "~/.rootrc"]


def test_keys_caches_and_what_the_record_has_elsewhere_are_left_out(home: Path) -> None:
    put(home, ".ssh/id_rsa", ".cache/fonts.json", ".chirp.config", ".toolrc", ".known")

    assert listed(known=frozenset({f"{home}/.known"})) == ["~/.toolrc"]


def test_what_came_to_be_since_the_command_began_is_left_out(home: Path) -> None:
    put(home, ".toolrc")

    assert list_settings({}, set(), time.time() - 10) == []


def test_folders_that_stand_for_those_of_the_home_are_looked_into(
    home: Path, tmp_path: Path
) -> None:
    put(tmp_path, "elsewhere/tool/toolrc", "home/data/tool.db")
    places = {"XDG_CONFIG_HOME": f"{tmp_path}/elsewhere", "XDG_DATA_HOME": f"{home}/data"}

    assert listed(places) == [f"{tmp_path}/elsewhere/tool/toolrc", "~/data/tool.db"]
    assert listed({"XDG_CONFIG_HOME": "relative", "XDG_DATA_HOME": f"{home}/.nothing"}) == []


def test_folder_stands_for_what_is_too_much_or_too_deep(home: Path) -> None:
    put(home, *(f".many/{number}" for number in range(MOST_NAMES + 1)), ".a/b/c/d/e", ".rootrc")

    assert listed() == ["~/.a/b/c/d/", "~/.many/", "~/.rootrc"]


def test_home_itself_stands_for_more_than_there_is_room_for(home: Path) -> None:
    put(home, *(f".{number:0200}" for number in range(100)))

    assert listed() == ["~/"]


def test_home_that_cannot_be_read_in_time_may_have_anything(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, ".rootrc")
    monkeypatch.setattr(home_settings, "_LONGEST_SECONDS", 0.1)
    monkeypatch.setattr(os.path, "isdir", lambda _path: time.sleep(0.5))

    assert listed() == ["~/"]


@pytest.mark.parametrize("limit", ["_CPU_SECONDS", "_SECONDS"])
def test_time_of_the_whole_look_is_bounded(
    home: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    put(home, ".config/tool/toolrc")
    monkeypatch.setattr(home_settings, limit, 0.0)

    assert listed() == ["~/"]


def test_look_that_waits_for_the_processor_sees_as_much(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home, ".config/tool/toolrc")
    scandir = os.scandir

    def scan_later(folder: str) -> object:
        time.sleep(0.06)
        return scandir(folder)

    monkeypatch.setattr(home_settings, "_CPU_SECONDS", 0.05)
    monkeypatch.setattr(os, "scandir", scan_later)

    assert listed() == ["~/.config/tool/toolrc"]


@pytest.mark.parametrize("home_folder", ["/", "/nowhere"])
def test_job_without_a_home_has_no_settings(
    monkeypatch: pytest.MonkeyPatch, home_folder: str
) -> None:
    monkeypatch.setenv("HOME", home_folder)

    assert listed() == []


def test_links_that_lead_nowhere_and_in_circles_do_no_harm(home: Path) -> None:
    (home / ".broken").symlink_to("nowhere")
    (home / ".circle").symlink_to(home)

    assert listed() == ["~" + 4 * "/.circle" + "/"]


@pytest.mark.slow
def test_job_that_waits_for_the_trace_of_its_kind_records_them(runner: Runner) -> None:
    put(runner.folder, "home/.config/tool/toolrc", "home/.told")
    words = ["--no-trace", "--input", "home/.told", "--", "sh", "-c", "echo > ~/.made"]

    runner("run", *words, environment={"HOME": f"{runner.folder}/home"})

    record, _ = entry_of(runner)
    [name] = record["trace"]["home_settings"]
    # On a busy machine the time is over sooner, and a folder stands for what is in it
    assert "~/.config/tool/toolrc".startswith(name)
