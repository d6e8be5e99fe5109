"""What successful jobs took, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.kept_answers import read_filtered
from jobprov.provenance.answers.statistics import ResourceSums
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.schemas.queries import ResourcesQuery
from jobprov.provenance.services.statistics.counting import RESOURCES

section = Section("resources", "What jobs took, by stage, site, host or version.")


@section.call(
    "GET",
    "/statistics/resources",
    answers={200: ResourceSums},
    parameters=parameters(ResourcesQuery),
    errors=(401, 413, 422),
)
def get_resources() -> Response:
    """Return distributions of what successful jobs took and made."""
    query = asked(ResourcesQuery)
    by = query.pop("by")
    return json_answer(read_filtered(RESOURCES, JobFilters(**query), by=by))
