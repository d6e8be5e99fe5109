"""Jobs of a real Slurm, as the document has them recorded."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.library.grid.deaths import recipe
from tests.library.grid.slurm import Slurm, need_slurm
from tests.library.hook import put_hook
from tests.library.servers.live_service import LiveService

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_slurm")]


class Site:
    """A Slurm and a service."""

    def __init__(self, folder: Path) -> None:
        self.service = LiveService(folder / "var")
        try:
            self.slurm = Slurm()
        except BaseException:
            self.service.stop()
            raise
        put_hook(self.slurm.folder / "job-end-hook.pyz")
        (self.slurm.folder / "gen.sh").write_text('echo "events of $1" > "$1"; sleep 0.5\n')

    def submit(self, script: str, *, task: str) -> None:
        """Run a batch script for a task to its end."""
        self.wait_for_end(self.begin(script, task=task))

    def begin(self, script: str, *, task: str) -> str:
        """Submit a batch script for a task; return the job's number."""
        text = script.replace("https://jobprov.example.org", self.service.url)
        file = self.slurm.folder / f"{task}.sh"
        file.write_text(text.replace("my-first-task", task))
        return self.slurm.run("sbatch", "--parsable", str(file)).stdout.strip()

    def wait_for_end(self, job: str) -> None:
        """Wait until the queue has a job no more."""
        self.slurm.wait_for("end", lambda: not self.slurm.run("squeue", "-hj", job).stdout)

    def records(self, task: str) -> list[dict[str, Any]]:
        """Return the records of a task's jobs."""
        asked = {"experiment": "toy", "task_id": task}
        address = f"{self.service.url}/api/v1/jobs"
        jobs = requests.get(address, params=asked, timeout=60).json()["jobs"]
        ids = [job["job_id"] for job in jobs]
        return [requests.get(f"{address}/{job}", timeout=60).json()["record"] for job in ids]

    def said(self, job: str) -> str:
        """Return what a job printed."""
        return (self.slurm.folder / f"slurm-{job}.out").read_text()

    def units(self, task: str) -> dict[str, int]:
        """Return how many units of a task are in each state."""
        address = f"{self.service.url}/api/v1/tasks/{task}"
        answer = requests.get(address, params={"experiment": "toy"}, timeout=60).json()
        return {state: count for state, count in answer["states"].items() if count}

    def close(self) -> None:
        self.slurm.stop()
        self.service.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_slurm()
    made = Site(tmp_path_factory.mktemp("slurm"))
    yield made
    made.close()


def test_every_task_of_an_array_is_a_job_with_its_own_unit_and_file(site: Site) -> None:
    """They share one folder; on each node they have a spool of their own."""
    script = recipe("slurm-array", "sh")
    own_spools = "export JOBPROV_SPOOL=$PWD/jobprov-spool-$SLURM_ARRAY_TASK_ID-$SLURM_PROCID"

    site.submit(script, task="shared")
    site.submit(script.replace("srun sh -c '", f"srun sh -c '{own_spools}; "), task="apart")

    for task in ("shared", "apart"):
        records = site.records(task)
        units = sorted(record["task"]["unit"] for record in records)
        assert units == ["0.0", "0.1", "1.0", "1.1"]
        assert {record["state"] for record in records} == {"succeeded"}
        ids = [record["batch"]["id"] for record in records]
        assert all(re.fullmatch(r"\d+\.0\.[01]", identity) for identity in ids)
        assert {record["batch"]["part"] for record in records} == {0}
        for record in records:
            unit = record["task"]["unit"]
            assert f"gen_{unit}.txt" in [file["name"] for file in record["outputs"]]


def test_hook_before_srun_says_that_it_did_not_see_the_tasks(site: Site) -> None:
    script = (
        "#!/bin/sh\nexport JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID=my-first-task\n"
        "export JOBPROV_URL=https://jobprov.example.org\n"
        "./job-end-hook.pyz run -- srun sh ./gen.sh around.txt\n"
    )

    site.submit(script, task="around")

    (record,) = site.records("around")
    assert "." not in record["batch"]["id"]
    assert [file["name"] for file in record["outputs"]] == ["around.txt"]
    assert "put the hook after srun" in record["command"]["processes"]["why_incomplete"]


def test_job_that_scancel_ends_was_killed(site: Site) -> None:
    """Whatever Slurm signals first, the shell or the hook around it."""
    script = (
        "#!/bin/sh\nexport JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID=my-first-task\n"
        "export JOBPROV_URL=https://jobprov.example.org\n"
        "(until [ -e began ]; do sleep 0.1; done; scancel $SLURM_JOB_ID) &\n"
        "exec ./job-end-hook.pyz run -- sh -c '>began; sleep 60; sleep 60'\n"
    )

    job = site.begin(script, task="cancelled")
    site.wait_for_end(job)

    states = [record["state"] for record in site.records("cancelled")]
    assert states == ["killed"], site.said(job)


@pytest.mark.parametrize("start", ["exec", "exec srun"])
def test_job_that_is_requeued_without_a_unit_is_one_unit(site: Site, start: str) -> None:
    """It is in no array: nothing but its number says that both attempts are of one job."""
    task = start.replace(" ", "-")
    script = (
        "#!/bin/sh\nexport JOBPROV_EXPERIMENT=toy JOBPROV_TASK_ID=my-first-task\n"
        "export JOBPROV_URL=https://jobprov.example.org\n"
        f"{start} ./job-end-hook.pyz run --output {task}.txt -- sh -c "
        f"'if [ -z \"$SLURM_RESTART_COUNT\" ]; then >{task}.began; exec sleep 60; fi; echo made >{task}.txt'\n"
    )

    job = site.begin(script, task=task)
    site.slurm.wait_for("begin", (site.slurm.folder / f"{task}.began").exists)
    site.slurm.run("scontrol", "requeue", job)
    site.wait_for_end(job)

    records = sorted(site.records(task), key=lambda record: int(record["batch"]["attempt"]))
    assert [record["batch"]["attempt"] for record in records] == [1, 2]
    assert [record["state"] for record in records] == ["killed", "succeeded"]
    assert [record["task"].get("unit") for record in records] == [None, None]
    assert site.units(task) == {"succeeded": 1}
