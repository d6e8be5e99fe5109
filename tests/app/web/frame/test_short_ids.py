"""Short ids of jobs tell jobs apart, also those of one minute whose ids begin with the time."""

import uuid

from flask.testing import FlaskClient

from jobprov.provenance.answers.names import short_job
from tests.library.answers import put_job
from tests.library.records import record_of

# as Airflow makes them: version 7, three within a second
AIRFLOW = [
    "019ace4a-0c3e-7d21-9c1b-5a6c3b9d0a11",
    "019ace4a-0c3e-7d22-8f7e-0c4b1d2e3f40",
    "019ace4a-0f02-7a10-b1c2-d3e4f5a6b7c8",
]


def test_ids_that_begin_with_the_time_are_longer() -> None:
    assert len({short_job(job) for job in AIRFLOW}) == 3
    assert short_job(str(uuid.UUID(int=1, version=4))) == "00000000"


def test_a_list_of_jobs_shows_what_tells_them_apart(client: FlaskClient) -> None:
    for number, job in enumerate(AIRFLOW, 1):
        put_job(client, {**record_of(number), "job_id": job, "batch": {}})

    page = client.get("/jobs?experiment=nova").text

    for job in AIRFLOW:
        assert f">{short_job(job)}</code>" in page
