"""Sums over many jobs: why they failed."""

from flask import Response

from app.api.answers import json_answer
from app.api.asking import asked, parameters
from app.api.documenting import OBJECT, Section
from app.wiring import get_service
from provenance.db.queries.jobs import JobFilters
from provenance.schemas.queries import ErrorsQuery
from provenance.services.count_errors import count_errors

section = Section("statistics", "Sums over a task, stage, campaign, version or site.")


@section.call(
    "GET", "/statistics/errors", answers={200: OBJECT}, parameters=parameters(ErrorsQuery), errors=(401, 413, 422)
)
def get_errors() -> Response:
    """Return why jobs did not succeed: `{jobs, failures, cause_count, causes, outliers}`."""
    query = asked(ErrorsQuery)
    how = {name: query.pop(name) for name in ("by", "sort") if name in query}
    with get_service().reading() as connection:
        return json_answer(count_errors(connection, JobFilters(**query), **how))
