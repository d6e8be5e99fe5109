"""What the tests ask about answers of the API and about pages."""

import re
from html import unescape
from typing import Any

from flask.testing import FlaskClient


def assert_problem(answer: Any, status: int, *fields: str) -> dict[str, Any]:
    """Check that an answer is problem+json of this status that names these fields; return it."""
    assert answer.status_code == status, answer.get_data(as_text=True)[:500]
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = answer.get_json(force=True)
    assert {"type", "title", "status", "detail"} <= set(problem)
    assert problem["status"] == status
    for field in fields:
        assert field in problem["errors"], problem
    return problem


def put_job(client: FlaskClient, record: dict[str, Any]) -> None:
    """Send the record of a job that nobody sent before."""
    answer = client.put(f"/api/v1/jobs/{record['job_id']}", json=record)
    assert answer.status_code == 201, answer.get_data(as_text=True)


def lead(pages: FlaskClient, address: str) -> str:
    """Return the first line of a page as its reader sees it."""
    found = re.search(r'<p class="lead">(.*?)</p>', pages.get(address).text, re.DOTALL)
    assert found is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", "", found[1])).split())
