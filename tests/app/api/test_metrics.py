"""What Prometheus is told, read by the parser of its own client library."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from jobprov.app import kept_answers, moments
from jobprov.app.moments import BACKUP, note_done
from jobprov.app.wiring import Service
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.intake.tokens import Scope, create_token
from jobprov.provenance.services.upkeep.sealing import seal_ledger
from jobprov.provenance.services.work.queue import enqueue
from tests.library.records import JOB, a_record, job_id

OTHER = job_id(2)
Labels = frozenset[tuple[str, str]]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
COUNTING = """
import os, sys
from multiprocessing import get_context
from jobprov.app.measures import Measures, shared_measures
from prometheus_client import generate_latest

def work():
    measures = Measures()
    measures.add("GET", "/", 200, 0.5)
    measures.wrong_tokens.inc()
    sys.exit(0)

with shared_measures(2):
    # One after the other: what a worker counted stays when it ends
    for _ in range(2):
        worker = get_context("fork").Process(target=work)
        worker.start()
        worker.join()
    print(generate_latest(Measures().collector()).decode())
    folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
    assert os.listdir(folder)
assert not os.path.exists(folder)
"""


def values(answer: TestResponse) -> dict[tuple[str, Labels], float]:
    """Return the values by name and labels."""
    assert answer.status_code == 200, answer.text
    found = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def labels(**of_sample: str) -> Labels:
    return frozenset(of_sample.items())


def test_operator_sees_jobs_queues_and_upkeep(client: FlaskClient, service: Service) -> None:
    before = values(client.get("/metrics"))
    client.put(f"/api/v1/jobs/{JOB}", json=a_record())
    client.put(f"/api/v1/jobs/{OTHER}", json=a_record(job_id=OTHER, state="failed"))
    client.put(f"/api/v1/jobs/{JOB}", headers={"Authorization": f"Bearer prov_1_{'x' * 43}"})
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    service.write(
        lambda writing: enqueue(writing.connection, "classify", "secret-key", due_at=hour_ago)
    )
    note_done(service.settings.data, BACKUP)

    answer = client.get("/metrics")
    found = values(answer)
    seal_ledger(service.database, service.writer, service.store)
    sealed = values(client.get("/api/v1/metrics"))

    assert found["jobprov_jobs", labels(experiment="nova", state="succeeded")] == 1
    assert found["jobprov_jobs", labels(experiment="nova", state="failed")] == 1
    wrong = ("jobprov_wrong_tokens_total", labels())
    assert found[wrong] == before[wrong] + 1
    assert found["jobprov_work_items", labels(kind="classify")] >= 1
    assert 3600 <= found["jobprov_work_oldest_seconds", labels(kind="classify")] < 7200
    assert found["jobprov_unsealed_entries", labels()] >= 2
    assert 0 < found["jobprov_unsealed_oldest_seconds", labels()] < 3600
    assert sealed["jobprov_unsealed_entries", labels()] == 0
    assert sealed["jobprov_unsealed_oldest_seconds", labels()] == 0
    assert found["jobprov_database_bytes", labels()] > 10_000
    assert found["jobprov_data_free_bytes", labels()] > 0
    backup_at = found["jobprov_last_backup_timestamp_seconds", labels()]
    assert abs(backup_at - datetime.now(UTC).timestamp()) < 600
    assert ("jobprov_last_seal_timestamp_seconds", labels()) not in found
    assert "secret-key" not in answer.text


def test_openmetrics_is_answered_where_it_is_asked_for(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Accept": OPENMETRICS})

    assert answer.content_type.startswith("application/openmetrics-text")
    names = {family.name for family in openmetrics_families(answer.text)}
    assert {"jobprov_request_seconds", "jobprov_wrong_tokens", "jobprov_database_bytes"} <= names


def test_experiments_are_named_to_readers_alone(client: FlaskClient, service: Service) -> None:
    client.put(f"/api/v1/jobs/{JOB}", json=a_record())
    token = service.write(
        lambda writing: create_token(
            writing, experiment="mu2e", name="t", now=datetime.now(UTC), scopes={Scope.READ}
        )
    )
    object.__setattr__(service.settings, "reading", "token")

    stranger = client.get("/metrics")
    reader = client.get("/metrics", headers={"Authorization": f"Bearer {token}"})

    assert stranger.status_code == 200
    assert "nova" not in stranger.text
    assert "nova" in reader.text


def test_jobs_are_left_out_while_they_are_counted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_long(*_: object) -> None:
        raise LimitError("later", 1)

    monkeypatch.setattr(kept_answers, "ask", too_long)

    assert "jobprov_dead_letters" in client.get("/metrics").text


def test_disk_that_takes_no_note_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    note_done(tmp_path / "missing", BACKUP)

    assert "cannot be noted" in caplog.text
    assert moments.last_done(tmp_path / "missing", BACKUP) is None


@pytest.mark.slow
def test_worker_processes_count_together() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", COUNTING]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    found = {}
    for family in text_string_to_metric_families(done.stdout):
        for sample in family.samples:
            found[sample.name] = sample.value

    assert found["jobprov_request_seconds_count"] == 2
    assert found["jobprov_request_seconds_sum"] == 1
    assert found["jobprov_wrong_tokens_total"] == 2
