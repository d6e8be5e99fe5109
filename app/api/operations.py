"""Is the service alive and ready, how is it doing, and the hook to download."""

import hashlib
import io
import os
import threading
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from flask import Response

from jobprov.app.access.wrong_tokens import wrong_tokens
from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.sending import send_stream
from jobprov.app.measures import get_measures
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.reruns import Reproduction
from jobprov.provenance.db.upkeep.key_widths import keys_used
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.launchers import job_start
from jobprov.provenance.launchers.hook_file import built_hook
from jobprov.provenance.services.reruns.reproduction import reproduction_facts

section = Section("operations", "Health, metrics and the hook.")
HOOK = "job-end-hook.pyz"
_hook_turn = threading.Lock()
"""Building it takes a second or two, so that it is done once, however many ask at the start."""


@section.call(
    "GET",
    "/health",
    answers={200: {"type": "object", "properties": {"status": {"const": "alive"}}}},
    is_public=True,
)
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
    is_public=True,
)
def ready() -> Response:
    """Return whether database, archive and schema can be worked with.

    The answer is 200, or 503 with what is wrong.
    """
    problems = get_service().problems()
    if problems:
        raise UnreachableError(" ".join(problems))
    return json_answer({"status": "ready", "problems": []})


@section.call(
    "GET",
    "/metrics",
    answers={200: ("text/plain", "Prometheus' text format, version 0.0.4.")},
    is_public=True,
)
def metrics() -> Response:
    """Return figures of the service for Prometheus.

    They count requests, tell how many recipes were reproduced by their last rerun, and how many of
    the database's keys are used up.
    """
    with get_service().reading() as connection:
        facts = reproduction_facts(connection, datetime.now(UTC))
        used = keys_used(connection)
    lines = [
        *get_measures().lines(),
        *_token_lines(),
        *_reproduction_lines(facts),
        *_key_lines(used),
    ]
    return Response(
        "\n".join(lines) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8"
    )


@section.call(
    "GET",
    "/hook/job-end-hook.pyz",
    answers={200: ("application/octet-stream", "The hook, one file.")},
    is_public=True,
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


@section.call(
    "GET",
    f"/hook/{job_start.NAME}",
    answers={200: ("text/x-shellscript", "The start script, for a shell.")},
    is_public=True,
)
def start_script() -> Response:
    """Return the start script, which runs a command under the hook, or alone if the hook cannot run."""
    answer = Response(job_start.JOB_START, content_type="text/x-shellscript; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{job_start.NAME}"'
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _token_lines() -> list[str]:
    return [
        "# HELP jobprov_wrong_tokens_total Tokens that were unknown, expired or revoked.",
        "# TYPE jobprov_wrong_tokens_total counter",
        f'jobprov_wrong_tokens_total{{process="{os.getpid()}"}} {wrong_tokens().total}',
    ]


def _reproduction_lines(facts: Reproduction) -> list[str]:
    lines = [
        "# HELP jobprov_recipes Recipes recorded.",
        "# TYPE jobprov_recipes gauge",
        f"jobprov_recipes {facts.recipes}",
    ]
    lines += [
        "# HELP jobprov_recipes_rerun Recipes by the level of their last verdict.",
        "# TYPE jobprov_recipes_rerun gauge",
    ]
    for level, count in facts.by_level.items():
        lines.append(f'jobprov_recipes_rerun{{level="{level}"}} {count}')
    return lines


def _key_lines(used: dict[str, float]) -> list[str]:
    if not used:
        return []
    lines = [
        (
            "# HELP jobprov_keys_used Share of the integer keys that each table has given out "
            "(PostgreSQL)."
        ),
        "# TYPE jobprov_keys_used gauge",
    ]
    for table, share in sorted(used.items()):
        lines.append(f'jobprov_keys_used{{table="{table}"}} {share:.6f}')
    return lines


def _hook() -> tuple[bytes, str]:
    with _hook_turn:
        return _built_hook(get_service().settings.data / "hooks")


@cache
def _built_hook(kept: Path) -> tuple[bytes, str]:
    content = built_hook(kept)
    return content, hashlib.sha256(content).hexdigest()
