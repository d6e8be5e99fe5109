"""The audit trail: whoever changes something is named, with the address and the request."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from jobprov.app.wiring import Service
from jobprov.provenance.answers.trail import ACTS, Act
from jobprov.provenance.client import Client
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.queries.ledger import acts_before
from jobprov.provenance.services.erasures.records import ErasureRequest, erase_record
from jobprov.provenance.services.intake.tokens import Scope, create_token, revoke_token
from jobprov.provenance.services.ledger.trail import _ABOUT, show_trail
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_ledger
from tests.library.answers import assert_problem
from tests.library.commands import run_alone
from tests.library.records import JOB, a_record
from tests.library.servers.served_app import served
from tests.library.statements import plan_of, statements_sent

TRAIL = "/api/v1/trail?experiment=nova"
FAILED = {"state": "failed", "exit": {"code": 1}, "task": {"task_id": "t", "unit": "u1"}}
RULES = {"rules": [], "who": "Ada", "why": "a test"}
WAIVER = {"units": ["u1"], "who": "Bert", "why": "its input is lost"}
CALLS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "task": ("PUT", "tasks/t", {"experiment": "nova", "units": ["u1", "u2"]}),
    "waiver": ("POST", "tasks/t/waivers", WAIVER),
    "rules": (
        "PUT",
        "rules/nova",
        {**RULES, "rules": [{"name": "x", "class": "y", "words": "z", "exit_code": [1]}]},
    ),
    "reclassification": ("POST", "rules/nova/reclassifications", {}),
    "verdict": ("POST", f"jobs/{JOB}/verdicts", {"level": "R0", "reason": "no input"}),
    "comparators": ("PUT", "comparators/nova", {"output": []}),
    "retry_policies": ("PUT", "retry-policies/nova", {"stages": {"*": {"times": 1}}}),
    "token": ("POST", "tasks/t/tickets", {"experiment": "nova"}),
}


@pytest.fixture
def admin(service: Service) -> dict[str, str]:
    """Return the header of a token that may do all; its name is Ada."""
    now = datetime.now(UTC)
    token = service.write(
        lambda writing: create_token(writing, experiment="nova", name="Ada", now=now)
    )
    return {"Authorization": f"Bearer {token}"}


def newest(client: FlaskClient, header: dict[str, str]) -> dict[str, Any]:
    answer = client.get(TRAIL, headers=header)
    assert answer.status_code == 200, answer.text
    act: dict[str, Any] = answer.get_json()["acts"][0]
    return act


def test_each_call_that_changes_something_is_an_act(
    client: FlaskClient, admin: dict[str, str]
) -> None:
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(**FAILED), headers=admin)

    for kind, (method, path, body) in CALLS.items():
        done = client.open(
            f"/api/v1/{path}",
            method=method,
            json=body,
            headers=admin,
            environ_base={"REMOTE_ADDR": "192.0.2.7"},
        )
        assert done.status_code in (200, 201, 202), (kind, done.text)
        act = newest(client, admin)
        assert act["kind"] == kind
        assert act["about"]
        assert act["submitter"] == "token 1 Ada"
        assert act["through"] == "call"
        assert act["address"] == "192.0.2.7"
        assert act["request"] == done.headers["X-Request-Id"]

    oldest_first = reversed(client.get(TRAIL, headers=admin).get_json()["acts"])
    acts = {act["kind"]: act for act in oldest_first}
    assert (acts["waiver"]["who"], acts["waiver"]["why"]) == ("Bert", "its input is lost")
    assert (acts["rules"]["who"], acts["rules"]["why"]) == ("Ada", "a test")
    assert acts["verdict"]["about"] == f"R0 of job {JOB}"
    assert acts["token"]["about"] == "token 2 ticket t: made"


def test_form_is_an_act_of_its_page(client: FlaskClient, admin: dict[str, str]) -> None:
    token = admin["Authorization"].removeprefix("Bearer ")
    rule = '[[rules]]\nname = "x"\nclass = "y"\nwords = "z"\nexit_code = [1]\n'
    form = {"experiment": "nova", "rules": rule, "who": "Bert", "why": "test", "token": token}

    done = client.post("/rules", data=form)

    assert done.status_code == 303, done.text
    act = newest(client, admin)
    assert (act["through"], act["who"], act["submitter"]) == ("page", "Bert", "token 1 Ada")
    assert act["request"] == done.headers["X-Request-Id"]


def test_what_nobody_asked_for_has_no_origin(service: Service, admin: dict[str, str]) -> None:
    assert admin
    with service.reading() as connection:
        [act] = show_trail(connection, service.store, "nova").acts

    assert act.about == "token 1 Ada: made"
    assert (act.through, act.address, act.request, act.user) == (None, None, None, None)


def test_trail_is_for_those_who_administer_the_experiment(
    client: FlaskClient, service: Service, admin: dict[str, str]
) -> None:
    now = datetime.now(UTC)

    def token(experiment: str, *scopes: Scope) -> str:
        return service.write(
            lambda writing: create_token(
                writing, experiment=experiment, name="t", now=now, scopes=set(scopes)
            )
        )

    every = token("nova", Scope.READ, Scope.RECORD, Scope.DECLARE, Scope.RUN)
    other = token("mu2e", Scope.ADMIN)
    page = "/trail?experiment=nova"

    assert_problem(client.get(TRAIL), 401)
    for worthless in (every, other):
        assert_problem(client.get(TRAIL, headers={"Authorization": f"Bearer {worthless}"}), 403)
        assert client.get(page, auth=("me", worthless)).status_code == 403
    asked = client.get(page)
    assert asked.status_code == 401
    assert asked.headers["WWW-Authenticate"].lower().startswith("basic")
    own = admin["Authorization"].removeprefix("Bearer ")
    shown = client.get(page, auth=("me", own))
    assert shown.status_code == 200
    assert "token 1 Ada: made" in shown.text
    choice = client.get("/trail", auth=("me", own))
    assert choice.status_code == 200
    assert 'href="/trail?experiment=nova"' in choice.text
    assert "mu2e" not in choice.text


def test_trail_of_an_unknown_experiment_is_not_found(client: FlaskClient) -> None:
    assert_problem(client.get("/api/v1/trail?experiment=nowa"), 404)
    assert client.get("/trail?experiment=nowa").status_code == 404


def test_erasure_says_what_who_and_why(client: FlaskClient, service: Service) -> None:
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(host={"hostname": "wn1"}))
    wanted = ErasureRequest(JOB, "Eve", "it slipped through", fields=("host.hostname",))

    service.write(lambda writing: erase_record(writing, wanted))

    act = client.get(TRAIL).get_json()["acts"][0]
    assert act["kind"] == "erasure"
    assert act["about"].startswith("record of ")
    assert act["about"].endswith(f" of job {JOB}")
    assert (act["submitter"], act["why"]) == ("Eve", "it slipped through")


def test_fresh_service_shows_it_to_its_own_machine(client: FlaskClient) -> None:
    client.put("/api/v1/rules/nova", json=RULES)

    assert client.get(TRAIL).status_code == 200
    assert client.get("/trail?experiment=nova").status_code == 200
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert_problem(client.get(TRAIL, environ_base=elsewhere), 403)
    assert client.get("/trail?experiment=nova", environ_base=elsewhere).status_code == 403


def test_trail_comes_page_by_page_and_by_kind(client: FlaskClient, admin: dict[str, str]) -> None:
    client.put("/api/v1/tasks/t", json=CALLS["task"][2], headers=admin)
    for number in range(5):
        waiver = {**WAIVER, "why": f"reason {number}", "withdrawn": number % 2 == 1}
        assert client.post("/api/v1/tasks/t/waivers", json=waiver, headers=admin).status_code == 201

    reasons: list[str] = []
    cursor = ""
    while True:
        answer = client.get(f"{TRAIL}&kind=waiver&limit=2{cursor}", headers=admin).get_json()
        reasons += [act["why"] for act in answer["acts"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"

    assert reasons == [f"reason {number}" for number in (4, 3, 2, 1, 0)]
    assert_problem(client.get(f"{TRAIL}&kind=nothing", headers=admin), 422, "kind")
    assert_problem(client.get(f"{TRAIL}&cursor=x", headers=admin), 422, "cursor")
    assert client.get(f"{TRAIL}&cursor={'9' * 18}", headers=admin).status_code == 200
    assert_problem(client.get("/api/v1/trail", headers=admin), 422, "experiment")


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Yield where the application listens."""
    yield from served(app)


def test_client_yields_all_acts(client: FlaskClient, address: str) -> None:
    for number in range(3):
        client.put("/api/v1/rules/nova", json={**RULES, "why": str(number)})
        client.post("/api/v1/rules/nova/reclassifications", json={})

    acts = list(Client(address).trail("nova", limit=2))

    assert len(acts) >= 3
    assert isinstance(acts[0], Act)


@pytest.mark.slow
def test_trail_is_sealed_and_rebuilt(
    client: FlaskClient, service: Service, admin: dict[str, str], tmp_path: Path
) -> None:
    client.put(f"/api/v1/jobs/{JOB}", json=a_record(**FAILED), headers=admin)
    for method, path, body in CALLS.values():
        client.open(f"/api/v1/{path}", method=method, json=body, headers=admin)
    service.write(lambda writing: revoke_token(writing, 2, datetime.now(UTC)))
    before = client.get(TRAIL, headers=admin).get_json()["acts"]
    assert before[0]["about"] == "token 2 ticket t: revoked"

    seal_ledger(service.database, service.writer, service.store)
    sealed = client.get(TRAIL, headers=admin).get_json()["acts"]
    url = f"sqlite:///{tmp_path / 'rebuilt.db'}"
    rebuild_database(service.store, url)
    rebuilt = open_database(url)
    with rebuilt.reading.connect() as connection:
        again = show_trail(connection, service.store, "nova").acts
    rebuilt.dispose()

    assert sealed == before
    assert [act.about for act in again] == [act["about"] for act in before]
    assert [act.request for act in again] == [act["request"] for act in before]


def test_every_kind_of_act_has_words() -> None:
    assert sorted(_ABOUT) == sorted(ACTS)


def test_trail_is_read_by_its_index(service: Service) -> None:
    with service.reading() as connection:
        with statements_sent(connection) as statements:
            acts_before(connection, 1, kind=None, before=1000, limit=100)
        [page] = [statement for statement in statements if "ledger_entries" in statement.sql]
        if not service.database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = plan_of(connection, page)

    assert "ix_ledger_entries_acts" in str(plan)
    assert "TEMP B-TREE" not in str(plan)
    assert "Sort" not in str(plan)


@pytest.mark.slow
def test_command_is_an_act_of_its_user(tmp_path: Path) -> None:
    data = str(tmp_path / "var")
    assert run_alone("migrate", JOBPROV_DATA=data).returncode == 0
    words = ("--experiment", "nova", "--name", "hook")
    assert run_alone("token", "create", *words, JOBPROV_DATA=data, USER="eve").returncode == 0
    assert run_alone("token", "rotate", "1", JOBPROV_DATA=data).returncode == 0
    assert run_alone("token", "revoke", "1", JOBPROV_DATA=data).returncode == 0

    shown = run_alone("trail", "--experiment", "nova", "--json", JOBPROV_DATA=data)
    plain = run_alone("trail", "--experiment", "nova", "--limit", "2", JOBPROV_DATA=data)

    acts = json.loads(shown.stdout)["acts"]
    assert [act["about"] for act in acts] == [
        "token 1 hook: revoked",
        "token 1 hook: replaced",
        "token 2 hook: made",
        "token 1 hook: made",
    ]
    assert {act["through"] for act in acts} == {"command"}
    assert all(act["user"] and act["user"] != "eve" and act["address"] for act in acts)
    assert "There are more: --cursor " in plain.stdout
    assert "prov_" not in shown.stdout
