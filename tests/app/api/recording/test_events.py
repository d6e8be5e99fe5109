"""OpenLineage events, sent by its stock Python client over real HTTP.

And what is refused, by hand.
"""

import gzip
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run, parent_run, source_code_location_job

from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import a_record
from tests.library.servers.openlineage import stock_client

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
RUN = "0f8b0000-0000-4000-8000-0000000000aa"


def event(kind: RunState, second: int, run: str, **more: Any) -> RunEvent:
    return RunEvent(
        eventType=kind,
        eventTime=(MOMENT + timedelta(seconds=second)).isoformat(),
        run=Run(run, more.pop("run_facets", {})),
        job=Job("airflow", "prod.plots", more.pop("job_facets", {})),
        producer="https://example.org/airflow",
        **more,
    )


def test_runs_of_a_stock_client_join_the_graph_of_the_production(
    address: str, client: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    token = new_token()
    made = a_record(1, outputs=[{"name": "reco.root", "checksums": ["adler32:00000001"]}])
    assert client.put(f"/api/v1/jobs/{made['job_id']}", json=made, headers=token).status_code == 201
    run, failed = str(uuid.uuid4()), str(uuid.uuid4())
    code = source_code_location_job.SourceCodeLocationJobFacet(
        "git", "https://git.example.org/plots.git", version="a" * 40
    )
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(run), job=parent_run.Job("airflow", "prod")
    )
    stock = stock_client(address, token["Authorization"].removeprefix("Bearer "))

    for told in (
        event(RunState.COMPLETE, 60, run, outputs=[OutputDataset("s3://plots", "a/plots.parquet")]),
        event(
            RunState.START,
            0,
            run,
            inputs=[InputDataset("nova", "reco.root")],
            job_facets={"sourceCodeLocation": code},
        ),
        event(
            RunState.START,
            0,
            run,
            inputs=[InputDataset("nova", "reco.root")],
            job_facets={"sourceCodeLocation": code},
        ),
        event(RunState.START, 1, failed, run_facets={"parent": parent}),
        event(
            RunState.FAIL,
            9,
            failed,
            run_facets={"errorMessage": error_message_run.ErrorMessageRunFacet("boom", "python")},
        ),
    ):
        stock.emit(told)
    stock.close()

    job = client.get(f"/api/v1/jobs/{run}").get_json()
    assert (job["merged"]["state"], job["merged"]["started_at"]) == (
        "succeeded",
        "2026-01-01T00:00:00+00:00",
    )
    assert [entry["revision"] for entry in job["software"]] == ["a" * 40]
    assert job["witnesses"][0]["witness"] == "import"
    assert len(job["record"]["extra"]["openlineage"]["events"]) == 2
    lineage = client.get("/api/v1/files/plots.parquet/lineage?direction=ancestors").get_json()
    assert {node["name"] for node in lineage["nodes"] if node["kind"] == "file"} == {
        "plots.parquet",
        "reco.root",
    }
    assert {node["job_id"] for node in lineage["nodes"] if node["kind"] == "job"} == {
        run,
        made["job_id"],
    }
    other = client.get(f"/api/v1/jobs/{failed}").get_json()["merged"]
    assert (other["state"], other["exit"]["message"]) == ("failed", "boom")
    assert other["task"]["task_id"] == f"airflow:prod.plots@{run}"


def test_stock_client_without_a_token_is_refused(
    address: str, new_token: Callable[..., dict[str, str]]
) -> None:
    new_token()
    with pytest.raises(requests.HTTPError, match="401"):
        stock_client(address, "prov_worthless").emit(event(RunState.START, 0, RUN))


def sent(client: FlaskClient, document: Any, query: str = "?experiment=nova", **how: Any) -> Any:
    return client.post(f"/api/v1/lineage{query}", data=json.dumps(document), **how)


def plain(**changes: Any) -> dict[str, Any]:
    return {
        "eventType": "START",
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "p",
        "run": {"runId": RUN},
        "job": {"namespace": "n", "name": "j"},
        **changes,
    }


def test_answers_say_what_became_of_the_run(client: FlaskClient) -> None:
    answers = [
        sent(client, plain()),
        sent(client, plain(eventType="ABORT")),
        sent(client, plain(eventType="ABORT")),
    ]

    assert [(answer.status_code, answer.get_json()["change"]) for answer in answers] == [
        (201, "created"),
        (200, "replaced"),
        (200, "same"),
    ]
    assert answers[0].get_json()["job_id"] == RUN


def static(**of_what: Any) -> dict[str, Any]:
    return {"eventTime": "2026-01-01T00:00:00Z", "producer": "p", **of_what}


_PARENT = "run.facets.parent.run.runId"


@on_sqlite_alone
@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], ""),
        (plain(run={"runId": 5}), "run.runId"),
        (plain(eventTime="2026-01-01T00:00:00"), "eventTime"),
        (plain(inputs=[{"namespace": "n", "name": "a\u0001b"}]), "inputs[0].name"),
        ({"eventTime": "2026-01-01T00:00:00Z", "producer": "p"}, "run"),
        ({"eventType": "START", **static(job={"namespace": "n", "name": "j"})}, "run"),
        (static(dataset={"namespace": "n"}), "dataset.name"),
        (static(dataset={"namespace": "n", "name": "/"}), "dataset.name"),
        (
            static(
                job={"namespace": "n", "name": "j"}, outputs=[{"namespace": "n", "name": "a\u0001"}]
            ),
            "outputs[0].name",
        ),
        (static(job={"namespace": "n", "name": "j" * 999}), "job.name"),
        (static(job={"namespace": "n", "name": "a\nb"}), "job.name"),
        (plain(eventTime="1969-01-01T00:00:00Z"), "eventTime"),
        (plain(job={"namespace": "a\nb", "name": "j"}), "job.namespace"),
        (plain(job={"namespace": "n", "name": "a\nb"}), "job.name"),
        (plain(run={"runId": RUN, "facets": {"parent": {"run": {"runId": "a\nb"}}}}), _PARENT),
        (plain(run={"runId": RUN, "facets": {"parent": {"run": {"runId": "x" * 1001}}}}), _PARENT),
        (plain(inputs=[{"namespace": "a\nb", "name": "x"}]), "inputs[0].namespace"),
    ],
)
def test_bad_event_is_answered_by_its_field(client: FlaskClient, document: Any, field: str) -> None:
    assert_problem(sent(client, document), 422, field)


@on_sqlite_alone
@pytest.mark.parametrize(
    ("body", "words"),
    [(b"{", "The event is not JSON: "), (b"[{}]", "The event is not a JSON object.")],
)
def test_what_is_no_event_at_all_is_not_called_a_record(
    client: FlaskClient, body: bytes, words: str
) -> None:
    answer = client.post("/api/v1/lineage?experiment=nova", data=body)

    assert_problem(answer, 422, "")
    assert answer.get_json()["detail"].startswith(words)


def with_dataset(facets: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return an event of each kind about a dataset, by the place of the dataset in it."""
    dataset = {"namespace": "s", "name": "d", "facets": facets}
    return {
        "dataset": static(dataset=dataset),
        "inputs[0]": static(job={"namespace": "n", "name": "j"}, inputs=[dataset]),
        "outputs[1]": plain(outputs=[{"namespace": "s", "name": "other"}, dataset]),
    }


@on_sqlite_alone
@pytest.mark.parametrize("facet", ["version", "jobprov_file"])
@pytest.mark.parametrize("value", [None, "x", [1], 5])
def test_facet_that_is_no_object_says_nothing(client: FlaskClient, facet: str, value: Any) -> None:
    for document in with_dataset({facet: value}).values():
        assert sent(client, document).status_code == 201


@on_sqlite_alone
@pytest.mark.parametrize(
    ("file", "field"),
    [
        ({"checksums": 5}, "checksums"),
        ({"checksums": "adler32:00000001"}, "checksums"),
        ({"checksums": [5]}, "checksums[0]"),
        ({"checksums": ["adler32:00000001", "none"]}, "checksums[1]"),
        ({"size_bytes": "5"}, "size_bytes"),
        ({"size_bytes": -5}, "size_bytes"),
        ({"sha256": "zz"}, "sha256"),
    ],
)
def test_what_no_file_can_be_is_answered_by_its_place_in_the_event(
    client: FlaskClient, file: dict[str, Any], field: str
) -> None:
    for place, document in with_dataset({"jobprov_file": file}).items():
        assert_problem(sent(client, document), 422, f"{place}.facets.jobprov_file.{field}")


def test_whose_run_it_is_has_to_be_said(
    client: FlaskClient, new_token: Callable[..., dict[str, str]]
) -> None:
    assert_problem(sent(client, plain(), query=""), 422, "experiment")
    assert_problem(sent(client, plain(), query="?experiment=dune", headers=new_token("nova")), 403)


def test_secret_in_a_facet_is_refused_with_its_place(client: FlaskClient) -> None:
    variables = [{"name": "DB_PASSWORD", "value": "correct-horse-battery"}]
    facets = {"environmentVariables": {"environmentVariables": variables}}

    assert_problem(
        sent(client, plain(run={"runId": RUN, "facets": facets})),
        422,
        "environment.variables.DB_PASSWORD",
    )
    assert client.get(f"/api/v1/jobs/{RUN}").status_code == 404


def test_too_long_an_event_is_refused(client: FlaskClient) -> None:
    body = gzip.compress(json.dumps(plain(producer="p" * 9_000_000)).encode())
    answer = client.post(
        "/api/v1/lineage?experiment=nova", data=body, headers={"Content-Encoding": "gzip"}
    )

    assert_problem(answer, 413)
