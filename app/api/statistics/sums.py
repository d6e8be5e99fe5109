"""Sums over many jobs: what they took, and what doing it again would take."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, parameters
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.kept_answers import read_filtered
from jobprov.app.wiring import get_service
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.schemas.queries import (
    EstimateQuery,
    ModulesQuery,
    ResourcesQuery,
)
from jobprov.provenance.services.statistics.counting import ESTIMATE, RESOURCES
from jobprov.provenance.services.statistics.modules import sum_modules

section = Section("statistics", "Sums over a task, stage, campaign, version or site.")


@section.call(
    "GET",
    "/estimate",
    answers={200: OBJECT},
    parameters=parameters(EstimateQuery),
    errors=(401, 404, 413, 422),
)
def get_estimate() -> Response:
    """Return what it would take to do so many files or events again.

    `{counted_at, is_current, files, events, slots, stages, total}`.
    """
    query = asked(EstimateQuery)
    how = {name: query.pop(name) for name in ("files", "events", "slots") if name in query}
    return json_answer(read_filtered(ESTIMATE, JobFilters(**query), **how))


@section.call(
    "GET",
    "/statistics/resources",
    answers={200: OBJECT},
    parameters=parameters(ResourcesQuery),
    errors=(401, 413, 422),
)
def get_resources() -> Response:
    """Return distributions of what successful jobs took and made.

    `{counted_at, is_current, jobs, by, measures, groups}`.
    """
    query = asked(ResourcesQuery)
    by = query.pop("by")
    return json_answer(read_filtered(RESOURCES, JobFilters(**query), by=by))


@section.call(
    "GET",
    "/statistics/modules",
    answers={200: OBJECT},
    parameters=parameters(ModulesQuery),
    errors=(401, 404, 413, 422),
)
def get_modules() -> Response:
    """Return what art's modules took in successful jobs: `{jobs, by, groups, comparison}`."""
    query = asked(ModulesQuery)
    how = {name: query.pop(name) for name in ("by", "first", "second") if name in query}
    with get_service().reading() as connection:
        return json_answer(sum_modules(connection, JobFilters(**query), **how))
