"""The page of what arrived in the catalog, and its command beside a service."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.markup import tight
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


def test_page_without_an_experiment_offers_those_that_are_recorded(client: FlaskClient) -> None:
    assert client.get("/arrivals").status_code == 404
    put_job(client, record_of(1))
    assert "<h1>Arrivals of nova</h1>" in client.get("/arrivals?days=3").text  # there is no other
    put_job(client, record_of(2, experiment="dune"))

    page = client.get("/arrivals?days=3")

    assert page.status_code == 300
    assert "Several experiments are recorded; say whose arrivals you mean." in page.text
    for experiment in ("dune", "nova"):
        assert f'href="/arrivals?days=3&amp;experiment={experiment}"' in page.text


def test_page_of_an_experiment_that_nobody_knows_is_told(client: FlaskClient) -> None:
    assert client.get("/arrivals?experiment=none").status_code == 404


def test_list_of_late_files_goes_on_and_says_how_many_there_are(client: FlaskClient) -> None:
    ended_at = datetime.now(UTC) - timedelta(hours=30)
    # Names that leave room for fewer rows on a page
    outputs = [{"name": f"{number}{'<' * 200}.root"} for number in range(60)]
    put_job(client, record_of(1, ended_at=ended_at.isoformat(), outputs=outputs))

    first = client.get("/arrivals?experiment=nova").text
    [address] = re.findall(r'<a href="([^"]*)">Older</a>', first)
    second = client.get(unescape(address)).text

    assert 'Late files, the newest first <span class="count">60</span>' in tight(first)
    assert "files shown" not in first
    shown = [re.findall(r">(\d+)&lt;", page) for page in (first, second)]
    assert shown[0]
    assert shown[1]
    assert not set(shown[0]) & set(shown[1]), "the second page goes on where the first ends"
    assert "Newest</a>" in second
