"""What would stop reruns, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup import GapCounts
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.schemas.queries import GapsQuery
from jobprov.provenance.services.lookup.gaps import list_gaps

section = Section("gaps", "What would stop reruns, and how to close it.")


@section.call(
    "GET", "/gaps", answers={200: GapCounts}, parameters=parameters(GapsQuery), errors=(401, 422)
)
def get_gaps() -> Response:
    """Return what would stop reruns of some jobs, counted by code."""
    query = asked(GapsQuery)
    with get_service().reading() as connection:
        return json_answer(list_gaps(connection, JobFilters(**query)))
