"""Two commands from a fresh clone: what a newcomer does first, with git and Python alone.

The clone lies outside the working folder, HOME is empty, and there is no `.venv`: what works here
works for somebody who has only the repository.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("fresh_clone")]
_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "PYENV_ROOT")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a clone of the committed tree."""
    folder = tmp_path_factory.mktemp("newcomer") / "jobprov"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of somebody new.

    HOME is empty, and the machine's way to its package registry is in it.
    """
    reach = {
        key: value
        for key, value in os.environ.items()
        if key in _KEPT or key.startswith("PIP_") or key.endswith("_CA_BUNDLE")
    }
    return {**reach, "HOME": str(tmp_path_factory.mktemp("home"))}


@pytest.fixture(scope="module")
def started(clone: Path, newcomer: dict[str, str]) -> Iterator[str]:
    """Yield the address of `./scripts/run --demo`, once its production is recorded."""
    log = clone.parent / "run.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["./scripts/run", "--demo", "--port", "0"],
            cwd=clone,
            env=newcomer,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield _address_after_demo(process, log)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def _address_after_demo(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + 400
    while time.monotonic() < end:
        text = log.read_text(errors="replace")
        found = re.search(r"http://127\.0\.0\.1:\d+", text)
        if found and "What to try next" in text:
            return found.group(0)
        if process.poll() is not None:
            break
        time.sleep(0.5)
    raise AssertionError(
        f"`./scripts/run --demo` did not get there: {log.read_text(errors='replace')[-3000:]}"
    )


def test_run_with_demo_serves_a_recorded_production(started: str) -> None:
    home = requests.get(f"{started}/", timeout=20)
    jobs = requests.get(f"{started}/api/v1/jobs?experiment=toyexp&limit=100", timeout=20).json()[
        "jobs"
    ]

    assert home.status_code == 200
    assert "demo-2026" in home.text
    assert len(jobs) >= 24
    assert {job["task"]["stage"] for job in jobs} == {"gen", "reco", "merge", "histogram"}
    assert sorted(job["state"] for job in jobs if job["state"] != "succeeded") == [
        "failed",
        "killed",
    ]


def test_newcomer_finds_what_made_a_merged_file_with_the_command(
    started: str, clone: Path, newcomer: dict[str, str]
) -> None:
    merge = requests.get(f"{started}/api/v1/jobs?stage=merge", timeout=20).json()["jobs"][0]
    job = requests.get(f"{started}/api/v1/jobs/{merge['job_id']}", timeout=20).json()
    name = job["outputs"][0]["name"]

    answer = subprocess.run(
        [".venv/bin/jobprov", "lookup", name, "--url", started],
        cwd=clone, env=newcomer, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert merge["job_id"] in answer.stdout
    assert "v1_02_00" in answer.stdout


def test_newcomer_reruns_a_merge_job_with_the_command(
    started: str, clone: Path, newcomer: dict[str, str]
) -> None:
    merge = requests.get(f"{started}/api/v1/jobs?stage=merge", timeout=20).json()["jobs"][0]

    answer = subprocess.run(
        [".venv/bin/jobprov", "rerun", merge["job_id"], "--into", "again", "--url", started],
        cwd=clone, env=newcomer, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "EQUIVALENT" in answer.stdout
    assert "was reproduced" in answer.stdout + answer.stderr


def test_second_setup_returns_at_once(started: str, clone: Path, newcomer: dict[str, str]) -> None:
    assert started
    begin = time.monotonic()
    subprocess.run(["./scripts/setup", "demo"], cwd=clone, env=newcomer, check=True, timeout=60)
    assert time.monotonic() - begin < 5
