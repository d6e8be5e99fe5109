"""How far a task is, over HTTP."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import TaskProgress
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.tasks.tasks import find_task, show_task

section = Section("tasks", "Tasks: one submission of a stage each.")


@section.call(
    "GET",
    "/tasks/<task_id>",
    answers={200: TaskProgress},
    parameters=parameters(ExperimentQuery),
    errors=(300, 401, 404, 422),
)
def get_task(task_id: str) -> Response:
    """Return how far a task is: units made and missing, errors and resources."""
    query = asked(ExperimentQuery)
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, checked_name(task_id, "task_id"), **query)
        return json_answer(show_task(connection, service.store, task))
