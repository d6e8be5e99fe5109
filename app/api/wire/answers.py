"""The answers of the writing calls, as msgspec types.

They are encoded in a few microseconds, and described in the OpenAPI document.
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from flask import Response, request

from jobprov.app.wiring import get_service
from jobprov.provenance.answers.addresses import job_page
from jobprov.provenance.records.gaps import Gap
from jobprov.provenance.services.recording.submissions import STATUS, Outcome

_encoder = msgspec.json.Encoder()


class RecordAnswer(msgspec.Struct):
    """What became of a record."""

    job_id: str
    change: str
    url: str
    grade: str
    gaps: list[Gap]
    missing_blobs: list[str]


class BatchResult(msgspec.Struct, omit_defaults=True):
    """What became of one record of a batch; `errors` and `detail` where it was refused."""

    job_id: str
    status: int
    url: str | None = None
    change: str | None = None
    grade: str | None = None
    gaps: list[Gap] | None = None
    missing_blobs: list[str] | None = None
    detail: str | None = None
    errors: dict[str, list[str]] | None = None


class BatchAnswer(msgspec.Struct):
    """What became of each record of a batch, in order."""

    results: list[BatchResult]


class MissingAnswer(msgspec.Struct, omit_defaults=True):
    """Digests of blobs that are not here yet, and of known ones among the excerpts asked for."""

    missing: list[str]
    excerpts: list[str] | None = None


class BlobAnswer(msgspec.Struct, omit_defaults=True):
    """A blob that is here now, or that was erased on purpose.

    In the second case `change` is `erased`, and the blob is not stored again.
    """

    sha256: str
    size_bytes: int
    is_new: bool
    change: str | None = None


class PartAnswer(msgspec.Struct):
    """How much of a half-sent blob is here, from the first byte on."""

    sha256: str
    received_bytes: int


def json_answer(document: Any, status: int = 200) -> Response:
    """Return any JSON document, msgspec types included."""
    return Response(_encoder.encode(document), status, content_type="application/json")


def text_answer(lines: Iterable[str]) -> Response:
    """Return lines of text."""
    return Response(
        "".join(f"{line}\n" for line in lines), content_type="text/plain; charset=utf-8"
    )


def record_answer(outcome: Outcome, here: str) -> RecordAnswer:
    """Return what the client of one record is told; `here` is the service's address."""
    return RecordAnswer(
        outcome.job_id,
        outcome.change,
        here + job_page(outcome.job_id),
        f"L{outcome.level}",
        outcome.gaps,
        outcome.missing_blobs,
    )


def batch_result(outcome: Outcome, here: str) -> BatchResult:
    """Return what is told of one record of a batch."""
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
