"""What runs and waits, over HTTP: reports of queues, and the question."""

from datetime import UTC, datetime

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.queue import Queue, QueueTaken
from jobprov.provenance.schemas.production_queries import QueueQuery, TaskQueueQuery
from jobprov.provenance.services.tasks.queue import task_queue, whole_queue
from jobprov.provenance.services.tasks.queue_reports import (
    QueueReportBody,
    compare_report,
    read_report,
    take_queue_report,
)
from jobprov.provenance.services.tasks.tasks import find_task

section = Section("queue", "What runs and waits.")
_BODY_BYTES = 64 * 1024 * 1024
_ROWS_A_RECORD = 100
"""So many rows of a report take the writer as long as one record."""


@section.call(
    "PUT",
    "/queue/<schedd>",
    body=QueueReportBody,
    answers={200: QueueTaken},
    errors=(413, 415, 422),
    writes=True,
)
def put_queue(schedd: str) -> Response:
    """Replace what is known of a queue: all that its schedd has of an experiment now.

    It is kept outside the ledger, until the next report.
    """
    grant, now = writing_grant(), datetime.now(UTC)
    name = checked_name(schedd, "schedd")
    body = read_report(read_body(_BODY_BYTES))
    check_experiment(grant, body.experiment)
    # Many jobs are held for the same reason
    refuse_secrets({"hold_reason": sorted({job.hold_reason or "" for job in body.jobs})})
    service = get_service()
    with service.reading() as connection:
        compared = compare_report(connection, name, body, received_at=now)
    taken = service.writer.run(
        lambda writing: take_queue_report(writing, name, body, compared),
        1 + len(compared.rows) // _ROWS_A_RECORD,
        received_at=now,
        submitter=grant.submitter,
    )
    return json_answer(taken)


@section.call(
    "GET",
    "/queue",
    answers={200: Queue},
    parameters=parameters(QueueQuery),
    errors=(401, 404, 422),
)
def get_queue() -> Response:
    """Return what runs and waits: counts, and a list with held and stuck jobs first."""
    query = asked(QueueQuery)
    with get_service().reading() as connection:
        return json_answer(whole_queue(connection, **query))


@section.call(
    "GET",
    "/tasks/<task_id>/queue",
    answers={200: Queue},
    parameters=parameters(TaskQueueQuery),
    errors=(300, 401, 404, 422),
)
def get_task_queue(task_id: str) -> Response:
    """Return what runs and waits of a task."""
    query = asked(TaskQueueQuery)
    experiment = query.pop("experiment", None)
    with get_service().reading() as connection:
        task = find_task(connection, checked_name(task_id, "task_id"), experiment=experiment)
        return json_answer(task_queue(connection, task, **query))
