"""The number of a job in its submission is its unit, where it has no one input."""

import pytest

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.surroundings import host
from jobprov.provenance.capture.surroundings.batch import name_unit


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
