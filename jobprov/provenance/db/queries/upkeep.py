"""What keeps archive and database sound: entries that are sealed, adopted, replayed, or wait."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select, text, union_all

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import (
    AwaitedBlob,
    BundlePlan,
    Conflict,
    DeadLetter,
    EntryBody,
    Experiment,
    ExpiredLog,
    Job,
    LedgerEntry,
    OwnArchive,
    Possession,
    Repository,
    RuleTableRow,
    Verdict,
    WriteToken,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import chunks

_FILLED_FIRST = (Experiment, LedgerEntry, Job, WriteToken, Repository)
"""At least one of these tables has rows in any database that was used."""
MOST_UNSEALED = 1_000_000
_KINDS = ("verdict", "plan")


def known_archive(connection: Connection) -> str | None:
    """Return the identity of the archive that the database was written with; None if it is new."""
    return connection.execute(select(OwnArchive.identity)).scalar_one_or_none()


class AwaitedCount(NamedTuple):
    """How many blobs that records name never came, and how many jobs wait for any of them."""

    blobs: int
    jobs: int


def all_possessed(connection: Connection) -> Iterator[str]:
    """Yield the digest of every blob that any experiment uploaded."""
    query = select(Possession.sha256).distinct()
    # In parts: a service may possess millions
    rows = connection.execution_options(yield_per=5000).execute(query)
    yield from (row[0] for row in rows)


def count_awaited(connection: Connection) -> AwaitedCount:
    """Return how many blobs never came. Expired logs do not count: they came, and went again."""
    is_expired = AwaitedBlob.sha256.in_(select(ExpiredLog.sha256))
    blobs = select(func.count(AwaitedBlob.sha256.distinct())).where(~is_expired)
    jobs = select(func.count(AwaitedBlob.job_id.distinct())).where(~is_expired)
    return AwaitedCount(
        connection.execute(blobs).scalar_one(), connection.execute(jobs).scalar_one()
    )


class RecordedJobs(NamedTuple):
    """How many jobs are recorded, in all and since a moment, and when the first was."""

    jobs: int
    recent_jobs: int
    first_at: datetime | None


def count_recorded_since(connection: Connection, moment: datetime) -> RecordedJobs:
    """Return how many jobs are recorded, in all and since this moment."""
    recent = func.count().filter(Job.received_at >= moment)
    query = select(func.count(), recent, func.min(Job.received_at)).select_from(Job)
    return RecordedJobs(*connection.execute(query).one())


def first_filled_table(connection: Connection) -> str | None:
    """Return the name of a table that has rows; None where the database is empty."""
    for table in map(table_of, _FILLED_FIRST):
        if connection.execute(select(table).limit(1)).first() is not None:
            return table.name
    return None


def has_jobs(connection: Connection) -> bool:
    """Return whether any job is recorded."""
    return connection.execute(select(Job.id).limit(1)).first() is not None


def count_jobs(connection: Connection) -> int:
    """Return how many jobs are recorded."""
    return connection.execute(select(func.count()).select_from(Job)).scalar_one()


class Unsealed(NamedTuple):
    """How much of the ledger waits to be sealed.

    Attributes:
        entries: how many; no more than `MOST_UNSEALED` are counted.
        oldest_at: when the oldest came; None where none waits.
    """

    entries: int
    oldest_at: datetime | None


def count_unsealed(connection: Connection, *, most: int = MOST_UNSEALED) -> Unsealed:
    """Return how many entries wait to be sealed, at most `most`; only their index is read."""
    # By experiment: else SQLite reads all of another index that has the segment in it
    waiting = select(LedgerEntry.id).where(
        LedgerEntry.experiment_id.in_(select(Experiment.id)), LedgerEntry.segment.is_(None)
    )
    counted = select(func.count()).select_from(waiting.limit(most).subquery())
    first_of_each = (
        select(func.min(LedgerEntry.id))
        .where(LedgerEntry.segment.is_(None), LedgerEntry.experiment_id == Experiment.id)
        .correlate(Experiment)
        .scalar_subquery()
    )
    oldest = select(func.min(LedgerEntry.received_at)).where(
        LedgerEntry.id.in_(select(first_of_each).select_from(Experiment))
    )
    return Unsealed(
        connection.execute(counted).scalar_one(), connection.execute(oldest).scalar_one()
    )


def oldest_entry_at(connection: Connection) -> datetime | None:
    """Return when the first entry of the ledger came; None where there is none."""
    query = select(LedgerEntry.received_at).order_by(LedgerEntry.id).limit(1)
    return connection.execute(query).scalar_one_or_none()


def count_dead_letters(connection: Connection) -> int:
    """Return how many records wait that could not be decoded."""
    return connection.execute(select(func.count()).select_from(DeadLetter)).scalar_one()


def database_bytes(connection: Connection) -> int:
    """Return how large the database is."""
    statement = "SELECT pg_database_size(current_database())"
    if connection.dialect.name == "sqlite":
        statement = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    return int(connection.execute(text(statement)).scalar_one())


class UnsealedEntry(NamedTuple):
    """An entry that waits to be sealed.

    Attributes:
        packed: its compressed bytes.
        leaf: what the head of its segment will have if it was erased while it waited; else None.
    """

    key: int
    kind: str
    received_at: datetime
    submitter: str | None
    salt: bytes
    packed: bytes
    leaf: str | None


def unsealed_entries(
    connection: Connection, experiment: str, most_entries: int
) -> Iterator[UnsealedEntry]:
    """Yield the entries of an experiment that wait, in the order of their keys."""
    query = (
        select(
            LedgerEntry.id,
            LedgerEntry.kind,
            LedgerEntry.received_at,
            LedgerEntry.submitter,
            EntryBody.salt,
            EntryBody.body,
            EntryBody.leaf,
        )
        .join(EntryBody, EntryBody.entry_id == LedgerEntry.id)
        .join(Experiment, Experiment.id == LedgerEntry.experiment_id)
        # Not "after the last sealed key": on PostgreSQL, a lower key may be committed later
        .where(Experiment.name == experiment, LedgerEntry.segment.is_(None))
        .order_by(LedgerEntry.id)
        .limit(most_entries)
    )
    for row in connection.execution_options(yield_per=500).execute(query):
        yield UnsealedEntry(*row)


def digests_to_enter(connection: Connection, experiment: int, most_digests: int) -> list[str]:
    """Return so many of the digests that an experiment uploaded and no entry lists yet, sorted."""
    query = select(Possession.sha256).where(
        Possession.experiment_id == experiment, Possession.is_entered.is_(False)
    )
    return sorted(connection.execute(query.limit(most_digests)).scalars())


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
    for row in rows_among(connection, query, Job.uuid, job_ids):
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
    """An entry of a kind whose newest alone counts; `segment` is None while it waits."""

    key: int
    kind: str
    received_at: datetime
    segment: int | None


def standing_entries(
    connection: Connection, experiment: int, kinds: Collection[str], segment: int
) -> list[StandingEntry]:
    """Return the entries of these kinds: those of a segment in order, then those not yet sealed."""
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
    query = select(Job.uuid, Job.id).where(Job.experiment_id == experiment)
    return dict(rows_among(connection, query, Job.uuid, sorted(job_ids)))
