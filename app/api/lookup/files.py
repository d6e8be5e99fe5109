"""Files over HTTP: what made one, and its lineage in every form."""

from datetime import UTC, datetime

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.csv_rows import CONTENT_TYPE as CSV
from jobprov.app.csv_rows import csv_lines
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.lookup import FileList
from jobprov.provenance.db.queries.lookup.file_lists import FileFilters
from jobprov.provenance.lineage.dot import to_dot
from jobprov.provenance.lineage.graph import Graph
from jobprov.provenance.lineage.openlineage import to_openlineage
from jobprov.provenance.lineage.prov_json import to_prov_json, to_prov_n
from jobprov.provenance.lineage.svg import draw
from jobprov.provenance.lineage.table import COLUMNS, node_rows
from jobprov.provenance.lineage.text import render_text
from jobprov.provenance.records.repairing import parse_object
from jobprov.provenance.schemas.history_queries import LineageQuery, VersionQuery
from jobprov.provenance.schemas.queries import FilesQuery
from jobprov.provenance.services.catalogs.sightings import (
    SightedFile,
    read_sighting,
    record_sighting,
)
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_filters import take_filters
from jobprov.provenance.services.histories.lineage_lists import list_lineage
from jobprov.provenance.services.lookup.files import list_files


def to_csv(graph: Graph) -> str:
    """Return a graph as CSV: a row a node."""
    return b"".join(csv_lines(COLUMNS, node_rows(graph))).decode()


section = Section("files", "Files and their lineage.")
_SIGHTING_BYTES = 1024 * 1024
_FORMS = {
    "dot": ("text/vnd.graphviz; charset=utf-8", to_dot),
    "svg": ("image/svg+xml; charset=utf-8", draw),
    "prov-json": ("application/json", to_prov_json),
    "prov-n": ("text/provenance-notation; charset=utf-8", to_prov_n),
    "openlineage": ("application/x-ndjson", to_openlineage),
    "csv": (CSV, to_csv),
    "text": ("text/plain; charset=utf-8", render_text),
}


@section.call(
    "GET",
    "/files",
    answers={200: FileList},
    parameters=parameters(FilesQuery),
    errors=(401, 413, 422),
)
def get_files() -> Response:
    """Return files in the order of their names."""
    query = asked(FilesQuery)
    limit, cursor = query.pop("limit", 100), query.pop("cursor", None)
    with get_service().reading() as connection:
        return json_answer(list_files(connection, FileFilters(**query), limit=limit, cursor=cursor))


@section.call(
    "GET",
    "/files/<name>/lineage",
    answers={200: OBJECT},
    parameters=parameters(LineageQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_lineage(name: str) -> Response:
    """Return the graph around a file, nearest first: nodes, edges and what was omitted.

    Or drawn, or exported.
    """
    query = asked(LineageQuery)
    form, filters = query.pop("format"), take_filters(query)
    with get_service().reading() as connection:
        graph = trace_lineage(connection, checked_name(name), filters=filters, **query)
    return _formed(graph, form)


@section.call(
    "GET",
    "/files/<name>/ancestors",
    answers={200: OBJECT},
    parameters=parameters(VersionQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_ancestors(name: str) -> Response:
    """Return every file that a file was made from, at any depth.

    `{file, version, versions, count, files, is_truncated}`.
    """
    query = asked(VersionQuery)
    with get_service().reading() as connection:
        return json_answer(list_lineage(connection, checked_name(name), **query))


@section.call(
    "GET",
    "/files/<name>/descendants",
    answers={200: OBJECT},
    parameters=parameters(VersionQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_descendants(name: str) -> Response:
    """Return every file that was made from a file, at any depth, in the same form."""
    query = asked(VersionQuery)
    with get_service().reading() as connection:
        return json_answer(list_lineage(connection, checked_name(name), descendants=True, **query))


@section.call(
    "POST",
    "/files",
    body=SightedFile,
    answers={201: OBJECT, 200: OBJECT},
    errors=(409, 413, 415, 422),
    writes=True,
)
def post_file() -> Response:
    """Take a file as a catalog or transfer service saw it, and join it to the job that made it.

    201 new, 200 seen before.
    """
    grant = writing_grant()
    document = parse_object(read_body(_SIGHTING_BYTES))
    refuse_secrets(document)
    check_experiment(grant, read_sighting(document).experiment)
    now = datetime.now(UTC)
    seen = get_service().write(
        lambda connection, known: record_sighting(
            connection, known, document, received_at=now, submitter=grant.submitter
        )
    )
    return json_answer(seen, 201 if seen["change"] == "created" else 200)


def _formed(graph: Graph, form: str) -> Response:
    if form == "json":
        return json_answer(graph.to_json())
    content_type, write = _FORMS[form]
    return Response(write(graph), content_type=content_type)
