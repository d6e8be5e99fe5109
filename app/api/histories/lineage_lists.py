"""All ancestors and all descendants of a file over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import LineageList
from jobprov.provenance.schemas.history_queries import VersionQuery
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants

section = Section("lineage_lists", "All ancestors or descendants of a file.")
_ERRORS = (300, 401, 404, 413, 422)


@section.call(
    "GET",
    "/files/<name>/ancestors",
    answers={200: LineageList},
    parameters=parameters(VersionQuery),
    errors=_ERRORS,
)
def get_ancestors(name: str) -> Response:
    """Return every file that a file was made from, at any depth."""
    query = asked(VersionQuery)
    with get_service().reading() as connection:
        return json_answer(list_ancestors(connection, checked_name(name), **query))


@section.call(
    "GET",
    "/files/<name>/descendants",
    answers={200: LineageList},
    parameters=parameters(VersionQuery),
    errors=_ERRORS,
)
def get_descendants(name: str) -> Response:
    """Return every file that was made from a file, at any depth."""
    query = asked(VersionQuery)
    with get_service().reading() as connection:
        return json_answer(list_descendants(connection, checked_name(name), **query))
