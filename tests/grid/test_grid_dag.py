"""A node of a real DAG that fails before it reads its input, and that DAGMan tries again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.library.grid.scene import Scene, opened_scene

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("grid_dag")]

JOB = """
[ -e {marks}/tried ] || {{ touch {marks}/tried; echo "no token" >&2; exit 3; }}
exec 3< {store}/raw_7.root; sleep 0.5; cksum <&3 > reco_7.root
"""
SUBMIT = """
executable = /usr/bin/python3
transfer_executable = False
arguments = "job-end-hook.pyz run --no-trace -- sh job.sh"
environment = "JOBPROV_URL='{url}' JOBPROV_EXPERIMENT='toyexp' JOBPROV_TASK_ID='dag'"
should_transfer_files = YES
transfer_input_files = {hook}, job.sh
output = reco.out
error = reco.err
request_memory = 256M
queue
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with opened_scene(lambda: Scene(tmp_path_factory.mktemp("dag"), "toyexp")) as made:
        yield made


def test_tries_of_a_node_are_known_by_its_dag_and_its_name(scene: Scene) -> None:
    """The first is another unit: it did not come to what it was to read."""
    run_dag(scene)

    batches, units = [], set()
    for job in scene.ask("/jobs", task_id="dag")["jobs"]:
        record: dict[str, Any] = scene.ask(f"/jobs/{job['job_id']}")["record"]
        batches.append((record["batch"]["dag"], record["batch"]["dag_node"]))
        units.add((record["task"]["unit"], record["state"]))

    assert units == {("reco_7", "failed"), ("raw_7.root", "succeeded")}
    assert len(batches) == 2
    assert len(set(batches)) == 1
    assert batches[0][1] == "reco_7"


def run_dag(scene: Scene) -> None:
    """Run a DAG of one node, which is tried twice."""
    pool = scene.pool
    store = pool.make_folder("store")
    pool.put("store/raw_7.root", b"raw data\n" * 1000)
    pool.put("jobs/job.sh", JOB.format(marks=pool.folder / "marks", store=store))
    pool.put("jobs/reco.sub", SUBMIT.format(url=scene.service.url, hook=scene.hook))
    # DAGMan takes a log in /tmp, where the pool has its files, for an error
    pool.put("jobs/dag.config", "DAGMAN_USE_STRICT = 0\n")
    pool.put("jobs/production.dag", "CONFIG dag.config\nJOB reco_7 reco.sub\nRETRY reco_7 1\n")
    pool.run("condor_submit_dag", "production.dag", cwd=Path(pool.folder / "jobs"))
    pool.wait_for(
        "a job that succeeded",
        lambda: bool(scene.ask("/jobs", task_id="dag", state="succeeded")["jobs"]),
        180,
    )
