"""Pages of a job whose set is computed: the id as run, the set itself, and why it is not known."""

import io
import json
import re
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.fhicl import loads
from jobprov.provenance.fhicl.running.as_run import as_run
from jobprov.provenance.fhicl.running.command_line import read_command_line
from jobprov.provenance.fhicl.running.facts import Facts
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, drain
from tests.library.servers.served_app import opened_service

TEXT = """process_name: Reco
physics: {
  producers: { fit: { module_type: Fit seed: 7 } spare: { module_type: Spare } }
  reco: [ fit ]
  trigger_paths: [ reco ]
}
"""
KNOWN, UNKNOWN = (f"0f8b0000-0000-4000-8000-00000000000{number}" for number in (1, 2))
ARGV = ["lar", "-c", "reco.fcl", "-n", "7", "-s", "in.root"]


def record_job(service: Service, folder: Path, job_id: str, argv: list[str]) -> None:
    sha256 = str(service.store.put(TEXT.encode()).sha256)
    service.write(lambda writing: grant_possession(writing, [Upload("toyexp", sha256)]))
    record: dict[str, Any] = {
        "schema_version": 1,
        "job_id": job_id,
        "experiment": "toyexp",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        "command": {"argv": argv},
        "seeds": [{"module": "gen", "engine": "HepJamesRandom", "seed": 12}],
        "software": [{"name": "art", "product": {"manager": "ups", "version": "v3_14_04"}}],
        "configurations": [
            {"step": "reco", "main": "reco.fcl", "files": [{"name": "reco.fcl", "sha256": sha256}]}
        ],
    }
    service.record(
        Submission(decode_record(json.dumps(record).encode()), datetime.now(UTC), "test")
    )
    drain(Parts(service.database, service.writer, service.store, folder / "git"), HANDLERS)


@pytest.fixture(scope="module")
def run_app(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """Yield the application on a service with a job whose run is known, and one whose is not."""
    folder = tmp_path_factory.mktemp("runs")
    with opened_service(sqlite_template, folder) as service:
        record_job(service, folder, KNOWN, ARGV)
        record_job(service, folder, UNKNOWN, ["loon", *ARGV[1:]])
        yield create_app(service.settings, service=service)


@pytest.fixture
def client(run_app: Flask) -> FlaskClient:
    return run_app.test_client()


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.mark.slow
def test_the_id_and_the_set_as_run_are_shown(client: FlaskClient) -> None:
    ran = as_run(loads(TEXT), read_command_line(ARGV), Facts(release="3.14.04"))
    path = f"/jobs/{KNOWN}/configurations/reco"

    page, text = client.get(path).text, client.get(f"{path}?form=ran").text
    saved = client.get(f"/api/v1{path}?form=ran")
    told = client.get(f"/api/v1{path}").json

    assert f"Id as run {ran.parameter_set_id[:12]}" in words(page)
    assert "computed from files and command line" in words(page)
    assert "changed some before the job ran: As run" in words(page)
    assert "As run, computed" in words(text)
    assert "spare" not in saved.text
    assert saved.text == ran.to_indented_string()
    assert told is not None
    assert told["run"]["parameter_set_id"] == ran.parameter_set_id
    assert told["run"]["evidence"] == "computed"


@pytest.mark.slow
def test_a_run_that_is_not_known_is_shown_as_written_with_the_reason(client: FlaskClient) -> None:
    path = f"/jobs/{UNKNOWN}/configurations/reco"

    page, ran = client.get(path), client.get(f"/api/v1{path}?form=ran")

    assert "As run not known, shown as written. What loon makes" in words(page.text)
    assert ran.status_code == 404


@pytest.mark.slow
def test_the_page_of_a_job_says_which_set_ran(client: FlaskClient) -> None:
    known, unknown = client.get(f"/jobs/{KNOWN}").text, client.get(f"/jobs/{UNKNOWN}").text

    assert f"/jobs/{KNOWN}/configurations/reco?form=ran" in known
    assert "As run not known: What loon makes" in words(unknown)


def test_a_list_says_which_key_and_value_matched(client: FlaskClient) -> None:
    page = client.get("/jobs?parameter=source.maxEvents&value=7")
    seeded, wrong = client.get("/jobs?seed=12"), client.get("/jobs?seed=x")

    assert "source.maxEvents = 7 1 job" in words(page.text)
    assert "seed of gen (HepJamesRandom) = 12 2 jobs" in words(seeded.text)
    assert (page.status_code, seeded.status_code, wrong.status_code) == (200, 200, 422)


def test_the_bundle_of_a_job_has_the_set_that_ran(client: FlaskClient) -> None:
    ran = as_run(loads(TEXT), read_command_line(ARGV), Facts(release="3.14.04"))
    held = {}
    for job in (KNOWN, UNKNOWN):
        answer = client.get(f"/api/v1/jobs/{job}/bundle")
        with tarfile.open(fileobj=io.BytesIO(answer.data)) as tar:
            for member in tar:
                file = tar.extractfile(member)
                held[job, member.name.partition("/")[2]] = file.read() if file else b""

    assert held[KNOWN, "data/fcl/ran.fcl"].decode() == ran.to_indented_string()
    assert (
        f"ran_parameter_set_id\t{ran.parameter_set_id}\n"
        in held[KNOWN, "data/fcl/psetid.txt"].decode()
    )
    assert (UNKNOWN, "data/fcl/ran.fcl") not in held
    assert b"ran" not in held[UNKNOWN, "data/fcl/psetid.txt"]
