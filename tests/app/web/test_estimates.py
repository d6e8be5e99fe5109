"""What the page of estimates and its twin say of waiting."""

import re
from html import unescape
from typing import Any

from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.records import a_record

ASKED = "/estimate?experiment=nova&files=100"


def record(client: FlaskClient, number: int, **fields: Any) -> None:
    """Record a job of an hour."""
    task = {"task_id": "t", "campaign": "c", "stage": "reco", "unit": f"u{number}"}
    made = a_record(number, task=task, ended_at="2026-01-01T01:00:00Z", **fields)
    put_job(client, made)


def shown(client: FlaskClient) -> str:
    """Return the text of the page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", client.get(ASKED).text)).split())


def test_queue_and_stage_in_are_shown_beside_the_hours(client: FlaskClient) -> None:
    times = {"started_at": "2026-01-01T00:00:00Z", "ended_at": "2026-01-01T00:06:00Z"}
    steps = [{"name": "ifdh", "role": "stage_in", **times}, {"name": "art", "role": "payload"}]
    record(client, 1, batch={"queued_at": "2025-12-31T23:40:00Z"}, command={"steps": steps})

    text = shown(client)

    assert "Jobs wait in queues besides: 20 min on a file's way (20 min to 20 min)." in text
    assert "reco 20 min (20 min to 20 min) 6 min (6 min to 6 min) 10" in text
    twin = client.get(f"/api/v1{ASKED}").get_json()
    assert twin["stages"][0]["stage_in_hours"]["expected"] == 10
    assert twin["total"]["queue"]["median_hours"] * 3600 == 1200


def test_jobs_that_say_nothing_of_it_leave_it_open(client: FlaskClient) -> None:
    record(client, 1)

    text = shown(client)

    assert "None of the sampled jobs recorded when it was queued" in text
    assert "Jobs wait in queues" not in text


def test_units_that_hung_are_told_apart_from_the_time(client: FlaskClient) -> None:
    for number in range(1, 11):
        record(client, number)
    record(client, 11, resources={"wall_seconds": 100_000.0})

    text = shown(client)

    assert "100 files from reco: about 1 h with 1" in text
    assert "1 unit of reco hung, for 1 d 3 h or longer: counted in the hours, but not" in text
