"""What a token may do: a job's token records, and has nothing run."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.services.intake.tokens import OF_JOBS, Scope, create_token
from tests.library.answers import assert_problem
from tests.library.commands import run_alone
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record

WRITES = {
    Scope.RECORD: [
        ("PUT", f"/api/v1/jobs/{JOB}"),
        ("POST", "/api/v1/jobs/batch"),
        ("POST", "/api/v1/blobs/missing"),
        ("POST", "/api/v1/blobs/batch"),
        ("POST", "/api/v1/tasks/t/tickets"),
    ],
    Scope.DECLARE: [
        ("PUT", "/api/v1/tasks/t"),
        ("POST", "/api/v1/tasks/t/waivers"),
    ],
    Scope.RUN: [
        ("PUT", "/api/v1/workflows/w"),
        ("POST", "/api/v1/workflows/w/advance"),
        ("POST", "/api/v1/workflows/w/state"),
        ("POST", "/api/v1/orders/take"),
        ("POST", "/api/v1/orders/report"),
        ("POST", "/api/v1/retries"),
        ("PUT", "/api/v1/retry-policies/nova"),
    ],
}
Header = dict[str, str]


@pytest.fixture
def token_with(service: Service) -> Callable[..., str]:
    def make(*scopes: Scope) -> str:
        now = datetime.now(UTC)
        return service.write(
            lambda writing: create_token(
                writing, experiment="nova", name="t", now=now, scopes=set(scopes)
            )
        )

    return make


@on_sqlite_alone
@pytest.mark.parametrize("scope", WRITES)
def test_call_takes_its_own_scope_and_admin_alone(
    client: FlaskClient, token_with: Callable[..., str], scope: Scope
) -> None:
    others = token_with(*(set(WRITES) - {scope}))
    for method, path in WRITES[scope]:
        answer = client.open(
            path, method=method, json={}, headers={"Authorization": f"Bearer {others}"}
        )
        assert_problem(answer, 403)
        assert f"--scope {scope}" in answer.get_json()["detail"]

        for own in (token_with(scope), token_with(Scope.ADMIN)):
            header = {"Authorization": f"Bearer {own}"}
            status = client.open(path, method=method, json={}, headers=header).status_code
            assert status not in (401, 403)


@pytest.mark.slow
def test_reading_needs_its_scope(
    client: FlaskClient, service: Service, token_with: Callable[..., str]
) -> None:
    object.__setattr__(service.settings, "reading", "token")
    recorder, reader = token_with(Scope.RECORD), token_with(Scope.READ)

    assert client.get("/", auth=("me", recorder)).status_code == 401
    assert client.get("/", auth=("me", reader)).status_code == 200
    for token, status in ((recorder, 403), (reader, 200)):
        header = {"Authorization": f"Bearer {token}"}
        assert client.get("/api/v1/jobs", headers=header).status_code == status


def test_form_needs_the_scope_of_what_it_does(
    client: FlaskClient, token_with: Callable[..., str]
) -> None:
    form = {"experiment": "nova", "rules": "", "who": "Ada", "why": "test"}

    refused = client.post("/rules", data={**form, "token": token_with(*OF_JOBS)})
    taken = client.post("/rules", data={**form, "token": token_with(Scope.DECLARE)})

    assert refused.status_code == 403
    assert "--scope declare" in refused.text
    assert taken.status_code not in (401, 403)


@pytest.mark.slow
def test_token_of_the_command_records_and_reads_for_a_year(tmp_path: Path) -> None:
    data = str(tmp_path / "var")
    assert run_alone("migrate", JOBPROV_DATA=data).returncode == 0
    words = ("token", "create", "--experiment", "nova", "--name", "hook")

    assert run_alone(*words, JOBPROV_DATA=data).returncode == 0
    assert run_alone(*words, "--forever", "--scope", "run", JOBPROV_DATA=data).returncode == 0

    rows = json.loads(run_alone("token", "list", "--json", JOBPROV_DATA=data).stdout)
    assert [row["scopes"] for row in rows] == ["read record", "run"]
    end = datetime.fromisoformat(rows[0]["expires_at"])
    assert timedelta(days=364) < end - datetime.now(UTC) < timedelta(days=366)
    assert rows[1]["expires_at"] is None


def test_record_of_a_job_is_taken_with_the_scopes_of_jobs(
    client: FlaskClient, token_with: Callable[..., str]
) -> None:
    header = {"Authorization": f"Bearer {token_with(*OF_JOBS)}"}

    assert client.put(f"/api/v1/jobs/{JOB}", json=a_record(), headers=header).status_code == 201


@on_sqlite_alone
def test_token_of_another_experiment_is_refused_in_words_that_fit_every_call(
    client: FlaskClient, token_with: Callable[..., str]
) -> None:
    header = {"Authorization": f"Bearer {token_with(Scope.RUN)}"}

    take = {"experiment": "mu2e", "holder": "agent", "limit": 1}
    answer = client.post("/api/v1/orders/take", json=take, headers=header)

    told = assert_problem(answer, 403)["detail"]
    assert told == "The token is of nova; this call is about mu2e."
