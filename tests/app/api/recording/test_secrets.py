"""The hook's rules, again on the server: no call stores what looks like a secret.

The answer says where the secret stood.
"""

from typing import Any

import pytest
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.db.queries.recording.dead_letters import list_letters
from jobprov.provenance.services.recording.dead_letters import read_letter
from tests.library.answers import assert_problem
from tests.library.databases import on_sqlite_alone
from tests.library.records import JOB, a_record

PUT = f"/api/v1/jobs/{JOB}"
SECRET = "ghp_" + "Canary7" * 6
URL = "https://user:canary-pw7@git.example.org/x.git"


@on_sqlite_alone
@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"command": {"argv": ["x", SECRET]}}, "command.argv[1]"),
        ({"software": [{"name": "s", "repository": URL}]}, "software[0].repository"),
        (
            {"environment": {"variables": {"BEARER_TOKEN": "canary-token"}}},
            "environment.variables.BEARER_TOKEN",
        ),
        ({"environment": {"variables": {"A.B": SECRET}}}, "environment.variables.A.B"),
        ({"extra": {"any": [{"where": 'a\\"b ' + SECRET}]}}, "extra.any[0].where"),
        ({"extra": {SECRET: 1}}, "extra"),
    ],
)
def test_record_with_a_secret_is_refused_by_every_call(
    client: FlaskClient, fields: dict[str, Any], path: str
) -> None:
    record = a_record(**fields)

    problem = assert_problem(client.put(PUT, json=record), 422, path)
    batch = client.post("/api/v1/jobs/batch", json={"jobs": [record, a_record(2)]}).get_json()[
        "results"
    ]
    revision = assert_problem(
        client.post(f"{PUT}/revisions", json={"record": record, "reason": "x"}), 422, path
    )

    assert problem["type"].endswith("secret-found")
    assert revision["type"].endswith("secret-found")
    assert [result["status"] for result in batch] == [422, 201]
    assert "secret-found" in batch[0]["errors"][path][0]
    assert "Canary" not in repr([problem, revision, batch])
    assert client.get(PUT).status_code == 404


@on_sqlite_alone
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/api/v1/tasks/t1", {"experiment": "nova", "note": SECRET}),
        ("POST", "/api/v1/files", {"experiment": "nova", "name": "a.root", "locations": [URL]}),
        ("POST", f"{PUT}/verdicts", {"level": "R1", "note": SECRET}),
        ("POST", f"{PUT}/revisions", {"record": a_record(), "reason": f"because {SECRET}"}),
    ],
)
def test_other_calls_refuse_secrets_too(
    client: FlaskClient, method: str, path: str, body: dict[str, Any]
) -> None:
    client.put(PUT, json=a_record())

    problem = assert_problem(client.open(path, method=method, json=body), 422)

    assert problem["type"].endswith("secret-found")


def test_known_texts_are_not_searched_twice_and_a_new_one_is(client: FlaskClient) -> None:
    for number in range(3):
        assert (
            client.put(
                f"/api/v1/jobs/{a_record(number)['job_id']}", json=a_record(number)
            ).status_code
            == 201
        )

    assert (
        client.put(
            PUT, json=a_record(extra={"note": f"the same as before and {SECRET}"})
        ).status_code
        == 422
    )


def test_dead_letter_holds_no_secret(client: FlaskClient, service: Service) -> None:
    """A body that is no record is kept, so that nothing is lost; the secret in it is not."""
    body = b'{"job_id": "%s", "state": "odd", "password": "canary-pw-7", "note": "%s"' % (
        JOB.encode(),
        SECRET.encode(),
    )

    assert client.put(PUT, data=body, content_type="application/json").status_code == 422

    with service.reading() as connection:
        kept = read_letter(connection, 1)
    assert b"anary" not in kept
    assert b"<redacted:service-token>" in kept


def test_reason_of_a_dead_letter_quotes_no_secret(client: FlaskClient, service: Service) -> None:
    """It quotes the name of an experiment that cannot be one."""
    record = {**a_record(), "experiment": f"{SECRET} "}

    assert client.put(PUT, json=record).status_code == 422

    with service.reading() as connection:
        [letter] = list_letters(connection, None, 10)
    assert letter.reason.startswith("experiment '<redacted:service-token>")
    assert "anary" not in letter.reason
