"""OpenLineage events of jobs and datasets alone, sent by its stock Python client.

Declared tasks, and files as they were seen.
"""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    DatasetEvent,
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    StaticDataset,
)
from openlineage.client.facet_v2 import dataset_version_dataset, documentation_dataset, sql_job

from tests.library.answers import assert_problem
from tests.library.servers.openlineage import stock_client

SECRET = "ghp_" + "Canary7" * 6
WHERE = "/api/v1/lineage?experiment=nova"
TASK = "/api/v1/tasks/airflow:prod.plots?experiment=nova"
PRODUCER = "https://example.org/airflow"


@pytest.fixture
def stock(address: str, new_token: Callable[..., dict[str, str]]) -> OpenLineageClient:
    return stock_client(address, new_token()["Authorization"].removeprefix("Bearer "))


def job_event(second: int = 0, **more: Any) -> JobEvent:
    facets = {"sql": sql_job.SQLJobFacet("select 1")}
    return JobEvent(
        eventTime=f"2026-01-01T00:00:{second:02}Z",
        producer=PRODUCER,
        job=Job("airflow", "prod.plots", facets),
        **more,
    )


def plain(second: int = 0, **more: Any) -> dict[str, Any]:
    job = {"namespace": "airflow", "name": "prod.plots"}
    return {"eventTime": f"2026-01-01T00:00:{second:02}Z", "producer": "p", "job": job, **more}


def send(client: FlaskClient, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = client.post(WHERE, data=json.dumps(document))
    found: dict[str, Any] = answer.get_json()
    return answer.status_code, found


def test_job_of_a_stock_client_is_a_declared_task_and_its_datasets_are_seen_files(
    stock: OpenLineageClient, client: FlaskClient
) -> None:
    read, made = InputDataset("nova", "reco.root"), OutputDataset("s3://plots", "a/plots.parquet")
    run = str(uuid.uuid4())

    stock.emit(job_event(inputs=[read], outputs=[made]))
    stock.emit(
        RunEvent(
            eventType=RunState.COMPLETE,
            eventTime="2026-01-01T00:01:00Z",
            run=Run(run),
            job=Job("airflow", "prod.plots"),
            producer=PRODUCER,
            inputs=[read],
            outputs=[made],
        )
    )
    stock.close()

    task = client.get(TASK).get_json()
    assert (task["campaign"], task["stage"]) == ("airflow", "prod.plots")
    # Its runs are jobs of it
    assert (
        client.get(f"/api/v1/jobs/{run}").get_json()["merged"]["task"]["task_id"] == task["task_id"]
    )
    kept = task["declared"]["openlineage"]["event"]
    assert json.loads(kept)["job"]["facets"]["sql"]["query"] == "select 1"
    seen = client.get("/api/v1/files/plots.parquet").get_json()
    assert seen["sightings"][0]["catalog"] == "OpenLineage: output of job airflow:prod.plots"
    assert seen["locations"] == ["s3://plots/a/plots.parquet"]
    assert seen["producer"]["job_id"] == run
    [named] = client.get("/api/v1/files/reco.root").get_json()["sightings"]
    assert named["catalog"] == "OpenLineage: input of job airflow:prod.plots"


def test_dataset_of_a_stock_client_keeps_its_facets(
    stock: OpenLineageClient, client: FlaskClient
) -> None:
    facets = {
        "documentation": documentation_dataset.DocumentationDatasetFacet("all plots"),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet("7"),
    }

    stock.emit(
        DatasetEvent(
            eventTime="2026-01-01T00:00:00Z",
            producer=PRODUCER,
            dataset=StaticDataset("s3://plots", "b.parquet", facets=facets),
        )
    )
    stock.close()

    found = client.get("/api/v1/files/b.parquet").get_json()
    [seen] = found["sightings"]
    assert (found["is_placeholder"], seen["catalog"]) == (True, f"OpenLineage of {PRODUCER}")
    assert seen["checksums"] == ["openlineage-version:7"]
    kept = json.loads(seen["metadata"]["openlineage"]["dataset"])
    assert kept["facets"]["documentation"]["description"] == "all plots"
    assert "b.parquet" in client.get("/files/b.parquet").text


def test_answers_say_what_was_new(client: FlaskClient) -> None:
    event = plain(inputs=[{"namespace": "n", "name": "a/x"}])

    first, again, later = send(client, event), send(client, event), send(client, plain(5))

    assert first[0] == 201
    assert (first[1]["change"], first[1]["task_id"]) == ("created", "airflow:prod.plots")
    assert [(file["namespace"], file["name"]) for file in first[1]["files"]] == [("n%2Fa", "x")]
    assert (again[0], again[1]["change"]) == (200, "same")
    assert (later[0], later[1]["files"]) == (201, [])


def test_the_latest_event_of_a_job_counts_whatever_the_order(client: FlaskClient) -> None:
    assert send(client, plain(9))[0] == 201
    assert send(client, plain(1)) == (
        200,
        {"change": "same", "task_id": "airflow:prod.plots", "files": []},
    )

    assert (
        client.get(TASK).get_json()["declared"]["openlineage"]["eventTime"]
        == "2026-01-01T00:00:09+00:00"
    )


def test_what_others_declared_of_the_task_stays(client: FlaskClient) -> None:
    declared = {"experiment": "nova", "campaign": "own", "units": 7, "openlineage": "somebody's"}
    assert client.put("/api/v1/tasks/airflow:prod.plots", json=declared).status_code == 201

    assert send(client, plain())[0] == 201

    task = client.get(TASK).get_json()
    assert (task["campaign"], task["declared"]["units"]) == ("own", 7)


def test_secret_in_a_facet_of_a_job_is_refused(client: FlaskClient) -> None:
    job = {"namespace": "n", "name": "j", "facets": {"x": {"note": SECRET}}}

    assert_problem(client.post(WHERE, data=json.dumps(plain(job=job))), 422, "job.facets.x.note")
    assert client.get("/api/v1/tasks/n:j?experiment=nova").status_code == 404
