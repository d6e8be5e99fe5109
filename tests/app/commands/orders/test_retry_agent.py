"""A job of one's own program that failed, retried by the agent on this machine: nothing is lost.

The first attempt ran under the hook in a git checkout; its retry runs from its bundle.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.library.disk import storage_folder
from tests.library.hook import put_hook
from tests.library.servers.live_service import LiveService

pytestmark = pytest.mark.slow

MAKE = """#!/bin/sh
set -e
[ -f "{folder}/mended" ] || {{ echo "no such table" >&2; exit 3; }}
mkdir -p deep
cksum "$1" > hist.root
echo extra > deep/extra.dat
echo scratch > scratch.tmp; rm scratch.tmp
sha256sum hist.root deep/extra.dat > sums.txt
"""


class Trial:
    """A service, and a job whose program is in a git checkout and failed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.service = LiveService(folder / "var")
        put_hook(folder / "hook.pyz")
        self.code = folder / "code"
        self.code.mkdir()
        (self.code / "make.sh").write_text(MAKE.format(folder=folder))
        (self.code / "make.sh").chmod(0o755)
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
            subprocess.run([*git, *words], cwd=self.code, check=True)
        self.work = folder / "work"
        self.work.mkdir()
        # Too large for the archive: the record only knows its path
        self.raw = folder / "data" / "raw.dat"
        self.raw.parent.mkdir()
        self.raw.write_bytes(os.urandom(17 << 20))

    def run_first(self) -> dict[str, Any]:
        """Run the job under the hook, where it fails; return its summary."""
        options = ["--task-id", "t1", "--unit", "raw.dat", "--experiment", "toyexp"]
        command = [str(self.code / "make.sh"), str(self.raw)]
        done = self.service.run("repository", "add", "code", str(self.code))
        assert done.returncode == 0, done.stderr
        done = subprocess.run(
            [sys.executable, self.folder / "hook.pyz", "run", *options, "--", *command],
            cwd=self.work,
            env={**os.environ, "JOBPROV_URL": self.service.url, "JOBPROV_SPOOL": "../spool"},
            check=False,
        )
        assert done.returncode == 3
        return self.jobs("failed")[0]

    def jobs(self, state: str) -> list[dict[str, Any]]:
        query = {"experiment": "toyexp", "state": state}
        answer = requests.get(f"{self.service.url}/api/v1/jobs", params=query, timeout=30)
        return list(answer.json()["jobs"])

    def record(self, job: dict[str, Any]) -> dict[str, Any]:
        address = f"{self.service.url}/api/v1/jobs/{job['job_id']}?experiment=toyexp"
        return dict(requests.get(address, timeout=30).json()["record"])

    def agent(self, *options: str) -> str:
        """Let the agent work until no order is left; return what it said."""
        said = ""
        until = time.monotonic() + 90
        while time.monotonic() < until:
            said += self.agent_once(*options)
            if " over" in said:
                return said
            time.sleep(0.3)
        raise AssertionError(said)

    def agent_once(self, *options: str) -> str:
        common = ["--launcher", "local", "--folder", str(self.folder / "agent"), "--once"]
        done = self.service.run("agent", "--experiment", "toyexp", *common, *options)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def retry(self, *words: str) -> str:
        done = self.service.run("retry", "--experiment", "toyexp", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def trial() -> Iterator[Trial]:
    # No temporary folder, which the storage of an experiment is not either
    with storage_folder() as folder:
        made = Trial(folder)
        try:
            yield made
        finally:
            made.service.stop()


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_outputs(home: Path, record: dict[str, Any]) -> None:
    for line in (home / "sums.txt").read_text().splitlines():
        digest, name = line.split()
        assert sha256(home / name) == digest, name
    names = ("hist.root", "deep/extra.dat", "sums.txt")
    recorded = {output["path"]: output["sha256"] for output in record["outputs"]}
    assert recorded == {name: sha256(home / name) for name in names}


def test_outputs_of_a_retry_come_home_and_its_code_is_the_same(trial: Trial) -> None:
    first = trial.run_first()
    trial.service.run("work")  # the commit is looked up, else the bundle has the script alone
    (trial.folder / "mended").touch()
    assert "Ordered 1 job." in trial.retry(first["job_id"], "--order")
    home = trial.folder / "retries"

    trial.agent("--output-dir", str(home))

    [done] = trial.jobs("succeeded")
    check_outputs(home, trial.record(done))
    said = trial.service.run("diff", first["job_id"], done["job_id"]).stdout
    assert said.startswith("Same recipe; the first failed, the second succeeded."), said
    assert "Same: code, scripts, command line, inputs." in said


def test_without_a_place_the_agent_keeps_the_outputs_for_ever(trial: Trial) -> None:
    """After a week it removed the folder, with the only copy in it."""
    first = trial.run_first()
    (trial.folder / "mended").touch()
    trial.retry(first["job_id"], "--order")

    said = trial.agent()

    [done] = trial.jobs("succeeded")
    [home] = (trial.folder / "agent/jobs").glob("*/outputs")
    check_outputs(home, trial.record(done))
    assert f"are in {home}" in said
    long_ago = time.time() - 30 * 86_400
    for note in (trial.folder / "agent/notes").iterdir():
        os.utime(note, (long_ago, long_ago))
    trial.agent_once()
    check_outputs(home, trial.record(done))
    shutil.rmtree(home)


def test_an_input_that_is_gone_is_named_and_what_was_ordered_before_says_what_to_do(
    trial: Trial,
) -> None:
    first = trial.run_first()
    (trial.folder / "mended").touch()
    trial.retry(first["job_id"], "--order")
    kept = trial.raw.rename(trial.folder / "raw.dat")

    trial.agent()

    [second] = [job for job in trial.jobs("failed") if job["job_id"] != first["job_id"]]
    exit_of_second = trial.record(second)["exit"]
    assert exit_of_second["code"] == 66
    assert f"input raw.dat (sha256:{sha256(kept)}" in exit_of_second["message"]
    assert f"{trial.raw}: no such file" in exit_of_second["message"]
    shown = trial.service.run("retry", second["job_id"], "--experiment", "toyexp")
    assert shown.returncode == 1
    assert f"{trial.raw}: no such file" in shown.stdout

    kept.rename(trial.raw)
    offered = trial.retry(second["job_id"])
    assert "1 job to be tried again" in offered
    assert "Nothing is submitted yet: --order" in offered
    trial.retry(second["job_id"], "--order")
    trial.agent("--output-dir", str(trial.folder / "retries"))
    [done] = trial.jobs("succeeded")
    check_outputs(trial.folder / "retries", trial.record(done))
