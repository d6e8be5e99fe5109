"""Pages of jobs whose records say next to nothing: what is not there is a dash, never an error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.records import job_id
from tests.library.servers.served_app import AppOn, opened_service

SPARSE: tuple[dict[str, Any], ...] = (
    {},
    {"task": {"task_id": "t"}},
    {"host": {}, "exit": {}, "environment": {}, "batch": {}, "command": {}},
    {"environment": {"os": {}, "container": {}}, "modules": [{}], "scripts": [{"name": "s"}]},
    {"configurations": [{"step": "s"}], "software": [{"name": "x"}], "logs": [{"name": "l"}]},
    {"inputs": [{"name": "i"}], "outputs": [{"name": "o"}], "command": {"steps": [{"name": "s"}]}},
)


@pytest.fixture
def pages(app_on: AppOn, sqlite_template: Path, tmp_path: Path) -> Iterator[FlaskClient]:
    with opened_service(sqlite_template, tmp_path) as service:
        yield app_on(service).test_client()


@pytest.mark.parametrize("said", SPARSE)
def test_job_that_says_little_has_its_pages(pages: FlaskClient, said: dict[str, Any]) -> None:
    record = {
        "schema_version": 1,
        "experiment": "nova",
        "state": "failed",
        "started_at": "2026-11-24T16:00:00Z",
        "job_id": job_id(1),
    }

    put = pages.put(f"/api/v1/jobs/{job_id(1)}", json={**record, **said})

    assert put.status_code == 201
    for address in ("", "/diff", f"/diff/{job_id(1)}"):
        assert pages.get(f"/jobs/{job_id(1)}{address}").status_code == 200


def test_lists_tell_a_job_that_succeeded_and_made_no_file(pages: FlaskClient) -> None:
    record = {
        "schema_version": 1,
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-11-24T16:00:00Z",
    }
    made_one = {"outputs": [{"name": "made.root"}]}
    pages.put(f"/api/v1/jobs/{job_id(1)}", json={**record, "job_id": job_id(1)})
    pages.put(f"/api/v1/jobs/{job_id(2)}", json={**record, **made_one, "job_id": job_id(2)})

    rows = pages.get("/jobs?experiment=nova").text.split("<tr")
    without_file = [row for row in rows if f"/jobs/{job_id(1)}" in row]
    with_file = [row for row in rows if f"/jobs/{job_id(2)}" in row]

    assert "no output" in without_file[0]
    assert "no output" not in with_file[0]
    assert "output_count" in pages.get("/jobs?format=csv&experiment=nova").text.splitlines()[0]


def test_notes_of_the_hook_are_sentences_and_other_extra_fields_have_rows(
    pages: FlaskClient,
) -> None:
    extra = {"hook_notes": ["no token is set: the record waits"], "events": {"art": 10}}
    record = {
        "schema_version": 1,
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-11-24T16:00:00Z",
        "job_id": job_id(1),
        "extra": extra,
    }
    pages.put(f"/api/v1/jobs/{job_id(1)}", json=record)

    page = pages.get(f"/jobs/{job_id(1)}").text

    notes = page.split('id="hook-notes"')[1].split("</section>")[0]
    others = page.split('id="others"')[1].split("</section>")[0]
    assert "<li>no token is set: the record waits</li>" in notes
    assert "<dt>extra.events</dt>" in others
    assert "hook_notes" not in others


def test_tables_of_jobs_tell_how_long_one_took_that_measured_nothing(pages: FlaskClient) -> None:
    record = {
        "schema_version": 1,
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-11-24T16:00:00Z",
        "ended_at": "2026-11-24T16:10:00Z",
        "task": {"task_id": "t", "unit": "u"},
    }
    for number in (1, 2):
        pages.put(f"/api/v1/jobs/{job_id(number)}", json={**record, "job_id": job_id(number)})

    for address in ("/tasks/t?experiment=nova", "/jobs?experiment=nova", f"/jobs/{job_id(1)}"):
        rows = pages.get(address).text.split("<tr")[1:]
        [other] = [row for row in rows if f"/jobs/{job_id(2)}" in row]
        assert '<td class="number">10\u00a0min' in other, address
