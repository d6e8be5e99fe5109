"""The units of a task that are still to be made, and its files that the next stage can take."""

from flask import Response

from jobprov.app.api.wire.answers import json_answer, text_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.documenting import Section
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import MissingUnits, ReadyFiles
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.schemas.production_queries import MissingQuery, ReadyQuery
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.tasks.units import list_ready, missing_units

section = Section("units", "Units of tasks: what is missing, and what is ready.")


@section.call(
    "GET",
    "/tasks/<task_id>/missing",
    answers={200: MissingUnits},
    parameters=parameters(MissingQuery),
    errors=(300, 401, 404, 422),
)
def get_missing(task_id: str) -> Response:
    """Return the units that are still to be made; as JSON, a plain list or a SAM dimension."""
    query = asked(MissingQuery)
    form = query.pop("format")
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, checked_name(task_id, "task_id"), **query)
        missing = missing_units(connection, service.store, task)
    if form == "json":
        return json_answer(MissingUnits(missing))
    units = [unit.unit for unit in missing]
    if form == "sam":
        return text_answer([files_dimension(units)])
    return text_answer(units)


@section.call(
    "GET",
    "/tasks/<task_id>/ready",
    answers={200: ReadyFiles},
    parameters=parameters(ReadyQuery),
    errors=(300, 401, 404, 422),
)
def get_ready(task_id: str) -> Response:
    """Return the files that jobs of the task made and that no job has read yet, the oldest first."""
    query = asked(ReadyQuery)
    experiment, form = query.pop("experiment", None), query.pop("format")
    with get_service().reading() as connection:
        task = find_task(connection, checked_name(task_id, "task_id"), experiment=experiment)
        ready = list_ready(connection, task, **query)
    if form == "json":
        return json_answer(ready)
    # a file that several jobs made is there with each of them
    return text_answer(dict.fromkeys(file.name for file in ready.files))
