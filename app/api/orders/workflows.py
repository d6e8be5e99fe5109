"""Workflows over HTTP: declare one, have its next step taken, let it run or stop it.

The service itself submits nothing.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import get_service
from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.catalogs.opening import open_catalog, read_catalogs
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.workflow import LONGEST_BYTES, read_workflow
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.production_queries import AdvanceQuery, WorkflowQuery
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.orders.workflow_steps import (
    advance_workflow,
    changed,
    list_workflows,
    show_workflow,
    survey,
)
from jobprov.provenance.services.orders.workflow_tasks import fetch_followed, fetch_listings
from jobprov.provenance.services.orders.workflows import (
    WorkflowBody,
    WorkflowState,
    declare_workflow,
    find_workflow,
    held_version,
    read_workflows,
    set_state,
)
from jobprov.provenance.services.writing import Writing

section = Section("workflows", "Declared workflows: stages, how far they are, what they wait for.")
_BODY_BYTES = 2 * LONGEST_BYTES


@section.call(
    "PUT",
    "/workflows/<name>",
    body=WorkflowBody,
    answers={201: OBJECT, 200: OBJECT},
    errors=(413, 415, 422),
    writes=True,
)
def put_workflow(name: str) -> Response:
    """Declare a workflow: 201 with its new version, 200 where this very text and these files were declared before."""
    grant = writing_grant()
    document, now = parse_object(read_body(_BODY_BYTES)), datetime.now(UTC)
    refuse_secrets(document)
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
        is_held = held_version(connection, service.store, workflow, document) is not None
    listings = {} if is_held else fetch_listings(workflow, _catalog_of())

    def declare(writing: Writing) -> Any:
        service.unclaimed.claim(writing, workflow.experiment, body.files.values())
        return declare_workflow(writing, document, listings=listings)

    found, is_new = service.write(declare, received_at=now, submitter=grant.submitter)
    answer = {
        "name": found.name,
        "version": found.version,
        "experiment": found.experiment,
        "is_new": is_new,
    }
    return json_answer(answer, 201 if is_new else 200)


def _catalog_of() -> Callable[[str], Catalog]:
    """Return what opens the catalog of an experiment, as the operator names them."""
    catalogs = read_catalogs(get_service().settings.catalogs)
    return lambda experiment: open_catalog(catalogs, experiment)


@section.call(
    "GET",
    "/workflows",
    answers={200: OBJECT},
    parameters=parameters(ExperimentQuery),
    errors=(401, 422),
)
def get_workflows() -> Response:
    """Return the newest version of each workflow with its state.

    The answer is `{workflows: [...]}`, the newest first.
    """
    query = asked(ExperimentQuery)
    service = get_service()
    with service.reading() as connection:
        return json_answer({"workflows": list_workflows(connection, service.store, **query)})


@section.call(
    "GET",
    "/workflows/<name>",
    answers={200: OBJECT},
    parameters=parameters(WorkflowQuery),
    errors=(300, 401, 404, 422),
)
def get_workflow(name: str) -> Response:
    """Return how a workflow stands: its stages, their units by standing, and why no more can be ordered now."""
    query = asked(WorkflowQuery)
    service = get_service()
    with service.reading() as connection:
        found = find_workflow(connection, checked_name(name), **query)
        return json_answer(show_workflow(connection, service.store, found, now=datetime.now(UTC)))


@section.call(
    "POST",
    "/workflows/<name>/advance",
    answers={200: OBJECT},
    parameters=parameters(AdvanceQuery),
    errors=(300, 404, 422),
    writes=True,
)
def post_advance(name: str) -> Response:
    """Order what is ready and return how the workflow stands then.

    It is harmless to repeat: each attempt of a unit is ordered once.
    """
    grant = writing_grant()
    query = asked(AdvanceQuery)
    follow = query.pop("follow")
    service, now = get_service(), datetime.now(UTC)
    with service.reading() as connection:
        found = find_workflow(connection, checked_name(name), **query)
        [declared] = read_workflows(connection, service.store, [found])
    check_experiment(grant, found.experiment)
    is_followed = follow and declared.state.state == "running" and not declared.state.is_frozen
    followed = fetch_followed(declared.workflow, _catalog_of()) if is_followed else None

    answer = service.write(
        lambda writing: advance_workflow(writing, found, followed=followed),
        received_at=now,
        submitter=grant.submitter,
    )
    return json_answer(answer)


@section.call(
    "POST",
    "/workflows/<name>/state",
    body=WorkflowState,
    answers={200: OBJECT},
    parameters=parameters(WorkflowQuery),
    errors=(300, 404, 413, 415, 422),
    writes=True,
)
def post_state(name: str) -> Response:
    """Let a workflow run or stop it: who, and why.

    Where it runs again, what failed until now counts no more.
    """
    grant = writing_grant()
    query = asked(WorkflowQuery)
    document, now = parse_object(read_body(_BODY_BYTES)), datetime.now(UTC)
    refuse_secrets(document)
    said = read_document(document, WorkflowState, "The state")
    if said.state == "complete":
        raise BadInputError(
            "state: running or stopped; complete is the service's to say.",
            {"state": ["running or stopped"]},
        )
    service = get_service()
    with service.reading() as connection:
        found = find_workflow(connection, checked_name(name), **query)
        check_experiment(grant, found.experiment)
        standing = survey(connection, service.store, found, now=now, room=0)
    state = changed(standing, said)
    service.write(
        lambda writing: set_state(writing, found, state), received_at=now, submitter=grant.submitter
    )
    with service.reading() as connection:
        again = find_workflow(
            connection, found.name, experiment=found.experiment, version=found.version
        )
        return json_answer(show_workflow(connection, service.store, again, now=now))
