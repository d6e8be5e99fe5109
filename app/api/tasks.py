"""Tasks over HTTP: declare one, see how far it is."""

from datetime import UTC, datetime

from flask import Response

from app.api.answers import json_answer
from app.api.asking import asked, checked_name, parameters
from app.api.bodies import read_body
from app.api.documenting import OBJECT, Section
from app.api.guard import check_experiment, writing_grant
from app.wiring import get_service
from provenance.records.decoding import parse_object
from provenance.schemas.queries import ExperimentQuery
from provenance.services.tasks import Declaration, declare_task, missing_units, read_declaration, show_task

section = Section("tasks", "Tasks: one submission of a stage each.")
_BODY_BYTES = 32 * 1024 * 1024


@section.call(
    "PUT",
    "/tasks/<task_id>",
    body=Declaration,
    answers={201: OBJECT, 200: OBJECT},
    errors=(409, 413, 415, 422),
    writes=True,
)
def put_task(task_id: str) -> Response:
    """Declare a task: 201 the first time, 200 where it was declared before."""
    grant = writing_grant()
    document = parse_object(read_body(_BODY_BYTES))
    check_experiment(grant, read_declaration(document).experiment)
    checked_name(task_id, "task_id")
    service, now = get_service(), datetime.now(UTC)
    is_new = service.write(
        lambda connection, known: declare_task(
            connection, known, task_id, document, store=service.store, received_at=now, submitter=grant.submitter
        )
    )
    return json_answer({"task_id": task_id, "is_new": is_new}, 201 if is_new else 200)


@section.call(
    "GET",
    "/tasks/<task_id>",
    answers={200: OBJECT},
    parameters=parameters(ExperimentQuery),
    errors=(300, 401, 404, 422),
)
def get_task(task_id: str) -> Response:
    """Return how far a task is: expected, produced, running, failed and missing units, errors and resources."""
    query = asked(ExperimentQuery)
    service = get_service()
    with service.reading() as connection:
        return json_answer(show_task(connection, service.store, checked_name(task_id, "task_id"), **query))


@section.call(
    "GET",
    "/tasks/<task_id>/missing",
    answers={200: OBJECT},
    parameters=parameters(ExperimentQuery),
    errors=(300, 401, 404, 422),
)
def get_missing(task_id: str) -> Response:
    """Return the units of which no attempt succeeded: `{missing: [{unit, state}]}`."""
    query = asked(ExperimentQuery)
    service = get_service()
    with service.reading() as connection:
        return json_answer(
            {"missing": missing_units(connection, service.store, checked_name(task_id, "task_id"), **query)}
        )
