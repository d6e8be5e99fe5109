"""Where the histories of two files part, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import Divergence
from jobprov.provenance.schemas.history_queries import PairQuery
from jobprov.provenance.services.histories.divergence import find_divergence

section = Section("divergence", "Where the histories of two files part.")


@section.call(
    "GET",
    "/lineage/diverge",
    answers={200: Divergence},
    parameters=parameters(PairQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_divergence() -> Response:
    """Return the first jobs of one stage, behind two files, whose recipes differ."""
    query = asked(PairQuery)
    with get_service().reading() as connection:
        return json_answer(find_divergence(connection, query.pop("a"), query.pop("b"), **query))
