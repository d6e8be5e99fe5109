"""Standard input that is a file is in the record, from where it stood.

The job finds it as it would alone.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.files.hashing import SMALL_BYTES
from tests.library.hook import Runner, entry_of, only_entry, said

STEERING = b"1\n2\n3\n"


@pytest.fixture
def steering(runner: Runner) -> Path:
    path = runner.folder / "steering.txt"
    path.write_bytes(STEERING)
    return path


def notes(record: dict) -> str:
    return "\n".join(said(record))


def run_from(
    runner: Runner, path: Path, *words: str, skip: int = 0
) -> tuple[subprocess.CompletedProcess, int]:
    """Run a command whose standard input is a file that stands at a place.

    Return also where it stands then.
    """
    with path.open("rb", buffering=0) as stream:
        stream.seek(skip)
        done = runner("run", "--", *words, stdin=stream)
        return done, stream.tell()


@pytest.mark.slow
def test_file_is_recorded_from_where_it_stands_and_read_by_the_job_alone(
    runner: Runner, steering: Path
) -> None:
    done, place = run_from(runner, steering, "sh", "-c", "read line; echo got $line", skip=2)

    record, blobs = only_entry(runner)
    assert done.stdout == b"got 2\n"
    # A shell reads a line, or as much as it likes: never from behind what the hook read
    assert place in (
        4,
        6,
    )
    assert blobs[record["command"]["stdin_sha256"]] == STEERING[2:]
    assert "stdin_sha256" not in record["command"]["steps"][0]


@pytest.mark.slow
@pytest.mark.parametrize(("skip", "is_kept"), [(0, True), (2, False)])
def test_file_stands_where_it_stood_for_a_job_that_reads_nothing(
    runner: Runner, steering: Path, skip: int, *, is_kept: bool
) -> None:
    """What stands behind its beginning and is not read is the caller's.

    The list of a loop would be kept with each of its jobs.
    """
    _, place = run_from(runner, steering, "true", skip=skip)

    record, blobs = only_entry(runner)
    assert place == skip
    assert ("stdin_sha256" in record["command"]) == is_kept
    assert (STEERING[skip:] in blobs.values()) == is_kept


@pytest.mark.slow
def test_each_step_has_its_own(runner: Runner, steering: Path) -> None:
    script = f"""
hook() {{ {runner.python} {runner.hook} "$@"; }}
hook start
hook step --name first -- sed -n 1q < {steering}
hook step --name second -- cat < /dev/null
printf other > other.txt
hook step --name third -- cat < other.txt
hook end
"""
    subprocess.run(
        ["sh", "-c", script],
        env=runner.environment,
        cwd=runner.folder,
        check=True,
        capture_output=True,
    )

    record, blobs = only_entry(runner)
    read = {
        step["name"]: blobs.get(step.get("stdin_sha256")) for step in record["command"]["steps"]
    }
    assert read == {"first": STEERING, "second": None, "third": b"other"}
    assert "stdin_sha256" not in record["command"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["docker", "login", "--password-stdin"], "steering.txt"),
        (["gpg", "--passphrase-fd", "0"], "steering.txt"),
        (["voms-proxy-init", "-pwstdin"], "steering.txt"),
        (["openssl", "rsa", "-passin", "stdin"], "steering.txt"),
        (["/usr/bin/kinit", "robot"], "steering.txt"),
        (["cat"], "x509up_u1000"),
        (["cat"], "db.password"),
    ],
)
def test_what_may_be_a_password_stays_here(runner: Runner, words: list[str], name: str) -> None:
    path = runner.folder / name
    path.write_bytes(b"canary")

    run_from(runner, path, *words)

    record, blobs = only_entry(runner)
    assert "stdin_sha256" not in record["command"]
    assert "standard input" in notes(record)
    # `cat` says what it read: that is the job's own word
    logs = {log["sha256"] for log in record.get("logs", ())}
    assert b"canary" not in b"".join(
        content for digest, content in blobs.items() if digest not in logs
    )


@pytest.mark.slow
@pytest.mark.parametrize("is_in_script", [True, False])
def test_password_file_that_a_command_holds_open_stays_here(
    runner: Runner, *, is_in_script: bool
) -> None:
    """It was seen to be open, and became an input with its bytes."""
    path = runner.folder / "steering.txt"
    path.write_bytes(b"canary")
    kinit = runner.folder / "kinit"
    shutil.copy("/bin/sleep", kinit)

    if is_in_script:
        runner("run", "--", "sh", "-c", "./kinit 1 < steering.txt; true")
    else:
        run_from(runner, path, str(kinit), "1")

    record, blobs = only_entry(runner)
    assert "inputs" not in record
    assert b"canary" not in blobs.values()


def run_with_passwords(runner: Runner, script: str, *options: str) -> dict[str, Any]:
    """Run a script that reads a harmless file, too; return its record, which knows no password."""
    for name in "abcdef":
        (runner.folder / f"pw_{name}.txt").write_bytes(b"canary")
    (runner.folder / "other.txt").write_text("other")
    shutil.copy("/bin/true", runner.folder / "kinit")
    (runner.folder / "job.sh").write_text(f"cat other.txt\n{script}\n")

    runner("run", *options, "--", "sh", "job.sh")

    record, blobs = entry_of(runner)
    assert b"canary" not in blobs.values()
    return record


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 0.4])
def test_password_files_that_a_script_names_stay_here(runner: Runner, seconds: float) -> None:
    """Their bytes went with the record as inputs: each word of a script that is a file's name.

    And those that a program was seen to read, before the script told what they are.
    """
    program = runner.folder.parent / "cat"
    program.write_text(f'#!/bin/sh\nsleep {seconds}; exec /bin/cat "$@"\n')
    program.chmod(0o755)
    runner.environment["PATH"] = f"{runner.folder.parent}:{os.environ['PATH']}"
    script = """
PW=$PWD/pw_a.txt
[ -f $PW ] && ./kinit alice < $PW
cat pw_b.txt | ./kinit alice
./kinit alice \\
    < pw_c.txt
true --password-file pw_d.txt other.txt
openssl version -passin file:pw_e.txt
sshpass -f pw_f.txt true
true
"""
    record = run_with_passwords(runner, script)

    assert [entry["name"] for entry in record["inputs"]] == ["other.txt"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace here")
def test_password_files_that_the_trace_alone_saw_stay_here(runner: Runner) -> None:
    """The commands are over before anybody looks who has the file open."""
    script = """
name=pw
KINIT=./kinit
$KINIT alice < $name""_a.txt
/bin/true --password-stdin < $name""_b.txt
bash -c "$KINIT alice < $name""_d.txt; true"
exec $KINIT < $name""_c.txt
"""
    record = run_with_passwords(runner, script, "--trace")

    assert [entry["name"] for entry in record["inputs"]] == ["other.txt"]


def test_secrets_in_it_are_taken_out(runner: Runner) -> None:
    path = runner.folder / "steering.txt"
    path.write_bytes(b'db_password = "hunter22canary"\n')

    run_from(runner, path, "true")

    record, blobs = only_entry(runner)
    assert blobs[record["command"]["stdin_sha256"]] == b"db_password = <redacted:assignment>\n"
    assert "secret-removed standard input" in notes(record)


@pytest.mark.slow
def test_large_file_is_named_by_digest(runner: Runner) -> None:
    path = runner.folder / "large"
    path.write_bytes(b"." * (SMALL_BYTES + 2))

    run_from(runner, path, "cat", skip=1)

    record, blobs = only_entry(runner)
    assert record["command"]["stdin_sha256"] == hashlib.sha256(b"." * (SMALL_BYTES + 1)).hexdigest()
    assert record["command"]["stdin_sha256"] not in blobs
    assert "is not kept" in notes(record)


@pytest.mark.slow
def test_file_that_changes_is_told(runner: Runner, steering: Path) -> None:
    run_from(runner, steering, "sh", "-c", f"echo 4 >> {steering}; cat")

    record, blobs = only_entry(runner)
    assert blobs[record["command"]["stdin_sha256"]] == STEERING
    assert "changed-while-running standard input" in notes(record)


def test_pipe_is_the_jobs_and_told(runner: Runner) -> None:
    done = runner("run", "--", "cat", input=STEERING)

    record, _ = only_entry(runner)
    assert done.stdout == STEERING
    assert "stdin_sha256" not in record["command"]
    assert "standard input is a pipe" in notes(record)


@pytest.mark.slow
@pytest.mark.parametrize(
    "redirection",
    ["exec </dev/null", "exec <&-", "exec 0>>steering.txt", "exec <steering.txt; cat >/dev/null"],
)
def test_nothing_to_read_is_nothing_to_record(
    runner: Runner, steering: Path, redirection: str
) -> None:
    words = [
        "sh",
        "-c",
        f'{redirection}; exec "$@"',
        "sh",
        runner.python,
        runner.hook,
        "run",
        "--",
        "true",
    ]

    subprocess.run(
        words, env=runner.environment, cwd=runner.folder, check=True, capture_output=True
    )

    record, _ = only_entry(runner)
    assert "stdin_sha256" not in record["command"]
    assert "standard input" not in notes(record)
    assert steering.read_bytes() == STEERING
