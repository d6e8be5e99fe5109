"""The rows of erasures: what the ledger's entries of kind `erasure` say.

They are written with the entries, and again when these are replayed.

Source: storage.md, "Erasure".
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import (
    Closure,
    Conflict,
    ErasedBytes,
    ErasedEntry,
    Evaluation,
    Job,
    UnreadRecord,
)
from jobprov.provenance.services.erasures.log_expiry import Owner, forget_possession
from jobprov.provenance.services.ledger.chain_erasures import ErasedItem, digests_in
from jobprov.provenance.services.writing import Writing


class ErasedRow(NamedTuple):
    """An erased entry with the key of its row."""

    entry: int
    item: ErasedItem


class Erasure(NamedTuple):
    """An entry of kind `erasure`: its key, what it says, and the entries it names with a row."""

    entry: int
    document: Mapping[str, Any]
    erased: Sequence[ErasedRow] = ()


def write_erasure_rows(writing: Writing, whose: Owner, erasure: Erasure) -> None:
    """Write what an erasure says whose ledger entry is there."""
    connection = writing.connection
    document = erasure.document
    fresh = [
        row for row in erasure.erased if not _is_there(connection, ErasedEntry.entry_id, row.entry)
    ]
    rows = [{"entry_id": row.entry, "erasure_id": erasure.entry} for row in fresh]
    insert_rows(connection, table_of(ErasedEntry), rows)
    for row in fresh:
        _keep_evidence(connection, whose.key, row)
    _write_digests(connection, whose.key, erasure.entry, sorted(digests_in(dict(document))))
    if blob := document.get("blob"):
        forget_possession(writing, whose, document["sha256"])
        forget_evaluations(connection, whose.key, blob)


def _is_there(connection: Connection, column: Any, value: int) -> bool:
    return connection.execute(select(column).where(column == value)).first() is not None


def _keep_evidence(connection: Connection, experiment: int, erased: ErasedRow) -> None:
    """Write the row of an erased conflict or unread record that a replay could not read.

    The replay itself wrote the rows of witnesses.
    """
    item = erased.item
    if item.kind == "conflict" and not _is_there(connection, Conflict.entry_id, erased.entry):
        query = select(Job.id).where(Job.uuid == item.job_id, Job.experiment_id == experiment)
        row = {
            "entry_id": erased.entry,
            "job_id": connection.execute(query).scalar_one(),
            "witness": item.witness,
        }
        insert_rows(connection, table_of(Conflict), [{**row, "sha256": item.sha256}])
    if (
        item.kind == "unread"
        and item.revision is None
        and not _is_there(connection, UnreadRecord.entry_id, erased.entry)
    ):
        values = {"entry_id": erased.entry, "job_uuid": item.job_id, "sha256": item.sha256}
        insert_rows(connection, table_of(UnreadRecord), [values])


def _write_digests(
    connection: Connection, experiment: int, erasure: int, digests: Sequence[str]
) -> None:
    table = table_of(ErasedBytes)
    for part in chunks(digests):
        query = select(table.c.sha256).where(
            table.c.experiment_id == experiment, table.c.sha256.in_(part)
        )
        held = {row[0] for row in connection.execute(query)}
        rows = [
            {"experiment_id": experiment, "sha256": sha256, "erasure_id": erasure}
            for sha256 in part
            if sha256 not in held
        ]
        insert_rows(connection, table, rows)


def forget_evaluations(connection: Connection, experiment: int, sha256: str) -> None:
    """Take away what the configurations that name a blob were evaluated to, for an experiment."""
    query = select(Closure.id, Closure.document).join(
        Evaluation, Evaluation.closure_id == Closure.id
    )
    rows = connection.execute(query.where(Evaluation.experiment_id == experiment))
    named = [key for key, document in rows if sha256.encode() in unpack(document)]
    for part in chunks(named):
        here = (Evaluation.experiment_id == experiment) & Evaluation.closure_id.in_(part)
        connection.execute(delete(Evaluation).where(here))
