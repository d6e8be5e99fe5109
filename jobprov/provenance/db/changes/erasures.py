"""Writes what erasures and expiries state, and removes what they take."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, delete, insert, update

from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.queries.holdings.possessions import Possessions
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    EntryBody,
    ErasedBytes,
    ErasedEntry,
    Evaluation,
    ExpiredLog,
    KeptAnswerRow,
    LogExpiry,
    Possession,
    TraceTurn,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction


class NewExpiredLog(NamedTuple):
    """A log that expires: the blob that is kept of it, and its whole size in bytes."""

    sha256: str
    kept_sha256: str
    size_bytes: int


def replace_expired_logs(
    connection: Connection, experiment: int, entry: int, logs: Sequence[NewExpiredLog]
) -> None:
    """Write which logs of an experiment expired, in place of what was written of them before."""
    is_its = ExpiredLog.experiment_id == experiment
    remove_among(connection, ExpiredLog.sha256, [log.sha256 for log in logs], is_its)
    rows = [{**log._asdict(), "experiment_id": experiment, "entry_id": entry} for log in logs]
    insert_rows(connection, table_of(ExpiredLog), rows)


def remove_possessions(
    transaction: Transaction, name: str, experiment: int, digests: Sequence[str]
) -> None:
    """Take blobs from an experiment, by its name and key."""
    is_its = Possession.experiment_id == experiment
    remove_among(transaction.connection, Possession.sha256, digests, is_its)
    transaction.remembered(Possessions).forget(name, digests)


def note_looked_at(connection: Connection, experiment: int, job: int) -> None:
    """Note up to which job the logs of an experiment were looked at."""
    connection.execute(delete(LogExpiry).where(LogExpiry.experiment_id == experiment))
    connection.execute(insert(LogExpiry).values(experiment_id=experiment, job_id=job))


def add_erased_entries(connection: Connection, entries: Iterable[int], erasure: int) -> None:
    """Note the entries whose bytes an erasure takes, by the key of its own entry."""
    rows = [{"entry_id": entry, "erasure_id": erasure} for entry in entries]
    insert_rows(connection, table_of(ErasedEntry), rows)


def add_erased_digests(
    connection: Connection, experiment: int, erasure: int, digests: Iterable[str]
) -> None:
    """Note bytes that an experiment does not want back; none may be noted already."""
    same = {"experiment_id": experiment, "erasure_id": erasure}
    rows = [{"sha256": sha256, **same} for sha256 in digests]
    insert_rows(connection, table_of(ErasedBytes), rows)


def remove_evaluations(
    connection: Connection, experiment: int, configurations: Sequence[int]
) -> None:
    """Remove what these configurations were evaluated to for an experiment."""
    is_its = Evaluation.experiment_id == experiment
    remove_among(connection, Evaluation.closure_id, configurations, is_its)


def empty_bodies(connection: Connection, salt: bytes, leaves: dict[int, str]) -> None:
    """Take the bytes of entries that wait to be sealed and give them this salt.

    Their leaves, by key, are sealed in their place.
    """
    for entry, leaf in leaves.items():
        body = update(EntryBody).where(EntryBody.entry_id == entry)
        connection.execute(body.values(salt=salt, body=b"", leaf=leaf))


def remove_traced_kind(connection: Connection, experiment: str, key: str) -> None:
    """Forget that a job of a kind was traced: another one will be."""
    turn = delete(TraceTurn).where(TraceTurn.experiment == experiment, TraceTurn.key == key)
    connection.execute(turn)


def remove_kept_answer(connection: Connection, question: str) -> None:
    """Remove the answer that is kept to a question."""
    connection.execute(delete(KeptAnswerRow).where(KeptAnswerRow.question == question))
