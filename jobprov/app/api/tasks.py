"""Tasks and campaigns over HTTP: declared, how far they are, what runs and waits, their samples."""

from datetime import UTC, datetime

from flask import Response

from jobprov.app.api.wire.answers import TEXT, json_answer, text_answer
from jobprov.app.api.wire.asking import asked, asked_of_task, checked_campaign, checked_name
from jobprov.app.api.wire.bodies import read_body
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import refuse_secrets, sent_document
from jobprov.app.kept_answers import read_answer, read_timeline
from jobprov.app.kept_answers import read_report as read_campaign_report
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.statistics.campaigns import CampaignProgress, CampaignReport
from jobprov.provenance.answers.tasks.queue import Queue, QueueTaken
from jobprov.provenance.answers.tasks.samples import Samples
from jobprov.provenance.answers.tasks.tasks import (
    MissingUnits,
    ReadyFiles,
    TaskDeclared,
    TaskProgress,
    UnitsWaived,
)
from jobprov.provenance.answers.tasks.timelines import Timeline
from jobprov.provenance.catalogs.opening import open_catalog
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.schemas.production_queries import (
    CampaignQuery,
    MissingQuery,
    NamedCampaignQuery,
    QueueQuery,
    ReadyQuery,
    TaskQuery,
    TaskQueueQuery,
    TaskToWriteQuery,
    TimelineQuery,
)
from jobprov.provenance.selections.catalog_source import CatalogSource
from jobprov.provenance.services.catalogs.frozen_units import freeze_units
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.kept_answers.counting import CAMPAIGN
from jobprov.provenance.services.tasks.declarations import (
    Declaration,
    check_words,
    declare_task,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.queue import task_queue, whole_queue
from jobprov.provenance.services.tasks.queue_reports import (
    QueueReportBody,
    compare_report,
    read_report,
    take_queue_report,
)
from jobprov.provenance.services.tasks.samples import list_samples
from jobprov.provenance.services.tasks.tasks import find_task, show_task
from jobprov.provenance.services.tasks.units import list_ready, missing_units
from jobprov.provenance.services.tasks.waivers import (
    MOST_LISTED,
    Waiver,
    check_known_units,
    read_waiver,
    waive_units,
)

declarations_section = Section("declarations", "What tasks are to make.")
tasks_section = Section("tasks", "Tasks: one submission of a stage each.")
units_section = Section("units", "Units of tasks: what is missing, and what is ready.")
waivers_section = Section("waivers", "Units that a task goes on without.")
queue_section = Section("queue", "What runs and waits.")
timelines_section = Section("timelines", "When a unit or a task waited and ran.")
campaigns_section = Section("campaign-progress", "How far campaigns are.")
samples_section = Section("samples", "Samples by data tier: done and expected.")

_DECLARATION_BYTES = 32 * 1024 * 1024
_WAIVER_BYTES = 32 * 1024 * 1024
_QUEUE_BYTES = 64 * 1024 * 1024
_JOBS_A_TURN = 100
"""So many rows of a report take the writer as long as one record."""


@declarations_section.put(
    "/tasks/<task_id>",
    {201: TaskDeclared, 200: TaskDeclared},
    body=Declaration,
    query=TaskToWriteQuery,
    errors=(409,),
)
def put_task(task_id: str) -> Response:
    """Declare a task: 201 the first time, 200 where it was declared before."""
    grant = writing_grant(Scope.DECLARE)
    task_id, _ = asked_of_task(TaskToWriteQuery, task_id)
    document = sent_document(_DECLARATION_BYTES)
    declaration = read_declaration(document)
    check_experiment(grant, declaration.experiment)
    check_words(task_id, declaration)
    document = _frozen(task_id, document)
    is_new = get_service().write(
        lambda writing: declare_task(writing, task_id, document),
        submitter=grant.submitter,
    )
    answer = TaskDeclared(task_id, is_new, read_declaration(document).unit_count())
    return json_answer(answer, 201 if is_new else 200)


def _frozen(task_id: str, document: JsonObject) -> JsonObject:
    """Return the declaration; with its list of units from the catalog, where it names a source."""
    service, declaration = get_service(), read_declaration(document)
    if not isinstance(declaration.units, CatalogSource):
        return document
    with service.reading() as connection:
        tasks = find_tasks(connection, task_id, declaration.experiment)
        before = None
        if tasks:
            before = read_task_document(connection, service.store, tasks[0])
    catalogs = service.catalogs()
    return freeze_units(document, before, lambda experiment: open_catalog(catalogs, experiment))


@tasks_section.get("/tasks/<task_id>", TaskProgress, query=TaskQuery, errors=(300, 404))
def get_task(task_id: str) -> Response:
    """Return how far a task is: units made and missing, errors and resources."""
    task_id, query = asked_of_task(TaskQuery, task_id)
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, **query)
        return json_answer(show_task(connection, service.store, task))


@units_section.get(
    "/tasks/<task_id>/missing",
    MissingUnits,
    query=MissingQuery,
    errors=(300, 404),
    other_types=(TEXT,),
)
def get_missing(task_id: str) -> Response:
    """Return the units that are still to be made; as JSON, a plain list or a SAM dimension."""
    task_id, query = asked_of_task(MissingQuery, task_id)
    form = query.pop("format")
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, **query)
        missing = missing_units(connection, service.store, task)
    if form == "json":
        return json_answer(missing)
    units = [unit.unit for unit in missing.missing]
    if form == "sam":
        return text_answer([files_dimension(units)])
    return text_answer(units)


@units_section.get(
    "/tasks/<task_id>/ready", ReadyFiles, query=ReadyQuery, errors=(300, 404), other_types=(TEXT,)
)
def get_ready(task_id: str) -> Response:
    """Return the files that jobs of the task made and that no job has read yet, the oldest first."""
    task_id, query = asked_of_task(ReadyQuery, task_id)
    experiment, form = query.pop("experiment", None), query.pop("format")
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, experiment=experiment)
        ready = list_ready(connection, service.store, task, **query)
    if form == "json":
        return json_answer(ready)
    # a file that several jobs made is there with each of them
    return text_answer(dict.fromkeys(file.name for file in ready.files))


@waivers_section.post(
    "/tasks/<task_id>/waivers",
    {201: UnitsWaived},
    body=Waiver,
    query=TaskQuery,
    errors=(300, 404),
)
def post_waiver(task_id: str) -> Response:
    """Let a task go on without some of its units, or take that back."""
    grant = writing_grant(Scope.DECLARE)
    task_id, query = asked_of_task(TaskQuery, task_id)
    document = sent_document(_WAIVER_BYTES)
    waiver = read_waiver(document)
    service = get_service()
    with service.reading() as connection:
        task = find_task(connection, task_id, **query)
        check_experiment(grant, task.experiment)
        if waiver.known_only and not waiver.withdrawn:
            check_known_units(connection, service.store, task, waiver.units)
    taken = service.write(
        lambda writing: waive_units(writing, task, document),
        submitter=grant.submitter,
    )
    answer = UnitsWaived(
        task.task_id,
        task.experiment,
        taken.unit_count,
        len(taken.not_waived),
        taken.not_waived[:MOST_LISTED],
    )
    return json_answer(answer, 201)


@queue_section.put("/queue/<schedd>", QueueTaken, body=QueueReportBody)
def put_queue(schedd: str) -> Response:
    """Replace what is known of a queue: all that its schedd has of an experiment now.

    It is kept outside the ledger, until the next report.
    """
    grant, now = writing_grant(), datetime.now(UTC)
    name = checked_name(schedd, "schedd")
    body = read_report(read_body(_QUEUE_BYTES))
    check_experiment(grant, body.experiment)
    # Many jobs are held for the same reason
    refuse_secrets({"hold_reason": sorted({job.hold_reason or "" for job in body.jobs})})
    service = get_service()
    with service.reading() as connection:
        compared = compare_report(connection, name, body, received_at=now)
    taken = service.writer.run(
        lambda writing: take_queue_report(writing, name, body, compared),
        1 + len(compared.rows) // _JOBS_A_TURN,
        received_at=now,
        submitter=grant.submitter,
    )
    return json_answer(taken)


@queue_section.get("/queue", Queue, query=QueueQuery, errors=(404,))
def get_queue() -> Response:
    """Return what runs and waits: counts, and a list with held and stuck jobs first."""
    query = asked(QueueQuery)
    with get_service().reading() as connection:
        return json_answer(whole_queue(connection, **query))


@queue_section.get("/tasks/<task_id>/queue", Queue, query=TaskQueueQuery, errors=(300, 404))
def get_task_queue(task_id: str) -> Response:
    """Return what runs and waits of a task."""
    task_id, query = asked_of_task(TaskQueueQuery, task_id)
    experiment = query.pop("experiment", None)
    with get_service().reading() as connection:
        task = find_task(connection, task_id, experiment=experiment)
        return json_answer(task_queue(connection, task, **query))


@timelines_section.get(
    "/tasks/<task_id>/timeline", Timeline, query=TimelineQuery, errors=(300, 404, 413)
)
def get_timeline(task_id: str) -> Response:
    """Return when a unit waited and ran, attempt by attempt; or when the jobs of a task ran."""
    task_id, query = asked_of_task(TimelineQuery, task_id)
    return json_answer(read_timeline(task_id, **query))


@campaigns_section.get(
    "/campaigns/<path:name>", CampaignProgress, query=NamedCampaignQuery, errors=(404, 413)
)
def get_campaign(name: str) -> Response:
    """Return how far a campaign is: its stages in the order of production and its tasks, with their units."""
    query = asked(NamedCampaignQuery)
    campaign = checked_campaign(query.pop("campaign", name))
    return json_answer(read_answer(CAMPAIGN, **query, campaign=campaign))


@campaigns_section.get(
    "/campaigns/<path:name>/report", CampaignReport, query=NamedCampaignQuery, errors=(404, 413)
)
def get_report(name: str) -> Response:
    """Return a campaign in one document: how far it is, what was waived, why jobs failed, what they took."""
    query = asked(NamedCampaignQuery)
    campaign = checked_campaign(query.get("campaign", name))
    try:
        return json_answer(read_campaign_report(query["experiment"], campaign))
    except NotFoundError as problem:
        if "campaign" in query:
            raise
        try:
            return get_campaign(f"{name}/report")  # a campaign may be called so
        except NotFoundError:
            raise problem from None


@samples_section.get("/samples", Samples, query=CampaignQuery, errors=(404, 413))
def get_samples() -> Response:
    """Return the declared tasks of an experiment as samples by data tier."""
    experiment, service = asked(CampaignQuery)["experiment"], get_service()
    with service.reading() as connection:
        return json_answer(list_samples(connection, service.store, experiment))
