"""Takes OpenLineage events of jobs and datasets alone.

The task that a job is, and files as they were seen.

Both go the way of `PUT /tasks` and `POST /files`, so the ledger holds them, and rebuilding needs
nothing else.

Source: http.md, `POST /api/v1/lineage`.
"""

from datetime import UTC, datetime
from typing import Any

from jobprov.provenance.answers.catalogs import EventAnswer, EventFile
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.records.openlineage.static_events import (
    MARK,
    DatasetEvent,
    JobEvent,
    declaration_of,
    sightings_of_event,
)
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.tasks.declarations import declare_task, read_task_document
from jobprov.provenance.services.writing import Writing


def record_static_event(
    writing: Writing,
    event: JobEvent | DatasetEvent,
    document: dict[str, Any],
    *,
    experiment: str,
) -> EventAnswer:
    """Return what became of the event.

    Raises:
        BadInputError: a name of the event is not one that a file or task can have.
    """
    sightings = [record_sighting(writing, seen) for seen in sightings_of_event(event, experiment)]
    is_new = any(sighting.change == "created" for sighting in sightings)
    task_id = None
    if isinstance(event, JobEvent):
        task_id = event.task_id
        is_new |= _declare(writing, task_id, declaration_of(event, document, experiment))
    files = [EventFile(seen.name, seen.namespace, seen.url) for seen in sightings]
    return EventAnswer("created" if is_new else "same", task_id, files)


def _declare(writing: Writing, task_id: str, declared: dict[str, Any]) -> bool:
    """Declare the job's task; return whether that said anything new.

    What others declared of it stays, and so does a later event.
    """
    tasks = find_tasks(writing.connection, task_id, declared["experiment"])
    before: dict[str, Any] = {}
    if tasks:
        before = read_task_document(writing.connection, writing.store, tasks[0]) or {}
    last_event = before.get(MARK)
    # Events may arrive in any order
    if isinstance(last_event, dict) and _moment(last_event) > _moment(declared[MARK]):
        return False
    merged = {**declared, **before, MARK: declared[MARK]}
    declare_task(writing, task_id, merged)
    return before != merged


def _moment(event: dict[str, Any]) -> datetime:
    """Return when an event happened; what somebody else wrote there is older than any."""
    try:
        return datetime.fromisoformat(str(event.get("eventTime")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
