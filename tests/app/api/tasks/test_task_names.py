"""Tasks called `.` and `..`: no path can hold them, and each call and command still names them."""

import pytest
from flask.testing import FlaskClient

from tests.library.answers import assert_problem, put_job
from tests.library.commands import run_alone
from tests.library.records import a_record

NAMES = (".", "..")
WAIVER = {"units": ["u1"], "who": "Ada", "why": "the tape is lost"}


@pytest.fixture(params=NAMES)
def task_id(request: pytest.FixtureRequest, client: FlaskClient) -> str:
    """Return the id of a task of which a failed job was recorded."""
    name: str = request.param
    task = {"task_id": name, "stage": "gen", "unit": "u1"}
    put_job(client, a_record(1, state="failed", exit={"code": 1}, task=task))
    put_job(client, a_record(2, task={"task_id": "-", "stage": "gen", "unit": "u2"}))
    return name


def test_calls_take_the_id_as_a_parameter(client: FlaskClient, task_id: str) -> None:
    asked = {"task": task_id, "experiment": "nova"}

    progress = client.get("/api/v1/tasks/-", query_string=asked).get_json()
    missing = client.get("/api/v1/tasks/-/missing", query_string=asked).get_json()
    queue = client.get("/api/v1/tasks/-/queue", query_string=asked)
    timeline = client.get("/api/v1/tasks/-/timeline", query_string=asked).get_json()
    others = [
        client.get(f"/api/v1/tasks/-/{view}", query_string=asked).status_code
        for view in ("ready", "catalog")
    ]

    assert (progress["task_id"], progress["states"]["failed"]) == (task_id, 1)
    assert [unit["unit"] for unit in missing["missing"]] == ["u1"]
    assert queue.status_code == 200
    assert timeline["task_id"] == task_id
    assert others == [200, 200]
    assert client.get("/api/v1/tasks/-?experiment=nova").get_json()["task_id"] == "-"


def test_such_a_task_is_declared_waived_and_gets_tickets(client: FlaskClient, task_id: str) -> None:
    asked = {"task": task_id}
    declaration = {"experiment": "nova", "stage": "gen", "units": ["u1"]}

    declared = client.put("/api/v1/tasks/-", query_string=asked, json=declaration)
    waived = client.post("/api/v1/tasks/-/waivers", query_string=asked, json=WAIVER)
    progress = client.get("/api/v1/tasks/-", query_string=asked)
    ticket = client.post("/api/v1/tasks/-/tickets", query_string=asked, json={"experiment": "nova"})

    for answer in (declared, waived, ticket):
        assert (answer.status_code, answer.get_json()["task_id"]) == (201, task_id)
    assert progress.get_json()["states"]["waived"] == 1


def test_a_declaration_passes_over_parameters_that_it_never_took(client: FlaskClient) -> None:
    declaration = {"experiment": "nova", "stage": "gen", "units": ["u1"]}

    declared = client.put("/api/v1/tasks/t?experiment=nova", json=declaration)

    assert declared.status_code == 201


@pytest.mark.slow
def test_commands_name_it(address: str, task_id: str) -> None:
    for command in ("task", "missing", "ready", "timeline", "queue"):
        run = run_alone(command, task_id, "--url", address)
        assert (run.stderr, run.returncode in (0, 1)) == ("", True), command
    waived = run_alone("waive", task_id, "u1", "--who", "Ada", "--why", "x", "--url", address)
    assert f"Task {task_id} goes on without 1 unit" in waived.stdout


def test_an_id_that_no_task_can_have_is_refused(client: FlaskClient) -> None:
    for asked in ("a%2Fb", "a%0Ab"):
        assert_problem(client.get(f"/api/v1/tasks/-?task={asked}"), 422, "task_id")
    assert_problem(client.get("/api/v1/tasks/-?task=."), 404)
