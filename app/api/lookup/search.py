"""The search box over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup import Hits
from jobprov.provenance.schemas.queries import SearchQuery
from jobprov.provenance.services.lookup.search import search

section = Section("search", "What a name or id could mean.")


@section.call(
    "GET", "/search", answers={200: Hits}, parameters=parameters(SearchQuery), errors=(401, 422)
)
def get_hits() -> Response:
    """Return what a file name, job id, batch id, task, campaign, commit or host could mean."""
    query = asked(SearchQuery)
    with get_service().reading() as connection:
        return json_answer(search(connection, query["q"]))
