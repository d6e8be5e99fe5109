"""The search over HTTP: what a text could mean, and lists of recorded names."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.search import Hits, RecordedNames
from jobprov.provenance.db.queries.search.recorded_names import NameFilters
from jobprov.provenance.schemas.queries import NamesQuery, SearchQuery
from jobprov.provenance.services.search.recorded_names import MOST_LISTED, list_names
from jobprov.provenance.services.search.search import search

section = Section("search", "What a name or id could mean, and which names there are.")


@section.get("/search", Hits, query=SearchQuery, errors=(413,))
def get_hits() -> Response:
    """Return names that hold a text, by kind, with counts; jobs by the beginning of their id."""
    query = asked(SearchQuery)
    with get_service().reading() as connection:
        return json_answer(search(connection, query.pop("q"), **query))


@section.get("/names/<kind>", RecordedNames, query=NamesQuery, errors=(413,))
def get_names(kind: str) -> Response:
    """Return the names of `experiments`, `campaigns`, `stages`, `tasks` or `sites`, in order."""
    query = asked(NamesQuery)
    limit, cursor = query.pop("limit", MOST_LISTED), query.pop("cursor", None)
    with get_service().reading() as connection:
        return json_answer(
            list_names(connection, kind, NameFilters(**query), limit=limit, cursor=cursor)
        )
