"""Is the service alive and ready, how is it doing, and the hook to download."""

import hashlib
import io
import threading
from functools import cache
from pathlib import Path

from flask import Response, request
from prometheus_client.exposition import choose_encoder

from jobprov.app.api.metrics import read_figures, read_standby, scraped
from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.sending import send_stream
from jobprov.app.measures import get_measures
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.launchers import job_start
from jobprov.provenance.launchers.hook_file import built_hook

section = Section("operations", "Health, metrics and the hook.")
HOOK = "job-end-hook.pyz"
_hook_turn = threading.Lock()
"""Building it takes a second or two, so that it is done once, however many ask at the start."""


@section.get(
    "/health",
    {200: {"type": "object", "properties": {"status": {"const": "alive"}}}},
    is_public=True,
)
def health() -> Response:
    """Return that the process answers; nothing else is looked at."""
    return json_answer({"status": "alive"})


@section.get(
    "/ready",
    {
        200: {
            "type": "object",
            "properties": {
                "status": {"enum": ["ready", "not ready"]},
                "problems": {"type": "array", "items": {"type": "string"}},
                "standby": {
                    "type": "object",
                    "description": "Where one is set: whether it is read from, and its lag.",
                    "properties": {
                        "is_used": {"type": "boolean"},
                        "lag_seconds": {"type": ["number", "null"]},
                    },
                },
            },
        }
    },
    errors=(503,),
    is_public=True,
)
def ready() -> Response:
    """Return whether database, archive and schema can be worked with.

    The answer is 200, or 503 with what is wrong. The service is ready without its standby.
    """
    service = get_service()
    problems = service.problems()
    if problems:
        raise UnreachableError(" ".join(problems))
    answer: dict[str, object] = {"status": "ready", "problems": []}
    standby = read_standby(service)
    if standby is not None:
        answer["standby"] = standby._asdict()
    return json_answer(answer)


@section.get(
    "/metrics",
    ("text/plain", "Prometheus' text format, or OpenMetrics where it is asked for."),
    is_public=True,
)
def metrics() -> Response:
    """Return figures of the service for Prometheus.

    They count requests and failed logins, and tell of jobs by experiment and state, queues, sealing,
    backups, sizes and reruns. Of experiments that the sender may not see, nothing is told.
    """
    counted = get_measures().collector()
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    text = encode(scraped(counted, read_figures(get_service())))
    return Response(text, content_type=content_type)


@section.get(
    "/hook/job-end-hook.pyz", ("application/octet-stream", "The hook, one file."), is_public=True
)
def hook() -> Response:
    """Return the job-end hook: one file, Python 3.6 or newer.

    The same version always answers the same bytes.
    """
    content, sha256 = _hook()
    answer = send_stream(
        io.BytesIO(content), len(content), "application/octet-stream", etag=sha256, name=HOOK
    )
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@section.get(
    f"/hook/{job_start.NAME}",
    ("text/x-shellscript", "The start script, for a shell."),
    is_public=True,
)
def start_script() -> Response:
    """Return the start script, which runs a command under the hook, or alone if the hook cannot run."""
    answer = Response(job_start.JOB_START, content_type="text/x-shellscript; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{job_start.NAME}"'
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _hook() -> tuple[bytes, str]:
    with _hook_turn:
        return _built_hook(get_service().settings.data / "hooks")


@cache
def _built_hook(kept: Path) -> tuple[bytes, str]:
    content = built_hook(kept)
    return content, hashlib.sha256(content).hexdigest()
