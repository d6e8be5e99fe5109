"""Takes OpenLineage run events: each makes the record of its run anew.

The record then goes the way of every record.

While the run goes on the record is a provisional one; the end makes it final. What comes after that
is a revision. So the ledger holds the record of a finished run with all its events, and rebuilding
needs nothing else.

Source: http.md, `POST /api/v1/lineage`.
"""

import json
from typing import Any

from jobprov.provenance.db.changes.catalogs import take_turn_at_run
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import ConflictError, LimitError, RecordError
from jobprov.provenance.records.openlineage.runs import (
    WITNESS,
    ReadEvent,
    events_of,
    in_words_of_events,
    record_of_run,
)
from jobprov.provenance.records.reading.decoding import LIMIT_BYTES, DecodedRecord, decode_record
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, load_held
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Outcome, Submission
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
    job = load_held(writing.connection, writing.store, [name]).get(name)
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


def encode(record: dict[str, Any]) -> bytes:
    """Return a record's bytes, always alike."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _record_so_far(job: HeldJob | None) -> bytes | None:
    """Return the record that earlier events of the run made."""
    if job is None:
        return None
    final = job.finals.get(WITNESS)
    return final.body if final is not None else job.provisional.get(WITNESS)


def _events(body: bytes | None, job_id: str) -> list[ReadEvent]:
    if body is None:
        return []
    events = events_of(json.loads(body))
    if events is None:
        raise ConflictError(
            f"Job {job_id} is recorded by a record of witness {WITNESS!r}, not by OpenLineage "
            "events."
        )
    return events
