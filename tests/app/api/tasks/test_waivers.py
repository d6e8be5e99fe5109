"""Waivers of a task without a list of units, where a mistyped name would hide a unit for ever."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from jobprov.app.wiring import Service
from jobprov.provenance.db.tables import LedgerEntry
from jobprov.provenance.services.ledger.entries import read_entries
from tests.library.answers import assert_problem, put_job
from tests.library.commands import run_alone
from tests.library.records import a_record

WAIVER = {"units": ["raw_0071.root"], "who": "Ada", "why": "the tape is lost"}
WAIVERS = "/api/v1/tasks/t/waivers?experiment=nova"
NEAR = "raw_0071.root (did you mean raw_0017.root?)"


@pytest.fixture
def client(client: FlaskClient) -> FlaskClient:
    """Return a client of a service that knows one unit of a task."""
    task = {"task_id": "t", "unit": "raw_0017.root"}
    put_job(client, a_record(1, state="failed", exit={"code": 1}, task=task))
    return client


def entered_waivers(service: Service) -> list[dict[str, Any]]:
    with service.reading() as connection:
        query = select(LedgerEntry.id).where(LedgerEntry.kind == "waiver").order_by(LedgerEntry.id)
        entries = list(connection.execute(query).scalars())
        bodies = read_entries(connection, service.store, entries)
    return [json.loads(bodies[entry])["waiver"] for entry in entries]


def test_call_takes_any_unit_unless_it_asks_for_known_ones(
    client: FlaskClient, service: Service
) -> None:
    refused = client.post(WAIVERS, json={**WAIVER, "known_only": True})
    known = {**WAIVER, "units": ["raw_0017.root"], "known_only": True}

    assert NEAR in assert_problem(refused, 422, "units")["detail"]
    assert client.post(WAIVERS, json=known).status_code == 201
    assert client.post(WAIVERS, json=WAIVER).status_code == 201
    back = {**WAIVER, "withdrawn": True, "known_only": True}
    assert client.post(WAIVERS, json=back).status_code == 201, "a slip can be taken back"

    waivers = entered_waivers(service)
    assert [waiver["units"] for waiver in waivers] == [["raw_0017.root"], *[WAIVER["units"]] * 2]
    assert all("known_only" not in waiver for waiver in waivers)


def test_page_refuses_a_unit_of_which_nothing_is_known(client: FlaskClient) -> None:
    place = "/waive?experiment=nova&task_id=t&unit="
    decided = {"experiment": "nova", "task_id": "t", "do": "waive", "confirmed": "1"}

    asked = client.get(f"{place}raw_0071.root")
    told = client.post("/waive", data={**decided, **WAIVER, "unit": "raw_0071.root"})

    assert client.get(f"{place}raw_0017.root").status_code == 200
    assert [asked.status_code, told.status_code] == [422, 422]
    assert "did you mean raw_0017.root?" in asked.text


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_command_refuses_it_unless_forced(address: str) -> None:
    words = ("waive", "t", "raw_0071.root", "--who", "Ada", "--why", "lost", "--url", address)

    refused, forced = run_alone(*words), run_alone(*words, "--force")

    assert (refused.returncode, forced.returncode) == (2, 0)
    assert NEAR in refused.stderr
    assert "--force" in refused.stderr
    assert "goes on without 1 unit" in forced.stdout


def test_withdrawal_tells_of_what_it_took_nothing_back(
    client: FlaskClient, service: Service
) -> None:
    assert client.post(WAIVERS, json={**WAIVER, "units": ["b"]}).status_code == 201

    answer = client.post(WAIVERS, json={**WAIVER, "units": ["a", "b"], "withdrawn": True})
    again = client.post(WAIVERS, json={**WAIVER, "units": ["b"], "withdrawn": True})

    told = answer.get_json()
    assert (told["unit_count"], told["not_waived_count"], told["not_waived"]) == (2, 1, ["a"])
    assert (again.status_code, again.get_json()["not_waived"]) == (201, ["b"])
    withdrawn = [waiver["withdrawn"] for waiver in entered_waivers(service)[1:]]
    assert withdrawn == [True], "what changed nothing is not entered"


@pytest.mark.slow
@pytest.mark.usefixtures("client")
def test_command_does_not_say_that_it_took_back_what_was_not_waived(address: str) -> None:
    words = ("waive", "t", "raw_0017.root", "--who", "Ada", "--why", "lost", "--url", address)

    nothing = run_alone(*words, "--withdraw")
    assert run_alone(*words).returncode == 0
    some = run_alone(*words, "a", "--withdraw")

    assert nothing.returncode == 1
    assert nothing.stdout == "1 unit of task t was not waived: raw_0017.root.\n"
    assert some.returncode == 0
    assert some.stdout.splitlines() == [
        "Task t waits again for 1 unit; decided by Ada.",
        "1 unit of task t was not waived: a.",
    ]
