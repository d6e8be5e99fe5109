"""Logs of jobs over HTTP."""

import hashlib
from typing import BinaryIO

from flask import Response

from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.sending import send_stream
from jobprov.app.wiring import get_service
from jobprov.provenance.schemas.queries import LogQuery
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.lookup.logs import read_log

section = Section("logs", "Logs of jobs.")
TEXT = "text/plain; charset=utf-8"
_TAIL_CHUNK = 1 << 16


@section.call(
    "GET",
    "/jobs/<job_id>/logs/<name>",
    answers={200: (TEXT, "The log.")},
    parameters=parameters(LogQuery),
    errors=(300, 401, 404, 416, 422),
)
def get_log(job_id: str, name: str) -> Response:
    """Return a log as text; `Range` is honoured, `tail` gives the last lines.

    Of a running job it is the end that came so far.
    """
    query, service = asked(LogQuery), get_service()
    tail = query.pop("tail", None)
    with service.reading() as connection:
        job = read_job(connection, service.store, checked_name(job_id, "job_id"), **query)
        log = read_log(connection, service.store, job, checked_name(name))
    if tail is not None:
        with log.stream:
            return Response(last_lines(log.stream, log.size_bytes, tail), content_type=TEXT)
    etag = hashlib.sha256(f"{job_id} {name} {log.size_bytes} {log.tail_at}".encode()).hexdigest()
    answer = send_stream(log.stream, log.size_bytes, TEXT, etag=etag)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def last_lines(stream: BinaryIO, size_bytes: int, lines: int) -> bytes:
    """Return the last lines of a seekable stream, reading no more of it than they need."""
    start, end_of_log = size_bytes, b""
    while start > 0 and end_of_log.count(b"\n") <= lines:
        step = min(_TAIL_CHUNK, start)
        start -= step
        stream.seek(start)
        end_of_log = stream.read(step) + end_of_log
    return b"".join(end_of_log.splitlines(keepends=True)[-lines:])
