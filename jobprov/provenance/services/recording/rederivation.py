"""Derives rows again that earlier versions derived otherwise.

This happens in the background, some jobs at a time, while the service answers.

Records are never migrated. When what follows from one changes (a new gap, a column, how files are
joined), `INDEX_VERSION` goes up, and rows that carry a lower one are written anew from the records'
exact bytes. Records of a later schema, kept unread until now, are read then, where this version
understands them.

Source: storage.md, "Stored bytes are never migrated"; record.md, "A higher schema_version".
"""

import time
from collections.abc import Sequence
from functools import partial

from jobprov.provenance.db.changes.recording import note_derived, remove_unread
from jobprov.provenance.db.queries.recording.jobs import (
    derived_version,
    stale_among,
    stale_jobs,
    unread_entries,
    unread_keys,
)
from jobprov.provenance.db.recording.job_rows import INDEX_VERSION
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.witnessed_jobs import WitnessedJob, fill_taken
from jobprov.provenance.services.recording.derivation import MergedJob, derive_jobs
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, enqueue
from jobprov.provenance.services.writing import Writing

DERIVE = "derive"
_JOBS = "jobs"
_AN_ITEM = 2000
"""Jobs a work item: some seconds, after which other work has its turn."""
_AT_ONCE = 100
"""Jobs a transaction: some 0.1 s, so that no record waits longer behind it."""
_REST = 1.0
"""Of the time that a transaction took, before the next: people ask questions meanwhile."""


def enqueue_derivation(parts: Parts) -> bool:
    """Have rows of earlier versions derived again, where there can be any.

    Return whether there can.
    """
    with parts.database.reading.connect() as connection:
        if derived_version(connection, _JOBS) >= INDEX_VERSION:
            return False
    parts.writer.run(lambda writing: enqueue(writing.connection, DERIVE, f"{INDEX_VERSION}:0"))
    return True


def derive_again(parts: Parts, key: str) -> None:
    """Derive the next jobs again; `key` is the version that asked and the last job done."""
    version, _, after = key.partition(":")
    with parts.database.reading.connect() as connection:
        jobs = stale_jobs(connection, INDEX_VERSION, after=int(after), limit=_AN_ITEM)
    for part in chunks(jobs, _AT_ONCE):
        began = time.monotonic()
        parts.writer.run(partial(_derive, keys=list(part)))
        time.sleep(_REST * (time.monotonic() - began))
    if jobs:
        parts.writer.run(
            lambda writing: enqueue(writing.connection, DERIVE, f"{version}:{jobs[-1]}")
        )
    else:
        _take_unread(parts)
        parts.writer.run(lambda writing: note_derived(writing.connection, _JOBS, INDEX_VERSION))


def _derive(writing: Writing, keys: Sequence[int]) -> None:
    # Only those that are stale still: a record may have come since, and its rows are of today
    known_jobs: dict[int, WitnessedJob] = {}
    for key, received_at in stale_among(writing.connection, INDEX_VERSION, keys):
        known_jobs[key] = WitnessedJob(key=key, received_at=received_at)
    fill_taken(writing.connection, writing.store, known_jobs)
    jobs = []
    for key, job in known_jobs.items():
        reading = job.reading()
        jobs.append(MergedJob(key, is_new=False, received_at=job.received_at, reading=reading))
    derive_jobs(writing, jobs)


def _take_unread(parts: Parts) -> None:
    """Record what was kept unread and is understood now."""
    with parts.database.reading.connect() as connection:
        entries = unread_keys(connection)
    for part in chunks(entries, _AT_ONCE):
        parts.writer.run(partial(_read_unread, entries=list(part)))


def _read_unread(writing: Writing, entries: Sequence[int]) -> None:
    connection = writing.connection
    bodies = read_entries(connection, writing.store, entries)
    understood: list[Submission] = []
    read: list[int] = []
    for entry, received_at, submitter in unread_entries(connection, entries):
        if entry not in bodies:
            continue  # it was erased
        decoded = decode_record(bodies[entry])
        if decoded.record is None:
            continue  # its schema is still a later one
        understood.append(Submission(decoded, received_at, submitter, kind="unread", entry=entry))
        read.append(entry)
    record_jobs(writing, understood)
    remove_unread(connection, read)
