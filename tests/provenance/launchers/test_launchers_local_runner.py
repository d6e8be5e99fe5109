"""The local runner runs real processes in real folders."""

import os
import signal
import time
from pathlib import Path

import pytest

from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.launchers.job import BatchJob, JobEnd, Runner
from jobprov.provenance.launchers.local.runner import LocalRunner

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "GREETING": "hello"}


def shell(name: str, script: str, **more: object) -> BatchJob:
    return BatchJob(name, ("/bin/sh", "-c", script), ENVIRONMENT, **more)  # type: ignore[arg-type]


def run_one(folder: Path, job: BatchJob) -> JobEnd:
    with LocalRunner(folder) as runner:
        runner.submit(job)
        (end,) = runner.ends()
    return end


def test_local_runner_is_a_runner(tmp_path: Path) -> None:
    runner: Runner = LocalRunner(tmp_path)

    assert list(runner.ends()) == []
    runner.cancel()


def test_job_runs_in_its_own_folder_with_its_inputs(tmp_path: Path) -> None:
    source = tmp_path / "a.root"
    source.write_bytes(b"bytes")

    end = run_one(
        tmp_path / "scratch",
        shell("one", "pwd; cat a.root job.fcl", inputs=(source,), contents={"job.fcl": "x: 1\n"}),
    )

    assert end.is_success
    assert end.folder == tmp_path / "scratch" / "one"
    assert end.stdout.read_text() == f"{end.folder}\nbytesx: 1\n"


def test_environment_is_exactly_what_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_OPERATOR", "x")

    end = run_one(tmp_path, BatchJob("one", ("env",), ENVIRONMENT))

    names = {line.partition("=")[0] for line in end.stdout.read_text().splitlines()}
    assert names - {"PWD", "SHLVL", "OLDPWD", "_"} == set(ENVIRONMENT)


def test_exit_code_and_error_output_are_kept(tmp_path: Path) -> None:
    end = run_one(tmp_path, shell("one", "echo broken >&2; exit 65"))

    assert (end.exit_code, end.signal, end.is_success) == (65, None, False)
    assert end.stderr.read_text() == "broken\n"


def test_signal_is_apart_from_exit_code(tmp_path: Path) -> None:
    end = run_one(tmp_path, shell("one", "kill -SEGV $$"))

    assert (end.exit_code, end.signal) == (None, signal.SIGSEGV)


@pytest.mark.slow
def test_cpu_limit_ends_a_loop_by_sigxcpu(tmp_path: Path) -> None:
    end = run_one(tmp_path, shell("one", "while :; do :; done", cpu_limit_seconds=1))

    assert end.signal == signal.SIGXCPU


def test_wall_limit_stops_the_whole_group(tmp_path: Path) -> None:
    end = run_one(tmp_path, shell("one", "sleep 60 & echo $!; wait", wall_limit_seconds=0.5))

    child = int(end.stdout.read_text())
    assert end.signal == signal.SIGTERM
    assert end.wall_seconds < 20
    assert is_gone(child)


def test_job_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.provenance.launchers.local.runner._GRACE_SECONDS", 0.2)

    end = run_one(
        tmp_path, shell("one", "trap '' TERM; while :; do sleep 1; done", wall_limit_seconds=0.3)
    )

    assert end.signal == signal.SIGKILL


def test_no_more_than_the_slots_run_at_once(tmp_path: Path) -> None:
    script = (
        "mkdir ../../running-$$; ls -d ../../running-* | wc -l; sleep 0.2; rmdir ../../running-$$"
    )

    with LocalRunner(tmp_path / "scratch", slots=2) as runner:
        for number in range(6):
            runner.submit(shell(f"job-{number}", script))
        counts = [int(end.stdout.read_text()) for end in runner.ends()]

    assert len(counts) == 6
    assert max(counts) == 2


def test_jobs_submitted_while_waiting_are_waited_for(tmp_path: Path) -> None:
    seen = []

    with LocalRunner(tmp_path) as runner:
        runner.submit(shell("first", "exit 1"))
        for end in runner.ends():
            seen.append((end.job.name, end.exit_code))
            if end.exit_code:
                runner.submit(shell("second", "exit 0"))

    assert seen == [("first", 1), ("second", 0)]


def test_missing_program_is_an_end_not_a_crash(tmp_path: Path) -> None:
    end = run_one(tmp_path, BatchJob("one", ("no-such-program",), ENVIRONMENT))

    assert end.exit_code == 127


def test_missing_input_is_told_as_a_problem(tmp_path: Path) -> None:
    end = run_one(tmp_path, shell("one", "true", inputs=(tmp_path / "absent.root",)))

    assert not end.is_success
    assert end.exit_code is None
    assert "absent.root" in (end.problem or "")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "a\0b"])
def test_name_that_is_no_plain_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with LocalRunner(tmp_path) as runner, pytest.raises(BadInputError):
        runner.submit(shell(name, "true"))


def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    with LocalRunner(tmp_path) as runner:
        runner.submit(shell("one", "true"))

        with pytest.raises(ConflictError, match="another name"):
            runner.submit(shell("one", "true"))


def test_scratch_folder_of_an_earlier_run_is_never_reused(tmp_path: Path) -> None:
    run_one(tmp_path, shell("one", "true"))

    with LocalRunner(tmp_path) as runner, pytest.raises(ConflictError):
        runner.submit(shell("one", "true"))


def test_leaving_stops_what_runs_and_drops_what_waits(tmp_path: Path) -> None:
    with LocalRunner(tmp_path) as runner:
        runner.submit(shell("runs", "echo $$; exec sleep 60"))
        runner.submit(shell("waits", "touch started"))
        output = tmp_path / "runs.out"
        while not (output.is_file() and output.read_text()):
            time.sleep(0.01)

    assert is_gone(int(output.read_text()))
    assert not (tmp_path / "waits" / "started").exists()


def is_gone(process: int) -> bool:
    """Whether a process ends within two seconds.

    A zombie that nobody waits for counts as ended.
    """
    for _ in range(200):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        state = Path(f"/proc/{process}/stat")
        if state.is_file() and state.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False
