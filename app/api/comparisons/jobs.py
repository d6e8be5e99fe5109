"""Two jobs side by side over HTTP, and which jobs one would put beside one."""

from flask import Response
from marshmallow import fields, validate

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.comparisons import JobCompanions, JobComparison
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.comparisons.companions import find_companions
from jobprov.provenance.services.comparisons.jobs import DIFFERENCES_A_FACET, compare_jobs

section = Section("comparisons", "Two jobs, side by side.")
_MOST = 10_000


class DiffQuery(ExperimentQuery):
    """How much of a comparison."""

    limit = fields.Integer(
        validate=validate.Range(min=1, max=_MOST),
        load_default=DIFFERENCES_A_FACET,
        metadata={"description": "Differences a facet at most."},
    )


@section.call(
    "GET",
    "/jobs/<before>/diff/<after>",
    answers={200: JobComparison},
    parameters=parameters(DiffQuery),
    errors=(300, 401, 404, 422),
)
def get_diff(before: str, after: str) -> Response:
    """Return what differs from the first job to the second, by facet.

    The facets are configuration by parameter, code, inputs, outputs and all else.
    """
    query = asked(DiffQuery)
    service = get_service()
    names = checked_name(before, "job_id"), checked_name(after, "job_id")
    with service.reading() as connection:
        return json_answer(compare_jobs(connection, service.store, *names, **query))


@section.call(
    "GET",
    "/jobs/<job_id>/diff",
    answers={200: JobCompanions},
    parameters=parameters(ExperimentQuery),
    errors=(300, 401, 404, 422),
)
def get_companions(job_id: str) -> Response:
    """Return which jobs one would compare a job with.

    They are other attempts, siblings that succeeded, and runs of the same recipe.
    """
    query = asked(ExperimentQuery)
    with get_service().reading() as connection:
        return json_answer(find_companions(connection, checked_name(job_id, "job_id"), **query))
