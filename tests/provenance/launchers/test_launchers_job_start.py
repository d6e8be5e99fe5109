"""The start script runs the payload whatever is wrong with Python or with the hook."""

import os
import re
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from jobprov.provenance.launchers.job_start import JOB_START
from jobprov.provenance.launchers.jobsub import settings_lines
from tests.library.hook import put_hook

DOCUMENT = (Path(__file__).resolve().parents[3] / "docs/how-to/record-jobs.md").read_text()
COMMAND = ["--experiment", "toy", "--", "sh", "-c", 'echo "payload $1"; exit 7', "x", "a  b"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with start script and hook, and programs to choose a PATH from."""
    (tmp_path / "job-start.sh").write_text(JOB_START)
    put_hook(tmp_path / "job-end-hook.pyz")
    (tmp_path / "bin").mkdir()
    for program in ("sh", "echo"):
        (tmp_path / "bin" / program).symlink_to(f"/bin/{program}")
    return tmp_path


def launched(
    folder: Path, *, command: Sequence[str] = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    variables.setdefault("JOBPROV_SPOOL", str(folder / "spool"))
    return subprocess.run(
        ["/bin/sh", "./job-start.sh", *command],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


def check_payload_alone(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout) == (7, "payload a  b\n")
    assert "jobprov: not recorded" in done.stderr


def fake_python(folder: Path, script: str) -> str:
    python = folder / "bin" / "python3"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    return str(folder / "bin")


@pytest.mark.slow
def test_command_runs_under_the_hook(folder: Path) -> None:
    done = launched(folder)

    assert (done.returncode, done.stdout) == (7, "payload a  b\n")
    assert list((folder / "spool" / "ready").iterdir())


@pytest.mark.slow
def test_hook_is_found_where_jobsub_puts_the_files_of_a_job(folder: Path) -> None:
    brought = folder / "TRANSFERRED_INPUT_FILES"
    brought.mkdir()
    (folder / "job-end-hook.pyz").rename(brought / "job-end-hook.pyz")

    done = launched(folder, CONDOR_DIR_INPUT=str(brought))

    assert (done.returncode, done.stdout) == (7, "payload a  b\n")
    assert list((folder / "spool" / "ready").iterdir())


def test_tool_that_calls_jobsub_submit_gets_the_start_script_before_its_own(tmp_path: Path) -> None:
    """The recipe of docs/how-to/record-jobs.md."""
    (recipe,) = re.findall(r"```sh jobsub-in-front\n(.*?)```", DOCUMENT, re.DOTALL)
    program = tmp_path / "jobsub_submit"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    program.chmod(0o755)
    own = ["-G", "mu2e", "-f", "file:///d.tar", "--tar_file_name", "file:///c.tar", "-e", "A=1 2"]

    done = subprocess.run(
        ["sh", "-c", recipe, "sh", *own, "file:///x/job.sh", "-n", "a  b", "file:///y"],
        env={"PATH": os.environ["PATH"], "JOBPROV_FOLDER": "/h", "JOBSUB_SUBMIT": str(program)},
        capture_output=True,
        text=True,
        check=True,
    )

    brought = ["job-end-hook.pyz", "jobprov.token"]
    files = [word for name in brought for word in ("-f", f"dropbox:///h/{name}")]
    assert done.stdout.splitlines() == [
        *own,
        *files,
        "-f",
        "dropbox:///x/job.sh",
        "file:///h/job-start.sh",
        *["--token-file", "jobprov.token", "--", "bash", "$CONDOR_DIR_INPUT/job.sh"],
        *["-n", "a  b", "file:///y"],
    ]


@pytest.mark.slow
def test_command_of_which_jobsub_took_the_two_dashes_runs_under_the_hook(folder: Path) -> None:
    done = launched(folder, command=COMMAND[3:])

    assert (done.returncode, done.stdout) == (7, "payload a  b\n")
    assert list((folder / "spool" / "ready").iterdir())
    check_payload_alone(launched(folder, command=COMMAND[3:], PATH=str(folder / "bin")))


def test_without_python3_the_payload_runs_alone(folder: Path) -> None:
    check_payload_alone(launched(folder, PATH=str(folder / "bin")))


def test_with_a_python_that_is_too_old_the_payload_runs_alone(folder: Path) -> None:
    path = fake_python(folder, "echo 'SyntaxError: invalid syntax' >&2; exit 1")

    check_payload_alone(launched(folder, PATH=path))


@pytest.mark.slow
@pytest.mark.parametrize("size", [0, 100, 60_000])
def test_with_a_hook_that_came_in_part_the_payload_runs_alone(folder: Path, size: int) -> None:
    hook = folder / "job-end-hook.pyz"
    hook.write_bytes(hook.read_bytes()[:size])

    check_payload_alone(launched(folder))


@pytest.mark.slow
def test_without_the_hook_the_payload_runs_alone(folder: Path) -> None:
    (folder / "job-end-hook.pyz").unlink()

    check_payload_alone(launched(folder))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_with_a_hook_that_may_not_be_read_the_payload_runs_alone(folder: Path) -> None:
    (folder / "job-end-hook.pyz").chmod(0)

    check_payload_alone(launched(folder))


@pytest.mark.slow
def test_with_a_home_that_cannot_be_written_the_payload_runs(folder: Path) -> None:
    home = folder / "home"
    home.mkdir()
    home.chmod(stat.S_IRUSR | stat.S_IXUSR)

    done = launched(folder, HOME=str(home), JOBPROV_SPOOL=str(home / "spool"))

    assert (done.returncode, done.stdout) == (7, "payload a  b\n")


def test_settings_start_jobs_by_the_script() -> None:
    files = ["/h/job-start.sh", "/h/job-end-hook.pyz"]
    variables = {"JOBPROV_URL": "http://s"}

    assert (
        settings_lines(variables, "shell", None, files)[-1] == "JOBPROV_RUN='sh /h/job-start.sh --'"
    )
    assert settings_lines(variables, "condor", "/t/ticket", files)[1:] == [
        "executable = /h/job-start.sh",
        "arguments = -- YOUR_COMMAND",
        "transfer_input_files = /h/job-end-hook.pyz, /t/ticket",
    ]
    [line] = settings_lines(variables, "jobsub", None, files)
    assert line.endswith("-f dropbox:///h/job-start.sh -f dropbox:///h/job-end-hook.pyz")
