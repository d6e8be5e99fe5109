"""Pages of the largest, the emptiest and the oddest records; reading by token; mistakes of ours."""

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from jobprov.app.config import load_settings
from jobprov.app.factory import create_app
from jobprov.app.wiring import Service
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.intake.tokens import create_token
from jobprov.provenance.services.recording.submissions import Submission
from tests.library.servers.served_app import AppOn, opened_service

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)


@pytest.fixture
def service(sqlite_template: Path, tmp_path: Path) -> Iterator[Service]:
    """Yield a service on an empty database."""
    with opened_service(sqlite_template, tmp_path) as opened:
        yield opened


@pytest.fixture
def pages(app_on: AppOn, service: Service) -> FlaskClient:
    """Return a client of the application on it."""
    return app_on(service).test_client()


def record(service: Service, **fields: Any) -> str:
    """Record a job; return the path of its page."""
    job_id = str(uuid.uuid4())
    body = {
        "schema_version": 1,
        "job_id": job_id,
        "experiment": "e",
        "state": "failed",
        "started_at": "2026-01-01T00:00:00Z",
    } | fields
    service.record(Submission(decode_record(json.dumps(body).encode()), NOW, "test"))
    return f"/jobs/{job_id}"


def huge() -> dict[str, Any]:
    """Return the fields of a record with thousands of everything.

    Every name is long and full of what is escaped.
    """
    odd = "<\"'&>" * 30
    many = range(120)
    return {
        "task": {"task_id": odd[:200], "campaign": odd, "stage": odd, "unit": odd},
        "exit": {"code": 1, "failed_step": odd, "error_class": odd, "message": odd * 3},
        "command": {
            "argv": [odd] * 400,
            "steps": [
                {
                    "name": f"{n}{odd}",
                    "argv": [odd] * 10,
                    "exit_code": 1,
                    "started_at": NOW.isoformat(),
                    "ended_at": NOW.isoformat(),
                }
                for n in many
            ],
        },
        "configurations": [
            {
                "step": f"s{n}",
                "main": odd,
                "overrides": [odd] * 40,
                "files": [{"name": f"{k}{odd}", "sha256": f"{k:064x}"} for k in range(20)],
            }
            for n in range(20)
        ],
        "scripts": [
            {"name": f"{n}{odd}", "path": odd, "sha256": f"{n:064x}", "software": odd} for n in many
        ],
        "software": [
            {
                "name": odd,
                "repository": odd,
                "requested_ref": odd,
                "revision": odd,
                "submodules": [{"path": odd, "repository": odd, "revision": odd}] * 20,
            }
            for n in many
        ],
        "environment": {
            "variables": {f"V{n}{odd}": odd * 4 for n in many},
            "withheld": [f"{n}{odd}" for n in many],
        },
        "seeds": [{"module": odd, "engine": odd, "seed": n} for n in many],
        "conditions": [{"database": odd, "tag": odd} for n in many],
        "modules": [
            {"label": odd, "type": odd, "events": n, "seconds_total": 1e300 if n else -1.0}
            for n in many
        ],
        "inputs": [
            {
                "name": f"{n}{odd}",
                "location": odd,
                "checksums": [f"x:{odd}"] * 5,
                "role": odd,
                "events_read": 2**63 - 1,
            }
            for n in range(1500)
        ],
        "outputs": [
            {
                "name": f"o{n}{odd}",
                "location": odd,
                "checksums": [f"x:{odd}"],
                "data_tier": odd,
                "status": odd,
                "metadata": {odd: odd},
            }
            for n in many
        ],
        "logs": [{"name": f"{n}{odd}", "step": odd, "sha256": f"{n:064x}"} for n in many],
        "extra": {odd: [odd] * 300, "hook_notes": [f"{n}{odd}" for n in many]},
        "unknown": {f"u{n}": odd for n in many},
    }


def test_the_largest_record_makes_a_page_under_80_kb(pages: FlaskClient, service: Service) -> None:
    path = record(service, **huge())

    answer = pages.get(path)

    assert answer.status_code == 200
    assert len(answer.data) < 80_000


@pytest.mark.parametrize(
    "section",
    [
        "steps",
        "inputs",
        "outputs",
        "scripts",
        "software",
        "environment",
        "withheld",
        "modules",
        "logs",
        "gaps",
        "hook-notes",
        "fcl-0",
        "seeds",
        "others",
    ],
)
def test_each_section_of_the_largest_record_is_there_page_by_page(
    pages: FlaskClient, service: Service, section: str
) -> None:
    path = record(service, **huge())

    answer = pages.get(f"{path}?whole={section}&from=10")

    assert answer.status_code == 200
    assert f'id="{section}"' in answer.text


def test_pages_of_a_merge_of_thousands_stay_small(pages: FlaskClient, service: Service) -> None:
    inputs = [
        {"name": f"in_{n:04}.root", "sha256": f"{n:064x}", "size_bytes": n} for n in range(4000)
    ]
    record(
        service,
        state="succeeded",
        inputs=inputs,
        outputs=[{"name": "merged.root", "sha256": "a" * 64}],
    )

    for address in (
        "/files/merged.root",
        "/lineage/merged.root",
        "/lineage/merged.root?direction=both&limit=1000",
    ):
        answer = pages.get(address)
        assert answer.status_code == 200
        assert len(answer.data) < 80_000


def test_what_a_picture_leaves_out_is_one_step_away(pages: FlaskClient, service: Service) -> None:
    inputs = [{"name": f"part{place:04}.root", "role": "primary"} for place in range(700)]
    record(service, state="succeeded", inputs=inputs, outputs=[{"name": "merged.root"}])

    for shown, more in ((200, 500), (500, 1000)):
        page = pages.get(f"/lineage/merged.root?limit={shown}")
        assert f'href="/lineage/merged.root?limit={more}"' in page.text
        picture = pages.get(f"/lineage/merged.root?limit={shown}&picture=map").json
        stubs = [box["url"] for box in picture["boxes"] if box["kind"] == "stub"]
        assert stubs
        assert all(url.endswith(f"limit={more}") for url in stubs)
    assert "Shown at most" not in pages.get("/lineage/part0001.root").text


def test_the_emptiest_record_has_a_page(pages: FlaskClient, service: Service) -> None:
    answer = pages.get(record(service))

    assert answer.status_code == 200
    assert ">None<" not in answer.text
    assert "Undefined" not in answer.text


def test_an_empty_service_says_what_to_do_next(pages: FlaskClient) -> None:
    first, jobs = pages.get("/").text, pages.get("/jobs").text

    assert "Nothing is recorded yet." in first
    assert "Record the first job" in first
    for text in (first, jobs):
        assert "curl -fsSO http://localhost/api/v1/hook/job-end-hook.pyz" in text
        assert "job-end-hook.pyz run --url http://localhost --experiment NAME" in text
        assert "jobprov token create" in text
        assert 'href="/docs/tutorial/first-hour"' in text


def test_address_of_no_page_is_answered_for_a_reader_of_pages(pages: FlaskClient) -> None:
    assert "There is no such page." in pages.get("/campagins/nova").text
    assert "There is no such page." not in pages.get("/files/none.root").text


@pytest.mark.parametrize(
    "name",
    ["100%.root", "a?b#c.root", "Ünïcödé 名.root", "a+b c;d=e&f.root", "%2e%2e", "'\"<>.root"],
)
def test_odd_names_have_pages_that_lead_to_each_other(
    pages: FlaskClient, service: Service, name: str
) -> None:
    path = record(service, state="succeeded", outputs=[{"name": name, "sha256": "a" * 64}])

    page = pages.get(path).text
    link = f'href="/files/{quote(name, safe="")}?experiment=e&amp;namespace="'

    assert link in page
    assert pages.get(f"/files/{quote(name, safe='')}").status_code == 200
    assert pages.get(f"/lineage/{quote(name, safe='')}").status_code == 200


def test_reading_by_token_asks_the_browser_for_one(service: Service) -> None:
    secret = service.write(
        lambda writing: create_token(writing, experiment="e", name="reader", now=datetime.now(UTC))
    )
    closed = load_settings(
        {"JOBPROV_DATA": str(service.settings.data), "JOBPROV_READING": "token"}, {}
    )
    pages = create_app(
        closed, service=Service(**{**service.__dict__, "settings": closed})
    ).test_client()

    refused = pages.get("/")
    wrong = pages.get(
        "/", headers={"Authorization": "Basic " + base64.b64encode(b"me:prov_1_x").decode()}
    )
    taken = pages.get(
        "/",
        headers={"Authorization": "Basic " + base64.b64encode(f"me:{secret}".encode()).decode()},
    )

    assert refused.status_code == wrong.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert taken.status_code == 200
    with pages.get("/static/jobprov.css") as sheet:
        assert sheet.status_code == 200


def test_a_mistake_of_ours_is_a_page_without_its_details(
    pages: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("jobprov.app.web.statistics.home.home_facts", broken)

    answer = pages.get("/")

    assert answer.status_code == 500
    assert "secret detail" not in answer.text
    assert "A mistake of ours" in answer.text
    assert f"number, {answer.headers['X-Request-Id']}." in answer.text


def test_one_field_that_is_missing_is_told_once(pages: FlaskClient) -> None:
    page = pages.get("/waive?experiment=toyexp&task_id=toyexp-demo-gen-0001")

    assert page.status_code == 422
    assert page.text.count("missing") == 1
