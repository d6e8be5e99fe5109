"""The HTTP interface, version 1, under /api/v1. Source: docs/reference/http.md."""

from flask import Flask

from jobprov.app.api import operations
from jobprov.app.api.bundles import bundles, comparators
from jobprov.app.api.catalogs import arrivals
from jobprov.app.api.catalogs import differences as catalogs
from jobprov.app.api.comparisons import jobs as comparisons
from jobprov.app.api.comparisons import recipes
from jobprov.app.api.failures import errors, rules
from jobprov.app.api.histories import (
    costs,
    divergence,
    ends,
    impact,
    lineage,
    lineage_lists,
    rebuilds,
    relations,
)
from jobprov.app.api.lookup import exports, file, files, gaps, job, logs, search
from jobprov.app.api.lookup import jobs as job_views
from jobprov.app.api.orders import orders, workflows
from jobprov.app.api.recording import blobs, events, jobs, log_tails, tickets, traces
from jobprov.app.api.reruns import proofs
from jobprov.app.api.statistics import campaign_graph as campaigns
from jobprov.app.api.statistics import estimates, modules, resources
from jobprov.app.api.tasks import campaigns as campaign_progress
from jobprov.app.api.tasks import declarations, queue, samples, tasks, units, waivers
from jobprov.app.api.wire.documenting import JobprovApi, add_schemas

SECTIONS = (
    jobs.section,
    job_views.section,
    job.section,
    logs.section,
    bundles.section,
    comparisons.section,
    exports.section,
    recipes.section,
    proofs.section,
    comparators.section,
    files.section,
    file.section,
    search.section,
    gaps.section,
    lineage.section,
    lineage_lists.section,
    rebuilds.section,
    impact.section,
    costs.section,
    ends.section,
    relations.section,
    divergence.section,
    events.section,
    declarations.section,
    tasks.section,
    units.section,
    queue.section,
    waivers.section,
    samples.section,
    campaign_progress.section,
    catalogs.section,
    arrivals.section,
    rules.section,
    errors.section,
    workflows.section,
    orders.section,
    campaigns.section,
    resources.section,
    modules.section,
    estimates.section,
    tickets.section,
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
