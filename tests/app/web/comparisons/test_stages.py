"""The page and the answer of two productions, stage by stage."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.library.answers import assert_problem, put_job
from tests.library.records import a_record

ADDRESS = "/diff?by=campaign&a=old&b=new"


@pytest.fixture
def recorded(client: FlaskClient) -> FlaskClient:
    """Return a client of a service that holds two campaigns with another GENIE tune each."""
    tunes = {1: ("old", "G18_10a"), 2: ("new", "AR23_20i"), 3: ("new", "<b>x</b>")}
    for number, (campaign, tune) in tunes.items():
        record = a_record(
            number,
            task={"campaign": campaign, "stage": "gen", "task_id": campaign, "unit": str(number)},
            environment={"variables": {"GENIE_XSEC_TUNE": tune}},
            configurations=[{"step": "art", "main": "x.fcl", "files": [{"name": "x.fcl"}]}],
            software=[{"name": "toy", "revision": "a" * 40}],
        )
        put_job(client, record)
    return client


def test_the_page_names_the_stage_and_both_values(recorded: FlaskClient) -> None:
    text = recorded.get(ADDRESS).text

    assert "1 of 1 stage differs: gen in variables; not everything could be compared." in text
    assert "GENIE_XSEC_TUNE" in text
    assert "G18_10a" in text
    assert "AR23_20i" in text
    assert "<b>x" not in text
    assert "jobprov diff --campaigns old new" in text


def test_the_page_asks_which_two(recorded: FlaskClient) -> None:
    text = recorded.get("/diff?a=old").text

    assert 'name="a" required maxlength="1000" value="old"' in text
    assert "What differs between two productions" in text


def test_the_answer_counts_jobs_by_value(recorded: FlaskClient) -> None:
    found: Any = recorded.get(f"/api/v1{ADDRESS}").get_json()

    [stage] = found["stages"]
    [row] = next(each["differences"] for each in stage["facets"] if each["name"] == "variables")
    assert row["a"] == [{"value": "G18_10a", "job_count": 1}]
    assert (found["a"]["job_count"], found["b"]["job_count"]) == (1, 2)


def test_bad_questions_are_told(recorded: FlaskClient) -> None:
    assert_problem(recorded.get("/api/v1/diff?a=old"), 422, "b")
    assert_problem(recorded.get("/api/v1/diff?a=old&b=new&by=moon"), 422, "by")
    assert_problem(recorded.get("/api/v1/diff?a=old&b=none"), 404)
    assert recorded.get("/diff?a=old&b=none").status_code == 404
    elsewhere = recorded.get("/diff?a=old&b=none&experiment=nova").text
    assert "No job or task of experiment nova names a campaign none." in elsewhere
