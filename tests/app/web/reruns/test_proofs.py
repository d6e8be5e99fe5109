"""Proofs on pages, in gaps and in reports: counts agree everywhere, and what to do is told."""

from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from jobprov.provenance.answers.reruns.proofs import JobProof
from jobprov.provenance.lineage.words import grade_words
from tests.library.answers import put_job
from tests.library.records import a_record, digest

TASK = {"task_id": "t1", "campaign": "c", "stage": "reco"}
OFFER = {"pattern": "fit.log", "comparator": "text", "mask": ["^Started at .*"]}
EQUAL = {"output": "s.txt", "level": "R7", "comparator": "sha256"}
OTHER = {"output": "fit.log", "level": "R2", "comparator": "sha256"}


@pytest.fixture
def proven(client: FlaskClient) -> FlaskClient:
    """Return a service with four jobs: proven, failed, differing, and not rerun."""
    for number in (1, 2, 3, 4):
        record = a_record(number, task=TASK)
        put_job(client, record)
    post(client, 1, level="R7", comparisons=[EQUAL])
    post(client, 2, level="R1", missing="The shared library libGeom.so is missing.")
    post(client, 3, level="R2", comparisons=[EQUAL, OTHER], offers=[OFFER])
    return client


def post(client: FlaskClient, number: int, **verdict: Any) -> None:
    path = f"/api/v1/jobs/{a_record(number)['job_id']}/verdicts"
    answer = client.post(path, json={"by": "prove", **verdict})
    assert answer.status_code == 201, answer.get_data(as_text=True)


@pytest.mark.slow
def test_counts_are_the_same_everywhere(proven: FlaskClient) -> None:
    counts = {"proven": 1, "failed": 1, "differs": 1, "unproven": 1}
    line = (
        "1 of 4 jobs proven, 1 failed when rerun, 1 gave other outputs when rerun, 1 not rerun yet."
    )
    campaign = proven.get("/api/v1/campaigns/c?experiment=nova").get_json()
    listed = proven.get("/api/v1/proofs?experiment=nova").get_json()

    assert campaign["proof"] == counts
    assert proven.get("/api/v1/gaps?campaign=c").get_json()["proof"] == counts
    assert [row["proof"] for row in listed["campaigns"]] == [counts]
    for page in ("/campaigns/nova/c", "/tasks/t1", "/proofs"):
        assert line in proven.get(page).get_data(as_text=True), page
    report = proven.get("/reports/nova/c").get_data(as_text=True)
    assert "Proven by rerun" in report


def test_page_calls_nothing_reproduced_before_anything_was_rerun(client: FlaskClient) -> None:
    put_job(client, a_record(1, task=TASK))
    before = client.get("/proofs").text
    post(client, 1, level="R7", comparisons=[EQUAL])
    after = client.get("/proofs").text

    assert "None of 1 job has been proven by a rerun yet." in before
    assert "Every recipe that was rerun" not in before
    assert "Every recipe that was rerun came out as recorded." in after


def test_failed_proof_is_a_gap_of_its_jobs(proven: FlaskClient) -> None:
    job = proven.get(f"/api/v1/jobs/{a_record(2)['job_id']}").get_json()
    gaps = {row["code"]: row for row in proven.get("/api/v1/gaps?campaign=c").get_json()["gaps"]}
    page = proven.get(f"/jobs/{a_record(2)['job_id']}").get_data(as_text=True)

    assert job["proof"]["state"] == job["summary"]["proof"] == "failed"
    messages = [gap["message"] for gap in job["gaps"] if gap["code"] == "rerun-failed"]
    assert messages == ["The shared library libGeom.so is missing."]
    assert (gaps["rerun-failed"]["job_count"], gaps["rerun-failed"]["stops"]) == (1, "L2")
    assert "its rerun failed" in page
    assert "The shared library libGeom.so is missing." in page


def test_newer_verdict_closes_the_gap(proven: FlaskClient) -> None:
    post(proven, 2, level="R7", comparisons=[EQUAL])
    job = proven.get(f"/api/v1/jobs/{a_record(2)['job_id']}").get_json()

    assert job["proof"]["state"] == "proven"
    assert "rerun-failed" not in {gap["code"] for gap in job["gaps"]}


def test_passing_proof_closes_what_is_not_known_of_reads(client: FlaskClient) -> None:
    """Else the jobs of a site without strace would have that gap for good."""
    record = a_record(5, task=TASK, trace={"waits_for": [digest(1)]})
    client.put(f"/api/v1/jobs/{record['job_id']}", json=record)
    before = codes_of(client, record["job_id"])

    post(client, 5, level="R7", comparisons=[EQUAL])

    assert before - codes_of(client, record["job_id"]) == {"reads-unseen"}


def codes_of(client: FlaskClient, job_id: str) -> set[str]:
    """Return the gaps of a job that is alone in its campaign, the same on both calls."""
    job = client.get(f"/api/v1/jobs/{job_id}").get_json()
    counted = client.get("/api/v1/gaps?campaign=c").get_json()["gaps"]
    codes = {gap["code"] for gap in job["gaps"]}
    assert codes == {row["code"] for row in counted}
    return codes


def test_what_differs_and_its_comparator_are_told(proven: FlaskClient) -> None:
    for path in ("/proofs", f"/jobs/{a_record(3)['job_id']}"):
        page = proven.get(path).get_data(as_text=True)
        assert "fit.log differs from the recorded one; 1 other is equal (R7)." in page
        assert "pattern = &#34;fit.log&#34;\ncomparator = &#34;text&#34;" in page
        assert "jobprov comparators set nova" in page
    assert "rerun differs" in page


def test_job_that_nobody_reran_is_not_proven(proven: FlaskClient) -> None:
    job = proven.get(f"/api/v1/jobs/{a_record(4)['job_id']}").get_json()
    page = proven.get(f"/jobs/{a_record(4)['job_id']}").get_data(as_text=True)
    unproven = msgspec.convert(job["proof"], JobProof)

    assert unproven.state == "unproven"
    assert grade_words("L2", unproven) == "L2, not proven"
    # A grade that promises no rerun waits for no proof
    assert job["grade"] < "L2"
    assert grade_words("L0", unproven) == "L0"
    assert "not proven" not in page
