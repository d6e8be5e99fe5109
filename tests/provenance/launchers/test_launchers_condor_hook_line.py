"""Options of the hook in the ad of a job that has not begun."""

import time
from typing import Any

import pytest

from jobprov.provenance.capture.surroundings.condor_ads import (
    command_of,
    job_variables,
    split_words,
)
from jobprov.provenance.launchers.condor.hook_line import hook_options

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


@pytest.mark.parametrize(
    "text", ["a" * 400_000, "'" + "a" * 400_000, "a'b" * 100_000, "'" * 400_001]
)
def test_words_of_an_ad_are_split_in_a_time_that_grows_with_its_length_alone(text: str) -> None:
    began = time.process_time()

    split_words(text)
    hook_options({"Cmd": "sh", "Arguments": f"-c 'x job-end-hook.pyz run {text}'"})

    assert time.process_time() - began < 1


def test_command_of_an_exit_hook_is_split_as_htcondor_does() -> None:
    """It was split as a shell does: `it's` became `its`, and a backslash was lost."""
    ad = {"Cmd": "/bin/sh", "Arguments": "-c 'echo it''s a\\b'", "Environment": r"A='x y' B=c\d"}

    assert command_of(ad) == ["/bin/sh", "-c", "echo it's a\\b"]
    assert job_variables(ad) == {"A": "x y", "B": r"c\d"}


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
    assert job_variables({"Env": "A=1;JOBPROV_UNIT=two words;"}) == {
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
    assert isinstance(command_of(ad), list)
