"""Orders, retries and declarations over HTTP: what is refused, and which field is named."""

from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from jobprov.app.wiring import Service
from jobprov.provenance.db.tables import LedgerEntry
from tests.library.answers import assert_problem, put_job
from tests.library.databases import on_sqlite_alone
from tests.library.records import a_record

WORKFLOW = """
name = "toy"
experiment = "nova"

[[stage]]
name = "gen"
count = 2
command = ["true", "{unit}"]
"""


def put(client: FlaskClient, *records: dict[str, Any]) -> None:
    for record in records:
        put_job(client, record)


def failed(number: int, **more: Any) -> dict[str, Any]:
    task = {"task_id": "T", "campaign": "c", "stage": "s", "unit": f"u{number}"}
    return a_record(number, state="failed", exit={"code": 1}, task=task, **more)


@pytest.mark.parametrize("field", ["exit_code", "signal"])
@pytest.mark.parametrize("value", [10**30, 2**63, -(2**63) - 1])
def test_an_end_that_no_database_can_hold_is_refused_by_name(
    client: FlaskClient, field: str, value: int
) -> None:
    put(client, failed(1))
    retry = {"experiment": "nova", "jobs": [failed(1)["job_id"]]}
    [row] = client.post("/api/v1/retries", json=retry).get_json()["tries"]
    report = {"experiment": "nova", "ended": [{"order_id": row["order_id"], field: value}]}

    answer = client.post("/api/v1/orders/report", json=report)

    assert_problem(answer, 422, f"ended[0].{field}")


def test_the_page_and_the_calls_say_why_a_rerun_is_not_tried_again(client: FlaskClient) -> None:
    put(client, failed(1, rerun_of=a_record(9)["job_id"]))
    job = a_record(1)["job_id"]

    asked = client.get(f"/api/v1/retries?experiment=nova&jobs={job}")
    page = client.get(f"/retry?experiment=nova&job={job}")

    assert [row["reason"] for row in asked.get_json()["skipped"]] == [
        "a rerun: retry the job that it repeats"
    ]
    assert page.status_code == 200
    assert "a rerun: retry the job that it repeats" in page.get_data(as_text=True)


@on_sqlite_alone
@pytest.mark.parametrize("name", ["bad name", "x" * 65, "<script>", "-a", "é"])
@pytest.mark.parametrize(
    ("call", "document"),
    [
        ("retry-policies", {"stages": {}}),
        ("rules", {"rules": [], "who": "a", "why": "b"}),
        ("comparators", {"output": []}),
    ],
)
def test_nothing_is_declared_for_an_experiment_that_no_record_can_name(
    client: FlaskClient, call: str, document: dict[str, Any], name: str
) -> None:
    address = f"/api/v1/{call}/{quote(name)}"

    assert_problem(client.put(address, json=document), 422, "experiment")
    assert client.put(f"/api/v1/{call}/nova-2_x", json=document).status_code in (200, 201)


def test_failures_of_an_experiment_that_nobody_knows_are_not_read_again(
    client: FlaskClient,
) -> None:
    assert_problem(client.post("/api/v1/rules/nobody/reclassifications", json={}), 404)
    put(client, failed(1))
    assert client.post("/api/v1/rules/nova/reclassifications", json={}).status_code == 202


@on_sqlite_alone
@pytest.mark.parametrize(
    ("declared", "field"),
    [
        ({"campaign": "a\nb"}, "campaign"),
        ({"stage": "\x07"}, "stage"),
        ({"sample": "a\x7f"}, "sample"),
        ({"units": ["a", "b\x00c"]}, "units[1]"),
    ],
)
def test_a_declaration_says_no_word_that_a_record_may_not(
    client: FlaskClient, declared: dict[str, Any], field: str
) -> None:
    assert_problem(
        client.put("/api/v1/tasks/T", json={"experiment": "nova", **declared}), 422, field
    )


def test_the_id_of_a_task_is_as_long_as_records_can_say(client: FlaskClient) -> None:
    assert client.put(f"/api/v1/tasks/{'x' * 1000}", json={"experiment": "nova"}).status_code == 201
    assert_problem(
        client.put(f"/api/v1/tasks/{'x' * 1001}", json={"experiment": "nova"}), 422, "task_id"
    )


@pytest.mark.parametrize(
    ("campaign", "file", "field"), [(r"a\nb", "a", "campaign"), ("c", r"b\u0007", "stage s: files")]
)
def test_a_workflow_whose_tasks_could_not_be_declared_is_refused(
    client: FlaskClient, campaign: str, file: str, field: str
) -> None:
    stage = f'[[stage]]\nname = "s"\nfiles = ["a", "{file}2"]\ncommand = ["true", "{{input}}"]\n'
    text = f'name = "w"\nexperiment = "nova"\ncampaign = "{campaign}"\n{stage}'

    assert_problem(client.put("/api/v1/workflows/w", json={"text": text, "files": {}}), 422, field)


def test_an_experiment_that_nobody_knows_has_no_policies(client: FlaskClient) -> None:
    """The default read as if it were declared for the misspelt name."""
    assert_problem(client.get("/api/v1/retry-policies/nobody"), 404)
    put(client, failed(1))
    assert client.get("/api/v1/retry-policies/nova").get_json()["stages"].keys() == {"*"}


def test_the_page_and_the_call_name_inputs_that_no_retry_can_find(client: FlaskClient) -> None:
    lost = {"name": "lost.root", "path": "lost.root", "sha256": "1" * 64, "size_bytes": 7}
    known = {**lost, "name": "known.root", "location": "root://door.example.org//d/known.root"}
    command = {"argv": ["art"], "working_directory": "/scratch/1"}
    put(client, failed(1, inputs=[lost, known], command=command), failed(2, inputs=[known]))
    job = a_record(1)["job_id"]

    asked = client.get(f"/api/v1/retries?experiment=nova&jobs={job}").get_json()
    page = client.get(f"/retry?experiment=nova&job={job}").get_data(as_text=True)

    [row] = asked["tries"]
    places = {file["name"]: file["places"] for file in row["outside_inputs"]}
    assert places == {"lost.root": [], "known.root": ["root://door.example.org//d/known.root"]}
    assert "Neither the bundles nor the records say where these inputs are" in page
    assert "lost.root" in page
    assert "known.root" not in page


def entries_of(service: Service, kind: str) -> int:
    query = select(func.count()).where(LedgerEntry.kind == kind)
    with service.reading() as connection:
        return connection.execute(query).scalar_one()


def test_policies_declared_again_as_they_are_enter_nothing(
    client: FlaskClient, service: Service
) -> None:
    for times, entries in ((1, 1), (1, 1), (2, 2)):
        policies = {"stages": {"reco": {"times": times}}}
        answer = client.put("/api/v1/retry-policies/nova", json=policies)

        assert answer.status_code == 200
        assert entries_of(service, "retry_policies") == entries


def test_a_state_said_again_in_the_same_words_enters_nothing(
    client: FlaskClient, service: Service
) -> None:
    assert client.put("/api/v1/workflows/toy", json={"text": WORKFLOW}).status_code == 201
    stop = {"state": "stopped", "who": "Ada", "why": "the disk is full"}
    for said, entries in ((stop, 1), (stop, 1), ({**stop, "why": "still full"}, 2)):
        answer = client.post("/api/v1/workflows/toy/state", json=said)

        assert answer.get_json()["state"] == "stopped"
        assert entries_of(service, "workflow_state") == entries
