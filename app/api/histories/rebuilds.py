"""What makes a lost file again, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import RebuildPlan
from jobprov.provenance.schemas.history_queries import RebuildQuery
from jobprov.provenance.services.histories.rebuilds import listed_files, plan_rebuild

section = Section("rebuilds", "What makes lost files again.")


@section.call(
    "GET",
    "/files/<name>/rebuild",
    answers={200: RebuildPlan},
    parameters=parameters(RebuildQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_rebuild(name: str) -> Response:
    """Return the smallest set of jobs, in order, that makes a lost file again."""
    query = asked(RebuildQuery)
    names, service = query.pop("lost", ""), get_service()
    with service.reading() as connection:
        lost = listed_files(connection, names)
        plan = plan_rebuild(connection, service.store, checked_name(name), lost=lost, **query)
    return json_answer(plan)
