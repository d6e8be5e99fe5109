"""Workflows over HTTP: declare one, have its next step taken, let it run or stop it. The service itself submits nothing."""

from datetime import UTC, datetime
from typing import Any

from flask import Response

from app.api.answers import json_answer
from app.api.asking import asked, checked_name, parameters
from app.api.bodies import read_body
from app.api.documenting import OBJECT, Section
from app.api.guard import check_experiment, writing_grant
from app.api.secrets import refuse_secrets
from app.wiring import get_service
from provenance.errors import BadInputError
from provenance.launchers.workflow import LONGEST_BYTES, read_workflow
from provenance.records.documents import read_document
from provenance.records.repairing import parse_object
from provenance.schemas.queries import ExperimentQuery, WorkflowQuery
from provenance.services.advance_workflow import advance_workflow, list_workflows, resumed, show_workflow, survey
from provenance.services.workflows import (
    WorkflowBody,
    WorkflowState,
    declare_workflow,
    find_workflow,
    set_state,
)

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
            f"name: the text says {workflow.name}, the address {name}.", {"name": ["not the address's"]}
        )
    service = get_service()

    def declare(connection: Any, known: Any) -> Any:
        service.unclaimed.claim(connection, known, workflow.experiment, body.files.values())
        return declare_workflow(connection, known, service.store, document, received_at=now, submitter=grant.submitter)

    found, is_new = service.write(declare)
    answer = {"name": found.name, "version": found.version, "experiment": found.experiment, "is_new": is_new}
    return json_answer(answer, 201 if is_new else 200)


@section.call("GET", "/workflows", answers={200: OBJECT}, parameters=parameters(ExperimentQuery), errors=(401, 422))
def get_workflows() -> Response:
    """Return the newest version of each workflow with its state: `{workflows: [...]}`, the newest first."""
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
    parameters=parameters(WorkflowQuery),
    errors=(300, 404, 422),
    writes=True,
)
def post_advance(name: str) -> Response:
    """Order what is ready and return how the workflow stands then. Harmless to repeat: each attempt of a unit is ordered once."""
    grant = writing_grant()
    query = asked(WorkflowQuery)
    service, now = get_service(), datetime.now(UTC)
    with service.reading() as connection:
        found = find_workflow(connection, checked_name(name), **query)
    check_experiment(grant, found.experiment)
    return json_answer(
        service.write(
            lambda connection, known: advance_workflow(
                connection, known, service.store, found, received_at=now, submitter=grant.submitter
            )
        )
    )


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
    """Let a workflow run or stop it: who, and why. Where it runs again, what failed until now counts no more."""
    grant = writing_grant()
    query = asked(WorkflowQuery)
    document, now = parse_object(read_body(_BODY_BYTES)), datetime.now(UTC)
    refuse_secrets(document)
    said = read_document(document, WorkflowState, "The state")
    if said.state == "complete":
        raise BadInputError(
            "state: running or stopped; complete is the service's to say.", {"state": ["running or stopped"]}
        )
    service = get_service()
    with service.reading() as connection:
        found = find_workflow(connection, checked_name(name), **query)
        check_experiment(grant, found.experiment)
        standing = survey(connection, service.store, found, now=now, room=0)
    state = resumed(standing, who=said.who, why=said.why) if said.state == "running" else said
    service.write(
        lambda connection, _known: set_state(connection, found, state, received_at=now, submitter=grant.submitter)
    )
    with service.reading() as connection:
        again = find_workflow(connection, found.name, experiment=found.experiment, version=found.version)
        return json_answer(show_workflow(connection, service.store, again, now=now))
