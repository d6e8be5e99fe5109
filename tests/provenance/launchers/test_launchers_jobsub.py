"""What jobsub_submit tells of a submission, and how settings are handed to jobs."""

import shlex
import subprocess

import pytest

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.jobsub import read_job_info, settings_lines, submit_again

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


def test_variables_without_a_value_are_those_of_jobsub_itself() -> None:
    """As fife_launch submits; what POMS adds by the environment is in no argument."""
    argv = ["jobsub_submit", "-e", "POMS_TASK_ID", "-e", "NOT_SET", "file:///x/run.sh", "-e", "A"]
    own = {"POMS_TASK_ID": "77", "STAGE": "reco", "JOBSUB_EXTRA_ENVIRONMENT": "STAGE,A=1"}

    found = read_job_info(ID, repr(argv), own)

    assert found.variables == {"POMS_TASK_ID": "77", "STAGE": "reco", "A": "1"}
    assert found.task_id == "77"
    assert found.argv == [*argv[:2], "POMS_TASK_ID=77", *argv[3:]], "to submit it again"


def test_file_of_an_option_is_not_the_executable() -> None:
    argv = ["jobsub_submit", "--tar_file_name", "dropbox:///a.tar", "-e", "A=1", "file:///run.sh"]

    words = shlex.split(submit_again(argv, {}, process=0))

    assert read_job_info(ID, repr(argv)).variables == {"A": "1"}
    assert words[:5] == argv[:5]
    assert words[-1] == "file:///run.sh"


@pytest.mark.parametrize("program", [["jobsub_submit", "--dag"], ["/bin/jobsub_submit_dag"]])
def test_nobody_knows_how_many_jobs_a_dag_has(program: list[str]) -> None:
    assert read_job_info(ID, repr([*program, "file:///x.dag"])).copies is None


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

    # jobsub_submit takes quotes away, and \\x for x
    assert shlex.split(line) == ["-e", "A=1", "-e", 'B=it\\\'s "x"', "-f", "dropbox:///t/ticket"]
    assert settings_lines(variables, "condor", "/t/ticket") == [
        'environment = "A=1 B=\'it\'\'s ""x""\'"',
        "transfer_input_files = /t/ticket",
    ]


def test_one_job_of_a_submission_is_submitted_again_with_its_number() -> None:
    argv = ["jobsub_submit", "-G", "nova", "-N", "50", "-e", "A=1 2", "file:///x/run.sh", "-N", "9"]

    command = submit_again(argv, {"JOBPROV_UNIT": "it's"}, process=7)

    words = shlex.split(command)
    assert words[:5] == ["jobsub_submit", "-G", "nova", "-e", "A=1 2"]
    own = ["-e", "JOBPROV_UNIT=it\\'s", "-e", "PROCESS=7", "-e", "JOBSUBJOBSECTION=7"]
    assert words[5:] == [*own, "file:///x/run.sh", "-N", "9"]


def test_one_job_of_many_clusters_is_submitted_again_with_its_section() -> None:
    argv = ["jobsub_submit", "--maxConcurrent", "5", "-N", "50", "file:///x/run.sh"]

    words = shlex.split(submit_again(argv, {}, process=0, section="7"))

    assert words[3:7] == ["-e", "PROCESS=0", "-e", "JOBSUBJOBSECTION=7"]


def test_semicolon_parts_variables_of_jobsub() -> None:
    with pytest.raises(BadInputError, match="takes no value with a semicolon"):
        settings_lines({"JOBPROV_FETCH_COMMAND": "setup ifdhc; ifdh cp {url} {file}"}, "jobsub")


@pytest.mark.parametrize(
    ("argv", "process", "said"),
    [
        (["-G", "n", "--dataset-definition", "d", "file://x"], 1, "SAM handed out the files"),
        (["-G", "n", "-N5", "file://x"], None, "nobody knows which of the submission it was"),
        (["-G", "n", "-e", "T=<redacted:token>", "file://x"], 1, "held a secret"),
        (["-G", "n"], 0, "names no executable"),
        (["-G", "n", "--dag", "file://x"], 0, "part of a DAG"),
        (["jobsub_submit_dag", "-G", "n", "file://x"], 0, "part of a DAG"),
    ],
)
def test_a_submission_that_cannot_be_repeated_says_why(
    argv: list[str], process: int | None, said: str
) -> None:
    with pytest.raises(BadInputError, match=said):
        submit_again(argv, {}, process=process)
