"""Logs that expired, and old jobs whose logs may: those that succeeded and have no bundle."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, exists, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.holdings.possessions import possessed_by_anybody
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import (
    BundlePlan,
    Experiment,
    ExpiredLog,
    Job,
    LedgerEntry,
    LogExpiry,
)


class Expired(NamedTuple):
    """An expired log: the blob that is kept of it, its whole size, and when it expired."""

    kept_sha256: str
    size_bytes: int
    expired_at: datetime


def expired_logs(
    connection: Connection, experiment: str, digests: Iterable[str]
) -> dict[str, Expired]:
    """Return the digests that are expired logs of an experiment, with what is known of them."""
    expired: dict[str, Expired] = {}
    query = (
        select(
            ExpiredLog.sha256,
            ExpiredLog.kept_sha256,
            ExpiredLog.size_bytes,
            LedgerEntry.received_at,
        )
        .join(Experiment, Experiment.id == ExpiredLog.experiment_id)
        .join(LedgerEntry, LedgerEntry.id == ExpiredLog.entry_id)
        .where(Experiment.name == experiment)
    )
    rows = rows_among(connection, query, ExpiredLog.sha256, sorted(set(digests)))
    for sha256, kept_sha256, size_bytes, expired_at in rows:
        expired[sha256] = Expired(kept_sha256, size_bytes, expired_at)
    return expired


class OldJob(NamedTuple):
    """A job, and whether its logs may expire: only if it succeeded and has no bundle."""

    key: int
    received_at: datetime
    may_expire: bool


def old_jobs(
    connection: Connection, experiment: int, *, after: int, before: datetime, limit: int
) -> list[OldJob]:
    """Return the next jobs of an experiment, in the order in which they came.

    They come after the job with the key `after`, and end before the first that is not old enough.
    """
    has_bundle = exists().where(BundlePlan.job_id == Job.id)
    query = (
        select(Job.id, Job.received_at, (Job.state == SUCCEEDED) & ~has_bundle)
        .where(Job.experiment_id == experiment, Job.id > after)
        .order_by(Job.id)
        .limit(limit)
    )
    jobs = []
    for key, received_at, may_expire in connection.execute(query):
        # Not in the query: there it would walk through all newer jobs to find `limit` old ones
        if received_at >= before:
            break
        jobs.append(OldJob(key, received_at, bool(may_expire)))
    return jobs


def last_looked_at(connection: Connection, experiment: int) -> int:
    """Return the key of the last job whose logs were looked at; 0 if there is none."""
    query = select(LogExpiry.job_id).where(LogExpiry.experiment_id == experiment)
    return connection.execute(query).scalar_one_or_none() or 0


def needed_by_nobody(connection: Connection, digests: Iterable[str]) -> list[str]:
    """Return the digests that no experiment possesses, sorted: their bytes may be deleted."""
    wanted = sorted(set(digests))
    return sorted(set(wanted) - possessed_by_anybody(connection, wanted))


def all_expired(connection: Connection, experiment: int) -> list[str]:
    """Return the digests of all expired logs of an experiment."""
    query = select(ExpiredLog.sha256).where(ExpiredLog.experiment_id == experiment)
    return [row[0] for row in connection.execute(query)]
