"""The lineage of a file over HTTP, in every form."""

from collections.abc import Callable

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.csv_rows import CONTENT_TYPE as CSV
from jobprov.app.csv_rows import csv_lines
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.histories import LineageGraph
from jobprov.provenance.lineage.drawing.dot import to_dot
from jobprov.provenance.lineage.drawing.svg import draw
from jobprov.provenance.lineage.drawing.text import render_text
from jobprov.provenance.lineage.graph import Graph
from jobprov.provenance.lineage.openlineage import to_openlineage
from jobprov.provenance.lineage.prov_json import to_prov_json, to_prov_n
from jobprov.provenance.schemas.history_queries import LineageQuery
from jobprov.provenance.services.histories.lineage import trace_lineage
from jobprov.provenance.services.histories.lineage_filters import take_filters
from jobprov.provenance.services.histories.nodes import COLUMNS, graph_answer, node_rows

section = Section("lineage", "The lineage of files.")


@section.call(
    "GET",
    "/files/<name>/lineage",
    answers={200: LineageGraph},
    parameters=parameters(LineageQuery),
    errors=(300, 401, 404, 413, 422),
)
def get_lineage(name: str) -> Response:
    """Return the graph around a file, nearest first, with counts of what is left out.

    It is drawn or exported as `format` says.
    """
    query = asked(LineageQuery)
    form, filters = query.pop("format"), take_filters(query)
    with get_service().reading() as connection:
        graph = trace_lineage(connection, checked_name(name), filters=filters, **query)
    if form == "json":
        return json_answer(graph_answer(graph))
    content_type, write = _FORMS[form]
    return Response(write(graph), content_type=content_type)


def _to_csv(graph: Graph) -> bytes:
    """Return a graph as CSV, a row a node."""
    return b"".join(csv_lines(COLUMNS, node_rows(graph)))


_FORMS: dict[str, tuple[str, Callable[[Graph], str | bytes]]] = {
    "dot": ("text/vnd.graphviz; charset=utf-8", to_dot),
    "svg": ("image/svg+xml; charset=utf-8", draw),
    "prov-json": ("application/json", to_prov_json),
    "prov-n": ("text/provenance-notation; charset=utf-8", to_prov_n),
    "openlineage": ("application/x-ndjson", to_openlineage),
    "csv": (CSV, _to_csv),
    "text": ("text/plain; charset=utf-8", render_text),
}
