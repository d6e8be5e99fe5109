"""One job over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup import JobAnswer
from jobprov.provenance.schemas.queries import JobQuery
from jobprov.provenance.services.lookup.job import read_job, show_job

section = Section("job", "Everything recorded of a job.")


@section.call(
    "GET",
    "/jobs/<job_id>",
    answers={200: JobAnswer},
    parameters=parameters(JobQuery),
    errors=(300, 401, 404, 422),
)
def get_job(job_id: str) -> Response:
    """Return everything recorded of a job, and what the service found out about it."""
    query, service = asked(JobQuery), get_service()
    witness = query.pop("witness", None)
    with service.reading() as connection:
        job = read_job(connection, service.store, checked_name(job_id, "job_id"), **query)
        return json_answer(show_job(connection, job, witness=witness))
