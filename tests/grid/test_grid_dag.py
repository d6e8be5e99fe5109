"""A node of a real DAG that fails before it reads its input, and that DAGMan tries again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.library.grid.scene import Scene, opened_scene

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_dag")]

JOB = """
[ -e {marks} ] || {{ touch {marks}; echo "no token" >&2; exit 3; }}
exec 3< {store}/raw_7.root; sleep 0.5; cksum <&3 > reco_7.root
"""
SUBMIT = """
executable = /usr/bin/python3
transfer_executable = False
arguments = "job-end-hook.pyz run --no-trace -- sh job.sh"
environment = "JOBPROV_URL='{url}' JOBPROV_EXPERIMENT='toyexp' JOBPROV_TASK_ID='{task}'"
should_transfer_files = YES
transfer_input_files = {hook}, job.sh
output = reco.out
error = reco.err
request_memory = 256M
{again}
queue
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened_scene(lambda: Scene(tmp_path_factory.mktemp("dag"), "toyexp")) as made:
        yield made


def test_tries_of_a_node_are_known_by_its_dag_and_its_name(scene: Scene) -> None:
    """The first did not come to what it was to read, and is one of the same unit all the same."""
    declare(scene, "dag", "raw_7.root")
    run(scene, "dag", "condor_submit_dag", "production.dag")

    batches, recorded = [], set()
    units = {job["task"]["unit"] for job in scene.ask("/jobs", task_id="dag")["jobs"]}
    for job in scene.ask("/jobs", task_id="dag")["jobs"]:
        record: dict[str, Any] = scene.ask(f"/jobs/{job['job_id']}")["record"]
        batches.append((record["batch"]["dag"], record["batch"]["dag_node"]))
        recorded.add((record["task"]["unit"], record["state"]))

    assert recorded == {("reco_7", "failed"), ("raw_7.root", "succeeded")}
    assert units == {"raw_7.root"}
    assert len(batches) == 2
    assert len(set(batches)) == 1
    assert batches[0][1] == "reco_7"
    assert_nothing_is_left(scene, "dag")


def test_batch_job_that_starts_again_is_at_the_same_unit(scene: Scene) -> None:
    """HTCondor starts it again by itself; its record has the job's number for a unit."""
    declare(scene, "again", "raw_7.root")
    run(scene, "again", "condor_submit", "reco.sub")

    jobs = scene.ask("/jobs", task_id="again")["jobs"]

    assert len({job["batch_id"] for job in jobs}) == 1
    assert {(job["task"]["unit"], job["state"]) for job in jobs} == {
        ("raw_7.root", "failed"),
        ("raw_7.root", "succeeded"),
    }
    assert_nothing_is_left(scene, "again")


def assert_nothing_is_left(scene: Scene, task: str) -> None:
    progress = scene.ask(f"/tasks/{task}")
    assert (progress["produced"], progress["missing"], progress["unlisted"]) == (1, 0, 0)
    assert (progress["states"], progress["blocking"]) == ({"succeeded": 1}, [])
    assert "Unit in its record" in scene.page(f"/jobs/{progress['failing_jobs'][0]['job_id']}")
    done = scene.service.run("retry", "--experiment", scene.experiment, "--task", task)
    assert done.stdout.startswith("0 jobs to be tried again")


def declare(scene: Scene, task: str, *units: str) -> None:
    address = f"{scene.service.url}/api/v1/tasks/{task}"
    body = {"experiment": scene.experiment, "units": list(units)}
    requests.put(address, json=body, timeout=30).raise_for_status()


def run(scene: Scene, task: str, *submit: str) -> None:
    """Run a job that fails once and then succeeds, and wait for that."""
    pool = scene.pool
    store = pool.make_folder("store")
    pool.put("store/raw_7.root", b"raw data\n" * 1000)
    pool.make_folder(task)
    pool.put(f"{task}/job.sh", JOB.format(marks=pool.folder / "marks" / task, store=store))
    again = "" if "condor_submit_dag" in submit else "max_retries = 1"
    submission = SUBMIT.format(url=scene.service.url, hook=scene.hook, task=task, again=again)
    pool.put(f"{task}/reco.sub", submission)
    # DAGMan takes a log in /tmp, where the pool has its files, for an error
    pool.put(f"{task}/dag.config", "DAGMAN_USE_STRICT = 0\n")
    pool.put(f"{task}/production.dag", "CONFIG dag.config\nJOB reco_7 reco.sub\nRETRY reco_7 1\n")
    pool.run(*submit, cwd=Path(pool.folder / task))
    pool.wait_for(
        "a job that succeeded",
        lambda: bool(scene.ask("/jobs", task_id=task, state="succeeded")["jobs"]),
        180,
    )
