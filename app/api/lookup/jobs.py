"""Reading jobs over HTTP: one, a list, their configurations, logs and bundles.

And verdicts of reruns.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.api.wire.sending import send_stream
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.lookup import JobList
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.records.repairing import parse_object
from jobprov.provenance.schemas.queries import (
    CONFIGURATION_FORMS,
    BundleQuery,
    ConfigurationQuery,
    ExperimentQuery,
    JobQuery,
    JobsQuery,
    LogQuery,
)
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle, note_digest
from jobprov.provenance.services.comparisons.recipes import read_recipe
from jobprov.provenance.services.configurations.configuration import (
    evaluated_json,
    printed,
    read_configuration,
    source_of,
)
from jobprov.provenance.services.intake.log_tails import list_tails
from jobprov.provenance.services.lookup.job import find_job, show_job
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.lookup.logs import read_log
from jobprov.provenance.services.reruns.verdicts import PostedVerdict, post_verdict

section = Section("jobs", "Jobs, their configurations, logs and bundles.")
TEXT = "text/plain; charset=utf-8"
_VERDICT_BYTES = 1024 * 1024
_TAIL_CHUNK = 1 << 16


@section.call(
    "GET",
    "/jobs",
    answers={200: JobList},
    parameters=parameters(JobsQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_jobs() -> Response:
    """Return jobs in short, newest first."""
    query = asked(JobsQuery)
    limit, cursor = query.pop("limit", 100), query.pop("cursor", None)
    if "recipe_id" in query:
        query["recipe"] = read_recipe(query.pop("recipe_id"))
    with get_service().reading() as connection:
        return json_answer(list_jobs(connection, JobFilters(**query), limit=limit, cursor=cursor))


@section.call(
    "GET",
    "/jobs/<job_id>",
    answers={200: OBJECT},
    parameters=parameters(JobQuery),
    errors=(300, 401, 404, 422),
)
def get_job(job_id: str) -> Response:
    """Return everything recorded of a job, and what the service found out about it."""
    query = asked(JobQuery)
    service = get_service()
    with service.reading() as connection:
        shown = show_job(connection, service.store, checked_name(job_id, "job_id"), **query)
        tails = list_tails(connection, shown["summary"]["experiment"], shown["summary"]["job_id"])
    rows = [
        {"name": tail.name, "start": tail.start, "end": tail.end, "received_at": tail.received_at}
        for tail in tails
    ]
    return json_answer({**shown, "log_tails": rows})


@section.call(
    "GET",
    "/jobs/<job_id>/configurations/<step>",
    answers={200: OBJECT},
    parameters=parameters(ConfigurationQuery),
    errors=(300, 401, 404, 409, 422),
)
def get_configuration(job_id: str, step: str) -> Response:
    """Return the FHiCL of a step: its files, or evaluated with where each value comes from, or as text in the other forms."""
    query = asked(ConfigurationQuery)
    form, file, service = query.pop("form"), query.pop("file", None), get_service()
    with service.reading() as connection:
        found = read_configuration(
            connection,
            service.store,
            checked_name(job_id, "job_id"),
            checked_name(step, "step"),
            **query,
        )
    if form in CONFIGURATION_FORMS:
        return Response(printed(found, form), content_type=TEXT)
    if form == "source":
        return Response(source_of(found, file or found.recorded.main or ""), content_type=TEXT)
    evaluation = None if found.evaluation is None else found.evaluation._asdict()
    if form == "evaluated":
        return json_answer({**evaluated_json(found.evaluate()), "evaluation": evaluation})
    files = [_file_json(file, found.sources) for file in found.recorded.files or ()]
    return json_answer(
        {
            "step": found.recorded.step,
            "main": found.recorded.main,
            "files": files,
            "evaluation": evaluation,
        }
    )


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
    query = asked(LogQuery)
    tail, service = query.pop("tail", None), get_service()
    with service.reading() as connection:
        log = read_log(
            connection,
            service.store,
            checked_name(job_id, "job_id"),
            checked_name(name),
            **query,
        )
    if tail is not None:
        with log.stream:
            return Response(last_lines(log.stream, log.size_bytes, tail), content_type=TEXT)
    etag = hashlib.sha256(f"{job_id} {name} {log.size_bytes} {log.tail_at}".encode()).hexdigest()
    answer = send_stream(log.stream, log.size_bytes, TEXT, etag=etag)
    answer.headers["Cache-Control"] = "no-cache"
    return answer


@section.call(
    "GET",
    "/jobs/<job_id>/bundle",
    answers={200: ("application/x-tar", "The bundle; its ETag names plan and level.")},
    parameters=parameters(BundleQuery),
    errors=(300, 401, 404, 409, 422),
)
def get_bundle(job_id: str) -> Response:
    """Return the rerun bundle of a job: the same bytes for the same ETag, always."""
    query = asked(BundleQuery)
    service = get_service()
    bundle = build_bundle(
        service.database,
        service.writer,
        service.store,
        checked_name(job_id, "job_id"),
        experiment=query.get("experiment"),
        number=query.get("plan"),
        level=query.get("level"),
        is_holey=query["holey"],
    )
    answer = Response(_streamed(service, bundle), content_type="application/x-tar")
    answer.content_length = bundle.size_bytes
    answer.set_etag(bundle.etag)
    answer.headers.set("Content-Disposition", "attachment", filename=f"{bundle.job_id}.tar")
    answer.headers["Cache-Control"] = "no-cache"
    if bundle.tar_sha256 is not None:
        answer.headers["Content-Digest"] = (
            f"sha-256=:{b64encode(bytes.fromhex(bundle.tar_sha256)).decode()}:"  # RFC 9530
        )
    answer.make_conditional(request)
    return answer


@section.call(
    "POST",
    "/jobs/<job_id>/verdicts",
    body=PostedVerdict,
    answers={201: OBJECT},
    parameters=parameters(ExperimentQuery),
    errors=(300, 404, 413, 415, 422),
    writes=True,
)
def add_verdict(job_id: str) -> Response:
    """Append the outcome of a rerun to a job; nothing already there changes."""
    grant = writing_grant()
    query = asked(ExperimentQuery)
    document = parse_object(read_body(_VERDICT_BYTES))
    refuse_secrets(document)
    service = get_service()
    with service.reading() as connection:
        check_experiment(
            grant, find_job(connection, checked_name(job_id, "job_id"), **query).experiment
        )
    now = datetime.now(UTC)
    return json_answer(
        service.write(
            lambda connection, known: post_verdict(
                connection,
                known,
                job_id,
                document,
                received_at=now,
                submitter=grant.submitter,
                **query,
            )
        ),
        201,
    )


def last_lines(stream: BinaryIO, size_bytes: int, lines: int) -> bytes:
    """Return the last lines of a seekable stream, reading no more of it than they need."""
    start, kept = size_bytes, b""
    while start > 0 and kept.count(b"\n") <= lines:
        step = min(_TAIL_CHUNK, start)
        start -= step
        stream.seek(start)
        kept = stream.read(step) + kept
    return b"".join(kept.splitlines(keepends=True)[-lines:])


def _file_json(file: Any, sources: Any) -> dict[str, Any]:
    content = sources.get(file.sha256)
    text = content.decode(errors="replace") if content is not None else None
    return {
        "name": file.name,
        "path": file.path,
        "sha256": file.sha256,
        "found_in": file.found_in,
        "text": text,
    }


def _streamed(service: Service, bundle: Bundle) -> Iterator[bytes]:
    """Yield the tar; the first time that it goes out whole, its digest is noted."""
    digest = hashlib.sha256()
    for chunk in bundle.stream():
        digest.update(chunk)
        yield chunk
    if bundle.tar_sha256 is None:
        service.write(
            lambda connection, known: note_digest(connection, known, bundle.key, digest.hexdigest())
        )
