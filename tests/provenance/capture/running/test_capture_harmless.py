"""A hook in trouble leaves the job as it was."""

import os
import resource
import subprocess
import time
from typing import Any

import pytest

from tests.library.hook import Runner, find_python
from tests.library.servers.hook_service import Service, problem


def job(
    runner: Runner, *words: str, **more: Any
) -> tuple[subprocess.CompletedProcess[bytes], float]:
    begun = time.monotonic()
    done = runner("run", *words, "--", "sh", "-c", "echo job; exit 3", **more)
    assert (done.returncode, done.stdout) == (3, b"job\n")
    return done, time.monotonic() - begun


@pytest.mark.slow
def test_no_home_and_no_spool_still_sends(runner: Runner, service: Service) -> None:
    blocked = runner.folder / "file"
    blocked.write_text("not a folder")

    blockers = {"JOBPROV_SPOOL": str(blocked / "spool"), "HOME": None, "TMPDIR": str(blocked)}
    job(runner, "--url", service.url, environment=blockers)

    assert len(service.records) == 1


@pytest.mark.slow
def test_no_spool_and_no_service_only_says_so(runner: Runner) -> None:
    done, _ = job(
        runner, environment={"JOBPROV_SPOOL": "/proc/spool", "HOME": None, "TMPDIR": "/proc"}
    )

    assert b"lost" in done.stderr
    assert b"flush" not in done.stderr, "nothing is left to be sent"


@pytest.mark.slow
def test_full_disk_still_sends(runner: Runner, service: Service) -> None:
    done, _ = job(runner, "--url", service.url, environment={"JOBPROV_SPOOL": "/dev/full"})

    assert len(service.records) == 1, done.stderr


@pytest.mark.slow
def test_disk_that_fills_up_under_the_entry_still_sends_and_says_nothing(
    runner: Runner, service: Service
) -> None:
    """No file may grow past 256 bytes.

    The spool's folders can be made, but its entry cannot be written whole.
    """
    (runner.folder / "in.bin").write_bytes(os.urandom(100_000))
    # Whose zipfile tries again when it is collected, and prints how that fails
    runner.python = find_python("3.6") or runner.python

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (256, 256))

    done, _ = job(runner, "--url", service.url, "--input", "in.bin", preexec_fn=limit)

    assert len(service.records) == 1
    assert done.stderr == b"", "the record arrived"
    assert runner.entries() == []


@pytest.mark.slow
def test_job_id_that_is_none_is_left_out(runner: Runner, service: Service) -> None:
    job(
        runner, "--url", service.url, "--retry-of", "the first", environment={"JOBPROV_JOB_ID": "7"}
    )

    record = service.only_record()
    assert len(record["job_id"]) == 36
    assert "retry_of" not in record


@pytest.mark.slow
def test_folder_that_takes_no_sidecar_loses_the_sidecar_only(
    runner: Runner, service: Service
) -> None:
    done = runner("run", "--url", service.url, "--output", "/proc/self/comm", "--", "true")

    assert done.returncode == 0
    assert any(
        "sidecar of /proc/self/comm" in note
        for note in service.only_record()["extra"]["hook_notes"]
    )


@pytest.mark.slow
def test_refusing_port_costs_little(runner: Runner) -> None:
    done, seconds = job(runner, "--url", "http://127.0.0.1:9", "--budget-seconds", "120")

    assert seconds < 60
    assert b"not sent" in done.stderr


@pytest.mark.slow
def test_address_that_makes_no_sense_is_only_said(runner: Runner) -> None:
    for address in ("http://", "nonsense://x", "http://[::1", "http://host:port"):
        done, _ = job(runner, "--url", address, "--budget-seconds", "1")
        assert b"not" in done.stderr


@pytest.mark.slow
def test_unknown_options_and_bad_numbers_do_not_stop_the_job(runner: Runner) -> None:
    job(
        runner,
        "--no-such-option",
        "--budget-seconds",
        "soon",
        "--part",
        "x",
        "--metadata",
        "nonsense",
    )

    assert len(runner.entries()) == 1


@pytest.mark.slow
def test_missing_token_file_leaves_the_entry(runner: Runner, service: Service) -> None:
    done, _ = job(runner, "--url", service.url, "--token-file", "/no/token")

    assert len(runner.entries()) == 1
    assert b"/no/token" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pipe", "/dev/zero"])
def test_token_file_that_is_none_holds_nobody_up(
    runner: Runner, service: Service, name: str
) -> None:
    """To wait for the writer of a pipe took two minutes.

    To read a device, all memory, and the job with it.
    """
    os.mkfifo(runner.folder / "pipe")

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    _, seconds = job(runner, "--url", service.url, "--token-file", name, preexec_fn=limit)

    assert seconds < 50  # the writer never comes, the device never ends
    assert len(service.records) + len(runner.entries()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "left"), [("prov_1_secret\n", 0), ("prov_1_secret\nprov_2_secret", 1)]
)
def test_line_breaks_in_a_token_do_not_tell_it_to_the_log(
    runner: Runner, service: Service, token: str, left: int
) -> None:
    """What a header cannot hold is repeated by the error of the standard library."""
    runner.environment["JOBPROV_TOKEN"] = token

    done, _ = job(runner, "--url", service.url)

    assert b"secret" not in done.stderr
    assert len(runner.entries()) == left


@pytest.mark.slow
@pytest.mark.parametrize("status", [403, 422, 500])
def test_answer_that_repeats_the_token_or_goes_on_for_ever_is_no_burden_to_the_log(
    runner: Runner, service: Service, status: int
) -> None:
    token = "prov_1_secret"  # noqa: S105 - of nobody
    said = token + " is no token\x1b[31m\n" + "and so on " * 20_000
    service.faults = [problem(status, said, errors={"token": said})] * 9

    done, _ = job(runner, "--url", service.url, environment={"JOBPROV_TOKEN": token})

    (reason,) = runner.entries("rejected")[1:] or [None]
    for told in (done.stderr, reason.read_bytes() if reason else b"is no token"):
        assert b"secret" not in told
        assert b"is no token" in told
        assert b"\x1b" not in told
        assert len(told) < 2000


@pytest.mark.slow
def test_empty_environment_is_enough(runner: Runner) -> None:
    done = subprocess.run(
        [
            runner.python,
            runner.hook,
            "run",
            "--spool",
            str(runner.spool),
            "--",
            "/bin/sh",
            "-c",
            "exit 6",
        ],
        env={},
        cwd=runner.folder,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 6
    assert len(runner.entries()) == 1


@pytest.mark.slow
def test_removed_working_folder_does_not_stop_the_job(runner: Runner) -> None:
    gone = runner.folder / "gone"
    gone.mkdir()

    done = subprocess.run(
        [
            "sh",
            "-c",
            (
                f"cd {gone} && rmdir {gone} && exec {runner.python} {runner.hook} "
                "run -- sh -c 'exit 8'"
            ),
        ],
        env=runner.environment,
        capture_output=True,
        check=False,
        timeout=30,
    )

    assert done.returncode == 8


@pytest.mark.slow
def test_closed_error_stream_is_survived(runner: Runner) -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {runner.python} {runner.hook} run -- sh -c 'exit 8' 2>&-"],
        env=runner.environment,
        cwd=runner.folder,
        check=False,
        timeout=30,
    )

    assert done.returncode == 8
    assert len(runner.entries()) == 1


@pytest.mark.slow
def test_pipe_named_as_input_does_not_hang(runner: Runner) -> None:
    os.mkfifo(runner.folder / "pipe")

    _, seconds = job(
        runner,
        "--input",
        "pipe",
        "--script",
        "pipe",
        "--config",
        "pipe",
        "--log",
        "pipe",
        "--budget-seconds",
        "2",
    )

    assert seconds < 50  # the writer never comes


@pytest.mark.slow
def test_names_that_are_no_unicode_are_kept_as_escapes(runner: Runner, service: Service) -> None:
    name = b"in-\xff.dat"
    (runner.folder / os.fsdecode(name)).write_bytes(b"x")

    done = subprocess.run(
        [
            runner.python,
            runner.hook,
            "run",
            "--url",
            service.url,
            "--input",
            name,
            "--",
            "sh",
            "-c",
            b"exit 3 # 1% \xfe",
        ],
        env={**runner.environment, "ODD": b"caf\xe9"},
        cwd=runner.folder,
        capture_output=True,
        check=False,
    )

    assert done.returncode == 3
    record = service.only_record()
    (step,) = record["command"]["steps"]
    assert record["inputs"][0]["name"] == "in-\\xff.dat"
    assert (step["argv"][2], step["argv_encoded"]) == (
        "exit 3 # 1% \\xfe",
        {"2": "exit 3 # 1%25 %FE"},
    )
    (weakness,) = record["weaknesses"]
    assert (weakness["kind"], weakness["name"]) == ("bytes-as-text", "variable ODD")


@pytest.mark.parametrize(
    "words", [[], ["nonsense"], ["run"], ["run", "--"], ["step", "--name", "x"]]
)
def test_call_without_a_command_is_a_usage_error(runner: Runner, words: list[str]) -> None:
    done = runner(*words)

    assert done.returncode == (0 if not words else 2)
    assert b"usage: job-end-hook.pyz" in done.stdout + done.stderr


def test_steps_without_start_still_run(runner: Runner) -> None:
    done = runner("step", "--name", "x", "--", "sh", "-c", "exit 3")

    assert done.returncode == 3
    assert b"call start first" in done.stderr
