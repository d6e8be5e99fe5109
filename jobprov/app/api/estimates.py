"""What it would take to do jobs again, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import read_filtered
from jobprov.provenance.answers.estimates import Estimate
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.schemas.queries import EstimateQuery
from jobprov.provenance.services.kept_answers.counting import ESTIMATE

section = Section("estimates", "What it would take to do jobs again.")


@section.get("/estimate", Estimate, query=EstimateQuery, errors=(404, 413))
def get_estimate() -> Response:
    """Return what it would take to do so many files or events again."""
    query = asked(EstimateQuery)
    how = {name: query.pop(name) for name in ("files", "events", "slots") if name in query}
    return json_answer(read_filtered(ESTIMATE, JobFilters(**query), **how))
