"""Values of withheld variables are in nothing that leaves the node, whatever prints them."""

import json

import pytest

from jobprov.provenance.capture.secrets.texts import redact, withhold
from jobprov.provenance.capture.secrets.variables import split_environment
from tests.library.hook import Runner, entry_of, said

SECRET = "qwertzuiopasdf"  # noqa: S105 - no rule finds it
QUOTED = "sword \"fish$x'y"
JOB = """#!/bin/bash
env | sort
set
export -p
cat > made.py <<P
print("made", "$JUSTIN_JOBSCRIPT_SECRET")
P
python3 made.py
sh -c 'sleep 0.3; true' use "$JUSTIN_JOBSCRIPT_SECRET" "$DB_AUTH"
export LATER_AUTH=$(echo later | tr -d ' ')-word
sh -c 'sleep 1.5; echo $LATER_AUTH'
echo $JUSTIN_JOBSCRIPT_SECRET > note.txt
exit 3
"""
ENVIRONMENT = {
    "JUSTIN_JOBSCRIPT_SECRET": SECRET,
    "DB_AUTH": QUOTED,
    "SHORT_AUTH": "reco",
    "RUCIO_AUTH_TYPE": "x509_proxy",
    "MODE": "x509_proxy",
}


@pytest.mark.slow
def test_job_that_prints_its_environment_leaks_no_secret(runner: Runner) -> None:
    script = runner.folder / "job.sh"
    script.write_text(JOB)
    script.chmod(0o755)

    answer = runner("run", "--", "./job.sh", SECRET, environment=ENVIRONMENT)

    record, blobs = entry_of(runner)
    texts = [json.dumps(record).encode(), *blobs.values()]
    [log] = [blobs[log["sha256"]] for log in record["logs"] if log["name"] == "stdout"]
    assert answer.returncode == 3
    assert SECRET.encode() in answer.stdout  # the job's own output is as it was
    for text in texts:
        for part in (SECRET, "sword", "fish", "later-word"):
            assert part.encode() not in text
    assert b"JUSTIN_JOBSCRIPT_SECRET=<redacted:variable>" in log
    assert b'DB_AUTH="<redacted:variable>"' in log
    assert record["command"]["argv"] == ["./job.sh", "<redacted:variable>"]
    # what is too short, or only tells of a secret, is left in texts
    assert b"SHORT_AUTH=reco" in log
    assert b"MODE=x509_proxy" in log
    assert "log stdout: secrets were taken out (variable)" in said(record)


@pytest.mark.slow
def test_steps_of_a_job_script_leak_no_secret_of_their_own(runner: Runner) -> None:
    runner("start", "--job-id", "0f8b3c1e-5b7d-4e0a-9c3f-000000000091", "--", "job.sh")
    step = ("step", "--", "sh", "-c", "echo $STEP_CREDENTIAL; env")
    runner(*step, environment={"STEP_CREDENTIAL": SECRET})
    runner("end")

    record, blobs = entry_of(runner)
    assert record["environment"]["withheld"] == ["STEP_CREDENTIAL"]
    assert not any(SECRET.encode() in text for text in blobs.values())
    assert SECRET not in json.dumps(record)


def test_variable_that_holds_a_secret_one_is_withheld_too() -> None:
    environment = {"A_SECRET": "abcdefgh", "URI": "x/abcdefgh", "B_SECRET": "abc", "C": "abcde"}

    assert split_environment(environment)[1] == ["A_SECRET", "B_SECRET", "URI"]


@pytest.mark.slow
def test_variable_of_many_lines_does_not_hold_up_the_job(runner: Runner) -> None:
    lines = "\n".join(f"canary{number:06d}" for number in range(8000))

    runner("run", "--", "sh", "-c", "env; true", environment={"X_SECRET": lines}, timeout=30)

    record, blobs = entry_of(runner)
    assert not any(b"canary" in text for text in blobs.values())
    assert record["state"] == "succeeded"


def test_label_of_a_pass_over_the_data_is_left_in_other_values() -> None:
    environment = {"NOVA_PASS": "prod5reco", "DEFINITION": "x_prod5reco", "DB_PASS": "prod6reco"}

    assert split_environment(environment) == (
        {"DEFINITION": "x_prod5reco"},
        ["DB_PASS", "NOVA_PASS"],
    )
    assert split_environment({**environment, "URI": "x/prod6reco"})[1] == [
        "DB_PASS",
        "NOVA_PASS",
        "URI",
    ]


def test_folders_of_a_glidein_are_no_secrets() -> None:
    """GlideinWMS' wrapper gives them to each job that it runs in a container."""
    environment = {
        "GWMS_SINGULARITY_OUTSIDE_PWD": "/pilot/dir_7",
        "GWMS_SINGULARITY_OUTSIDE_PWD_LIST": ":/pilot/dir_7:/storage/dir_7",
    }

    assert split_environment(environment) == (environment, [])


def test_place_is_kept_though_a_secret_lies_there() -> None:
    environment = {"SSH_AUTH_SOCK": "/run/ssh/agent.7", "FOLDER": "/run/ssh/agent.7/.."}

    assert split_environment(environment)[1] == ["SSH_AUTH_SOCK"]


BRIEF = """#!/bin/bash
export STORE_AUTH=asdf8ghjkl
export NEXT_AUTH=$(rev <<< 9lkjhgfdsa)
export FORM_AUTH=kerberos
/bin/true; env | grep _AUTH
echo "as asdf8ghjkl by kerberos" > note.log
"""


@pytest.mark.slow
def test_variable_of_programs_that_end_unseen_leaks_no_secret(runner: Runner) -> None:
    """The script says the value itself, or what it prints says the name."""
    script = runner.folder / "job.sh"
    script.write_text(BRIEF)
    script.chmod(0o755)

    runner("run", "--", "./job.sh")

    record, blobs = entry_of(runner)
    texts = b"\n".join([json.dumps(record).encode(), *blobs.values()])
    assert b"asdf8ghjkl" not in texts
    assert b"NEXT_AUTH=asdfghjkl9" not in texts
    assert b"FORM_AUTH=kerberos" in texts  # the name of a method
    assert b"as <redacted:variable> by kerberos" in texts


def test_secrets_that_hold_each_other_are_taken_out_whole() -> None:
    withhold(["longer-than-qwe7rtzu"])
    withhold(["qwe7rtzu", "qwe7rtzu-and-more"])

    assert redact(b"longer-than-qwe7rtzu qwe7rtzu-and-more qwe7rtzu")[0] == b" ".join(
        [b"<redacted:variable>"] * 3
    )
