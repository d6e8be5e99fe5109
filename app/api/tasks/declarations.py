"""Declarations of tasks, over HTTP."""

from datetime import UTC, datetime
from typing import Any

from flask import Response

from jobprov.app.api.wire.answers import json_answer
from jobprov.app.api.wire.asking import checked_name
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.tasks import TaskDeclared
from jobprov.provenance.catalogs.opening import open_catalog, read_catalogs
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.records.reading.repairing import parse_object
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

section = Section("declarations", "What tasks are to make.")
_BODY_BYTES = 32 * 1024 * 1024


@section.call(
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
    document = parse_object(read_body(_BODY_BYTES))
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
