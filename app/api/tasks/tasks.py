"""Tasks over HTTP: declare one, see how far it is and what is ready, go on without some of it."""

from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from jobprov.app.api.wire.answers import json_answer, text_answer
from jobprov.app.api.wire.asking import asked, checked_name, checked_word, parameters
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import OBJECT, Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets
from jobprov.app.kept_answers import read_answer, read_report
from jobprov.app.wiring import get_service
from jobprov.provenance.catalogs.opening import open_catalog, read_catalogs
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.repairing import parse_object
from jobprov.provenance.schemas.parameters import read_query
from jobprov.provenance.schemas.production_queries import (
    CampaignQuery,
    MissingQuery,
    NamedCampaignQuery,
    ReadyQuery,
)
from jobprov.provenance.schemas.queries import ExperimentQuery
from jobprov.provenance.services.catalogs.frozen_units import freeze_units
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    UnitSource,
    check_words,
    declare_task,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.samples import list_samples
from jobprov.provenance.services.tasks.tasks import find_task, missing_units, show_task
from jobprov.provenance.services.tasks.units import list_ready
from jobprov.provenance.services.tasks.waivers import Waiver, read_waiver, waive_units

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
    answer = {
        "task_id": task_id,
        "is_new": is_new,
        "unit_count": read_declaration(document).unit_count(),
    }
    return json_answer(answer, 201 if is_new else 200)


def _frozen(task_id: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration with the list of units that its catalog selects, where it names a source of them."""
    service, declaration = get_service(), read_declaration(document)
    if not isinstance(declaration.units, UnitSource):
        return document
    with service.reading() as connection:
        found = find_tasks(connection, task_id, declaration.experiment)
        held = read_task_document(connection, service.store, found[0]) if found else None
    catalogs = read_catalogs(service.settings.catalogs)
    return freeze_units(document, held, lambda experiment: open_catalog(catalogs, experiment))


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
        return json_answer(
            show_task(connection, service.store, checked_name(task_id, "task_id"), **query)
        )


@section.call(
    "GET",
    "/campaigns/<path:campaign>",
    answers={200: OBJECT},
    parameters=parameters(NamedCampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_campaign(campaign: str) -> Response:
    """Return how far a campaign is: its stages in the order of production and its tasks, with their units."""
    query = asked(NamedCampaignQuery)
    name = checked_word(query.pop("campaign", campaign), "campaign")
    return json_answer(read_answer("campaign", **query, campaign=name))


@section.call(
    "GET",
    "/campaigns/<path:campaign>/report",
    answers={200: OBJECT},
    parameters=parameters(NamedCampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_report(campaign: str) -> Response:
    """Return a campaign in one document: how far it is, what was waived, why jobs failed, what they took."""
    query = asked(NamedCampaignQuery)
    name = checked_word(query.get("campaign", campaign), "campaign")
    try:
        return json_answer(read_report(query["experiment"], name))
    except NotFoundError as problem:
        if "campaign" in query:
            raise
        try:
            return get_campaign(f"{campaign}/report")  # a campaign may be called so
        except NotFoundError:
            raise problem from None


@section.call(
    "GET",
    "/samples",
    answers={200: OBJECT},
    parameters=parameters(CampaignQuery),
    errors=(401, 404, 413, 422),
)
def get_samples() -> Response:
    """Return the declared tasks of an experiment as samples by data tier.

    Files and events, done and expected.
    """
    experiment, service = asked(CampaignQuery)["experiment"], get_service()
    with service.reading() as connection:
        return json_answer(list_samples(connection, service.store, experiment))


@section.call(
    "GET",
    "/tasks/<task_id>/missing",
    answers={200: OBJECT},
    parameters=parameters(MissingQuery),
    errors=(300, 401, 404, 422),
)
def get_missing(task_id: str) -> Response:
    """Return the units that are still to be made.

    `{missing: [{unit, state}]}`, a plain list, or a SAM dimension.
    """
    query = asked(MissingQuery)
    form = query.pop("format")
    service = get_service()
    with service.reading() as connection:
        missing = missing_units(
            connection, service.store, checked_name(task_id, "task_id"), **query
        )
    if form == "json":
        return json_answer({"missing": missing})
    units = [row["unit"] for row in missing]
    return text_answer([files_dimension(units)] if form == "sam" else units)


@section.call(
    "GET",
    "/tasks/<task_id>/ready",
    answers={200: OBJECT},
    parameters=parameters(ReadyQuery),
    errors=(300, 401, 404, 422),
)
def get_ready(task_id: str) -> Response:
    """Return the files that jobs of the task made and that no job has read yet.

    `{files, next}`, the oldest first.
    """
    query = asked(ReadyQuery)
    experiment, form = query.pop("experiment", None), query.pop("format")
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, checked_name(task_id, "task_id"), experiment=experiment)
        ready = list_ready(connection, task, **query)
    if form == "json":
        return json_answer(ready)
    return text_answer(dict.fromkeys(file["name"] for file in ready["files"]))


@section.call(
    "POST",
    "/tasks/<task_id>/waivers",
    body=Waiver,
    answers={201: OBJECT},
    parameters=parameters(ExperimentQuery),
    errors=(300, 404, 413, 415, 422),
    writes=True,
)
def post_waiver(task_id: str) -> Response:
    """Let a task go on without some of its units, or take that back: who, and why."""
    grant = writing_grant()
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
    return json_answer(
        {"task_id": task.task_id, "experiment": task.experiment, "unit_count": count}, 201
    )
