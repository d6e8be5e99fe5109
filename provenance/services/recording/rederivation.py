"""Derives rows again that earlier versions derived otherwise.

In the background, some jobs at a time, while the service answers.

Records are never migrated. When what follows from one changes (a new gap, a column, how files are
joined), `INDEX_VERSION` goes up, and rows that carry a lower one are written anew from the records'
exact bytes. Records of a later schema, kept unread until now, are read then, where this version
understands them.

Source: storage.md, "Stored bytes are never migrated"; record.md, "A higher schema_version".
"""

import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, select, update

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.job_rows import INDEX_VERSION
from jobprov.provenance.db.tables import Derivation, Job, LedgerEntry, UnreadRecord
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_taken, read_together
from jobprov.provenance.services.recording.derivation import ReadJob, derive_jobs
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
        if _reached(connection) >= INDEX_VERSION:
            return False
    parts.writer.run(lambda writing: enqueue(writing.connection, DERIVE, f"{INDEX_VERSION}:0"))
    return True


def derive_again(parts: Parts, key: str) -> None:
    """Derive the next jobs again; `key` is the version that asked and the last job done."""
    version, _, after = key.partition(":")
    with parts.database.reading.connect() as connection:
        jobs = _stale(connection, int(after))
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
        parts.writer.run(lambda writing: _note_reached(writing.connection))


def _stale(connection: Connection, after: int) -> list[int]:
    query = (
        select(Job.id)
        .where(Job.id > after, Job.index_version < INDEX_VERSION)
        .order_by(Job.id)
        .limit(_AN_ITEM)
    )
    return [row[0] for row in connection.execute(query)]


def _derive(writing: Writing, keys: Sequence[int]) -> None:
    query = select(Job.id, Job.received_at).where(
        Job.id.in_(keys), Job.index_version < INDEX_VERSION
    )
    held_jobs = {
        key: HeldJob(key, received_at, {}, {})
        for key, received_at in writing.connection.execute(query)
    }
    fill_taken(writing.connection, writing.store, held_jobs)
    jobs = []
    for key, job in held_jobs.items():
        reading = read_together(job.records_but(None))
        jobs.append(ReadJob(key, is_new=False, received_at=job.received_at, reading=reading))
    derive_jobs(writing, jobs)


def _take_unread(parts: Parts) -> None:
    """Record what was kept unread and is understood now."""
    with parts.database.reading.connect() as connection:
        entries = [
            row[0]
            for row in connection.execute(
                select(UnreadRecord.entry_id).order_by(UnreadRecord.entry_id)
            )
        ]
    for part in chunks(entries, _AT_ONCE):
        parts.writer.run(partial(_read_unread, entries=list(part)))


def _read_unread(writing: Writing, entries: Sequence[int]) -> None:
    connection = writing.connection
    query = select(LedgerEntry.id, LedgerEntry.received_at, LedgerEntry.submitter).where(
        LedgerEntry.id.in_(entries)
    )
    bodies = read_entries(connection, writing.store, entries)
    understood: list[Submission] = []
    for entry, received_at, submitter in connection.execute(query.order_by(LedgerEntry.id)):
        if entry not in bodies:
            continue  # it was erased
        decoded = decode_record(bodies[entry])
        if decoded.record is not None:
            understood.append(
                Submission(decoded, received_at, submitter, kind="unread", entry=entry)
            )
    record_jobs(writing, understood)
    read = UnreadRecord.entry_id.in_([submission.entry for submission in understood])
    connection.execute(table_of(UnreadRecord).delete().where(read))


def _reached(connection: Connection) -> int:
    """Return the version that all rows had when they were last looked at.

    0 where they never were.
    """
    found = connection.execute(select(Derivation.version).where(Derivation.what == _JOBS)).scalar()
    return found or 0


def _note_reached(connection: Connection) -> None:
    noted = update(Derivation).where(Derivation.what == _JOBS).values(version=INDEX_VERSION)
    if not connection.execute(noted).rowcount:
        insert_rows(connection, table_of(Derivation), [{"what": _JOBS, "version": INDEX_VERSION}])
