"""The lists of commands, and what is said of a command that is none."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from jobprov.app.cli import COMMANDS, SERVER_PACKAGES, jobprov
from jobprov.app.commands.terminal.groups import summary


def told(*words: str) -> str:
    return CliRunner().invoke(jobprov, words, terminal_width=80).output


@pytest.mark.parametrize(
    "group",
    [
        "archive",
        "capsule",
        "catalog",
        "comparators",
        "dead-letter",
        "erase",
        "fhicl",
        "product",
        "repository",
    ],
)
def test_no_summary_of_a_command_is_cut(group: str) -> None:
    for text in (told("--help"), told(group, "--help")):
        listed = text.partition(":\n")[2]
        assert not [
            line for line in listed.splitlines() if line.endswith("...") and "[ARGS]" not in line
        ]
        assert max(map(len, text.splitlines())) <= 80


def test_whole_sentence_says_what_a_command_does() -> None:
    words = " ".join(told("--help").split())

    assert (
        "lookup Show what made FILE, from what, with which configuration and code lineage Draw"
        in words
    )
    assert "product Map an installed product (UPS, Spack) to the repository that" in words


@pytest.mark.parametrize("name", COMMANDS)
def test_list_says_of_a_command_what_its_own_help_says_first(name: str) -> None:
    """The list has the sentence written down, so that it need not import the command."""
    module = importlib.import_module(f"jobprov.app.commands.{COMMANDS[name].module}")

    assert COMMANDS[name].sentence == summary(module.COMMANDS[name])


_RUN_LATER = ("serve", "migrate")
"""They import the server's packages when they run, since these take a second."""
_WITHOUT_SERVER = f"""
import importlib, sys
for package in {sorted(SERVER_PACKAGES)}:
    sys.modules[package] = None
from jobprov.app.cli import COMMANDS, jobprov
from jobprov.provenance.errors import UnreachableError
for name, listed in COMMANDS.items():
    try:
        importlib.import_module("jobprov.app.commands." + listed.module)
        if name in {_RUN_LATER}:
            jobprov.main([name, "--data", sys.argv[1]], standalone_mode=False)
    except ModuleNotFoundError:
        print(name)
    except UnreachableError as problem:
        if "pip install 'jobprov[server]'" in str(problem):
            print(name)
"""


@pytest.mark.slow
def test_list_knows_which_commands_need_the_servers_packages(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _WITHOUT_SERVER, str(tmp_path)]

    ended = subprocess.run(words, capture_output=True, text=True, check=True)

    assert ended.stdout.split() == [
        name for name, listed in COMMANDS.items() if listed.needs_server
    ]


_EXPORT_WITHOUT_SERVER = f"""
import sys
from pathlib import Path
for package in {sorted(SERVER_PACKAGES)}:
    sys.modules[package] = None
from jobprov.app.cli import main
main()
"""


@pytest.mark.slow
def test_command_that_needs_the_servers_packages_at_last_says_so(tmp_path: Path) -> None:
    words = ["tables", "export", "--to", f"{tmp_path}/tables", "--data", f"{tmp_path}"]

    ended = subprocess.run(
        [sys.executable, "-c", _EXPORT_WITHOUT_SERVER, *words],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 3
    assert "pip install 'jobprov[server]'" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [(("lokup", "x"), "lookup"), (("linage",), "lineage"), (("token", "lst"), "list")],
)
def test_mistyped_command_is_answered_with_the_one_that_is_meant(
    words: tuple[str, ...], meant: str
) -> None:
    ended = CliRunner().invoke(jobprov, words)

    assert ended.exit_code == 2
    assert f"Did you mean '{meant}'" in ended.output


def test_nothing_is_offered_for_a_word_like_none() -> None:
    assert "frobnicate" not in COMMANDS
    assert "Did you mean" not in told("frobnicate")
