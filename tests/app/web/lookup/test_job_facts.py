"""Facts on the page of a job."""

import re

import pytest
from flask.testing import FlaskClient

from tests.library.answers import put_job
from tests.library.productions.attempts import attempt, in_dag
from tests.library.records import a_record, job_id


@pytest.mark.parametrize(("own", "shown"), [("reco_7", "reco_7"), (None, "none")])
def test_unit_that_another_attempt_names_is_shown_beside_what_the_record_says(
    client: FlaskClient, own: str | None, shown: str
) -> None:
    put_job(client, attempt(1, own, batch=in_dag(81)))
    assert "Unit in its record" not in facts_of(client, 1)

    put_job(client, attempt(2, "raw_7.root", reads=("raw_7.root",), batch=in_dag(82)))

    facts = facts_of(client, 1)
    assert "Unit raw_7.root" in facts
    assert f"Unit in its record {shown}" in facts
    assert "A later attempt succeeded." in facts
    assert "Unit in its record" not in facts_of(client, 2)


def test_job_without_a_task_has_no_unit(client: FlaskClient) -> None:
    put_job(client, a_record(1))

    assert "Unit" not in facts_of(client, 1)


def facts_of(client: FlaskClient, number: int) -> str:
    """Return the text of a job's page, without its marks."""
    page = client.get(f"/jobs/{job_id(number)}").text
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())
