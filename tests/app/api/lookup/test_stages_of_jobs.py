"""A job of a task of several stages, as Snakemake's rules are, counts for its own stage."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.records import job_id, record_of

STAGES = {1: "call", 2: "align", 3: "", 4: "call"}
"""Of one task, placed at the first by name."""


def stage_of(number: int, stage: str, **changes: Any) -> dict[str, Any]:
    task = {"task_id": "t1", "campaign": "c", "stage": stage, "unit": f"u{number}"}
    return record_of(number, task={key: value for key, value in task.items() if value}, **changes)


@pytest.fixture
def several(client: FlaskClient) -> FlaskClient:
    for number, stage in STAGES.items():
        put_job(client, stage_of(number, stage))
    plain = {"task_id": "t2", "campaign": "c", "stage": "align"}
    put_job(client, record_of(5, task=plain))
    return client


def jobs(client: FlaskClient, query: str) -> dict[str, str | None]:
    """Return the stage of each job of a list, by id."""
    answer = client.get(f"/api/v1/jobs?experiment=nova&{query}").json
    assert answer is not None
    return {row["job_id"]: row["task"]["stage"] for row in answer["jobs"]}


def test_lists_show_the_stage_that_the_record_names(several: FlaskClient) -> None:
    assert jobs(several, "task_id=t1") == {
        job_id(1): "call",
        job_id(2): "align",
        job_id(3): "align",  # it names none: that of its task
        job_id(4): "call",
    }


@pytest.mark.parametrize("place", ["task_id=t1", "campaign=c", "campaign=c&task_id=t1", ""])
def test_filters_take_the_stage_that_the_record_names(several: FlaskClient, place: str) -> None:
    others = {} if "task_id" in place else {job_id(5): "align"}

    assert jobs(several, f"stage=call&{place}") == {job_id(1): "call", job_id(4): "call"}
    assert jobs(several, f"stage=align&{place}") == {
        job_id(2): "align",
        job_id(3): "align",
        **others,
    }
    assert jobs(several, f"stage=nothing&{place}") == {}


def test_lineage_and_file_show_it_too(several: FlaskClient) -> None:
    graph = several.get("/api/v1/files/f2.root/lineage?depth=1&direction=both").json
    consumers = several.get("/api/v1/files/f3.root").json

    assert graph is not None
    stages = {node["job_id"]: node["stage"] for node in graph["nodes"] if node["kind"] == "job"}
    assert stages[job_id(2)] == "align"
    assert consumers is not None
    assert consumers["consumers"][0]["stage"] == "call"


def test_declaration_of_the_task_is_for_jobs_that_name_none(several: FlaskClient) -> None:
    declared = {"experiment": "nova", "campaign": "c", "stage": "reco", "units": ["u1"]}
    assert several.put("/api/v1/tasks/t1", json=declared).status_code in (200, 201)

    assert jobs(several, "stage=call&campaign=c") == {job_id(1): "call", job_id(4): "call"}
    assert jobs(several, "stage=reco&campaign=c") == {job_id(3): "reco"}


def test_sums_take_the_stage_that_the_record_names(several: FlaskClient) -> None:
    query = "experiment=nova&campaign=c&stage=call&by=stage"

    answer = several.get(f"/api/v1/statistics/resources?{query}").json

    assert answer is not None
    assert [(row["name"], row["jobs"]) for row in answer["groups"]] == [("call", 2)]


def test_campaign_counts_jobs_by_the_stage_that_the_record_names(several: FlaskClient) -> None:
    put_job(several, stage_of(6, "call", state="failed"))

    answer = several.get("/api/v1/campaigns/c?experiment=nova").json

    assert answer is not None
    assert {stage["stage"]: stage["states"] for stage in answer["stages"]} == {
        "call": {"succeeded": 2, "failed": 1},
        "align": {"succeeded": 3},
    }


def test_graph_of_a_campaign_has_the_stages_that_the_records_name(several: FlaskClient) -> None:
    answer = several.get("/api/v1/campaigns/c/graph?experiment=nova").json

    assert answer is not None
    jobs_by_stage: dict[str, int] = {}
    for node in answer["nodes"]:
        jobs_by_stage[node["stage"]] = jobs_by_stage.get(node["stage"], 0) + node["jobs"]
    assert jobs_by_stage == {"call": 2, "align": 3}


def test_errors_count_for_the_stage_that_the_record_names(several: FlaskClient) -> None:
    put_job(several, stage_of(6, "call", state="failed", exit={"code": 1}))

    answer = several.get("/api/v1/statistics/errors?experiment=nova&campaign=c&by=stage").json

    assert answer is not None
    assert [row["by"] for row in answer["causes"]] == ["call"]


def test_costs_are_told_by_the_stage_that_the_record_names(several: FlaskClient) -> None:
    answer = several.get("/api/v1/files/f4.root/cost").json

    assert answer is not None
    jobs_by_stage = {row["stage"]: row["made"]["jobs"] for row in answer["stages"]}
    assert jobs_by_stage == {"call": 2, "align": 2}
