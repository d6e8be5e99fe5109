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

from sqlalchemy import Connection, select, update

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys, chunks
from jobprov.provenance.db.recording.job_rows import INDEX_VERSION
from jobprov.provenance.db.tables import Derivation, Job, LedgerEntry, UnreadRecord
from jobprov.provenance.records.decoding import decode_record
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.frames import Documents
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_taken, read_together
from jobprov.provenance.services.recording.derivation import ReadJob, derive_jobs
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.work.queue import Parts, enqueue

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
    parts.writer.run(lambda connection, _: enqueue(connection, DERIVE, f"{INDEX_VERSION}:0"))
    return True


def derive_again(parts: Parts, key: str) -> None:
    """Derive the next jobs again; `key` is the version that asked and the job after which to go on."""
    version, _, after = key.partition(":")
    with parts.database.reading.connect() as connection:
        jobs = _stale(connection, int(after))
    for part in chunks(jobs, _AT_ONCE):
        wanted, began = list(part), time.monotonic()
        parts.writer.run(
            lambda connection, known, wanted=wanted: _derive(connection, known, parts.store, wanted)  # type: ignore[misc]
        )
        time.sleep(_REST * (time.monotonic() - began))
    if jobs:
        parts.writer.run(lambda connection, _: enqueue(connection, DERIVE, f"{version}:{jobs[-1]}"))
    else:
        _take_unread(parts)
        parts.writer.run(lambda connection, _: _note_reached(connection))


def _stale(connection: Connection, after: int) -> list[int]:
    query = (
        select(Job.id)
        .where(Job.id > after, Job.index_version < INDEX_VERSION)
        .order_by(Job.id)
        .limit(_AN_ITEM)
    )
    return [row[0] for row in connection.execute(query)]


def _derive(
    connection: Connection, known: KnownKeys, store: Documents, keys: Sequence[int]
) -> None:
    query = select(Job.id, Job.received_at).where(
        Job.id.in_(keys), Job.index_version < INDEX_VERSION
    )
    held = {
        key: HeldJob(key, received_at, {}, {}) for key, received_at in connection.execute(query)
    }
    fill_taken(connection, store, held)
    derive_jobs(
        connection,
        known,
        [
            ReadJob(
                key,
                is_new=False,
                received_at=job.received_at,
                reading=read_together(job.records_but(None)),
            )
            for key, job in held.items()
        ],
    )


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
        wanted = list(part)
        parts.writer.run(
            lambda connection, known, wanted=wanted: _read_unread(  # type: ignore[misc]
                connection, known, parts.store, wanted
            )
        )


def _read_unread(
    connection: Connection, known: KnownKeys, store: Documents, entries: Sequence[int]
) -> None:
    query = select(LedgerEntry.id, LedgerEntry.received_at, LedgerEntry.submitter).where(
        LedgerEntry.id.in_(entries)
    )
    bodies = read_entries(connection, store, entries)
    submissions = [
        Submission(decode_record(bodies[entry]), received_at, submitter, kind="unread", entry=entry)
        for entry, received_at, submitter in connection.execute(query.order_by(LedgerEntry.id))
        if entry in bodies  # else it was erased
    ]
    understood = [submission for submission in submissions if submission.decoded.record is not None]
    record_jobs(connection, known, store, understood)
    connection.execute(
        table_of(UnreadRecord)
        .delete()
        .where(UnreadRecord.entry_id.in_([one.entry for one in understood]))
    )


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
