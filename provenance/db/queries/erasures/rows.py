"""Rows of erasures that exist already, and evaluated configurations."""

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import (
    Closure,
    Conflict,
    ErasedBytes,
    ErasedEntry,
    Evaluation,
    Job,
    UnreadRecord,
)
from jobprov.provenance.db.writer.keys import chunks


def is_erased_entry(connection: Connection, entry: int) -> bool:
    """Whether the bytes of an entry were erased."""
    query = select(ErasedEntry.entry_id).where(ErasedEntry.entry_id == entry)
    return connection.execute(query).first() is not None


def is_conflict(connection: Connection, entry: int) -> bool:
    """Whether an entry has a row as a conflict."""
    query = select(Conflict.entry_id).where(Conflict.entry_id == entry)
    return connection.execute(query).first() is not None


def is_unread(connection: Connection, entry: int) -> bool:
    """Whether an entry has a row as an unread record."""
    query = select(UnreadRecord.entry_id).where(UnreadRecord.entry_id == entry)
    return connection.execute(query).first() is not None


def job_key(connection: Connection, experiment: int, job_id: str) -> int:
    """Return the key of a recorded job."""
    query = select(Job.id).where(Job.uuid == job_id, Job.experiment_id == experiment)
    return connection.execute(query).scalar_one()


def erased_digests_among(
    connection: Connection, experiment: int, digests: Sequence[str]
) -> set[str]:
    """Return the digests that the experiment erased."""
    erased: set[str] = set()
    for part in chunks(digests):
        query = select(ErasedBytes.sha256).where(
            ErasedBytes.experiment_id == experiment, ErasedBytes.sha256.in_(part)
        )
        erased.update(connection.execute(query).scalars())
    return erased


def evaluated_configurations(
    connection: Connection, experiment: int
) -> Iterator[tuple[int, bytes]]:
    """Yield key and document of each configuration that was evaluated for an experiment."""
    query = (
        select(Closure.id, Closure.document)
        .join(Evaluation, Evaluation.closure_id == Closure.id)
        .where(Evaluation.experiment_id == experiment)
    )
    for key, document in connection.execute(query):
        yield key, unpack(document)
