"""What a file cost, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import FileCost
from jobprov.provenance.schemas.history_queries import CostQuery
from jobprov.provenance.services.histories.costs import sum_costs

section = Section("costs", "What files cost.")


@section.call(
    "GET",
    "/files/<name>/cost",
    answers={200: FileCost},
    parameters=parameters(CostQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_cost(name: str) -> Response:
    """Return what it took to make a file, its ancestors included."""
    query = asked(CostQuery)
    with get_service().reading() as connection:
        return json_answer(sum_costs(connection, checked_name(name), **query))
