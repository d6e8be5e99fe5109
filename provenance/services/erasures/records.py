"""Erases the record of a job on purpose, and puts a corrected record in its place.

Everything is decided and written in one transaction, with who erased it and why. Then the ledger is
sealed, so that the chain says what was erased; only then are the bytes removed from the archive
(`upkeep/cleared_erasures.py`). After a crash in between, erase again or run `jobprov erase finish`.

Source: storage.md, "Erasure".
"""

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.erasures import empty_bodies
from jobprov.provenance.db.changes.recording import remove_provisional
from jobprov.provenance.db.queries.ledger.entries import newest_final
from jobprov.provenance.errors import ConflictError
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.erasures.log_expiry import Owner
from jobprov.provenance.services.erasures.plans import Entry, RecordErasure, Wanted, plan_erasure
from jobprov.provenance.services.erasures.rows import ErasedRow, Erasure, write_erasure_rows
from jobprov.provenance.services.erasures.traces import remove_traces
from jobprov.provenance.services.ledger.chain_erasures import KIND, ErasedItem
from jobprov.provenance.services.ledger.documents import ErasureDocument
from jobprov.provenance.services.ledger.entries import Leaf, enter_document, leaves_of
from jobprov.provenance.services.ledger.erased_segments import NO_SALT
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.writing import Writing


def erase_record(writing: Writing, wanted: Wanted) -> RecordErasure:
    """Write the corrected record and the erasure, and remove the bytes from the database.

    Return what was erased.

    Raises:
        ConflictError: the corrected record was not taken.
        NotFoundError, BadInputError: as `plan_erasure`.
    """
    connection = writing.connection
    erasure = plan_erasure(connection, writing.store, wanted)
    job = erasure.job.found
    # Before the bodies are emptied: a leaf is computed from salt and bytes
    leaves = leaves_of(connection, writing.store, [entry.id for entry in erasure.entries])
    if erasure.replacement is not None:
        reason = None if erasure.provisional is not None else f"erased: {wanted.why}"
        corrected = Submission(
            decode_record(erasure.replacement), writing.received_at, wanted.who, reason
        )
        _correct(writing, corrected)
    document = {
        "what": "record",
        "job_id": job.job_id,
        "witness": erasure.witness,
        "who": wanted.who,
        "why": wanted.why,
        "entries": [_named(entry, leaves) for entry in erasure.entries],
        "replacement": _replacing_leaf(connection, writing.store, erasure),
        "sha256": sorted(erasure.digests),
        "plans": erasure.plans,
    }
    number = enter_document(writing.by(wanted.who), job.experiment_key, KIND, document)
    rows = _erased_rows(erasure)
    whose = Owner(job.experiment, job.experiment_key)
    write_erasure_rows(
        writing, whose, Erasure(number, msgspec.convert(document, ErasureDocument), rows)
    )
    # Entries that wait to be sealed have their bytes here. Sealed ones have none: nothing happens
    unsealed = {entry.id: leaves[entry.id].leaf for entry in erasure.entries}
    empty_bodies(connection, NO_SALT, unsealed)
    if erasure.provisional is None:
        remove_provisional(connection, job.key, erasure.witness)
    remove_traces(connection, job, erasure.texts)
    return erasure


def _erased_rows(erasure: RecordErasure) -> list[ErasedRow]:
    job_id, witness = erasure.job.found.job_id, erasure.witness
    rows: list[ErasedRow] = []
    for entry in erasure.entries:
        item = ErasedItem(entry.kind, entry.sha256, entry.revision, job_id, witness, None)
        rows.append(ErasedRow(entry.id, item))
    return rows


def _correct(writing: Writing, corrected: Submission) -> None:
    [outcome] = record_jobs(writing, [corrected])
    if outcome.change not in ("replaced", "created"):
        raise ConflictError(
            f"The corrected record of job {outcome.job_id} was not taken ({outcome.change})."
        )


def _named(entry: Entry, leaves: dict[int, Leaf]) -> dict[str, object]:
    leaf, place = leaves[entry.id]
    return {
        "kind": entry.kind,
        "revision": entry.revision,
        "sha256": entry.sha256,
        "leaf": leaf,
        "place": place,
    }


def _replacing_leaf(connection: Connection, store: Store, erasure: RecordErasure) -> str | None:
    """Return the leaf of the entry that takes the place of the erased ones.

    It is None for a running or lost job, whose record has no ledger entry.
    """
    if erasure.provisional is not None:
        return None
    kept = erasure.kept
    newest = kept.id if kept else newest_final(connection, erasure.job.found.key, erasure.witness)
    return str(leaves_of(connection, store, [newest])[newest].leaf)
