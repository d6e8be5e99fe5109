"""Where histories end, over HTTP: roots and leaves of a file, and files no recorded job made."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import FileLeaves, FileRoots, Orphans
from jobprov.provenance.schemas.history_queries import EndsQuery, OrphansQuery
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots

section = Section("ends", "Where histories end.")
_ERRORS = (300, 401, 404, 413, 422)


@section.call(
    "GET",
    "/files/<name>/roots",
    answers={200: FileRoots},
    parameters=parameters(EndsQuery),
    errors=_ERRORS,
)
def get_roots(name: str) -> Response:
    """Return the files that a file goes back to and that were made from no others."""
    query = asked(EndsQuery)
    with get_service().reading() as connection:
        return json_answer(list_roots(connection, checked_name(name), **query))


@section.call(
    "GET",
    "/files/<name>/leaves",
    answers={200: FileLeaves},
    parameters=parameters(EndsQuery),
    errors=_ERRORS,
)
def get_leaves(name: str) -> Response:
    """Return the final products of a file: made from it, and no other was made from them."""
    query = asked(EndsQuery)
    with get_service().reading() as connection:
        return json_answer(list_leaves(connection, checked_name(name), **query))


@section.call(
    "GET",
    "/lineage/orphans",
    answers={200: Orphans},
    parameters=parameters(OrphansQuery),
    errors=(401, 413, 422),
)
def get_orphans() -> Response:
    """Return files that records or catalogs name and that no recorded job made."""
    query = asked(OrphansQuery)
    with get_service().reading() as connection:
        return json_answer(list_orphans(connection, **query))
