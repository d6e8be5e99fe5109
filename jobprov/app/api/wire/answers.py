"""Answers on their way out: as JSON or text, and what became of records."""

from collections.abc import Iterable
from typing import Any

import msgspec
from flask import Response, request

from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import job_page
from jobprov.provenance.answers.recording import BatchResult, RecordAnswer
from jobprov.provenance.services.recording.submissions import STATUS, Outcome

TEXT = "text/plain; charset=utf-8"
DOT = "text/vnd.graphviz; charset=utf-8"
SVG = "image/svg+xml; charset=utf-8"
_encoder = msgspec.json.Encoder()


def json_answer(document: Any, status: int = 200) -> Response:
    """Return any JSON document, msgspec types included."""
    return Response(_encoder.encode(document), status, content_type="application/json")


def text_answer(lines: Iterable[str]) -> Response:
    """Return lines of text."""
    return Response("".join(f"{line}\n" for line in lines), content_type=TEXT)


def record_answer(outcome: Outcome, here: str) -> RecordAnswer:
    """Return what became of a record; `here` is the service's address."""
    return RecordAnswer(
        outcome.job_id,
        outcome.change,
        here + job_page(outcome.job_id),
        f"L{outcome.level}",
        outcome.gaps,
        outcome.missing_blobs,
    )


def batch_result(outcome: Outcome, here: str) -> BatchResult:
    """Return what became of one record of a batch; `here` is the service's address."""
    if outcome.change == "conflict":
        return BatchResult(
            outcome.job_id, STATUS["conflict"], detail=conflict_words(outcome.job_id)
        )
    answer = record_answer(outcome, here)
    return BatchResult(
        answer.job_id,
        STATUS[outcome.change],
        answer.url,
        answer.change,
        answer.grade,
        answer.gaps,
        answer.missing_blobs,
    )


def conflict_words(job_id: str) -> str:
    """Return why a second final record is not taken, and what to do."""
    return (
        f"Another final record of job {job_id} is held for this witness; "
        "yours was kept as evidence and changed nothing. "
        f"To correct the first, POST /api/v1/jobs/{job_id}/revisions with a reason."
    )


def public_url() -> str:
    """Return the address at which clients find this service."""
    return get_service().settings.public_url or f"{request.scheme}://{request.host}"
