"""The HTTP interface, version 1, under /api/v1. Source: docs/reference/http.md."""

from functools import cache

from flask import Flask

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
    statistics,
    tasks,
    trail,
)
from jobprov.app.api.lookup import files, jobs
from jobprov.app.api.orders import orders, workflows
from jobprov.app.api.recording import blobs, events, log_tails, tickets, traces
from jobprov.app.api.recording import jobs as recording
from jobprov.app.api.wire.documenting import JobprovApi, add_schemas

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
    files.search_section,
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
    app.config.update(
        API_TITLE="jobprov",
        API_VERSION="v1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/api/v1",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = JobprovApi(app)
    add_schemas(api, {kind for section in SECTIONS for kind in section.types})
    for section in SECTIONS:
        api.register_blueprint(section)
    # the pages show it, and do not know what makes it
    app.extensions["jobprov-openapi"] = cache(api.spec.to_dict)
    # where Prometheus looks unless it is told otherwise
    app.add_url_rule("/metrics", "metrics", operations.metrics)
