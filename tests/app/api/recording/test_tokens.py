"""Who may write: tokens, and the rule for a service that has none."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.intake import list_tokens
from jobprov.provenance.services.intake.tokens import TokenBook, WrongTokenError, revoke_token
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record, sha256

PUT = f"/api/v1/jobs/{JOB}"
NewToken = Callable[..., dict[str, str]]


def test_fresh_service_takes_writes_from_its_own_machine(client: FlaskClient) -> None:
    assert client.put(PUT, json=a_record()).status_code == 201


@on_sqlite_alone
@pytest.mark.parametrize(
    "options",
    [
        {"environ_base": {"REMOTE_ADDR": "192.0.2.7"}},
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"headers": {"Forwarded": "for=192.0.2.7"}},
        {"headers": {"Host": "attacker.example"}},
        {"headers": {"Origin": "https://attacker.example"}},
        {"headers": {"Sec-Fetch-Site": "cross-site"}},
    ],
    ids=["address", "proxy", "forwarded", "host", "origin", "fetch"],
)
def test_fresh_service_takes_nothing_from_elsewhere(
    client: FlaskClient, options: dict[str, Any]
) -> None:
    assert_problem(client.put(PUT, json=a_record(), **options), 403)


def test_first_token_ends_writing_without_one(client: FlaskClient, new_token: NewToken) -> None:
    header = new_token()

    assert "Bearer" in client.put(PUT, json=a_record()).headers["WWW-Authenticate"]
    said = assert_problem(client.put(PUT, json=a_record()), 401)["detail"]
    assert said.startswith("This needs a token: set JOBPROV_TOKEN, or send "), (
        "reading may need one too"
    )
    assert client.put(PUT, json=a_record(), headers=header).status_code == 201


def test_record_of_no_experiment_is_refused_with_the_option_that_names_it(
    client: FlaskClient, new_token: NewToken
) -> None:
    nameless = a_record(experiment="unknown")  # as the hook writes it

    refused = client.put(PUT, json=nameless, headers=new_token())

    assert "name it (--experiment, or JOBPROV_EXPERIMENT)" in assert_problem(refused, 403)["detail"]


def test_token_writes_to_its_own_experiment_only(client: FlaskClient, new_token: NewToken) -> None:
    header = new_token("minerva")

    assert_problem(client.put(PUT, json=a_record(), headers=header), 403)
    assert_problem(
        client.post(f"{PUT}/revisions", json={"record": a_record(), "reason": "x"}, headers=header),
        403,
    )
    batch = client.post("/api/v1/jobs/batch", json={"jobs": [a_record()]}, headers=header)
    assert batch.get_json()["results"][0]["status"] == 403


def test_token_cannot_judge_the_jobs_of_others(client: FlaskClient, new_token: NewToken) -> None:
    client.put(PUT, json=a_record(), headers=new_token())

    assert_problem(
        client.post(f"{PUT}/verdicts", json={"level": "R7"}, headers=new_token("minerva")), 403
    )


@on_sqlite_alone
@pytest.mark.parametrize(
    "value",
    ["Bearer prov_1_" + "x" * 43, "Bearer x", "Basic eDp4", "Bearer prov_99_" + "a" * 43, "x"],
)
def test_worthless_tokens_are_refused(client: FlaskClient, new_token: NewToken, value: str) -> None:
    new_token()

    assert_problem(client.put(PUT, json=a_record(), headers={"Authorization": value}), 401)


def test_revoked_token_is_worthless_within_seconds(service: Service, new_token: NewToken) -> None:
    header = new_token()
    service.write(lambda writing: revoke_token(writing, 1, datetime.now(UTC)))

    fresh = TokenBook(service.database.reading)

    with pytest.raises(WrongTokenError, match=r"^Token 1 was revoked on 20\d\d-.* UTC; ask an op"):
        fresh.grant(header["Authorization"].removeprefix("Bearer "))


def test_expired_token_is_worthless_and_only_who_has_it_is_told_why(
    client: FlaskClient, new_token: NewToken
) -> None:
    header = new_token(days=0)
    guessed = {"Authorization": "Bearer prov_1_" + "x" * 43}

    refused = assert_problem(client.put(PUT, json=a_record(), headers=header), 401)
    unknown = assert_problem(client.put(PUT, json=a_record(), headers=guessed), 401)

    assert f"Token 1 expired on {datetime.now(UTC):%Y-%m-%d}" in refused["detail"]
    assert unknown["detail"].startswith("The token is unknown, expired or revoked;")


def test_token_itself_is_kept_nowhere(service: Service, new_token: NewToken) -> None:
    secret = new_token()["Authorization"].removeprefix("Bearer ")

    with service.reading() as connection:
        [row] = list_tokens(connection)
        stored = connection.exec_driver_sql("SELECT * FROM write_tokens").one()

    assert secret.startswith(f"prov_{row.number}_")
    assert len(secret.split("_", 2)[2]) == 43
    assert secret not in repr(stored)
    assert bytes.fromhex(sha256(secret.encode())) in [
        bytes(value) for value in stored if isinstance(value, bytes | memoryview)
    ]


def test_reading_can_be_kept_for_token_holders(
    client: FlaskClient, service: Service, new_token: NewToken
) -> None:
    header = new_token()
    object.__setattr__(service.settings, "reading", "token")

    assert_problem(client.get("/api/v1/jobs"), 401)
    assert client.get("/api/v1/jobs", headers=header).status_code == 200
    assert client.get("/api/v1/health").status_code == 200
