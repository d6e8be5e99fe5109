"""Waivers of units, over HTTP."""

from datetime import UTC, datetime

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import UnitsWaived
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.waivers import Waiver, read_waiver, waive_units

section = Section("waivers", "Units that a task goes on without.")
_BODY_BYTES = 32 * 1024 * 1024


@section.call(
    "POST",
    "/tasks/<task_id>/waivers",
    body=Waiver,
    answers={201: UnitsWaived},
    parameters=parameters(ExperimentQuery),
    errors=(300, 404, 413, 415, 422),
    writes=True,
)
def post_waiver(task_id: str) -> Response:
    """Let a task go on without some of its units, or take that back."""
    grant = writing_grant(Scope.DECLARE)
    query = read_query(ExperimentQuery, request.args)
    document = parse_object(read_body(_BODY_BYTES))
    refuse_secrets(document)
    read_waiver(document)
    checked_name(task_id, "task_id")
    service, now = get_service(), datetime.now(UTC)
    with service.reading() as connection:
        task = find_task(connection, task_id, **query)
    check_experiment(grant, task.experiment)
    count = service.write(
        lambda writing: waive_units(writing, task, document),
        received_at=now,
        submitter=grant.submitter,
    )
    return json_answer(UnitsWaived(task.task_id, task.experiment, count), 201)
