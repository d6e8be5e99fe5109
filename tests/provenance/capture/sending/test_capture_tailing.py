"""Ends of logs are sent while the job runs.

What a job said last is kept when it is killed with its hook.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from jobprov.provenance.capture.running.streams import TAIL_BYTES, Buffer
from jobprov.provenance.capture.sending import tailing
from tests.library.hook import Runner
from tests.library.servers.hook_service import Service
from tests.library.servers.live_service import LiveService

JOB = "0f8b3c1e-5b7d-4e0a-9c3f-0000000000"
OFTEN = ("--tail-seconds", "0.2")
TALKS = "echo begins; echo password=hunter2canary; echo complaint >&2; echo pid $$; exec sleep 60"


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Return what the condition returns, once that is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not true within {seconds} s")


def begin(runner: Runner, url: str, *words: str, **streams: Any) -> "subprocess.Popen[bytes]":
    environment = {**runner.environment, "JOBPROV_BUDGET_SECONDS": "10"}
    command = [runner.python, runner.hook, "run", "--url", url, *OFTEN, *words]
    return subprocess.Popen(command, env=environment, cwd=runner.folder, **streams)


def log_of(live: LiveService, job_id: str, name: str) -> str:
    answer = requests.get(f"{live.url}/api/v1/jobs/{job_id}/logs/{name}", timeout=10)
    return answer.text if answer.status_code == requests.codes.ok else ""


@pytest.mark.parametrize(("goes_to", "job_id"), [("pipe", f"{JOB}21"), ("file", f"{JOB}22")])
@pytest.mark.slow
def test_job_killed_with_its_hook_keeps_what_it_said(
    runner: Runner, live: LiveService, tmp_path: Path, goes_to: str, job_id: str
) -> None:
    out = subprocess.PIPE if goes_to == "pipe" else (tmp_path / "out").open("wb")
    hook = begin(
        runner,
        live.url,
        "--job-id",
        job_id,
        "--",
        "sh",
        "-c",
        TALKS,
        stdout=out,
        stderr=subprocess.DEVNULL,
    )
    said = until(lambda: "pid" in log_of(live, job_id, "stdout") and log_of(live, job_id, "stdout"))
    job = int(said.split("pid ")[1].split()[0])
    # on a busy node the two streams are sent a moment apart
    assert until(lambda: log_of(live, job_id, "stderr"))

    hook.kill()
    os.kill(job, signal.SIGKILL)
    hook.wait()
    for stream in (out, hook.stdout):
        if hasattr(stream, "close"):
            stream.close()  # type: ignore[union-attr]

    page = requests.get(f"{live.url}/jobs/{job_id}/logs/stdout", timeout=10).text
    assert said.startswith("begins\n")
    assert "hunter2canary" not in said
    assert "while the job ran" in page
    assert log_of(live, job_id, "stderr") == "complaint\n"
    record = requests.get(f"{live.url}/api/v1/jobs/{job_id}", timeout=10).json()["record"]
    assert record["state"] == "running"


@pytest.mark.slow
def test_record_of_a_job_that_ended_takes_the_place_of_the_ends(
    runner: Runner, live: LiveService
) -> None:
    job_id = f"{JOB}23"
    flag = runner.folder / "go on"
    program = f"echo begins; while [ ! -e '{flag}' ]; do sleep 0.05; done; echo ends; exit 3"
    hook = begin(
        runner, live.url, "--job-id", job_id, "--", "sh", "-c", program, stdout=subprocess.PIPE
    )
    until(lambda: log_of(live, job_id, "stdout") == "begins\n")

    flag.touch()
    output, _ = hook.communicate(timeout=30)

    assert (hook.returncode, output) == (3, b"begins\nends\n")
    assert log_of(live, job_id, "stdout") == "begins\nends\n"
    assert requests.get(f"{live.url}/api/v1/jobs/{job_id}", timeout=10).json()["log_tails"] == []
    assert list(live.data.glob(f"log-tails/*/{job_id}/*")) == []


@pytest.mark.slow
def test_job_of_less_than_a_minute_sends_no_ends(runner: Runner, service: Service) -> None:
    runner("run", "--url", service.url, "--", "sh", "-c", "echo out; sleep 0.5")

    assert service.count("PUT", "/logs/") == 0
    assert len(service.requests) == 1 + len(service.blobs) + 1


@pytest.mark.slow
@pytest.mark.parametrize("trouble", ["hangs", "dead", "refuses", "fails", "cuts"])
def test_service_in_trouble_leaves_the_job_as_it_was(
    runner: Runner, service: Service, trouble: str
) -> None:
    def fault(_handler: Any, usual: Any) -> Any:
        if trouble == "hangs" and service.headers[-1].get("Content-Type") != "application/json":
            time.sleep(30)
        return {"refuses": (403, {}, {}), "fails": (500, {}, {}), "cuts": ("cut", {}, {})}.get(
            trouble, usual()
        )

    service.faults = [fault] * 200
    url = "http://127.0.0.1:9" if trouble == "dead" else service.url
    begun = time.monotonic()

    words = ("--budget-seconds", "1", "--", "sh", "-c", "echo out; sleep 1; echo more; exit 7")
    done = runner("run", "--url", url, *OFTEN, *words)

    assert (done.returncode, done.stdout) == (7, b"out\nmore\n")
    assert time.monotonic() - begun < 25  # on a busy machine; a hanging call takes 30
    assert len(done.stderr.splitlines()) <= 1


def test_key_is_not_sent_before_its_end_is_there_nor_half_a_line() -> None:
    key = b"-----BEGIN RSA PRIVATE KEY-----\nabcdef\n"

    assert tailing._split(b"one\ntw") == (b"one\n", b"tw")
    assert tailing._split(b"one\n" + key) == (b"one\n", key)
    whole = key + b"-----END RSA PRIVATE KEY-----\n"
    assert tailing._split(whole) == (whole, b"")
    endless = b"x" * 70_000
    assert tailing._split(endless) == (endless, b"")


@pytest.mark.parametrize("total", [10, 300_000, 3_000_000])
def test_what_came_since_is_seen_whatever_came_before(total: int) -> None:
    buffer, text = Buffer(), bytes(range(251)) * (total // 251 + 1)
    for start in range(0, total, 65536):
        buffer.add(text[start : min(start + 65536, total)])

    assert buffer.peek(0, total) in (
        (0, text[:total]),
        (total - len(buffer.tail), bytes(buffer.tail)),
    )
    assert buffer.peek(total - 7, 100) == (total - 7, text[total - 7 : total])
    assert buffer.peek(0, 5) == (total - 5, text[total - 5 : total])
    assert buffer.peek(total, 100) == (total, b"")
    assert len(buffer.tail) <= TAIL_BYTES + (128 << 10)
