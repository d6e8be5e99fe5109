"""Small records, and what the tests ask about answers."""

import hashlib
import re
from html import unescape
from typing import Any

from flask.testing import FlaskClient

JOB = "0f8b0000-0000-4000-8000-000000000001"


def a_record(job_id: str = JOB, **fields: Any) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "job_id": job_id,
        "experiment": "nova",
        "state": "succeeded",
        "started_at": "2026-01-01T00:00:00Z",
        **fields,
    }


def numbered(number: int, **fields: Any) -> dict[str, Any]:
    return a_record(f"0f8b0000-0000-4000-8000-{number:012x}", **fields)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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


def lead(pages: FlaskClient, address: str) -> str:
    """Return the first line of a page as its reader sees it."""
    found = re.search(r'<p class="lead">(.*?)</p>', pages.get(address).text, re.DOTALL)
    assert found is not None
    return " ".join(unescape(re.sub(r"<[^>]+>", "", found[1])).split())
