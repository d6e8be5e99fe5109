"""Sealed verdicts and plans that have no row yet, because their job was not recorded then."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import BundlePlan, Job, LedgerEntry, Verdict
from jobprov.provenance.db.writer.keys import chunks

_KINDS = ("verdict", "plan")


class UnwrittenEntry(NamedTuple):
    """A sealed verdict or plan without its row."""

    key: int
    kind: str
    received_at: datetime


def unwritten_entries(connection: Connection, experiment: int) -> list[UnwrittenEntry]:
    """Return the sealed verdicts and plans of an experiment that have no row, in order."""
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.received_at)
        .join(Verdict, Verdict.entry_id == LedgerEntry.id, isouter=True)
        .join(BundlePlan, BundlePlan.entry_id == LedgerEntry.id, isouter=True)
        .where(LedgerEntry.experiment_id == experiment, LedgerEntry.kind.in_(_KINDS))
        .where(
            LedgerEntry.segment.is_not(None), Verdict.entry_id.is_(None), BundlePlan.id.is_(None)
        )
        .order_by(LedgerEntry.segment, LedgerEntry.position)
    )
    return [UnwrittenEntry(*row) for row in connection.execute(query)]


def keys_of_jobs(connection: Connection, experiment: int, job_ids: Iterable[str]) -> dict[str, int]:
    """Return the keys of the jobs that are recorded, by job id."""
    keys: dict[str, int] = {}
    for part in chunks(sorted(job_ids)):
        query = select(Job.uuid, Job.id).where(Job.uuid.in_(part), Job.experiment_id == experiment)
        keys.update((row.uuid, row.id) for row in connection.execute(query))
    return keys
