"""The ledger's entries, with the records of jobs among them, where they lie, and ends of chains."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.selecting import select_among, select_by
from jobprov.provenance.db.tables import ChainHead, EntryBody, Experiment, Job, LedgerEntry
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.tables.ledger import IS_ACT

_STORED = """
SELECT l.id, b.body, e.name, l.segment, l.position
FROM ledger_entries l JOIN experiments e ON e.id = l.experiment_id
LEFT JOIN entry_bodies b ON b.entry_id = l.id WHERE l.id {among}
AND NOT EXISTS (SELECT 1 FROM erased_entries x WHERE x.entry_id = l.id)
"""
_JOBS = table_of(Job)
_FINAL = "SELECT job_id, witness, revision, id FROM ledger_entries WHERE job_id {among}"
_PROVISIONAL = "SELECT job_id, witness, body FROM provisional_records WHERE job_id {among}"


class StoredEntry(NamedTuple):
    """An entry that was not erased.

    Attributes:
        packed: its compressed bytes; None once it is sealed.
        segment: where it is sealed; None while it waits.
        position: in the segment, from 0.
    """

    entry: int
    packed: bytes | None
    experiment: str
    segment: int | None
    position: int | None


class SaltedEntry(NamedTuple):
    """An entry with salt and bytes, which make its leaf. A sealed one has a place instead."""

    entry: int
    experiment: str
    segment: int | None
    position: int | None
    salt: bytes | None
    packed: bytes | None


def stored_entries(connection: Connection, entries: Iterable[int]) -> list[StoredEntry]:
    """Return these entries by key, without those that were erased."""
    return list(map(StoredEntry._make, select_among(connection, _STORED, sorted(set(entries)))))


def salted_entries(connection: Connection, entries: Sequence[int]) -> list[SaltedEntry]:
    """Return these entries, each with its salt and bytes or with the place where it is sealed."""
    query = (
        select(
            LedgerEntry.id,
            Experiment.name,
            LedgerEntry.segment,
            LedgerEntry.position,
            EntryBody.salt,
            EntryBody.body,
        )
        .join(Experiment, Experiment.id == LedgerEntry.experiment_id)
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id, isouter=True)
    )
    return [SaltedEntry(*row) for row in rows_among(connection, query, LedgerEntry.id, entries)]


def newest_final(connection: Connection, job: int, witness: str) -> int:
    """Return the key of the newest final record that a witness sent of a job."""
    query = (
        select(LedgerEntry.id)
        .where(LedgerEntry.job_id == job, LedgerEntry.witness == witness)
        .order_by(LedgerEntry.revision.desc())
        .limit(1)
    )
    return connection.execute(query).scalar_one()


class RecordedJob(NamedTuple):
    """A job, and when its first record came."""

    key: int
    received_at: datetime


class FinalEntry(NamedTuple):
    """The ledger entry of a final record; `revision` is 0 as first sent."""

    job: int
    witness: str
    revision: int
    entry: int


class ProvisionalBody(NamedTuple):
    """The exact bytes of a record of a running or lost job."""

    job: int
    witness: str
    body: bytes


def recorded_jobs(
    connection: Connection, names: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], RecordedJob]:
    """Return the jobs that are recorded, by (job id, experiment key)."""
    rows = select_by(connection, _JOBS, ("id", "received_at"), ("uuid", "experiment_id"), names)
    return {name: RecordedJob(*row) for name, row in rows.items()}


def final_entries(connection: Connection, jobs: Sequence[int]) -> list[FinalEntry]:
    """Return the entries of all final records of these jobs."""
    return [FinalEntry(*row) for row in select_among(connection, _FINAL, jobs)]


def provisional_bodies(connection: Connection, jobs: Sequence[int]) -> list[ProvisionalBody]:
    """Return the provisional records of these jobs. All are held in memory: ask for few jobs."""
    rows = select_among(connection, _PROVISIONAL, jobs)
    return [ProvisionalBody(job, witness, unpack(packed)) for job, witness, packed in rows]


class LastSegment(NamedTuple):
    """The last segment of a chain: its number, and the digest of its head."""

    segment: int
    head_sha256: str


def last_segment(connection: Connection, experiment: str) -> LastSegment | None:
    """Return the last segment of an experiment's chain; None before the first."""
    query = (
        select(ChainHead.segment, ChainHead.head_sha256)
        .join(Experiment, Experiment.id == ChainHead.experiment_id)
        .where(Experiment.name == experiment)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else LastSegment(row.segment, row.head_sha256)


class ActRow(NamedTuple):
    """An entry: its key, when it came, its kind, and who submitted it."""

    entry: int
    received_at: datetime
    kind: str
    submitter: str | None


def acts_before(
    connection: Connection, experiment: int, *, kind: str | None, before: int | None, limit: int
) -> list[ActRow]:
    """Return so many acts of an experiment, newest first, of one kind or of all.

    Args:
        experiment: its key.
        kind: of the entries; None for all.
        before: the key of the entry that the last page ended with.
    """
    query = (
        select(LedgerEntry.id, LedgerEntry.received_at, LedgerEntry.kind, LedgerEntry.submitter)
        .where(LedgerEntry.experiment_id == experiment, text(IS_ACT))
        .order_by(LedgerEntry.id.desc())
        .limit(limit)
    )
    if kind is not None:
        query = query.where(LedgerEntry.kind == kind)
    if before is not None:
        query = query.where(LedgerEntry.id < before)
    return [ActRow(*row) for row in connection.execute(query)]
