"""Lineage over HTTP: what made a file, what came of it, what it cost, how to make it again."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import msgspec
from flask import Response

from jobprov.app.api.wire.answers import DOT, SVG, TEXT, json_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.csv_rows import CONTENT_TYPE as CSV
from jobprov.app.csv_rows import csv_lines
from jobprov.app.wiring import Service, get_service
from jobprov.provenance.answers.catalogs.replicas import LocatedFiles
from jobprov.provenance.answers.histories.costs import FileCost
from jobprov.provenance.answers.histories.divergence import Divergence
from jobprov.provenance.answers.histories.ends import FileLeaves, FileRoots, Orphans
from jobprov.provenance.answers.histories.impact import Impact, ImpactedFile
from jobprov.provenance.answers.histories.lineage import LineageGraph, LineageList
from jobprov.provenance.answers.histories.rebuilds import RebuildPlan
from jobprov.provenance.answers.histories.relations import CommonAncestors, FilePaths
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.drawing.dot import to_dot
from jobprov.provenance.lineage.drawing.svg import draw
from jobprov.provenance.lineage.drawing.text import render_text
from jobprov.provenance.lineage.graph import Graph
from jobprov.provenance.lineage.openlineage import to_openlineage
from jobprov.provenance.lineage.prov_json import to_prov_json, to_prov_n
from jobprov.provenance.schemas.history_queries import (
    CommonQuery,
    CostQuery,
    EndsQuery,
    ImpactQuery,
    LineageQuery,
    OrphansQuery,
    PairQuery,
    PathsQuery,
    RebuildQuery,
    VersionQuery,
)
from jobprov.provenance.services.catalogs.replicas import PATIENCE
from jobprov.provenance.services.code.commit_ranges import resolve_range
from jobprov.provenance.services.histories.costs import sum_costs
from jobprov.provenance.services.histories.divergence import find_divergence
from jobprov.provenance.services.histories.ends import list_leaves, list_orphans, list_roots
from jobprov.provenance.services.histories.impact import find_impact, stream_impact
from jobprov.provenance.services.histories.lineage import trace_lineage, with_full_names
from jobprov.provenance.services.histories.lineage_filters import take_filters
from jobprov.provenance.services.histories.lineage_lists import list_ancestors, list_descendants
from jobprov.provenance.services.histories.nodes import COLUMNS, graph_answer, node_rows
from jobprov.provenance.services.histories.rebuilds import listed_files, locate_needs, plan_rebuild
from jobprov.provenance.services.histories.relations import find_common, find_paths

lineage_section = Section("lineage", "The lineage of files.")
lineage_lists_section = Section("lineage_lists", "All ancestors or descendants of a file.")
rebuilds_section = Section("rebuilds", "What makes lost files again.")
impact_section = Section("impact", "What is touched by something.")
costs_section = Section("costs", "What files cost.")
ends_section = Section("ends", "Where histories end.")
relations_section = Section("relations", "How two files are related.")
divergence_section = Section("divergence", "Where the histories of two files part.")

_IMPACT_COLUMNS = (
    "name", "namespace", "experiment", "job_id", "task_id", "stage", "is_direct", "version",
)  # fmt: skip
_NDJSON = "application/x-ndjson"


def _to_csv(graph: Graph) -> bytes:
    """Return a graph as CSV, a row a node."""
    return b"".join(csv_lines(COLUMNS, node_rows(graph)))


_FORMS: dict[str, tuple[str, Callable[[Graph], str | bytes]]] = {
    "dot": (DOT, to_dot),
    "svg": (SVG, draw),
    "prov-json": ("application/json", to_prov_json),
    "prov-n": ("text/provenance-notation; charset=utf-8", to_prov_n),
    "openlineage": ("application/x-ndjson", to_openlineage),
    "csv": (CSV, _to_csv),
    "text": (TEXT, render_text),
}
_PROV = frozenset({"prov-json", "prov-n"})
"""Forms that are merged with those of other lineages and of jobs, by the names of files."""


@lineage_section.get(
    "/files/<name>/lineage",
    LineageGraph,
    query=LineageQuery,
    errors=(300, 404, 413),
    other_types=[content_type for content_type, _ in _FORMS.values()],
)
def get_lineage(name: str) -> Response:
    """Return the graph around a file, nearest first, with counts of what is left out.

    It is drawn or exported as `format` says.
    """
    query = asked(LineageQuery)
    form, filters = query.pop("format"), take_filters(query)
    with get_service().reading() as connection:
        graph = trace_lineage(connection, checked_name(name), filters=filters, **query)
        if form in _PROV:
            graph = with_full_names(connection, graph)
    if form == "json":
        return json_answer(graph_answer(graph))
    content_type, write = _FORMS[form]
    return Response(write(graph), content_type=content_type)


@lineage_lists_section.get(
    "/files/<name>/ancestors", LineageList, query=VersionQuery, errors=(300, 404, 413)
)
def get_ancestors(name: str) -> Response:
    """Return every file that a file was made from, at any depth."""
    query = asked(VersionQuery)
    with get_service().reading() as connection:
        return json_answer(list_ancestors(connection, checked_name(name), **query))


@lineage_lists_section.get(
    "/files/<name>/descendants", LineageList, query=VersionQuery, errors=(300, 404, 413)
)
def get_descendants(name: str) -> Response:
    """Return every file that was made from a file, at any depth."""
    query = asked(VersionQuery)
    with get_service().reading() as connection:
        return json_answer(list_descendants(connection, checked_name(name), **query))


@rebuilds_section.get(
    "/files/<name>/rebuild", RebuildPlan, query=RebuildQuery, errors=(300, 404, 413)
)
def get_rebuild(name: str) -> Response:
    """Return the smallest set of jobs, in order, that makes a lost file again."""
    return json_answer(_asked_plan(name))


@rebuilds_section.get(
    "/files/<name>/rebuild/replicas", LocatedFiles, query=RebuildQuery, errors=(300, 404, 413)
)
def get_rebuild_replicas(name: str) -> Response:
    """Return where the files are now that making a lost file again takes as they are.

    The experiment's Rucio or SAM is asked.
    """
    catalogs = get_service().catalogs()
    return json_answer(locate_needs(_asked_plan(name), catalogs, patience=PATIENCE))


def _asked_plan(name: str) -> RebuildPlan:
    """Return the plan that makes a file again, for what the query says is lost too."""
    query = asked(RebuildQuery)
    names, service = query.pop("lost", ""), get_service()
    with service.reading() as connection:
        lost = listed_files(connection, names)
        return plan_rebuild(connection, service.store, checked_name(name), lost=lost, **query)


@impact_section.get(
    "/lineage/impact",
    Impact,
    query=ImpactQuery,
    errors=(300, 404, 413),
    other_types=(CSV, _NDJSON),
)
def get_impact() -> Response:
    """Return what some jobs made and all that was made from it: counts, then a page of files.

    As CSV or NDJSON, return all of the files.
    """
    query = asked(ImpactQuery)
    form, is_direct = query.pop("format"), query.pop("direct")
    page = {}
    for name in ("limit", "cursor"):
        if name in query:
            page[name] = query.pop(name)
    if form != "json" and page:
        first = next(iter(page))
        problems: dict[str, list[str]] = {name: [f"not with {form}"] for name in page}
        raise BadInputError(f"{first}: {form} has every file.", problems)
    service = get_service()
    with service.reading() as connection:
        filters = resolve_range(connection, JobFilters(**query), service.settings.git_mirrors)
        if form == "json":
            return json_answer(find_impact(connection, filters, is_direct=is_direct, **page))
    files = _stream(service, filters, is_direct=is_direct)
    if form == "csv":
        rows = (msgspec.structs.asdict(file) for file in files)
        return _streamed(csv_lines(_IMPACT_COLUMNS, rows), CSV)
    return _streamed(_json_lines(files), _NDJSON)


def _stream(service: Service, filters: JobFilters, *, is_direct: bool) -> Iterator[ImpactedFile]:
    with service.reading() as connection:
        yield from stream_impact(connection, filters, is_direct=is_direct)


def _json_lines(files: Iterable[ImpactedFile]) -> Iterator[bytes]:
    for file in files:
        yield msgspec.json.encode(file) + b"\n"


def _streamed(chunks: Iterator[bytes], content_type: str) -> Response:
    """Return chunks as they are made; an error before the first one still has its own status."""
    first = next(chunks, b"")
    return Response(chain([first], chunks), content_type=content_type)


@costs_section.get("/files/<name>/cost", FileCost, query=CostQuery, errors=(300, 404, 413))
def get_cost(name: str) -> Response:
    """Return what it took to make a file, its ancestors included."""
    query = asked(CostQuery)
    with get_service().reading() as connection:
        return json_answer(sum_costs(connection, checked_name(name), **query))


@ends_section.get("/files/<name>/roots", FileRoots, query=EndsQuery, errors=(300, 404, 413))
def get_roots(name: str) -> Response:
    """Return the files that a file goes back to and that were made from no others."""
    query = asked(EndsQuery)
    with get_service().reading() as connection:
        return json_answer(list_roots(connection, checked_name(name), **query))


@ends_section.get("/files/<name>/leaves", FileLeaves, query=EndsQuery, errors=(300, 404, 413))
def get_leaves(name: str) -> Response:
    """Return the final products of a file: made from it, and no other was made from them."""
    query = asked(EndsQuery)
    with get_service().reading() as connection:
        return json_answer(list_leaves(connection, checked_name(name), **query))


@ends_section.get("/lineage/orphans", Orphans, query=OrphansQuery, errors=(413,))
def get_orphans() -> Response:
    """Return files that records or catalogs name and that no recorded job made."""
    query = asked(OrphansQuery)
    with get_service().reading() as connection:
        return json_answer(list_orphans(connection, **query))


@relations_section.get("/lineage/paths", FilePaths, query=PathsQuery, errors=(300, 404, 413))
def get_paths() -> Response:
    """Return the ways from the older of two files to the younger, shortest first."""
    query = asked(PathsQuery)
    with get_service().reading() as connection:
        return json_answer(find_paths(connection, **query))


@relations_section.get(
    "/lineage/common", CommonAncestors, query=CommonQuery, errors=(300, 404, 413)
)
def get_common() -> Response:
    """Return what two files were both made from, nearest first."""
    query = asked(CommonQuery)
    with get_service().reading() as connection:
        return json_answer(find_common(connection, **query))


@divergence_section.get("/lineage/diverge", Divergence, query=PairQuery, errors=(300, 404, 413))
def get_divergence() -> Response:
    """Return the first jobs of one stage, behind two files, whose recipes differ."""
    query = asked(PairQuery)
    with get_service().reading() as connection:
        return json_answer(find_divergence(connection, query.pop("a"), query.pop("b"), **query))
