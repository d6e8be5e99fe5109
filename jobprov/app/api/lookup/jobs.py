"""Jobs over HTTP: one or many, their configurations, logs, bundles, exports, gaps and verdicts."""

import hashlib
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, BinaryIO

from flask import Response, request

from jobprov.app.api.wire.answers import TEXT, json_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.api.wire.sending import send_stream
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.configurations import ConfigurationFiles, EvaluatedConfiguration
from jobprov.provenance.answers.lookup.job_facets import JobFacets
from jobprov.provenance.answers.lookup.jobs import GapCounts, JobAnswer, JobList
from jobprov.provenance.answers.reruns.verdicts import VerdictPosted
from jobprov.provenance.bundle.description.exports import FORMS
from jobprov.provenance.bundle.verdicts import PostedVerdict
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.schemas.queries import (
    CONFIGURATION_FORMS,
    BundleQuery,
    ConfigurationQuery,
    ExperimentQuery,
    GapsQuery,
    JobFacetsQuery,
    JobQuery,
    JobsQuery,
    LogQuery,
)
from jobprov.provenance.services.bundles.job_bundle import (
    Bundle,
    build_bundle,
    earlier_bundle,
    export_job,
)
from jobprov.provenance.services.bundles.known_inputs import Places
from jobprov.provenance.services.bundles.plans import note_digest
from jobprov.provenance.services.catalogs.replicas import locate_inputs
from jobprov.provenance.services.comparisons.recipes import read_recipe
from jobprov.provenance.services.configurations.configuration import (
    evaluated_answer,
    files_answer,
    printed,
    read_configuration,
    source_of,
)
from jobprov.provenance.services.lookup.gaps import list_gaps
from jobprov.provenance.services.lookup.job import find_job, read_job, show_job
from jobprov.provenance.services.lookup.job_facets import count_facets, read_facets
from jobprov.provenance.services.lookup.jobs import list_jobs
from jobprov.provenance.services.lookup.logs import read_log
from jobprov.provenance.services.reruns.verdicts import post_verdict

jobs_section = Section("jobs", "Jobs, their configurations, logs and bundles.")
job_section = Section("job", "Everything recorded of a job.")
exports_section = Section("exports", "Jobs in the formats of PROV, OpenLineage and in-toto.")
logs_section = Section("logs", "Logs of jobs.")
gaps_section = Section("gaps", "What would stop reruns, and how to close it.")

_VERDICT_BYTES = 1024 * 1024
_TAIL_CHUNK = 1 << 16
# text first: makers of clients read every answer as the first type that they know
_EXPORT_TYPES = (
    "text/provenance-notation",
    "application/json",
    "application/x-ndjson",
    "application/vnd.in-toto+json",
)


@jobs_section.get("/jobs", JobList, query=JobsQuery, errors=(300, 404, 413))
def get_jobs() -> Response:
    """Return jobs in short, newest first or in the order asked for."""
    query = asked(JobsQuery)
    limit, cursor = query.pop("limit", 100), query.pop("cursor", None)
    sort = query.pop("sort", None)
    filters = _filters(query)
    with get_service().reading() as connection:
        return json_answer(list_jobs(connection, filters, limit=limit, cursor=cursor, sort=sort))


def _filters(query: dict[str, Any]) -> JobFilters:
    """Return the filters of a question about jobs."""
    if "recipe_id" in query:
        query["recipe"] = read_recipe(query.pop("recipe_id"))
    return JobFilters(**query)


@jobs_section.get("/jobs/facets", JobFacets, query=JobFacetsQuery, errors=(300, 404, 413))
def get_job_facets() -> Response:
    """Return how many jobs there are, by state, site, stage and so on."""
    query = asked(JobFacetsQuery)
    facets, limit = read_facets(query.pop("by", None)), query.pop("limit")
    filters = _filters(query)
    with get_service().reading() as connection:
        return json_answer(count_facets(connection, filters, facets, limit=limit))


@jobs_section.get(
    "/jobs/<job_id>/configurations/<step>",
    EvaluatedConfiguration | ConfigurationFiles,
    query=ConfigurationQuery,
    errors=(300, 404, 409),
    other_types=(TEXT,),
)
def get_configuration(job_id: str, step: str) -> Response:
    """Return the FHiCL of a step, in one of several forms.

    These are its files; the evaluated configuration, with the place that each value comes from; and
    texts.
    """
    query = asked(ConfigurationQuery)
    form, file, service = query.pop("form"), query.pop("file", None), get_service()
    with service.reading() as connection:
        configuration = read_configuration(
            connection,
            service.store,
            checked_name(job_id, "job_id"),
            checked_name(step, "step"),
            **query,
        )
    if form in CONFIGURATION_FORMS:
        return Response(printed(configuration, form), content_type=TEXT)
    if form == "source":
        return Response(
            source_of(configuration, file or configuration.recorded.main or ""), content_type=TEXT
        )
    if form == "evaluated":
        return json_answer(evaluated_answer(configuration))
    return json_answer(files_answer(configuration))


@jobs_section.get(
    "/jobs/<job_id>/bundle",
    ("application/x-tar", "The bundle; its ETag names plan and level."),
    query=BundleQuery,
    errors=(300, 404, 409),
)
def get_bundle(job_id: str) -> Response:
    """Return the rerun bundle of a job: the same bytes for the same ETag, always."""
    query = asked(BundleQuery)
    service = get_service()
    name, experiment = checked_name(job_id, "job_id"), query.get("experiment")
    if "plan" in query:
        return _bundle_answer(service, _earlier_bundle(service, name, query["plan"], experiment))
    located: Places = {}
    if query["locate"]:
        catalogs = service.catalogs()
        located = locate_inputs(
            service.readable(), service.store, catalogs, name, experiment=experiment
        )
    bundle = build_bundle(
        service.readable(),
        service.writer,
        service.store,
        name,
        experiment=experiment,
        level=query.get("level"),
        is_holey=query["holey"],
        located=located,
        readable_by_readers_of=service.readable_by_readers_of,
    )
    return _bundle_answer(service, bundle)


def _earlier_bundle(service: Service, job_id: str, number: int, experiment: str | None) -> Bundle:
    """Return the bundle of an earlier plan, unless it tells of an experiment that is hidden now."""
    reading_everything = None
    if service.hidden_experiments():
        reading_everything = service.reading_everything
    return earlier_bundle(
        service.readable(),
        service.store,
        job_id,
        number,
        experiment=experiment,
        reading_everything=reading_everything,
    )


def _bundle_answer(service: Service, bundle: Bundle) -> Response:
    """Return the answer with a bundle, its ETag and the digest of its tar."""
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


@jobs_section.post(
    "/jobs/<job_id>/verdicts",
    {201: VerdictPosted},
    body=PostedVerdict,
    query=ExperimentQuery,
    errors=(300, 404),
)
def add_verdict(job_id: str) -> Response:
    """Append the outcome of a rerun to a job; nothing already there changes."""
    grant = writing_grant()
    query = asked(ExperimentQuery)
    document = sent_document(_VERDICT_BYTES)
    service = get_service()
    with service.reading() as connection:
        job = find_job(connection, checked_name(job_id, "job_id"), **query)
    check_experiment(grant, job.experiment)
    verdict = service.write(
        # of this experiment: others that the sender may not see may have a job of this id
        lambda writing: post_verdict(writing, job.job_id, document, experiment=job.experiment),
        submitter=grant.submitter,
    )
    return json_answer(verdict, 201)


def _streamed(service: Service, bundle: Bundle) -> Iterator[bytes]:
    """Yield the tar; the first time that it goes out whole, its digest is noted."""
    digest = hashlib.sha256()
    for chunk in bundle.stream():
        digest.update(chunk)
        yield chunk
    if bundle.tar_sha256 is None:
        service.write(lambda writing: note_digest(writing, bundle.key, digest.hexdigest()))


@job_section.get("/jobs/<job_id>", JobAnswer, query=JobQuery, errors=(300, 404))
def get_job(job_id: str) -> Response:
    """Return everything recorded of a job, and what the service found out about it."""
    query, service = asked(JobQuery), get_service()
    witness = query.pop("witness", None)
    with service.reading() as connection:
        job = read_job(connection, service.store, checked_name(job_id, "job_id"), **query)
        return json_answer(show_job(connection, job, witness=witness))


@exports_section.get(
    "/jobs/<job_id>/exports/<form>",
    (_EXPORT_TYPES, "The job in this form."),
    query=ExperimentQuery,
    errors=(300, 404, 409),
)
def get_export(job_id: str, form: str) -> Response:
    """Return the job as its bundle holds it.

    The forms are `prov-json`, `prov-n`, `openlineage` (events, one a line) and `in-toto` (a
    statement).
    """
    if form not in FORMS:
        known = ", ".join(FORMS)
        raise NotFoundError(f"There is no form {form[:40]!r}; there are {known}.", list(FORMS))
    query, service = asked(ExperimentQuery), get_service()
    bundle = build_bundle(
        service.readable(),
        service.writer,
        service.store,
        checked_name(job_id, "job_id"),
        **query,
        readable_by_readers_of=service.readable_by_readers_of,
    )
    return Response(export_job(bundle, form), content_type=FORMS[form][1])


@logs_section.get(
    "/jobs/<job_id>/logs/<name>", (TEXT, "The log."), query=LogQuery, errors=(300, 404, 416)
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
    return send_stream(log.stream, log.size_bytes, TEXT, etag=log.sha256)


def last_lines(stream: BinaryIO, size_bytes: int, lines: int) -> bytes:
    """Return the last lines of a seekable stream, reading no more of it than they need."""
    start, end_of_log = size_bytes, b""
    while start > 0 and end_of_log.count(b"\n") <= lines:
        step = min(_TAIL_CHUNK, start)
        start -= step
        stream.seek(start)
        end_of_log = stream.read(step) + end_of_log
    return b"".join(end_of_log.splitlines(keepends=True)[-lines:])


@gaps_section.get("/gaps", GapCounts, query=GapsQuery)
def get_gaps() -> Response:
    """Return what would stop reruns of some jobs, counted by code."""
    query = asked(GapsQuery)
    with get_service().reading() as connection:
        return json_answer(list_gaps(connection, JobFilters(**query)))
