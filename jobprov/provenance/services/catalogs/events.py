"""Takes OpenLineage events: of runs, and static ones of a job or a dataset.

Each event of a run makes a new record of the whole run, which is then recorded like any other. It
is provisional while the run goes on; the event of the end makes it final, and later ones revise it.
So the ledger holds the record of a finished run with all its events: a rebuild needs nothing else.

A static event of a job declares a task, and one of a dataset is a sighting of a file. They are
handled like `PUT /tasks` and `POST /files`, so the ledger holds them too.

Source: http.md, `POST /api/v1/lineage`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jobprov.provenance.answers.catalogs.events import EventAnswer, EventFile
from jobprov.provenance.db.changes.catalogs import take_turn_at_run
from jobprov.provenance.db.queries.tasks.tasks import find_tasks
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import ConflictError, LimitError, RecordError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.records.openlineage.runs import (
    WITNESS,
    ReadEvent,
    events_of,
    in_words_of_events,
    record_of_run,
)
from jobprov.provenance.records.openlineage.static_events import (
    MARK,
    DatasetEvent,
    JobEvent,
    declaration_of,
    sightings_of_event,
)
from jobprov.provenance.records.reading.decoding import LIMIT_BYTES, DecodedRecord, decode_record
from jobprov.provenance.services.catalogs.sightings import record_sighting
from jobprov.provenance.services.ledger.witnessed_jobs import WitnessedJob, load_witnessed
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
from jobprov.provenance.services.tasks.declarations import declare_task, read_task_document
from jobprov.provenance.services.writing import Writing

_LATE = "An OpenLineage event that came after the end of the run."


def record_event(writing: Writing, event: ReadEvent, *, experiment: str) -> Outcome:
    """Return what became of the run's record; the same event again changes nothing.

    Raises:
        BadInputError: the events make no record; `fields` says why.
        ConflictError: the run is recorded already, by a record that was made from no events.
        LimitError: the events of the run are longer than a record can be, or too many.
    """
    key = intern_experiments(writing, {experiment})[experiment]
    # The record is made of the events so far and this one: no other may come between
    take_turn_at_run(writing.connection, event.job_id)
    name = (event.job_id, key)
    job = load_witnessed(writing.connection, writing.store, [name]).get(name)
    body = _record_so_far(job)
    decoded = _record_with(event, body, experiment)
    reason = _LATE if job is not None and WITNESS in job.finals else None
    [outcome] = record_jobs(
        writing, [Submission(decoded, writing.received_at, writing.submitter, reason)]
    )
    return outcome


def _record_with(event: ReadEvent, body: bytes | None, experiment: str) -> DecodedRecord:
    """Return the record that the event and those before it make; the same one for an old event."""
    events = _events(body, event.job_id)
    if body is not None and any(other.text == event.text for other in events):
        return decode_record(body)
    return make_record([*events, event], experiment)


def make_record(events: list[ReadEvent], experiment: str) -> DecodedRecord:
    """Return the record that events of one run make.

    Raises:
        BadInputError, LimitError: they make none.
    """
    body = encode(record_of_run(events, experiment))
    if len(body) > LIMIT_BYTES:
        raise LimitError(
            f"The events of run {events[0].job_id} are longer than {LIMIT_BYTES} bytes together; "
            "send its end with few facets.",
            LIMIT_BYTES,
        )
    try:
        return decode_record(body)
    except RecordError as problem:
        raise in_words_of_events(problem) from None


def encode(record: Mapping[str, Any]) -> bytes:
    """Return a record's bytes, always alike."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _record_so_far(job: WitnessedJob | None) -> bytes | None:
    """Return the record that earlier events of the run made."""
    if job is None:
        return None
    final = job.finals.get(WITNESS)
    return final.body if final is not None else job.provisional.get(WITNESS)


def _events(body: bytes | None, job_id: str) -> list[ReadEvent]:
    """Return the events that a recorded run was made from; none of a run that is new."""
    if body is None:
        return []
    events = events_of(json.loads(body))
    if events is None:
        raise ConflictError(
            f"Job {job_id} is recorded by a record of witness {WITNESS!r}, not by OpenLineage "
            "events."
        )
    return events


def record_static_event(
    writing: Writing,
    event: JobEvent | DatasetEvent,
    document: JsonObject,
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


def _declare(writing: Writing, task_id: str, declared: Mapping[str, Any]) -> bool:
    """Declare the job's task; return whether that said anything new.

    What others declared of it stays, and so does a later event.
    """
    tasks = find_tasks(writing.connection, task_id, declared["experiment"])
    before: dict[str, object] = {}
    if tasks:
        before = read_task_document(writing.connection, writing.store, tasks[0]) or {}
    last_event = before.get(MARK)
    # Events may arrive in any order
    if isinstance(last_event, dict) and _moment(last_event) > _moment(declared[MARK]):
        return False
    merged = {**declared, **before, MARK: declared[MARK]}
    declare_task(writing, task_id, merged)
    return before != merged


def _moment(event: Mapping[str, Any]) -> datetime:
    """Return when an event happened; an unreadable time counts as older than any."""
    try:
        return datetime.fromisoformat(str(event.get("eventTime")))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
