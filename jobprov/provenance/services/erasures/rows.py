"""What erasures have in common: who wants them and why, and the rows that are written.

The rows are written with the ledger entries of erasures, and again when these are replayed.

Source: storage.md, "Erasure".
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.changes.erasures import (
    add_erased_digests,
    add_erased_entries,
    remove_evaluations,
    remove_possessions,
)
from jobprov.provenance.db.changes.recording import (
    NewConflict,
    NewUnread,
    add_conflicts,
    add_unread,
)
from jobprov.provenance.db.queries.erasures import (
    erased_digests_among,
    evaluated_configurations,
    is_conflict,
    is_erased_entry,
    is_unread,
    job_key,
)
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.erasures.log_expiry import Owner
from jobprov.provenance.services.intake.secrets import secrets_in
from jobprov.provenance.services.ledger.chain_erasures import ErasedItem
from jobprov.provenance.services.ledger.documents import ErasureDocument
from jobprov.provenance.services.writing import Writing


class ErasedRow(NamedTuple):
    """An erased entry with the key of its row."""

    entry: int
    item: ErasedItem


class Erasure(NamedTuple):
    """An entry of kind `erasure`: its key, its document, and the erased entries that have a row."""

    entry: int
    document: ErasureDocument
    erased: Sequence[ErasedRow] = ()


def check_words(who: str, why: str) -> None:
    """Check what is kept for ever of the person who erases.

    Raises:
        BadInputError: one of the two is empty, or holds what looks like a secret.
    """
    if not who.strip() or not why.strip():
        raise BadInputError(
            "An erasure says who wants it, and why.", {"who": ["not empty"], "why": ["not empty"]}
        )
    if secrets := secrets_in({"who": who, "why": why}):
        raise BadInputError(
            "The words of an erasure stay for ever, and these hold what looks like a secret.",
            secrets,
        )


def write_erasure_rows(writing: Writing, whose: Owner, erasure: Erasure) -> None:
    """Write the rows of an erasure whose ledger entry exists. Doing it again changes nothing."""
    connection = writing.connection
    document = erasure.document
    fresh = [row for row in erasure.erased if not is_erased_entry(connection, row.entry)]
    add_erased_entries(connection, [row.entry for row in fresh], erasure.entry)
    for row in fresh:
        _keep_evidence(connection, whose.key, row)
    _write_digests(connection, whose.key, erasure.entry, sorted(document.digests))
    if document.blob is not None:
        remove_possessions(writing, whose.name, whose.key, document.sha256)
        _forget_evaluations(connection, whose.key, document.blob)


def _keep_evidence(connection: Connection, experiment: int, erased: ErasedRow) -> None:
    """Write the row of an erased conflict or unread record.

    Without its bytes, a replay cannot write it. Records that jobs were made from do not need this:
    the replay writes their rows from the record that corrected them.
    """
    item = erased.item
    entry = erased.entry
    if item.kind == "conflict" and not is_conflict(connection, entry):
        job = job_key(connection, experiment, item.job_id)
        add_conflicts(connection, [NewConflict(entry, job, item.witness, item.sha256)])
    was_never_read = item.kind == "unread" and item.revision is None
    if was_never_read and not is_unread(connection, entry):
        add_unread(connection, NewUnread(entry, item.job_id, item.sha256))


def _write_digests(
    connection: Connection, experiment: int, erasure: int, digests: Sequence[str]
) -> None:
    erased = erased_digests_among(connection, experiment, digests)
    fresh = [sha256 for sha256 in digests if sha256 not in erased]
    add_erased_digests(connection, experiment, erasure, fresh)


def _forget_evaluations(connection: Connection, experiment: int, sha256: str) -> None:
    """Remove the evaluations of an experiment's configurations that name a blob.

    Their values come from the erased file.
    """
    naming: list[int] = []
    for configuration, document in evaluated_configurations(connection, experiment):
        if sha256.encode() in document:
            naming.append(configuration)
    remove_evaluations(connection, experiment, naming)
