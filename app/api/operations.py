"""Is the service alive and ready, how is it doing, and the hook to download."""

import hashlib
import io
from functools import cache

from flask import Response

from app.api.answers import json_answer
from app.api.documenting import Section
from app.api.sending import send_stream
from app.measures import get_measures
from app.wiring import get_service
from provenance.capture.packing import packed, sources
from provenance.errors import UnreachableError

section = Section("operations", "Health, metrics and the hook.")
HOOK = "job-end-hook.pyz"


@section.call("GET", "/health", answers={200: {"type": "object", "properties": {"status": {"const": "alive"}}}})
def health() -> Response:
    """Return that the process answers; nothing else is looked at."""
    return json_answer({"status": "alive"})


@section.call(
    "GET",
    "/ready",
    answers={
        200: {
            "type": "object",
            "properties": {
                "status": {"enum": ["ready", "not ready"]},
                "problems": {"type": "array", "items": {"type": "string"}},
            },
        }
    },
    errors=(503,),
)
def ready() -> Response:
    """Return whether database, archive and schema can be worked with: 200, or 503 with what is wrong."""
    problems = get_service().problems()
    if problems:
        raise UnreachableError(" ".join(problems))
    return json_answer({"status": "ready", "problems": []})


@section.call("GET", "/metrics", answers={200: ("text/plain", "Prometheus' text format, version 0.0.4.")})
def metrics() -> Response:
    """Return counts of requests and what waits for the writer, as Prometheus reads them."""
    return Response("\n".join(get_measures().lines()) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")


@section.call("GET", "/hook/job-end-hook.pyz", answers={200: ("application/octet-stream", "The hook, one file.")})
def hook() -> Response:
    """Return the job-end hook: one file, Python 3.6 or newer; the same bytes from the same version, always."""
    content, sha256 = _hook()
    answer = send_stream(io.BytesIO(content), len(content), "application/octet-stream", etag=sha256, name=HOOK)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@cache
def _hook() -> tuple[bytes, str]:
    content = packed(sources())  # type: ignore[no-untyped-call]
    return content, hashlib.sha256(content).hexdigest()
