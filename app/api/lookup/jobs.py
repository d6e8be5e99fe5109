"""Lists of jobs over HTTP; their configurations, bundles and verdicts of reruns."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.lookup import JobList
from jobprov.provenance.answers.reruns import VerdictPosted
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.queries import (
    CONFIGURATION_FORMS,
    BundleQuery,
    ConfigurationQuery,
    ExperimentQuery,
    JobsQuery,
)
from jobprov.provenance.services.bundles.job_bundle import Bundle, build_bundle
from jobprov.provenance.services.bundles.plans import note_digest
from jobprov.provenance.services.comparisons.recipes import read_recipe
from jobprov.provenance.services.configurations.configuration import (
    evaluated_json,
    printed,
    read_configuration,
    source_of,
)
from jobprov.provenance.services.lookup.job import find_job
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.reruns.verdicts import PostedVerdict, post_verdict

section = Section("jobs", "Jobs, their configurations, logs and bundles.")
TEXT = "text/plain; charset=utf-8"
_VERDICT_BYTES = 1024 * 1024


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
    answers={201: VerdictPosted},
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
            lambda writing: post_verdict(writing, job_id, document, **query),
            received_at=now,
            submitter=grant.submitter,
        ),
        201,
    )


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
        service.write(lambda writing: note_digest(writing, bundle.key, digest.hexdigest()))
