"""Two commands from a fresh clone: what a newcomer does first, with git and Python alone.

The clone lies outside the working folder, HOME is empty, and there is no `.venv`: what works here
works for somebody who has only the repository.
"""

import subprocess
from collections.abc import Iterator

import pytest
import requests

from tests.library.disk import FoldersOnDisk
from tests.library.productions.demo import Newcomer, find_address, recorded_demo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def newcomer() -> Newcomer:
    """Return who cloned the repository and had the production recorded by `./scripts/run --demo`."""
    return recorded_demo().newcomer


@pytest.fixture(scope="module")
def started(newcomer: Newcomer, tmp_path_factory: FoldersOnDisk) -> Iterator[str]:
    """Yield the address of the same command on the next day, when the production is there."""
    data = tmp_path_factory.mktemp("newcomer") / "var"
    recorded_demo().copy_to(data)
    words = ("--demo", "--port", "0", "--data", str(data))
    with newcomer.running(*words, until="The demo production is there already") as said:
        yield find_address(said) or pytest.fail(said)


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
    started: str, newcomer: Newcomer
) -> None:
    merge = requests.get(f"{started}/api/v1/jobs?stage=merge", timeout=20).json()["jobs"][0]
    job = requests.get(f"{started}/api/v1/jobs/{merge['job_id']}", timeout=20).json()
    name = job["outputs"][0]["name"]

    answer = subprocess.run(
        [".venv/bin/jobprov", "lookup", name, "--url", started],
        cwd=newcomer.clone, env=newcomer.environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    assert merge["job_id"] in answer.stdout
    assert "v1_02_00" in answer.stdout


def test_newcomer_reruns_a_merge_job_with_the_command(started: str, newcomer: Newcomer) -> None:
    merge = requests.get(f"{started}/api/v1/jobs?stage=merge", timeout=20).json()["jobs"][0]

    answer = subprocess.run(
        [".venv/bin/jobprov", "rerun", merge["job_id"], "--into", "again", "--url", started],
        cwd=newcomer.clone, env=newcomer.environment, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "EQUIVALENT" in answer.stdout
    assert "was reproduced" in answer.stdout + answer.stderr


def test_second_setup_installs_nothing(newcomer: Newcomer) -> None:
    setup = subprocess.run(
        ["./scripts/setup", "demo"],
        cwd=newcomer.clone,
        env=newcomer.environment,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (setup.stdout, setup.stderr) == ("", "")
