"""Recorded jobs: what is kept of them, and which have to be graded or derived again."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import (
    Closure,
    ClosureSetMember,
    Conflict,
    Derivation,
    Job,
    LedgerEntry,
    ProvisionalRecord,
    SoftwareRow,
    SoftwareSetMember,
    UnreadRecord,
)


class Arrival(NamedTuple):
    """A job, by its key, and when its first record came."""

    job: int
    received_at: datetime


def is_conflict_known(connection: Connection, job: int, sha256: str) -> bool:
    """Whether the same record was kept as a conflict of the job before."""
    query = select(Conflict.entry_id).where(Conflict.job_id == job, Conflict.sha256 == sha256)
    return connection.execute(query).first() is not None


def is_unread_known(connection: Connection, job_id: str, sha256: str) -> bool:
    """Whether the same record is kept unread already."""
    query = select(UnreadRecord.entry_id).where(
        UnreadRecord.job_uuid == job_id, UnreadRecord.sha256 == sha256
    )
    return connection.execute(query).first() is not None


def arrivals_of(connection: Connection, jobs: Sequence[int]) -> list[Arrival]:
    """Return when the first record of each of these jobs came."""
    query = select(Job.id, Job.received_at).where(Job.id.in_(jobs))
    return [Arrival(*row) for row in connection.execute(query)]


def jobs_using(connection: Connection, software_sha256: str) -> list[int]:
    """Return the keys of the jobs that used a software entry."""
    sets = (
        select(SoftwareSetMember.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .where(SoftwareRow.sha256 == software_sha256)
    )
    query = select(Job.id).where(Job.software_set_id.in_(sets)).order_by(Job.id)
    return list(connection.execute(query).scalars())


def jobs_configured(connection: Connection, experiment: int, closure_sha256: str) -> list[int]:
    """Return the keys of the jobs of an experiment that ran a configuration."""
    sets = (
        select(ClosureSetMember.closure_set_id)
        .join(Closure, Closure.id == ClosureSetMember.closure_id)
        .where(Closure.sha256 == closure_sha256)
    )
    query = (
        select(Job.id)
        .where(Job.closure_set_id.in_(sets), Job.experiment_id == experiment)
        .order_by(Job.id)
    )
    return list(connection.execute(query).scalars())


def jobs_called(connection: Connection, experiment: int, job_ids: Iterable[str]) -> set[int]:
    """Return the keys of an experiment's jobs with these job ids."""
    query = select(Job.id).where(Job.experiment_id == experiment)
    return {row[0] for row in rows_among(connection, query, Job.uuid, sorted(job_ids))}


def running_jobs(connection: Connection, experiment: int) -> set[int]:
    """Return the keys of an experiment's running and lost jobs."""
    query = (
        select(ProvisionalRecord.job_id)
        .join(Job, Job.id == ProvisionalRecord.job_id)
        .where(Job.experiment_id == experiment)
    )
    return set(connection.execute(query).scalars())


class UnreadEntry(NamedTuple):
    """The ledger entry of a record that is kept unread, when it came and from whom."""

    entry: int
    received_at: datetime
    submitter: str | None


def stale_jobs(connection: Connection, version: int, *, after: int, limit: int) -> list[int]:
    """Return the next jobs whose rows are of an earlier version, by key."""
    query = (
        select(Job.id)
        .where(Job.id > after, Job.index_version < version)
        .order_by(Job.id)
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def stale_among(connection: Connection, version: int, jobs: Sequence[int]) -> list[Arrival]:
    """Return those of the jobs whose rows are still of an earlier version."""
    query = select(Job.id, Job.received_at).where(Job.id.in_(jobs), Job.index_version < version)
    return [Arrival(*row) for row in connection.execute(query)]


def unread_keys(connection: Connection) -> list[int]:
    """Return the keys of the ledger entries of all records that are kept unread."""
    query = select(UnreadRecord.entry_id).order_by(UnreadRecord.entry_id)
    return list(connection.execute(query).scalars())


def unread_entries(connection: Connection, keys: Sequence[int]) -> list[UnreadEntry]:
    """Return ledger entries by their keys, in the order in which they were written."""
    query = select(LedgerEntry.id, LedgerEntry.received_at, LedgerEntry.submitter).where(
        LedgerEntry.id.in_(keys)
    )
    return [UnreadEntry(*row) for row in connection.execute(query.order_by(LedgerEntry.id))]


def derived_version(connection: Connection, what: str) -> int:
    """Return the version that all rows of one kind have reached, 0 where nobody looked yet."""
    query = select(Derivation.version).where(Derivation.what == what)
    return connection.execute(query).scalar() or 0
