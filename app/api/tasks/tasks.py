"""Tasks over HTTP: declared, how far they are, units that are missing or waived."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer, text_answer
from jobprov.app.api.wire.asking import asked, checked_name, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import (
    MissingUnits,
    ReadyFiles,
    TaskDeclared,
    TaskProgress,
    UnitsWaived,
)
from jobprov.provenance.catalogs.opening import open_catalog, read_catalogs
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.records.reading.repairing import parse_object
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.production_queries import MissingQuery, ReadyQuery
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.catalogs.frozen_units import freeze_units
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    UnitSource,
    check_words,
    declare_task,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from jobprov.provenance.services.tasks.units import list_ready, missing_units
from jobprov.provenance.services.tasks.waivers import Waiver, read_waiver, waive_units

declarations_section = Section("declarations", "What tasks are to make.")
_DECLARATION_BYTES = 32 * 1024 * 1024
tasks_section = Section("tasks", "Tasks: one submission of a stage each.")
units_section = Section("units", "Units of tasks: what is missing, and what is ready.")
waivers_section = Section("waivers", "Units that a task goes on without.")
_WAIVER_BYTES = 32 * 1024 * 1024


@declarations_section.call(
    "PUT",
    "/tasks/<task_id>",
    body=Declaration,
    answers={201: TaskDeclared, 200: TaskDeclared},
    errors=(409, 413, 415, 422),
    writes=True,
)
def put_task(task_id: str) -> Response:
    """Declare a task: 201 the first time, 200 where it was declared before."""
    grant = writing_grant(Scope.DECLARE)
    document = parse_object(read_body(_DECLARATION_BYTES))
    refuse_secrets(document)
    declaration = read_declaration(document)
    check_experiment(grant, declaration.experiment)
    check_words(checked_name(task_id, "task_id"), declaration)
    document = _frozen(task_id, document)
    service, now = get_service(), datetime.now(UTC)
    is_new = service.write(
        lambda writing: declare_task(writing, task_id, document),
        received_at=now,
        submitter=grant.submitter,
    )
    answer = TaskDeclared(task_id, is_new, read_declaration(document).unit_count())
    return json_answer(answer, 201 if is_new else 200)


def _frozen(task_id: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration; with its list of units from the catalog, where it names a source."""
    service, declaration = get_service(), read_declaration(document)
    if not isinstance(declaration.units, UnitSource):
        return document
    with service.reading() as connection:
        tasks = find_tasks(connection, task_id, declaration.experiment)
        before = None
        if tasks:
            before = read_task_document(connection, service.store, tasks[0])
    catalogs = read_catalogs(service.settings.catalogs)
    return freeze_units(document, before, lambda experiment: open_catalog(catalogs, experiment))


@tasks_section.call(
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


@units_section.call(
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


@units_section.call(
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


@waivers_section.call(
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
    document = parse_object(read_body(_WAIVER_BYTES))
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
