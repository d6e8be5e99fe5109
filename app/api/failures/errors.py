"""Why jobs failed, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import read_filtered
from jobprov.provenance.answers.failures import ErrorCounts
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.schemas.queries import ErrorsQuery
from jobprov.provenance.services.statistics.counting import ERRORS

section = Section("errors", "Why jobs failed.")


@section.call(
    "GET",
    "/statistics/errors",
    answers={200: ErrorCounts},
    parameters=parameters(ErrorsQuery),
    errors=(401, 413, 422),
)
def get_errors() -> Response:
    """Return why jobs failed, and which hosts and sites stand out."""
    query = asked(ErrorsQuery)
    order = {name: query.pop(name) for name in ("by", "sort") if name in query}
    return json_answer(read_filtered(ERRORS, JobFilters(**query), **order))
