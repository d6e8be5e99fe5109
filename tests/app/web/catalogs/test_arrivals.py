"""The page of what arrived in the catalog, and its command beside a service."""

from datetime import UTC, datetime, timedelta

from flask.testing import FlaskClient

from tests.library.records import record_of


def test_page_counts_by_day_and_links_late_files(client: FlaskClient) -> None:
    ended_at = datetime.now(UTC) - timedelta(hours=30)
    outputs = [
        {"name": "b1.root", "size_bytes": 7},
        {"name": "b2.root", "namespace": "reco", "size_bytes": 7},
    ]
    job = record_of(1, ended_at=ended_at.isoformat(), outputs=outputs)
    client.put(f"/api/v1/jobs/{job['job_id']}", json=job)

    page = client.get("/arrivals?experiment=nova&days=3").text
    none = client.get("/arrivals?experiment=nova&hours=40").text

    assert "2 of 2 files did not arrive within 24 hours." in page
    day = f"{ended_at:%Y-%m-%d}"
    assert f"<td>{day}</td>" in page
    assert ">b1.root</a>" in page
    assert ">reco:b2.root</a>" in page
    assert "No file is late by more than 40 hours, of 2 written; 2 files may still come." in none


def test_page_without_an_experiment_or_of_one_that_nobody_knows_is_told(
    client: FlaskClient,
) -> None:
    assert client.get("/arrivals").status_code == 422
    assert client.get("/arrivals?experiment=none").status_code == 404
