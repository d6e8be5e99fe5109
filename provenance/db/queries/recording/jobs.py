"""What is kept of jobs, where a record of them comes again."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Conflict, Job, UnreadRecord


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
