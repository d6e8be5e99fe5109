"""Takes OpenLineage events of jobs and datasets alone.

The task that a job is, and files as they were seen.

Both go the way of `PUT /tasks` and `POST /files`, so the ledger holds them, and rebuilding needs
nothing else.

Source: http.md, `POST /api/v1/lineage`.
"""

from datetime import UTC, datetime
from typing import Any

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
) -> dict[str, Any]:
    """Return `{change, task_id, files}`; a dataset's event has no task.

    `change` is `created`, or `same` where all of it was known.

    Raises:
        BadInputError: a name of the event is none that a file or task can have.
    """
    files = [record_sighting(writing, seen) for seen in sightings_of_event(event, experiment)]
    is_new = any(file["change"] == "created" for file in files)
    task_id = None
    if isinstance(event, JobEvent):
        task_id = event.task_id
        is_new |= _declare(writing, task_id, declaration_of(event, document, experiment))
    shown = [{name: file[name] for name in ("name", "namespace", "url")} for file in files]
    return {"change": "created" if is_new else "same", "task_id": task_id, "files": shown}


def _declare(writing: Writing, task_id: str, declared: dict[str, Any]) -> bool:
    """Declare the job's task; return whether that said anything new.

    What others declared of it stays, and so does a later event.
    """
    held = find_tasks(writing.connection, task_id, declared["experiment"])
    before = (
        read_task_document(writing.connection, writing.store, held[0]) if held else None
    ) or {}
    told = before.get(MARK)
    if isinstance(told, dict) and _moment(told) > _moment(declared[MARK]):
        return False
    merged = {**declared, **before, MARK: declared[MARK]}
    declare_task(writing, task_id, merged)
    return before != merged


def _moment(told: dict[str, Any]) -> datetime:
    """Return when an event happened; what somebody else wrote there is older than any."""
    try:
        return datetime.fromisoformat(str(told.get("eventTime")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
