"""Upload tickets: they record jobs of their task, and do nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import update

from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.recording.dead_letters import list_letters
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.tables import DeadLetter
from jobprov.provenance.errors import RecordError
from jobprov.provenance.services.recording.dead_letters import replay_letter
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record, sha256

NewToken = Callable[..., dict[str, str]]
PUT = f"/api/v1/jobs/{JOB}"
TICKETS = "/api/v1/tasks/t1/tickets"


@pytest.fixture
def ticket(client: FlaskClient, new_token: NewToken) -> dict[str, str]:
    """Return the header that sends a ticket of task t1 of nova."""
    answer = client.post(TICKETS, json={"experiment": "nova"}, headers=new_token())
    assert answer.status_code == 201
    return {"Authorization": f"Bearer {answer.get_json()['ticket']}"}


def of_task(task_id: str | None, **fields: Any) -> dict[str, Any]:
    return a_record(task={"task_id": task_id} if task_id else None, **fields)


def test_ticket_records_jobs_of_its_task(client: FlaskClient, ticket: dict[str, str]) -> None:
    body = b"a log"

    asked = client.post("/api/v1/blobs/missing", json={"sha256": [sha256(body)]}, headers=ticket)
    sent = client.put(f"/api/v1/blobs/{sha256(body)}", data=body, headers=ticket)
    put = client.put(PUT, json=of_task("t1"), headers=ticket)

    assert asked.get_json()["missing"] == [sha256(body)]
    assert (sent.status_code, put.status_code) == (201, 201)


@on_sqlite_alone
@pytest.mark.parametrize(
    "record",
    [
        of_task("t2"),
        of_task(None),
        of_task("t1", experiment="minerva"),
        {**a_record(), "task": "t1"},
    ],
    ids=["another task", "no task", "another experiment", "odd task"],
)
def test_ticket_records_nothing_else(
    client: FlaskClient, ticket: dict[str, str], record: dict[str, Any]
) -> None:
    answer = client.put(PUT, json=record, headers=ticket)
    batch = client.post(
        "/api/v1/jobs/batch",
        json={"jobs": [record, a_record(2, task={"task_id": "t1"})]},
        headers=ticket,
    )

    assert answer.status_code in (403, 422)
    assert batch.get_json()["results"][0]["status"] in (403, 422)
    assert batch.get_json()["results"][1]["status"] == 201
    assert client.get(PUT).status_code == 404


def test_ticket_says_nothing_of_jobs_that_are_another_tasks(
    client: FlaskClient, new_token: NewToken, ticket: dict[str, str]
) -> None:
    """A job id is no secret: the ticket of one task must not speak for the jobs of another."""
    client.put(PUT, json=of_task("t2"), headers=new_token())
    client.put(
        f"/api/v1/jobs/{a_record(3)['job_id']}", json=a_record(3, task=None), headers=new_token()
    )
    forged = of_task("t1", witness="startd", state="killed")

    problem = assert_problem(client.put(PUT, json=forged, headers=ticket), 403)
    jobs = [
        forged,
        a_record(2, task={"task_id": "t1"}),
        a_record(3, task={"task_id": "t1"}, witness="startd"),
    ]
    batch = client.post("/api/v1/jobs/batch", json={"jobs": jobs}, headers=ticket).get_json()

    assert "another task" in problem["detail"]
    assert "t2" not in problem["detail"]
    assert [result["status"] for result in batch["results"]] == [403, 201, 201]
    assert [found["witness"] for found in client.get(PUT).get_json()["witnesses"]] == ["wrapper"]


def test_ticket_leaves_no_letter_that_a_replay_takes_for_another_task(
    client: FlaskClient, service: Service, ticket: dict[str, str]
) -> None:
    """No letter is left of what the ticket may not record, nor of what cannot be read now.

    The latter may turn out to be of another task.
    """
    assert_problem(
        client.put("/api/v1/jobs/wrong-address", json=of_task("t2"), headers=ticket), 403
    )
    for task in ("t1", "t2"):
        assert_problem(
            client.put(f"/api/v1/jobs/{task}", json=of_task(task, state="gone"), headers=ticket),
            422,
        )
    with service.reading() as connection:
        letters = list_letters(connection, None, 10)
    assert [(letter.job_id, letter.task_id) for letter in letters] == [("t1", "t1"), ("t2", "t1")]
    for letter in letters:
        sound = pack(json.dumps(of_task(letter.job_id)).encode())
        service.write(
            lambda writing, sound=sound, letter=letter: writing.connection.execute(
                update(DeadLetter).where(DeadLetter.id == letter.number).values(body=sound)
            )
        )

    with pytest.raises(RecordError, match="task t1 alone; its record is of nova, task t2"):
        service.write(partial(replay_letter, number=letters[1].number))

    assert client.get(PUT).status_code == 404
    assert service.write(partial(replay_letter, number=letters[0].number)).change == "created"


@on_sqlite_alone
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{PUT}/revisions", {"record": of_task("t1"), "reason": "x"}),
        ("POST", f"{PUT}/verdicts", {"level": "R7"}),
        ("POST", "/api/v1/files", {"experiment": "nova", "name": "a.root"}),
        ("PUT", "/api/v1/tasks/t1", {"experiment": "nova"}),
        ("POST", TICKETS, {"experiment": "nova"}),
    ],
)
def test_ticket_does_nothing_else(
    client: FlaskClient, ticket: dict[str, str], method: str, path: str, body: dict[str, Any]
) -> None:
    client.put(PUT, json=of_task("t1"), headers=ticket)

    problem = assert_problem(client.open(path, method=method, json=body, headers=ticket), 403)

    assert "nova, task t1 alone" in problem["detail"]


def test_ticket_needs_a_token_of_its_experiment(client: FlaskClient, new_token: NewToken) -> None:
    minerva = new_token("minerva")

    assert_problem(client.post(TICKETS, json={"experiment": "nova"}, headers=minerva), 403)
    assert_problem(client.post(TICKETS, json={"experiment": "nova"}), 401)


def test_ticket_alone_does_not_close_a_fresh_service(client: FlaskClient) -> None:
    client.post(TICKETS, json={"experiment": "nova"})

    assert client.put(PUT, json=a_record()).status_code == 201


def test_ticket_outlives_the_job(client: FlaskClient, new_token: NewToken) -> None:
    header = new_token()

    usual = client.post(TICKETS, json={"experiment": "nova"}, headers=header).get_json()
    long = client.post(TICKETS, json={"experiment": "nova", "days": 365}, headers=header).get_json()

    for answer, days in ((usual, 30), (long, 365)):
        left = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
        assert timedelta(days=days - 1) < left <= timedelta(days=days)


@on_sqlite_alone
@pytest.mark.parametrize(
    "body",
    [{}, {"experiment": "nova", "days": 0}, {"experiment": 7}, {"experiment": "nova", "days": "x"}],
)
def test_bad_request_names_the_field(client: FlaskClient, body: dict[str, Any]) -> None:
    problem = assert_problem(client.post(TICKETS, json=body), 422)

    assert problem["errors"]
