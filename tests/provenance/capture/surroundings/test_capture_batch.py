"""The number of a job in its submission is its unit, where it has no one input."""

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.surroundings import host
from jobprov.provenance.capture.surroundings.batch import describe_batch, name_job, name_unit


@pytest.mark.parametrize(
    ("environment", "unit"),
    [
        ({"PROCESS": "7", "JOBSUBJOBSECTION": "7"}, "7"),
        ({"PROCESS": "0", "JOBSUBJOBSECTION": "7"}, "7"),  # --maxConcurrent, --dag
        ({"PROCESS": "7", "JOBSUBJOBSECTION": ""}, "7"),
        ({"SLURM_ARRAY_TASK_ID": "7"}, "7"),
        ({}, "3"),
    ],
)
def test_jobs_of_a_dag_have_units_of_their_own(environment: dict[str, str], unit: str) -> None:
    assert name_unit(Options([], {}), environment, {"ProcId": 3}, []) == unit


@pytest.mark.parametrize(
    ("names", "environment", "unit"),
    [
        (["files.txt"], {"PROCESS": "7"}, "7"),
        (["files.txt"], {}, "files.txt"),
        (["files.txt", "raw_5.root"], {"PROCESS": "7"}, "raw_5.root"),
        (["files_17.txt"], {"PROCESS": "7"}, "files_17.txt"),
        (["north.root"], {"PROCESS": "7"}, "north.root"),
        (["raw_5.root", "raw_6.root"], {"PROCESS": "7"}, "7"),
        (["raw_5.root", "raw_6.root"], {}, None),
    ],
)
def test_list_for_all_jobs_of_a_submission_is_not_what_one_of_them_works_on(
    names: list[str], environment: dict[str, str], unit: str | None
) -> None:
    """Jobs that each take their line of `files.txt` were all one unit: done by the first."""
    inputs = [{"name": name, "role": "primary"} for name in names]

    assert name_unit(Options([], {}), environment, {}, inputs) == unit


@pytest.mark.parametrize(("process", "unit"), [(0, "reco_7"), (2, "reco_7.2")])
def test_nodes_of_a_dag_of_ones_own_are_units(process: int, unit: str) -> None:
    """DAGMan submits each node by itself: all of them were the unit 0."""
    ad: dict[str, str | float] = {"ProcId": process, "DAGNodeName": "reco_7"}

    assert name_unit(Options([], {}), {}, ad, []) == unit


@pytest.mark.parametrize(
    "variable", ["GLIDEIN_Site", "GLIDEIN_DUNESite", "JUSTIN_SITE_NAME", "DIRACSITE"]
)
def test_site_is_what_the_pilot_says(variable: str) -> None:
    described = host.describe_host(Draft(), {variable: "LCG.CERN.cern"}, {})

    assert described["site"] == "LCG.CERN.cern"


# As Slurm 24.11 gave them, without what has nothing to do with names: a batch script of an array
# on two nodes, then the tasks of srun in it
SCRIPT = {
    "SLURM_CLUSTER_NAME": "toy",
    "SLURM_JOB_ID": "10",
    "SLURM_ARRAY_JOB_ID": "3",
    "SLURM_ARRAY_TASK_ID": "2",
    "SLURM_NTASKS": "4",
    "SLURM_PROCID": "0",
}
FOUR_TASKS = {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4"}


def task_of_slurm(number: int) -> dict[str, str]:
    return {**SCRIPT, **FOUR_TASKS, "SLURM_PROCID": str(number)}


def test_batch_script_of_slurm_keeps_its_id_for_ever() -> None:
    described = describe_batch(SCRIPT, {})

    assert (described["id"], described["global_job_id"]) == ("10", "toy#10")
    assert name_job(described) == "f3ac1749-204f-57cd-8799-17412a3d0fe0"


def test_tasks_and_steps_of_slurm_have_ids_of_their_own() -> None:
    """On nodes of their own they have spools of their own, and each was number 0 of the job."""
    one_task = {**SCRIPT, "SLURM_STEP_ID": "1", "SLURM_STEP_NUM_TASKS": "1"}
    steps = [SCRIPT, one_task, *map(task_of_slurm, range(4))]

    described = [describe_batch(step, {}) for step in steps]

    ids = ["10", "10.1", "10.0.0", "10.0.1", "10.0.2", "10.0.3"]
    assert [batch["id"] for batch in described] == ids
    assert len({name_job(batch) for batch in described}) == len(steps)


def test_start_after_a_requeue_is_the_next_attempt() -> None:
    described = describe_batch({**task_of_slurm(2), "SLURM_RESTART_COUNT": "1"}, {})

    assert (described["id"], described["attempt"]) == ("10.0.2", 2)


def test_tasks_of_an_array_job_are_units_of_their_own() -> None:
    """Else the array's index was done as soon as one of its tasks was."""
    units = [name_unit(Options([], {}), task_of_slurm(number), {}, []) for number in range(4)]

    assert units == ["2.0", "2.1", "2.2", "2.3"]


@pytest.mark.parametrize(
    ("index", "identity", "unit"), [("3", "6.3", "3"), ("undefined", "6", None)]
)
def test_job_of_grid_engine_has_its_number_and_its_index(
    index: str, identity: str, unit: str | None
) -> None:
    """As Grid Engine 8.1.9 gave them; nothing counts its restarts."""
    environment = {"JOB_ID": "6", "SGE_TASK_ID": index, "SGE_CELL": "default", "RESTARTED": "0"}

    described = describe_batch(environment, {})

    assert described == {"system": "gridengine", "id": identity}
    assert name_unit(Options([], {}), environment, {}, []) == unit


def test_job_id_alone_is_of_no_batch_system() -> None:
    assert describe_batch({"JOB_ID": "6"}, {}) == {}
