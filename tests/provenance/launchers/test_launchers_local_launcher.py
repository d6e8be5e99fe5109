"""The local launcher: real processes that outlive it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobprov.provenance.launchers.job import BatchJob, Launcher
from jobprov.provenance.launchers.local.launcher import LocalLauncher
from tests.library.behaviour.launchers import LauncherBehaviour, NewLauncher, a_job, wait_for


@pytest.fixture
def new_launcher(tmp_path: Path) -> NewLauncher:
    def make() -> Launcher:
        return LocalLauncher(tmp_path / "jobs", slots=3)

    return make


@pytest.fixture
def readable(tmp_path: Path) -> Path:
    folder = tmp_path / "inputs"
    folder.mkdir()
    return folder


class TestLocalLauncher(LauncherBehaviour):
    """See `launcher_behaviour`."""


def test_no_more_jobs_run_than_there_are_slots(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "jobs", slots=2)
    count = f"touch {tmp_path}/run.$$; ls {tmp_path}/run.* | wc -l; sleep 0.3; rm {tmp_path}/run.$$"
    jobs = [a_job(count) for _ in range(5)]

    launcher.submit(jobs)
    wait_for(launcher, *(job.name for job in jobs))

    counts = [int((tmp_path / "jobs" / f"{job.name}.out").read_text()) for job in jobs]
    assert max(counts) == 2


def test_a_job_past_its_wall_limit_is_stopped(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "jobs")
    job = a_job("sleep 60", wall_limit_seconds=0.3)

    launcher.submit([job])

    assert wait_for(launcher, job.name)[job.name].exit_code == 124  # of timeout(1)


@pytest.mark.slow
def test_a_job_that_vanished_without_exit_code_is_told_as_lost(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "jobs")
    job = a_job("sleep 60")
    launcher.submit([job])
    process = int((tmp_path / "jobs" / f"{job.name}.pid").read_text().split()[0])

    os.killpg(process, signal.SIGKILL)

    assert (wait_for(launcher, job.name)[job.name].problem or "").startswith("lost")


@pytest.mark.slow
def test_two_launchers_that_fill_slots_at_once_start_each_job_once(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from jobprov.provenance.launchers.local.launcher "
        "import LocalLauncher\n"
        "launcher = LocalLauncher(Path(sys.argv[1]), slots=50)\n"
        "for _ in range(20): launcher.ended([])"
    )
    job = [
        BatchJob(f"job-{n}", ("/bin/sh", "-c", f"echo started >> {tmp_path}/{n}.starts"), {})
        for n in range(20)
    ]
    LocalLauncher(tmp_path / "jobs", slots=0).submit(job)
    words = [sys.executable, "-c", program, str(tmp_path / "jobs")]

    both = [subprocess.Popen(words, cwd=Path(__file__).parents[3]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    wait_for(LocalLauncher(tmp_path / "jobs"), *(each.name for each in job))

    assert [(tmp_path / f"{n}.starts").read_text() for n in range(20)] == ["started\n"] * 20


def test_a_process_number_given_to_another_is_not_taken_for_the_job(tmp_path: Path) -> None:
    launcher = LocalLauncher(tmp_path / "jobs", slots=0)
    job = a_job("true")
    launcher.submit([job])
    # This process did not start then
    (tmp_path / "jobs" / f"{job.name}.pid").write_text(f"{os.getpid()} 1\n")

    assert (launcher.ended([job.name])[0].problem or "").startswith("lost")
    launcher.remove([job.name])
    assert time.monotonic() > 0, "and this process lives on"
