"""Writes what the service keeps of records beside the rows of their jobs.

That is records that wait or contradict others, grades, and what jobs still lack. The rows of jobs
are written by `db/recording`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, or_, select, update

from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.recording.writing import gap_document
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    AwaitedBlob,
    AwaitedTrace,
    Conflict,
    DeadLetter,
    Derivation,
    GapSet,
    Job,
    ProvisionalRecord,
    TraceTurn,
    UnreadRecord,
)
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import allocate_keys
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.gaps.gaps import Gap

_WRITE_GRADE = "UPDATE jobs SET level = ?, gap_set_id = ? WHERE id = ?"


class NewLetter(NamedTuple):
    """A body that could not be decoded, about to be stored.

    Attributes:
        experiment_id: key of the token's experiment, None where it needed none.
        task_id: of an upload ticket its task, None of other tokens.
        job_id: as the client named it, '' where it did not.
        reason: the sentence that the client got.
        body: packed.
    """

    experiment_id: int | None
    task_id: str | None
    received_at: datetime
    job_id: str
    reason: str
    body: bytes


class NewConflict(NamedTuple):
    """A record that contradicts another final one of its witness; columns of `Conflict`.

    Its ledger entry is there.
    """

    entry_id: int
    job_id: int
    witness: str
    sha256: str


class NewUnread(NamedTuple):
    """A record of a later schema; columns of `UnreadRecord`. Its ledger entry is there."""

    entry_id: int
    job_uuid: str
    sha256: str


class NewProvisional(NamedTuple):
    """A provisional record of one witness, its body packed; columns of `ProvisionalRecord`."""

    job_id: int
    witness: str
    received_at: datetime
    body: bytes


class JobGrade(NamedTuple):
    """What stops a job from being rerun, and the level that this leaves it."""

    level: int
    gaps: Sequence[Gap]


def add_letters(connection: Connection, letters: Iterable[NewLetter]) -> None:
    """Store bodies that could not be decoded."""
    insert_rows(connection, table_of(DeadLetter), [letter._asdict() for letter in letters])


def remove_letters(connection: Connection, numbers: Iterable[int]) -> None:
    """Remove dead letters."""
    remove_among(connection, DeadLetter.id, numbers)


def new_job_keys(connection: Connection, count: int) -> list[int]:
    """Return unused keys for jobs; write the jobs before asking for more."""
    return allocate_keys(connection, table_of(Job), count)


def add_conflicts(connection: Connection, conflicts: Iterable[NewConflict]) -> None:
    """Note records that contradict others."""
    insert_rows(connection, table_of(Conflict), [conflict._asdict() for conflict in conflicts])


def set_received(connection: Connection, job: int, received_at: datetime) -> None:
    """Note when the first record of a job came."""
    connection.execute(update(Job).where(Job.id == job).values(received_at=received_at))


def add_unread(connection: Connection, unread: NewUnread) -> None:
    """Note a record of a later schema."""
    connection.execute(insert(UnreadRecord).values(unread._asdict()))


def remove_unread(connection: Connection, entries: Sequence[int]) -> None:
    """Remove records that were read by now, by the keys of their ledger entries."""
    connection.execute(delete(UnreadRecord).where(UnreadRecord.entry_id.in_(entries)))


def add_provisional(connection: Connection, records: Iterable[NewProvisional]) -> None:
    """Store provisional records of witnesses that have none of these jobs yet."""
    insert_rows(connection, table_of(ProvisionalRecord), [record._asdict() for record in records])


def remove_provisional(connection: Connection, job: int, witness: str) -> None:
    """Remove the provisional record of a witness of a job."""
    connection.execute(
        delete(ProvisionalRecord).where(
            ProvisionalRecord.job_id == job, ProvisionalRecord.witness == witness
        )
    )


def write_grades(transaction: Transaction, grades: Mapping[int, JobGrade]) -> None:
    """Write level and gaps of jobs, by their keys."""
    documents = {job: gap_document(grade.gaps) for job, grade in grades.items()}
    rows: dict[str, dict[str, str]] = {}
    for sha256, document in documents.values():
        rows[sha256] = {"sha256": sha256, "document": document}
    gap_sets = transaction.intern(table_of(GapSet), ["sha256"], rows)
    values = []
    for job, grade in grades.items():
        sha256, _ = documents[job]
        values.append((grade.level, gap_sets[sha256], job))
    change_many(transaction.connection, _WRITE_GRADE, values)


def write_awaited(
    connection: Connection, missing: Mapping[int, Iterable[str]], *, replace: Sequence[int]
) -> None:
    """Note which blobs each of these jobs still waits for.

    What was noted of the jobs in `replace` goes first.
    """
    remove_among(connection, AwaitedBlob.job_id, replace)
    rows: list[dict[str, ColumnValue]] = []
    for job, digests in missing.items():
        rows.extend({"sha256": sha256, "job_id": job} for sha256 in sorted(digests))
    insert_rows(connection, table_of(AwaitedBlob), rows)


def write_awaited_traces(
    connection: Connection,
    kinds: Sequence[tuple[int, tuple[str, str]]],
    *,
    replace: Sequence[int],
) -> None:
    """Note whose traces jobs wait for: pairs of a job and of experiment and key of a kind.

    What was noted of the jobs in `replace` goes first.
    """
    remove_among(connection, AwaitedTrace.job_id, replace)
    rows: list[dict[str, ColumnValue]] = []
    for job, (experiment, key) in kinds:
        rows.append({"experiment": experiment, "key": key, "job_id": job})
    insert_rows(connection, table_of(AwaitedTrace), rows)


class TracedKind(NamedTuple):
    """A kind of jobs, the traced one of them, and JSON of what that one used."""

    experiment: str
    key: str
    job_id: str
    received_at: datetime
    used: str


def mark_traced(connection: Connection, kinds: Sequence[TracedKind]) -> None:
    """Note what traced jobs used. The newest of a kind stands, in whichever order they come."""
    for kind in kinds:
        is_kind = (TraceTurn.experiment == kind.experiment, TraceTurn.key == kind.key)
        given_at = connection.scalar(select(TraceTurn.given_at).where(*is_kind))
        if given_at is None:
            turn = {"experiment": kind.experiment, "key": kind.key, "given_at": kind.received_at}
            insert_rows(connection, table_of(TraceTurn), [turn], skip_known=True)
        is_newest = or_(TraceTurn.traced_job.is_(None), TraceTurn.traced_job <= kind.job_id)
        statement = (
            update(TraceTurn)
            .where(*is_kind, is_newest)
            .values(traced_at=kind.received_at, traced_job=kind.job_id, used=kind.used)
        )
        connection.execute(statement)


def note_derived(connection: Connection, what: str, version: int) -> None:
    """Note which version all rows of one kind have reached."""
    noted = update(Derivation).where(Derivation.what == what).values(version=version)
    if not connection.execute(noted).rowcount:
        connection.execute(insert(Derivation).values(what=what, version=version))
