"""The HTTP interface, version 1, under /api/v1. Source: docs/http.md."""

from flask import Flask

from app.api import (
    blobs,
    bundles,
    campaigns,
    catalogs,
    comparators,
    comparisons,
    events,
    exports,
    files,
    histories,
    job_views,
    jobs,
    lineage,
    log_tails,
    operations,
    orders,
    recipes,
    rules,
    statistics,
    tasks,
    tickets,
    workflows,
)
from app.api.answers import BatchAnswer, BlobAnswer, MissingAnswer, PartAnswer, RecordAnswer
from app.api.documenting import JobprovApi, add_schemas
from provenance.bundle.comparators import OutputRules
from provenance.services.orders import ReportBody, TakeBody
from provenance.services.post_verdict import PostedVerdict
from provenance.services.record_sighting import SightedFile
from provenance.services.retry_jobs import RetryBody
from provenance.services.retry_policies import PoliciesBody
from provenance.services.task_declarations import Declaration
from provenance.services.waivers import Waiver
from provenance.services.workflows import WorkflowBody, WorkflowState
from provenance.triage.rules import RuleTable

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
    histories.section,
    events.section,
    tasks.section,
    catalogs.section,
    rules.section,
    workflows.section,
    orders.section,
    campaigns.section,
    statistics.section,
    tickets.section,
    blobs.section,
    log_tails.section,
    operations.section,
)
_TYPES = (
    BatchAnswer,
    BlobAnswer,
    PartAnswer,
    MissingAnswer,
    RecordAnswer,
    blobs.Digests,
    jobs.BatchBody,
    jobs.RevisionBody,
    PostedVerdict,
    OutputRules,
    Declaration,
    RuleTable,
    rules.ReclassificationBody,
    Waiver,
    SightedFile,
    tickets.TicketAnswer,
    log_tails.TailAnswer,
    tickets.TicketBody,
    WorkflowBody,
    WorkflowState,
    TakeBody,
    ReportBody,
    RetryBody,
    PoliciesBody,
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
    add_schemas(api, *_TYPES)
    for section in SECTIONS:
        api.register_blueprint(section)
