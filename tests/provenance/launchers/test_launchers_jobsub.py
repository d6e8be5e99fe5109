"""What jobsub_submit tells of a submission, and how settings are handed to jobs."""

import shlex
import subprocess

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.jobsub import read_job_info, settings_lines

ID = "81234.0@jobsub01.example.org"
ARGV = [
    "jobsub_submit",
    "-G",
    "nova",
    "-e",
    "POMS_TASK_ID=77",
    "-eSTAGE=reco",
    "-N",
    "50",
    "file:///x/run.sh",
    "-N",
    "9",
]


def test_submission_is_read_as_jobsub_hands_it_over() -> None:
    found = read_job_info(ID, repr(ARGV))

    assert (found.batch_id, found.experiment, found.copies, found.task_id) == (ID, "nova", 50, "77")
    assert found.variables == {"POMS_TASK_ID": "77", "STAGE": "reco"}
    assert found.argv == ARGV


def test_dataset_decides_how_many_jobs_there_are() -> None:
    found = read_job_info(
        ID,
        repr(["jobsub_submit", "--group=dune", "--dataset-definition", "d", "-N", "5", "file://x"]),
    )

    assert (found.experiment, found.copies, found.task_id) == ("dune", None, ID)


@pytest.mark.parametrize(
    ("batch_id", "told"),
    [
        (ID, "['a'"),
        (ID, "__import__('os')"),
        (ID, "'a'"),
        (ID, "[1]"),
        ("81234", "['a']"),
        ("x@y", "['a']"),
        (ID, "[" * 10**5),
    ],
)
def test_other_arguments_are_refused(batch_id: str, told: str) -> None:
    with pytest.raises(BadInputError):
        read_job_info(batch_id, told)


def test_settings_survive_the_shell() -> None:
    value = "a b'c\"$d`e"

    [line] = settings_lines({"JOBPROV_TASK_ID": value}, "shell")

    shown = subprocess.run(
        ["sh", "-c", f'{line}; printf %s "$JOBPROV_TASK_ID"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == value


def test_settings_for_jobsub_and_for_a_submit_file() -> None:
    variables = {"A": "1", "B": 'it\'s "x"'}

    [line] = settings_lines(variables, "jobsub", "/t/ticket")

    assert shlex.split(line) == ["-e", "A=1", "-e", 'B=it\'s "x"', "-f", "dropbox:///t/ticket"]
    assert settings_lines(variables, "condor", "/t/ticket") == [
        'environment = "A=1 B=\'it\'\'s ""x""\'"',
        "transfer_input_files = /t/ticket",
    ]
