"""The entries and bundle plans that an erasure of a record affects."""

from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import BundlePlan, Conflict, LedgerEntry, UnreadRecord


class FinalOfWitness(NamedTuple):
    """The entry of a final record; `revision` is 0 as first sent."""

    entry: int
    kind: str
    revision: int


def finals_of_witness(connection: Connection, job: int, witness: str) -> list[FinalOfWitness]:
    """Return the final records that a witness sent of a job, oldest first."""
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.revision)
        .where(LedgerEntry.job_id == job, LedgerEntry.witness == witness)
        .order_by(LedgerEntry.revision)
    )
    rows = connection.execute(query)
    return [FinalOfWitness(entry, kind, revision or 0) for entry, kind, revision in rows]


def conflicts_of_witness(connection: Connection, job: int, witness: str) -> list[int]:
    """Return the entries of a witness's records that contradict its final one."""
    query = select(Conflict.entry_id).where(Conflict.job_id == job, Conflict.witness == witness)
    return list(connection.execute(query).scalars())


def unread_of_job(connection: Connection, experiment: int, job_id: str) -> list[int]:
    """Return the entries of a job's records that were of a later version, and so not read."""
    query = (
        select(UnreadRecord.entry_id)
        .join(LedgerEntry, LedgerEntry.id == UnreadRecord.entry_id)
        .where(UnreadRecord.job_uuid == job_id, LedgerEntry.experiment_id == experiment)
    )
    return list(connection.execute(query).scalars())


def plans_of_job(connection: Connection, job: int) -> list[str]:
    """Return the digests of the bundle plans of a job."""
    query = select(BundlePlan.plan_sha256).where(BundlePlan.job_id == job)
    return list(connection.execute(query).scalars())
