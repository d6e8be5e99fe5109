"""What the database already has of a segment that it is about to adopt."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, union_all

from jobprov.provenance.db.tables import Conflict, EntryBody, Job, LedgerEntry, RuleTableRow
from jobprov.provenance.db.writer.keys import chunks


class WaitingBody(NamedTuple):
    """An entry that waits to be sealed, with everything by which it can be recognized.

    Attributes:
        packed: its compressed bytes.
        leaf: only if it was erased, when salt and bytes are gone; else None.
    """

    entry: int
    kind: str
    salt: bytes
    packed: bytes
    leaf: str | None


class RecordOfJob(NamedTuple):
    """The ledger entry of a final record.

    Attributes:
        revision: 0 as first sent.
        segment: None while the entry waits to be sealed.
    """

    job: int
    job_id: str
    witness: str
    revision: int
    entry: int
    segment: int | None


def keys_by_position(
    connection: Connection, experiment: int, segment: int, only: Collection[int] | None = None
) -> dict[int, int]:
    """Return the keys of a segment's entries by position: of all, or of those at some positions.

    Ask for all at once: no index finds a single position.
    """
    query = select(LedgerEntry.position, LedgerEntry.id).where(
        LedgerEntry.experiment_id == experiment, LedgerEntry.segment == segment
    )
    if only is not None:
        query = query.where(LedgerEntry.position.in_(only))
    return {position: key for position, key in connection.execute(query) if position is not None}


def waiting_of_kind(connection: Connection, experiment: int, kind: str) -> list[int]:
    """Return the keys of the entries of a kind that wait to be sealed."""
    query = select(LedgerEntry.id).where(
        LedgerEntry.experiment_id == experiment,
        LedgerEntry.segment.is_(None),
        LedgerEntry.kind == kind,
    )
    return list(connection.execute(query).scalars())


def waiting_bodies(connection: Connection, experiment: int) -> Iterator[WaitingBody]:
    """Yield the entries that wait to be sealed, the newest first."""
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, EntryBody.salt, EntryBody.body, EntryBody.leaf)
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id)
        .where(LedgerEntry.experiment_id == experiment, LedgerEntry.segment.is_(None))
        .order_by(LedgerEntry.id.desc())
    )
    for entry, kind, salt, packed, leaf in connection.execute(query):
        yield WaitingBody(entry, kind, bytes(salt), packed, leaf)


def is_record_waiting(connection: Connection, experiment: int) -> bool:
    """Whether any final record of the experiment waits to be sealed."""
    query = select(LedgerEntry.id).where(
        LedgerEntry.experiment_id == experiment,
        LedgerEntry.segment.is_(None),
        LedgerEntry.job_id.is_not(None),
    )
    return connection.execute(query.limit(1)).first() is not None


def records_of_jobs(
    connection: Connection, experiment: int, job_ids: Sequence[str]
) -> Iterator[RecordOfJob]:
    """Yield the final records of these jobs, by job, witness and revision."""
    query: Any = (
        select(
            LedgerEntry.job_id,
            Job.uuid,
            LedgerEntry.witness,
            LedgerEntry.revision,
            LedgerEntry.id,
            LedgerEntry.segment,
        )
        .join(Job, Job.id == LedgerEntry.job_id)
        .where(Job.experiment_id == experiment)
        .order_by(LedgerEntry.job_id, LedgerEntry.witness, LedgerEntry.revision)
    )
    for part in chunks(job_ids):
        for row in connection.execute(query.where(Job.uuid.in_(part))):
            yield RecordOfJob(*row)


def jobs_in_segment(connection: Connection, experiment: int, segment: int) -> list[int]:
    """Return the keys of the jobs that a segment has records of, including conflicts."""
    here = (LedgerEntry.experiment_id == experiment) & (LedgerEntry.segment == segment)
    own = select(LedgerEntry.job_id).where(here, LedgerEntry.job_id.is_not(None))
    against = (
        select(Conflict.job_id).join(LedgerEntry, LedgerEntry.id == Conflict.entry_id).where(here)
    )
    jobs: set[Any] = set(connection.execute(union_all(own, against)).scalars())
    return sorted(jobs)


def first_received(connection: Connection, jobs: Sequence[int]) -> Mapping[int, datetime]:
    """Return when the first record of each job came; conflicts count as well."""
    own = select(LedgerEntry.job_id, LedgerEntry.received_at)
    against = select(Conflict.job_id, LedgerEntry.received_at).join(
        LedgerEntry, LedgerEntry.id == Conflict.entry_id
    )
    first: dict[int, datetime] = {}
    for part in chunks(jobs):
        both: Any = union_all(
            own.where(LedgerEntry.job_id.in_(part)), against.where(Conflict.job_id.in_(part))
        )
        for job, received_at in connection.execute(both):
            first[job] = min(received_at, first.get(job, received_at))
    return first


class StandingEntry(NamedTuple):
    """An entry of a kind of which only the newest counts; `segment` is None while it waits."""

    key: int
    kind: str
    received_at: datetime
    segment: int | None


def standing_entries(
    connection: Connection, experiment: int, kinds: Collection[str], segment: int
) -> list[StandingEntry]:
    """Return a segment's entries of these kinds, in order, then those that wait."""
    query = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.received_at, LedgerEntry.segment)
        .where(LedgerEntry.experiment_id == experiment, LedgerEntry.kind.in_(kinds))
        .where((LedgerEntry.segment == segment) | LedgerEntry.segment.is_(None))
        # `is_(None)` first: SQLite and PostgreSQL sort NULL to different ends
        .order_by(LedgerEntry.segment.is_(None), LedgerEntry.position, LedgerEntry.id)
    )
    return [StandingEntry(*row) for row in connection.execute(query)]


def rules_by_number(connection: Connection, experiment: int) -> dict[int, int]:
    """Return the ledger entry of each version of an experiment's rules."""
    query = select(RuleTableRow.version, RuleTableRow.entry_id).where(
        RuleTableRow.experiment_id == experiment
    )
    return {row.version: row.entry_id for row in connection.execute(query)}
