"""What art's modules took, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.statistics import ModuleSums
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.schemas.queries import ModulesQuery
from jobprov.provenance.services.statistics.modules import sum_modules

section = Section("modules", "What art's modules took in jobs.")


@section.call(
    "GET",
    "/statistics/modules",
    answers={200: ModuleSums},
    parameters=parameters(ModulesQuery),
    errors=(401, 404, 413, 422),
)
def get_modules() -> Response:
    """Return what art's modules took in successful jobs."""
    query = asked(ModulesQuery)
    how = {name: query.pop(name) for name in ("by", "first", "second") if name in query}
    with get_service().reading() as connection:
        return json_answer(sum_modules(connection, JobFilters(**query), **how))
