"""Workflows over HTTP: declare one, have its next step taken, let it run or stop it.

The service itself submits nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.orders.workflows import (
    WorkflowDeclared,
    WorkflowList,
    WorkflowStanding,
)
from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.catalogs.opening import open_catalog
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.workflow import LONGEST_BYTES, read_workflow
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.schemas.production_queries import AdvanceQuery, WorkflowQuery
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.catalogs.frozen_units import FrozenUnits
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.orders.workflow_steps import (
    advance_workflow,
    changed_state,
    list_workflows,
    show_workflow,
    survey,
)
from jobprov.provenance.services.orders.workflow_tasks import fetch_followed, fetch_listings
from jobprov.provenance.services.orders.workflows import (
    WorkflowBody,
    WorkflowState,
    declare_workflow,
    find_again,
    find_same_version,
    find_workflow,
    read_workflows,
    set_state,
)
from jobprov.provenance.services.writing import Writing

section = Section("workflows", "Declared workflows: stages, how far they are, what they wait for.")
_BODY_BYTES = 2 * LONGEST_BYTES


@section.put("/workflows/<name>", {201: WorkflowDeclared, 200: WorkflowDeclared}, body=WorkflowBody)
def put_workflow(name: str) -> Response:
    """Declare a workflow: 201 with its new version, 200 if this version was declared before.

    A version is the text of the workflow and its files.
    """
    grant = writing_grant(Scope.RUN)
    received_at = datetime.now(UTC)
    document = sent_document(_BODY_BYTES)
    body = read_document(document, WorkflowBody, "The workflow")
    workflow = read_workflow(body.text)
    check_experiment(grant, workflow.experiment)
    if workflow.name != name:
        raise BadInputError(
            f"name: the text says {workflow.name}, the address {name}.",
            {"name": ["not the address's"]},
        )
    service = get_service()
    with service.reading() as connection:
        same_version = find_same_version(connection, service.store, workflow, document)
    listings: dict[str, FrozenUnits] = {}
    if same_version is None:
        # Before the write, since the only writer must not wait for a catalog
        listings = fetch_listings(workflow, _catalog_of())

    def declare(writing: Writing) -> WorkflowDeclared:
        # Without tokens nobody knew whose blobs these are; the workflow names their experiment
        service.unclaimed.claim(writing, workflow.experiment, body.files.values())
        return declare_workflow(writing, document, listings=listings)

    declared = service.write(declare, received_at=received_at, submitter=grant.submitter)
    status = 201 if declared.is_new else 200
    return json_answer(declared, status)


def _catalog_of() -> Callable[[str], Catalog]:
    """Return what opens the catalog of an experiment, as the operator names them."""
    catalogs = get_service().catalogs()
    return lambda experiment: open_catalog(catalogs, experiment)


@section.get("/workflows", WorkflowList, query=ExperimentQuery)
def get_workflows() -> Response:
    """Return the newest version of each workflow with its state, the newest first."""
    query = asked(ExperimentQuery)
    service = get_service()
    with service.reading() as connection:
        return json_answer(list_workflows(connection, service.store, **query))


@section.get("/workflows/<name>", WorkflowStanding, query=WorkflowQuery, errors=(300, 404))
def get_workflow(name: str) -> Response:
    """Return how a workflow stands: its stages, and their units by standing.

    It also says why no more can be ordered now.
    """
    query = asked(WorkflowQuery)
    service = get_service()
    with service.reading() as connection:
        version = find_workflow(
            connection, checked_name(name, what="the name of a workflow"), **query
        )
        return json_answer(show_workflow(connection, service.store, version, now=datetime.now(UTC)))


@section.post("/workflows/<name>/advance", WorkflowStanding, query=AdvanceQuery, errors=(300, 404))
def post_advance(name: str) -> Response:
    """Order what is ready and return how the workflow stands then.

    It is harmless to repeat: each attempt of a unit is ordered once.
    """
    grant = writing_grant(Scope.RUN)
    query = asked(AdvanceQuery)
    follow = query.pop("follow")
    now = datetime.now(UTC)
    service = get_service()
    with service.reading() as connection:
        version = find_workflow(
            connection, checked_name(name, what="the name of a workflow"), **query
        )
        [declared] = read_workflows(connection, service.store, [version])
    check_experiment(grant, version.experiment)
    followed = None
    if follow and declared.state.state == "running" and not declared.state.is_frozen:
        # The catalog is asked here: the one writer must not wait for it
        followed = fetch_followed(declared.workflow, _catalog_of())

    answer = service.write(
        lambda writing: advance_workflow(writing, version, followed=followed),
        received_at=now,
        submitter=grant.submitter,
    )
    return json_answer(answer)


@section.post(
    "/workflows/<name>/state",
    WorkflowStanding,
    body=WorkflowState,
    query=WorkflowQuery,
    errors=(300, 404),
)
def post_state(name: str) -> Response:
    """Let a workflow run or stop it: who, and why.

    Where it runs again, what failed until now counts no more.
    """
    grant = writing_grant(Scope.RUN)
    query = asked(WorkflowQuery)
    now = datetime.now(UTC)
    document = sent_document(_BODY_BYTES)
    requested = read_document(document, WorkflowState, "The state")
    if requested.state == "complete":
        raise BadInputError(
            "state: running or stopped; complete is the service's to say.",
            {"state": ["running or stopped"]},
        )
    service = get_service()
    with service.reading() as connection:
        version = find_workflow(
            connection, checked_name(name, what="the name of a workflow"), **query
        )
        check_experiment(grant, version.experiment)
        surveyed = survey(connection, service.store, version, now=now, room=0)
    state = changed_state(surveyed, requested)
    # Said again in the same words, as where an answer was lost, it is nothing new
    if state != surveyed.declared.state:
        service.write(
            lambda writing: set_state(writing, version, state),
            received_at=now,
            submitter=grant.submitter,
        )
    with service.reading() as connection:
        current = find_again(connection, version)
        return json_answer(show_workflow(connection, service.store, current, now=now))
