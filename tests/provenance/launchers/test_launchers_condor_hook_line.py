"""Options of the hook in the ad of a job that has not begun."""

from typing import Any

import pytest

from jobprov.provenance.launchers.condor.hook_line import (
    command_words,
    environment_of,
    hook_options,
    split_words,
)

ARGUMENTS = "job-end-hook.pyz run --task-id 77 {unit} -- lar --unit not-this -c reco.fcl"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("a' 'b", ["a b"]),
        ("--stage=it''''s", ["--stage=it's"]),
        ("'it''s one word' 2", ["it's one word", "2"]),
        ("''", [""]),
        ('say "hello you"', ["say", '"hello', 'you"']),
        ("", []),
        ("it's", ["it's"]),
    ],
)
def test_new_syntax_is_split_as_htcondor_does(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize("attribute", ["Args", "Arguments"])
@pytest.mark.parametrize("unit", ["--unit 12", "--unit=12"])
def test_unit_of_the_command_line_is_found_in_both_syntaxes(attribute: str, unit: str) -> None:
    ad = {"Cmd": "/usr/bin/python3", attribute: ARGUMENTS.format(unit=unit)}

    options = hook_options(ad)

    assert (options.unit, options.task_id) == ("12", "77")


def test_unit_with_blanks_is_whole() -> None:
    ad = {"Cmd": "python3", "Arguments": ARGUMENTS.format(unit="--unit 'run 12'")}

    assert hook_options(ad).unit == "run 12"


def test_hook_may_be_the_program_itself_or_within_a_line_of_the_shell() -> None:
    direct = {"Cmd": "/home/me/job-end-hook.pyz", "Args": "run --unit 12 -- true"}
    line = "-c 'cd x && python3 job-end-hook.pyz run --unit \"a b\" -- true'"
    in_shell = {"Cmd": "/bin/sh", "Arguments": line}

    assert hook_options(direct).unit == "12"
    assert hook_options(in_shell).unit == "a b"


def test_command_line_goes_before_the_environment() -> None:
    ad = {"Cmd": "python3", "Args": ARGUMENTS.format(unit="--unit 12")}
    ad["Environment"] = "JOBPROV_UNIT=3 JOBPROV_STAGE='it''s reco'"

    options = hook_options(ad)

    assert (options.unit, options.stage) == ("12", "it's reco")


def test_old_environment_is_parted_by_semicolons() -> None:
    assert environment_of({"Env": "A=1;JOBPROV_UNIT=two words;"}) == {
        "A": "1",
        "JOBPROV_UNIT": "two words",
    }


@pytest.mark.parametrize(
    "ad",
    [
        {},
        {"Cmd": 3, "Args": 4, "Environment": 5},
        {"Cmd": "lar", "Args": "--unit 12"},
        {"Cmd": "python3", "Args": "job-end-hook.pyz flush --unit 12"},
        {"Cmd": "sh", "Arguments": "-c 'job-end-hook.pyz run \"open'"},
    ],
)
def test_no_unit_is_made_up(ad: dict[str, Any]) -> None:
    assert hook_options(ad).unit is None
    assert isinstance(command_words(ad), list)
