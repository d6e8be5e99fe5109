"""What a person finds out in the terminal: examples, pages of the manual, what Tab offers."""

import importlib
import re
import shlex
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from jobprov.app.cli import COMMANDS as LISTED
from jobprov.app.cli import jobprov
from jobprov.app.commands.terminal.groups import examples_of
from jobprov.app.commands.terminal.man import commands_below, manual_of

COMMANDS = {
    words.removeprefix("jobprov "): command
    for words, command in commands_below(jobprov, "jobprov")
    if not isinstance(command, click.Group)
}


@pytest.mark.parametrize("words", COMMANDS)
def test_help_ends_with_examples_that_can_be_parsed(words: str) -> None:
    command = COMMANDS[words]
    examples = examples_of(command)

    assert examples, f"write one for {words!r} into EXAMPLES of {command.callback.__module__}"
    for line in examples:
        typed = shlex.split(line.partition(" > ")[0])
        own = ["jobprov", *words.split()]
        assert typed[: len(own)] == own
        # takes no word for a file or an address that must be there
        command.make_context(words, typed[len(own) :], resilient_parsing=True)


def test_no_example_is_of_a_command_that_is_gone() -> None:
    modules = {listed.module for listed in LISTED.values()}
    written = set()
    for module in modules:
        written |= set(importlib.import_module(f"jobprov.app.commands.{module}").EXAMPLES)

    assert written == set(COMMANDS)


def test_help_shows_examples_line_by_line() -> None:
    text = CliRunner().invoke(jobprov, ["find", "--help"]).output

    assert text.endswith(
        "Examples:\n    jobprov find dimuon\n    jobprov find dimuon mass .json\n"
        "    jobprov find 'no space left' --kind message\n"
    )


@pytest.mark.slow
def test_manual_has_a_page_for_each_command(tmp_path: Path) -> None:
    ended = CliRunner().invoke(jobprov, ["man", "--into", str(tmp_path)])

    pages = sorted(page.stem for page in tmp_path.iterdir())
    wanted = {"jobprov", *(f"jobprov-{words.replace(' ', '-')}" for words in COMMANDS)}
    assert ended.exit_code == 0
    assert wanted <= set(pages)
    for page in tmp_path.iterdir():
        requests = set(re.findall(r"^[.'](\S*)", page.read_text(), re.MULTILINE))
        assert requests <= {"TH", "SH", "PP", "TP", "B", "BR", "nf", "fi"}, page.name


def test_manual_page_of_one_command_is_printed() -> None:
    text = CliRunner().invoke(jobprov, ["man", "archive", "check"]).output

    assert text.startswith('.TH "JOBPROV-ARCHIVE-CHECK" "1"')
    assert ".SH EXAMPLES\n.PP\n.nf\njobprov archive check \\-\\-bundles 10\n.fi" in text


def test_manual_keeps_dots_and_backslashes_of_a_text() -> None:
    command = click.Command("odd", help="Read a\\b.\n\n.bashrc and 'this' are words.")

    text = manual_of(command, "jobprov odd")

    assert "Read a\\eb." in text
    assert "\n\\&.bashrc and 'this' are words.\n" in text


@pytest.mark.parametrize(
    ("before", "begun", "offered"),
    [([], "li", {"lineage"}), (["archive"], "s", {"stats", "seal"}), (["find"], "--k", {"--kind"})],
)
def test_tab_offers_commands_and_options(before: list[str], begun: str, offered: set[str]) -> None:
    completions = BashComplete(jobprov, {}, "jobprov", "_JOBPROV_COMPLETE")

    assert {item.value for item in completions.get_completions(before, begun)} == offered
