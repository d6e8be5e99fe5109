"""What the service answers when erased bytes are sent again, and what it no longer asks for."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient

from jobprov.app.wiring import Service
from jobprov.provenance.services.erasures.blobs import erase_blob, plan_blob_erasure
from jobprov.provenance.services.erasures.records import ErasureRequest, erase_record
from jobprov.provenance.services.upkeep.cleared_erasures import ErasurePlaces, clear_erased
from tests.library.records import JOB, a_record, sha256

NewToken = Callable[..., dict[str, str]]
SCRIPT = b"#!/bin/sh\n# the door opens by hunter2\n"
DIGEST = sha256(SCRIPT)
PUT = f"/api/v1/blobs/{DIGEST}"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
RECORD = a_record(
    environment={"variables": {"DOOR": "hunter2-of-Ada"}},
    scripts=[{"name": "run.sh", "sha256": DIGEST}],
)


def erase_variable(service: Service) -> None:
    wanted = ErasureRequest(
        JOB, "Eve", "it slipped through", fields=("environment.variables.DOOR",)
    )
    done = service.write(lambda writing: erase_record(writing, wanted), received_at=NOW)
    entries, digests = [entry.id for entry in done.entries], sorted(done.digests)
    clear_erased(
        ErasurePlaces(service.database, service.writer, service.store),
        "nova",
        entries=entries,
        digests=digests,
    )


def erase_script(service: Service) -> None:
    with service.reading() as connection:
        planned = plan_blob_erasure(connection, service.store, DIGEST, "nova")
    erase_blob(service.writer, planned, who="Eve", why="it slipped through", received_at=NOW)
    parts = ErasurePlaces(service.database, service.writer, service.store)
    clear_erased(parts, "nova", entries=[], digests=[*planned.plans, *planned.digests])


@pytest.mark.slow
def test_erased_record_sent_again_is_answered_erased_alone_and_in_a_batch(
    client: FlaskClient, new_token: NewToken, service: Service
) -> None:
    header = new_token()
    client.put(PUT, data=SCRIPT, headers=header)
    client.put(f"/api/v1/jobs/{JOB}", json=RECORD, headers=header)
    erase_variable(service)

    alone = client.put(f"/api/v1/jobs/{JOB}", json=RECORD, headers=header)
    batch = client.post("/api/v1/jobs/batch", json={"jobs": [RECORD]}, headers=header)
    revision = client.post(
        f"/api/v1/jobs/{JOB}/revisions", json={"record": RECORD, "reason": "x"}, headers=header
    )

    assert (alone.status_code, alone.get_json(force=True)["change"]) == (200, "erased")
    [result] = batch.get_json(force=True)["results"]
    assert (result["status"], result["change"]) == (200, "erased")
    assert (revision.status_code, revision.get_json(force=True)["change"]) == (200, "erased")
    shown = client.get(f"/api/v1/jobs/{JOB}").get_json(force=True)
    assert shown["record"]["environment"] == {"variables": {}, "withheld": ["DOOR"]}
    assert "hunter2" not in json.dumps(shown)
    assert len(shown["revisions"]) == 1
    assert client.get(f"/jobs/{JOB}").status_code == 200


def test_erased_blob_sent_again_is_answered_erased_and_not_stored(
    client: FlaskClient, new_token: NewToken, service: Service
) -> None:
    header = new_token()
    client.put(PUT, data=SCRIPT, headers=header)
    first = client.put(f"/api/v1/jobs/{JOB}", json=RECORD, headers=header).get_json(force=True)
    erase_script(service)

    again = client.put(PUT, data=SCRIPT, headers=header)
    part = client.put(
        PUT, data=SCRIPT[:5], headers={**header, "Content-Range": f"bytes 0-4/{len(SCRIPT)}"}
    )
    missing = client.post("/api/v1/blobs/missing", json={"sha256": [DIGEST]}, headers=header)
    other = client.put(
        "/api/v1/jobs/" + JOB[:-1] + "2", json={**RECORD, "job_id": JOB[:-1] + "2"}, headers=header
    )

    assert (again.status_code, again.get_json(force=True)["change"]) == (200, "erased")
    assert (part.status_code, part.get_json(force=True)["change"]) == (200, "erased")
    assert missing.get_json(force=True)["missing"] == []
    assert service.store.missing([DIGEST]) == {DIGEST}
    assert client.get(PUT).status_code == 404
    assert "source-erased" not in [gap["code"] for gap in first["gaps"]]
    answer = other.get_json(force=True)
    assert "source-erased" in [gap["code"] for gap in answer["gaps"]]
    assert answer["missing_blobs"] == []


def test_without_tokens_what_any_experiment_erased_is_not_wanted(
    client: FlaskClient, service: Service
) -> None:
    client.put(PUT, data=SCRIPT)
    client.put(f"/api/v1/jobs/{JOB}", json=RECORD)
    erase_script(service)

    again = client.put(PUT, data=SCRIPT)
    missing = client.post("/api/v1/blobs/missing", json={"sha256": [DIGEST, "0" * 64]})

    assert again.get_json(force=True)["change"] == "erased"
    assert missing.get_json(force=True)["missing"] == ["0" * 64]
    assert service.store.missing([DIGEST]) == {DIGEST}


def test_blob_that_another_experiment_sends_is_its_own(
    client: FlaskClient, new_token: NewToken, service: Service
) -> None:
    client.put(PUT, data=SCRIPT, headers=new_token())
    erase_script(service)

    answer = client.put(PUT, data=SCRIPT, headers=new_token(experiment="dune"))

    assert answer.status_code == 201
    assert service.store.get(DIGEST) == SCRIPT
