"""The records of jobs: ledger entries of final ones, and records of running or lost jobs."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.selecting import select_among, select_by
from jobprov.provenance.db.tables import Job
from jobprov.provenance.db.tables.base import table_of

_JOBS = table_of(Job)
_FINAL = "SELECT job_id, witness, revision, id FROM ledger_entries WHERE job_id {among}"
_PROVISIONAL = "SELECT job_id, witness, body FROM provisional_records WHERE job_id {among}"


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
