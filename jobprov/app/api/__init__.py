"""The HTTP interface, version 1, under /api/v1. Source: docs/reference/http.md."""

from functools import cache

from flask import Flask, Response, json

from jobprov.app.api import (
    alerts,
    attention,
    bundles,
    catalogs,
    comparisons,
    estimates,
    failures,
    histories,
    operations,
    reruns,
    search,
    statistics,
    tasks,
    trail,
)
from jobprov.app.api.lookup import files, jobs
from jobprov.app.api.orders import orders, workflows
from jobprov.app.api.recording import blobs, events, log_tails, tickets, traces
from jobprov.app.api.recording import jobs as recording
from jobprov.app.api.wire.documenting import JSON, describe

SECTIONS = (
    recording.section,
    jobs.jobs_section,
    jobs.job_section,
    jobs.logs_section,
    bundles.bundles_section,
    comparisons.comparisons_section,
    jobs.exports_section,
    comparisons.recipes_section,
    reruns.section,
    bundles.comparators_section,
    files.files_section,
    files.file_section,
    search.section,
    jobs.gaps_section,
    histories.lineage_section,
    histories.lineage_lists_section,
    histories.rebuilds_section,
    histories.impact_section,
    histories.costs_section,
    histories.ends_section,
    histories.relations_section,
    histories.divergence_section,
    events.section,
    tasks.declarations_section,
    tasks.tasks_section,
    tasks.units_section,
    tasks.timelines_section,
    tasks.queue_section,
    tasks.waivers_section,
    tasks.samples_section,
    tasks.campaigns_section,
    catalogs.catalogs_section,
    catalogs.arrivals_section,
    catalogs.replicas_section,
    failures.rules_section,
    failures.errors_section,
    workflows.section,
    orders.section,
    statistics.campaigns_section,
    statistics.resources_section,
    statistics.throughput_section,
    statistics.modules_section,
    estimates.section,
    attention.section,
    alerts.section,
    tickets.section,
    trail.section,
    blobs.section,
    log_tails.section,
    traces.section,
    operations.section,
)


def register_api(app: Flask) -> None:
    """Put every call under /api/v1, and the OpenAPI document that describes them."""
    for section in SECTIONS:
        app.register_blueprint(section)

    @cache
    def document() -> dict[str, object]:
        return describe(app, SECTIONS)

    def openapi() -> Response:
        """Return the document as JSON."""
        return Response(json.dumps(document(), indent=2, sort_keys=False), mimetype=JSON)

    app.add_url_rule("/api/v1/openapi.json", "openapi", openapi)
    # the pages show it, and do not know what makes it
    app.extensions["jobprov-openapi"] = document
    # where Prometheus looks unless it is told otherwise
    app.add_url_rule("/metrics", "metrics", operations.metrics)
