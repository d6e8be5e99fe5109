"""Upload tickets: what a job sends its record with, good for one task's jobs alone."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked_of_task
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.recording import TicketAnswer
from jobprov.provenance.records.job_record import ExperimentName
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.production_queries import TaskToWriteQuery
from jobprov.provenance.services.intake.tokens import TICKET_DAYS, create_ticket

section = Section("tickets", "Upload tickets.")
_BODY_BYTES = 64 * 1024


class TicketBody(msgspec.Struct):
    """Of which experiment, and for how many days."""

    experiment: ExperimentName
    days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = TICKET_DAYS


@section.post(
    "/tasks/<task_id>/tickets", {201: TicketAnswer}, body=TicketBody, query=TaskToWriteQuery
)
def post_ticket(task_id: str) -> Response:
    """Make an upload ticket: a token that records jobs of this task and does nothing else.

    The ticket is shown only once.
    """
    grant = writing_grant()
    task_id, _ = asked_of_task(TaskToWriteQuery, task_id)
    body = read_document(parse_object(read_body(_BODY_BYTES)), TicketBody, "The body")
    check_experiment(grant, body.experiment)
    now = datetime.now(UTC)
    ticket, expires_at = get_service().write(
        lambda writing: create_ticket(
            writing, experiment=body.experiment, task_id=task_id, now=now, days=body.days
        ),
        submitter=grant.submitter,
    )
    return json_answer(TicketAnswer(ticket, body.experiment, task_id, expires_at), 201)
