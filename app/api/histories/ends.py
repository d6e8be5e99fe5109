"""Questions to whole histories: where they end, how two files hang together, what a file cost, what nobody made."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.wiring import get_service
from jobprov.provenance.schemas.history_queries import (
    CommonQuery,
    EndsQuery,
    OrphansQuery,
    PathsQuery,
)
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots
from jobprov.provenance.services.histories.relations import find_common, find_paths

section = Section("histories", "Questions to whole histories.")
_ERRORS = (300, 401, 404, 413, 422)


@section.call(
    "GET",
    "/files/<name>/roots",
    answers={200: OBJECT},
    parameters=parameters(EndsQuery),
    errors=_ERRORS,
)
def get_roots(name: str) -> Response:
    """Return the files that a file goes back to, and that were made from no others.

    `{file, count, files, is_truncated, next}`.
    """
    query = asked(EndsQuery)
    with get_service().reading() as connection:
        return json_answer(list_roots(connection, checked_name(name), **query))


@section.call(
    "GET",
    "/files/<name>/leaves",
    answers={200: OBJECT},
    parameters=parameters(EndsQuery),
    errors=_ERRORS,
)
def get_leaves(name: str) -> Response:
    """Return the files that came of a file, and that no other was made from.

    `{file, count, files, is_truncated, next}`.
    """
    query = asked(EndsQuery)
    with get_service().reading() as connection:
        return json_answer(list_leaves(connection, checked_name(name), **query))


@section.call(
    "GET",
    "/lineage/orphans",
    answers={200: OBJECT},
    parameters=parameters(OrphansQuery),
    errors=(401, 413, 422),
)
def get_orphans() -> Response:
    """Return files that somebody names and no recorded job made: `{files, next}`.

    A page may be short and still have a `next`.
    """
    query = asked(OrphansQuery)
    with get_service().reading() as connection:
        return json_answer(list_orphans(connection, **query))


@section.call(
    "GET",
    "/lineage/paths",
    answers={200: OBJECT},
    parameters=parameters(PathsQuery),
    errors=_ERRORS,
)
def get_paths() -> Response:
    """Return the ways from the older of two files to the younger, shortest first.

    `{a, b, older, paths, is_truncated}`.
    """
    query = asked(PathsQuery)
    with get_service().reading() as connection:
        return json_answer(find_paths(connection, **query))


@section.call(
    "GET",
    "/lineage/common",
    answers={200: OBJECT},
    parameters=parameters(CommonQuery),
    errors=_ERRORS,
)
def get_common() -> Response:
    """Return what two files were both made from, nearest first.

    `{a, b, count, ancestors, hub_count, hubs, is_truncated, next}`.
    """
    query = asked(CommonQuery)
    with get_service().reading() as connection:
        return json_answer(find_common(connection, **query))
