"""The start script runs the payload whatever is wrong with Python or with the hook."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

from jobprov.provenance.launchers.job_start import JOB_START
from jobprov.provenance.launchers.jobsub import settings_lines
from tests.library.hook import put_hook

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


def launched(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    variables.setdefault("JOBPROV_SPOOL", str(folder / "spool"))
    return subprocess.run(
        ["/bin/sh", "./job-start.sh", *COMMAND],
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
