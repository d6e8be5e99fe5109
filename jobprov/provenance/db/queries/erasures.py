"""What an erasure touches: entries, plans of bundles, capsules, jobs, and rows that hold texts."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, String, Table, Text, func, or_, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import (
    BundlePlan,
    CapsuleRow,
    Closure,
    Conflict,
    DeadLetter,
    ErasedBytes,
    ErasedEntry,
    Evaluation,
    Job,
    KeptAnswerRow,
    LedgerEntry,
    LogTailPiece,
    TraceTurn,
    UnreadRecord,
)
from jobprov.provenance.db.tables.base import Base

_PACKED = (("closures", "document"), ("provisional_records", "body"), ("dead_letters", "body"))


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


def plans_of_experiment(connection: Connection, experiment: int) -> set[str]:
    """Return the digests of all bundle plans of an experiment's jobs."""
    query = (
        select(BundlePlan.plan_sha256)
        .join(Job, Job.id == BundlePlan.job_id)
        .where(Job.experiment_id == experiment)
    )
    return set(connection.execute(query).scalars())


def plans_among(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return the digests that are bundle plans."""
    query = select(BundlePlan.plan_sha256)
    return {row[0] for row in rows_among(connection, query, BundlePlan.plan_sha256, digests)}


def is_capsule(connection: Connection, sha256: str) -> bool:
    """Whether a blob is a registered capsule."""
    query = select(CapsuleRow.entry_id).where(CapsuleRow.sha256 == sha256)
    return connection.execute(query.limit(1)).first() is not None


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
    query = select(ErasedBytes.sha256).where(ErasedBytes.experiment_id == experiment)
    return {row[0] for row in rows_among(connection, query, ErasedBytes.sha256, digests)}


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


class Letter(NamedTuple):
    """A dead letter: its number, and the bytes that could not be decoded."""

    number: int
    body: bytes


def letters_of_job(connection: Connection, job_id: str) -> list[Letter]:
    """Return the dead letters of a job."""
    query = select(DeadLetter.id, DeadLetter.body).where(DeadLetter.job_id == job_id)
    return [Letter(number, unpack(packed)) for number, packed in connection.execute(query)]


def log_tails(connection: Connection, job: int) -> dict[str, bytes]:
    """Return the whole tail of each log of a job, by name."""
    query = (
        select(LogTailPiece.name, LogTailPiece.content)
        .where(LogTailPiece.job_id == job)
        .order_by(LogTailPiece.name, LogTailPiece.start)
    )
    tails: dict[str, bytes] = {}
    for name, content in connection.execute(query):
        tails[name] = tails.get(name, b"") + unpack(content)
    return tails


def traced_kinds(connection: Connection, experiment: str, job_id: str) -> dict[str, str]:
    """Return what a traced job used, as others of its kinds get to know it, by key of the kind."""
    query = select(TraceTurn.key, TraceTurn.used).where(
        TraceTurn.experiment == experiment, TraceTurn.traced_job == job_id
    )
    return {key: used or "" for key, used in connection.execute(query)}


def kept_answers(connection: Connection) -> dict[str, str]:
    """Return the documents of all kept answers, by question."""
    rows = connection.execute(select(KeptAnswerRow.question, KeptAnswerRow.document))
    return {row.question: row.document for row in rows}


def count_with_texts(connection: Connection, texts: Sequence[str]) -> dict[str, int]:
    """Return how many rows hold any of the texts, by `table.column`; reads every table."""
    counts: dict[str, int] = {}
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if isinstance(column.type, String | Text):
                count = _count_in(connection, table, column, texts)
                if count:
                    counts[f"{table.name}.{column.name}"] = count
    return counts


def _count_in(connection: Connection, table: Table, column: Any, texts: Sequence[str]) -> int:
    # Not LIKE: a text may contain its wildcards
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos
    holds_any = or_(*(place(column, text) > 0 for text in texts))
    query = select(func.count()).select_from(table).where(holds_any)
    return connection.execute(query).scalar_one()


def packed_values(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """Yield `table.column` and bytes of each compressed value outside of the ledger."""
    for name, column in _PACKED:
        packed = Base.metadata.tables[name].c[column]
        rows = connection.execution_options(yield_per=500).execute(select(packed))
        for (value,) in rows:
            yield f"{name}.{column}", unpack(value)
