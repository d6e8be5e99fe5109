"""Failures of many jobs over HTTP: what was counted is told, and told to be old where more was recorded since."""

import pytest
from app_records import numbered
from flask.testing import FlaskClient

from provenance.services import kept_answers

TASK = {"task_id": "t1", "campaign": "prod", "stage": "reco"}
WORDS = "more was recorded since, and it is being counted again"


def test_page_and_call_say_when_failures_of_many_jobs_were_counted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_answers, "MOST_COUNTED_AT_ONCE", 1)
    call, page = "/api/v1/statistics/errors?campaign=prod", "/errors?campaign=prod"
    for number in (1, 2):
        job = numbered(number, state="failed", task=TASK)
        assert client.put(f"/api/v1/jobs/{job['job_id']}", json=job).status_code == 201

    first, fresh = client.get(call).get_json(), client.get(page).text
    job = numbered(3, state="failed", task=TASK)
    client.put(f"/api/v1/jobs/{job['job_id']}", json=job)
    second, stale = client.get(call).get_json(), client.get(page).text

    assert (first["failures"], first["is_current"]) == (2, True)
    assert second == {**first, "is_current": False}
    assert WORDS not in fresh
    assert WORDS in stale
    assert client.get("/api/v1/statistics/errors?task_id=t1").get_json()["failures"] == 3  # counted when asked for
