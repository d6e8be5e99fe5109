"""Jobs whose rows an earlier version derived, and records that it could not read."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.recording.jobs import Arrival
from jobprov.provenance.db.tables import Derivation, Job, LedgerEntry, UnreadRecord


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
