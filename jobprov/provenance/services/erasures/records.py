"""Erases the record of a job on purpose, and puts a corrected record in its place.

Everything is decided and written in one transaction, with who erased it and why. Then the ledger is
sealed, so that the chain says what was erased; only then are the bytes removed from the archive
(`upkeep/cleared_erasures.py`). After a crash in between, erase again or run `jobprov erase finish`.

The plan of an erasure (which entries and bundle plans go, what takes their place, who else holds
the same texts) is shown before anything is written. It is made once more in the transaction that
writes, because the job may have changed since.

Source: storage.md, "Erasure".
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.changes.erasures import empty_bodies
from jobprov.provenance.db.changes.recording import remove_provisional
from jobprov.provenance.db.queries.erasures import (
    conflicts_of_witness,
    finals_of_witness,
    plans_of_job,
    unread_of_job,
)
from jobprov.provenance.db.queries.holdings.erasures import was_erased
from jobprov.provenance.db.queries.ledger import newest_final
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError, RecordError
from jobprov.provenance.records.erasing import (
    digests_of,
    fields_gone,
    forms_of,
    holds_any,
    leaves_in,
    texts_gone,
    texts_in,
    values_at,
    without_fields,
)
from jobprov.provenance.records.job_record import PROVISIONAL
from jobprov.provenance.records.reading.decoding import decode_record
from jobprov.provenance.services.bundles.plan_blobs import (
    generated_by,
    generated_bytes,
    named_in_plan,
)
from jobprov.provenance.services.erasures.log_expiry import Owner
from jobprov.provenance.services.erasures.rows import (
    ErasedRow,
    Erasure,
    check_words,
    write_erasure_rows,
)
from jobprov.provenance.services.erasures.traces import remove_traces
from jobprov.provenance.services.intake.secrets import secrets_in_record
from jobprov.provenance.services.ledger.chain_erasures import KIND, ErasedItem
from jobprov.provenance.services.ledger.documents import ErasureDocument
from jobprov.provenance.services.ledger.entries import Leaf, enter_document, leaves_of, read_entries
from jobprov.provenance.services.ledger.erased_segments import NO_SALT
from jobprov.provenance.services.ledger.witnessed_jobs import record_bytes
from jobprov.provenance.services.lookup.job import ReadJob, read_job
from jobprov.provenance.services.recording.jobs import record_jobs
from jobprov.provenance.services.recording.submissions import Submission
from jobprov.provenance.services.writing import Writing


class ErasureRequest(NamedTuple):
    """What an operator asks for: `fields`, or a `replacement`, or neither.

    With neither, the newest revision is right already, and the ones before it are erased.

    Attributes:
        witness: whose record; may be None where the job has one witness.
        fields: paths of the values to be removed from the record.
        replacement: a corrected record.
    """

    job_id: str
    who: str
    why: str
    experiment: str | None = None
    witness: str | None = None
    fields: tuple[str, ...] = ()
    replacement: bytes | None = None


class RecordEntry(NamedTuple):
    """A ledger entry with a record of the job.

    Attributes:
        revision: None for a conflict or an unread record, which the job was not made from.
        body: the bytes of the record.
    """

    id: int
    kind: str
    revision: int | None
    body: bytes

    @property
    def sha256(self) -> str:
        """Return the digest of the record."""
        return _sha256(self.body)


class RecordErasure(NamedTuple):
    """A record that is to be erased, and what that affects.

    Attributes:
        entries: ledger entries whose bytes are erased.
        provisional: the record of a running or lost job, which is erased.
        replacement: the corrected record; None where the newest revision is right already.
        kept: the entry of that newest revision; None where there is a replacement.
        fields: paths of what the erased records hold and the one that stays does not.
        texts: texts in the erased records that are not in the one that stays.
        plans: digests of the job's bundle plans to be erased, because they hold such a record.
        also: witnesses of the job whose records hold one of the texts. These are not erased.
    """

    job: ReadJob
    witness: str
    entries: list[RecordEntry]
    provisional: bytes | None
    replacement: bytes | None
    kept: RecordEntry | None
    fields: list[str]
    texts: list[str]
    plans: list[str]
    also: list[str]

    @property
    def bodies(self) -> list[bytes]:
        """Return the erased records."""
        bodies = [entry.body for entry in self.entries]
        if self.provisional is not None:
            bodies.append(self.provisional)
        return bodies

    @property
    def digests(self) -> set[str]:
        """Return the digests by which these records are recognized when they are sent again."""
        return set().union(*(digests_of(body) for body in self.bodies))


def plan_erasure(connection: Connection, store: Store, wanted: ErasureRequest) -> RecordErasure:
    """Return what would be erased; nothing is written.

    Raises:
        NotFoundError: no such job or witness.
        BadInputError: nothing was named to replace the record, or `who` or `why` is not fit.
        RecordError: the replacement does not fit the job, holds what looks like a secret, or still
            holds what was to be erased.
    """
    check_words(wanted.who, wanted.why)
    if wanted.fields and wanted.replacement is not None:
        raise BadInputError("Name fields or a corrected record, not both.")
    job = read_job(connection, store, wanted.job_id, experiment=wanted.experiment)
    witness = _witness(job, wanted.witness)
    erased = _records_of(connection, store, job, witness)
    newest = erased.newest
    replacement = _replacement(wanted, newest)
    kept = None
    if replacement is None:
        erased, kept = _without_newest(erased)
        stays = newest
    else:
        _check_replacement(connection, job, witness, newest, replacement)
        stays = replacement

    named_texts = _named_texts(newest, wanted.fields)
    _check_gone(stays, named_texts)
    texts = sorted({*texts_gone(erased.bodies, stays), *named_texts})
    forms = forms_of(texts)
    evidence = _evidence_holding(connection, store, job, witness, forms)
    digests = {_sha256(body) for body in erased.bodies}
    return RecordErasure(
        job=job,
        witness=witness,
        entries=[*erased.finals, *evidence],
        provisional=erased.provisional,
        replacement=replacement,
        kept=kept,
        fields=fields_gone(erased.bodies, stays),
        texts=texts,
        plans=_plans_holding(connection, store, job, digests, forms),
        also=_others_holding(job, witness, forms),
    )


class _WitnessRecords(NamedTuple):
    """The records of a job by one witness: final ones, oldest first, or a provisional one."""

    finals: list[RecordEntry]
    provisional: bytes | None

    @property
    def newest(self) -> bytes:
        """Return the newest record."""
        if self.finals:
            return self.finals[-1].body
        return self.provisional or b""

    @property
    def bodies(self) -> list[bytes]:
        """Return the bytes of all these records."""
        bodies = [entry.body for entry in self.finals]
        if self.provisional is not None:
            bodies.append(self.provisional)
        return bodies


def _records_of(
    connection: Connection, store: Store, job: ReadJob, witness: str
) -> _WitnessRecords:
    """Return the records of a witness. Those erased before are left out."""
    finals = _finals(connection, store, job.found.key, witness)
    if finals:
        return _WitnessRecords(finals, None)
    return _WitnessRecords([], job.witnesses.provisional[witness])


def _without_newest(records: _WitnessRecords) -> tuple[_WitnessRecords, RecordEntry]:
    """Return the records without the newest one, which is right already, and that one apart.

    Raises:
        BadInputError: there is no other final record, so nothing would be erased.
    """
    if len(records.finals) < 2:  # noqa: PLR2004 - the newest stays
        raise BadInputError(
            "Say what goes from the record (--field), or name a corrected one (--replacement)."
        )
    *earlier, newest = records.finals
    return records._replace(finals=earlier), newest


def _witness(job: ReadJob, named: str | None) -> str:
    witnesses = sorted({*job.witnesses.finals, *job.witnesses.provisional})
    if named is None and len(witnesses) > 1:
        raise BadInputError(
            f"Job {job.found.job_id} has several witnesses; say which: --witness "
            f"{' or '.join(witnesses)}."
        )
    if named is not None and named not in witnesses:
        raise NotFoundError(f"No record of job {job.found.job_id} by witness {named}.", witnesses)
    return named or witnesses[0]


def _replacement(wanted: ErasureRequest, current: bytes) -> bytes | None:
    if wanted.fields:
        return without_fields(current, wanted.fields)
    return wanted.replacement


def _check_replacement(
    connection: Connection, job: ReadJob, witness: str, current: bytes, replacement: bytes
) -> None:
    """Refuse a corrected record that is of another job, or holds what must not be kept."""
    decoded, now = decode_record(replacement), decode_record(current)
    if decoded.record is None:
        raise RecordError(
            "A record of a later version cannot take the place.",
            {"schema_version": ["not read yet"]},
        )
    names = (decoded.job_id, decoded.experiment, decoded.witness, decoded.state in PROVISIONAL)
    if names != (job.found.job_id, job.found.experiment, witness, now.state in PROVISIONAL):
        raise RecordError(
            "The corrected record is of another job, experiment or witness, or of another kind of "
            "state."
        )
    if secrets := secrets_in_record(decoded):
        raise RecordError("The corrected record holds what looks like a secret.", secrets)
    if decoded.raw == now.raw:
        raise RecordError("The corrected record says the same as the one that it shall replace.")
    for sha256 in digests_of(replacement):
        if was_erased(connection, job.found.experiment, sha256):
            raise RecordError("The corrected record was erased itself.")


def _named_texts(current: bytes, fields: Sequence[str]) -> list[str]:
    """Return the texts in these fields of a record, which must be gone afterwards."""
    texts: set[str] = set()
    for value in values_at(current, fields):
        # Texts of one to three letters are in too many other places
        texts.update(text for text in texts_in(value) if len(text) > 3)  # noqa: PLR2004
    return sorted(texts)


def _check_gone(stays: bytes, texts: Sequence[str]) -> None:
    """Refuse a corrected record that still has a text of the named fields elsewhere."""
    left = [text for text in texts if holds_any(stays, forms_of([text]))]
    if left:
        raw = decode_record(stays).raw
        paths: set[str] = set()
        for path, value in leaves_in(raw):
            if isinstance(value, str) and any(text in value for text in left):
                paths.add(path)
        places = sorted(paths)
        raise RecordError(
            "The same text is in other fields of the record too: "
            f"{', '.join(places) or 'in the name of one'}. Name these as well, or give a corrected "
            "record (--replacement).",
            {path: ["holds the same"] for path in places},
        )


def _finals(connection: Connection, store: Store, job: int, witness: str) -> list[RecordEntry]:
    """Return the final records of a witness, oldest first. Those erased before are left out."""
    finals = finals_of_witness(connection, job, witness)
    bodies = read_entries(connection, store, [final.entry for final in finals])
    entries: list[RecordEntry] = []
    for key, kind, revision in finals:
        if key in bodies:
            entries.append(RecordEntry(key, kind, revision, record_bytes(bodies[key], revision)))
    return entries


def _evidence_holding(
    connection: Connection, store: Store, job: ReadJob, witness: str, forms: Sequence[bytes]
) -> list[RecordEntry]:
    """Return the records that the job was not made from and that hold one of these texts.

    Such records are this witness's conflicts, and records that this version could not read.
    """
    recorded_job = job.found
    kinds = dict.fromkeys(conflicts_of_witness(connection, recorded_job.key, witness), "conflict")
    unread = unread_of_job(connection, recorded_job.experiment_key, recorded_job.job_id)
    kinds.update(dict.fromkeys(unread, "unread"))
    evidence = []
    for entry, body in read_entries(connection, store, kinds).items():
        if holds_any(body, forms):
            evidence.append(RecordEntry(entry, kinds[entry], None, body))
    return evidence


def _others_holding(job: ReadJob, witness: str, forms: Sequence[bytes]) -> list[str]:
    """Return the other witnesses of a job whose records hold one of these texts."""
    others = []
    for name, body in sorted(job.witnesses.bodies().items()):
        if name != witness and holds_any(body, forms):
            others.append(name)
    return others


def _plans_holding(
    connection: Connection, store: Store, job: ReadJob, digests: set[str], forms: Sequence[bytes]
) -> list[str]:
    """Return the job's bundle plans that hold one of these records or a generated file with a text.

    `forms` are the texts as bytes, in every form in which they may be written.
    """
    plans: list[str] = []
    for plan in plans_of_job(connection, job.found.key):
        if was_erased(connection, job.found.experiment, plan):
            continue
        is_named = bool(digests & named_in_plan(store, plan))
        if is_named or _generated_holds_any(connection, store, plan, forms):
            plans.append(plan)
    return sorted(plans)


def _generated_holds_any(
    connection: Connection, store: Store, plan: str, forms: Sequence[bytes]
) -> bool:
    """Whether a file that was generated for a plan holds any of the texts."""
    if holds_any(generated_bytes(store, plan), forms):
        return True
    generated = generated_by(connection, store, [plan])
    return any(holds_any(store.get(sha256), forms) for sha256 in generated)


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def erase_record(writing: Writing, wanted: ErasureRequest) -> RecordErasure:
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


def _named(entry: RecordEntry, leaves: dict[int, Leaf]) -> dict[str, object]:
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
