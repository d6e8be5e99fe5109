"""The HTTP interface, version 1, under /api/v1. Source: docs/reference/http.md."""

from flask import Flask

from jobprov.app.api import operations
from jobprov.app.api.bundles import bundles, comparators
from jobprov.app.api.catalogs import differences as catalogs
from jobprov.app.api.comparisons import jobs as comparisons
from jobprov.app.api.comparisons import recipes
from jobprov.app.api.failures import errors, rules
from jobprov.app.api.histories import costs
from jobprov.app.api.histories import ends as histories
from jobprov.app.api.histories import impact as lineage
from jobprov.app.api.lookup import exports, files
from jobprov.app.api.lookup import jobs as job_views
from jobprov.app.api.orders import orders, workflows
from jobprov.app.api.recording import blobs, events, jobs, log_tails, tickets
from jobprov.app.api.statistics import campaign_graph as campaigns
from jobprov.app.api.statistics import estimates, modules, resources
from jobprov.app.api.tasks import tasks
from jobprov.app.api.wire.documenting import JobprovApi, add_schemas

SECTIONS = (
    jobs.section,
    job_views.section,
    bundles.section,
    comparisons.section,
    exports.section,
    recipes.section,
    comparators.section,
    files.section,
    lineage.section,
    costs.section,
    histories.section,
    events.section,
    tasks.section,
    catalogs.section,
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
