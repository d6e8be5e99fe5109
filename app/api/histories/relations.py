"""How two files are related, over HTTP: the ways between them, and their common ancestors."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import CommonAncestors, FilePaths
from jobprov.provenance.schemas.history_queries import CommonQuery, PathsQuery
from jobprov.provenance.services.histories.relations import find_common, find_paths

section = Section("relations", "How two files are related.")
_ERRORS = (300, 401, 404, 413, 422)


@section.call(
    "GET",
    "/lineage/paths",
    answers={200: FilePaths},
    parameters=parameters(PathsQuery),
    errors=_ERRORS,
)
def get_paths() -> Response:
    """Return the ways from the older of two files to the younger, shortest first."""
    query = asked(PathsQuery)
    with get_service().reading() as connection:
        return json_answer(find_paths(connection, **query))


@section.call(
    "GET",
    "/lineage/common",
    answers={200: CommonAncestors},
    parameters=parameters(CommonQuery),
    errors=_ERRORS,
)
def get_common() -> Response:
    """Return what two files were both made from, nearest first."""
    query = asked(CommonQuery)
    with get_service().reading() as connection:
        return json_answer(find_common(connection, **query))
