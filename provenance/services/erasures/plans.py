"""Plans the erasure of a record: which entries and bundle plans go, and what takes their place.

It also finds who else holds the same texts. Nothing is written here. `erasures/records.py` plans
once more in the transaction that writes, because the job may have changed since it was shown.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.erasures.plans import (
    conflicts_of_witness,
    finals_of_witness,
    plans_of_job,
    unread_of_job,
)
from jobprov.provenance.db.queries.holdings.erasures import was_erased
from jobprov.provenance.errors import BadInputError, NotFoundError, RecordError
from jobprov.provenance.records.erasing import (
    digests_of,
    forms_of,
    holds_any,
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
from jobprov.provenance.services.intake.secrets import secrets_in, secrets_in_record
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.witnessed_jobs import record_bytes
from jobprov.provenance.services.lookup.job import ReadJob, read_job


class Wanted(NamedTuple):
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


class Entry(NamedTuple):
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
        texts: texts in the erased records that are not in the one that stays.
        plans: digests of the job's bundle plans to be erased, because they hold such a record.
        also: witnesses of the job whose records hold one of the texts. These are not erased.
    """

    job: ReadJob
    witness: str
    entries: list[Entry]
    provisional: bytes | None
    replacement: bytes | None
    kept: Entry | None
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


def plan_erasure(connection: Connection, store: Store, wanted: Wanted) -> RecordErasure:
    """Return what would be erased; nothing is written.

    Raises:
        NotFoundError: no such job or witness.
        BadInputError: nothing was named to replace the record, or `who` or `why` is not fit.
        RecordError: the replacement does not fit the job, holds what looks like a secret, or still
            holds what was to be erased.
    """
    _check_words(wanted)
    job = read_job(connection, store, wanted.job_id, experiment=wanted.experiment)
    witness = _witness(job, wanted.witness)
    entries = _finals(connection, store, job.found.key, witness)
    provisional = None if entries else job.held.provisional[witness]
    current = entries[-1].body if entries else provisional or b""
    replacement = _replacement(wanted, current)
    kept = None
    if replacement is None:
        kept = _newest_that_stays(entries)
        stays = current
    else:
        _check_replacement(connection, job, witness, current, replacement)
        stays = replacement
    bodies = [entry.body for entry in entries]
    if provisional is not None:
        bodies.append(provisional)
    named_texts = _named_texts(current, wanted.fields)
    texts = sorted({*texts_gone(bodies, stays), *named_texts})
    _check_gone(stays, named_texts)
    forms = forms_of(texts)
    for entry in _evidence(connection, store, job, witness):
        if holds_any(entry.body, forms):
            entries.append(entry)
    also = []
    for name, body in sorted(job.held.bodies().items()):
        if name != witness and holds_any(body, forms):
            also.append(name)
    digests = {_sha256(body) for body in bodies}
    plans = _plans_holding(connection, store, job, digests, forms)
    return RecordErasure(job, witness, entries, provisional, replacement, kept, texts, plans, also)


def _newest_that_stays(entries: list[Entry]) -> Entry:
    """Take the newest record, which is right already, from the list of those to be erased.

    Raises:
        BadInputError: it is the only one, so nothing would be erased.
    """
    if len(entries) < 2:  # noqa: PLR2004 - the newest stays
        raise BadInputError(
            "Say what goes from the record (--field), or name a corrected one (--replacement)."
        )
    return entries.pop()


def _check_words(wanted: Wanted) -> None:
    if not wanted.who.strip() or not wanted.why.strip():
        raise BadInputError(
            "An erasure says who wants it, and why.", {"who": ["not empty"], "why": ["not empty"]}
        )
    if secrets := secrets_in({"who": wanted.who, "why": wanted.why}):
        raise BadInputError(
            "The words of an erasure stay for ever, and these hold what looks like a secret.",
            secrets,
        )
    if wanted.fields and wanted.replacement is not None:
        raise BadInputError("Name fields or a corrected record, not both.")


def _witness(job: ReadJob, named: str | None) -> str:
    witnesses = sorted({*job.held.finals, *job.held.provisional})
    if named is None and len(witnesses) > 1:
        raise BadInputError(
            f"Job {job.found.job_id} has several witnesses; say which: --witness "
            f"{' or '.join(witnesses)}."
        )
    if named is not None and named not in witnesses:
        raise NotFoundError(f"No record of job {job.found.job_id} by witness {named}.", witnesses)
    return named or witnesses[0]


def _replacement(wanted: Wanted, current: bytes) -> bytes | None:
    if wanted.fields:
        return without_fields(current, wanted.fields)
    return wanted.replacement


def _check_replacement(
    connection: Connection, job: ReadJob, witness: str, current: bytes, replacement: bytes
) -> None:
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
        for text in left:
            paths.update(_paths(raw, text, ""))
        places = sorted(paths)
        raise RecordError(
            "What was to go stands in other fields of the record too: "
            f"{', '.join(places) or 'a name of one'}. Name these as well, or a corrected record.",
            {path: ["holds the same"] for path in places},
        )


def _paths(value: Any, text: str, path: str) -> list[str]:
    """Return the paths of the strings below this value that hold a text."""
    if isinstance(value, str):
        return [path] if text in value else []
    paths: list[str] = []
    if isinstance(value, dict):
        prefix = f"{path}." if path else ""
        for name, item in value.items():
            paths += _paths(item, text, f"{prefix}{name}")
    elif isinstance(value, list):
        for place, item in enumerate(value):
            paths += _paths(item, text, f"{path}[{place}]")
    return paths


def _finals(connection: Connection, store: Store, job: int, witness: str) -> list[Entry]:
    """Return the final records of a witness, oldest first. Those erased before are left out."""
    finals = finals_of_witness(connection, job, witness)
    bodies = read_entries(connection, store, [final.entry for final in finals])
    entries: list[Entry] = []
    for key, kind, revision in finals:
        if key in bodies:
            entries.append(Entry(key, kind, revision, record_bytes(bodies[key], revision)))
    return entries


def _evidence(connection: Connection, store: Store, job: ReadJob, witness: str) -> list[Entry]:
    """Return the records that the job was not made from.

    They are this witness's conflicts, and records that this version could not read.
    """
    recorded_job = job.found
    kinds = dict.fromkeys(conflicts_of_witness(connection, recorded_job.key, witness), "conflict")
    unread = unread_of_job(connection, recorded_job.experiment_key, recorded_job.job_id)
    kinds.update(dict.fromkeys(unread, "unread"))
    bodies = read_entries(connection, store, kinds)
    return [Entry(entry, kinds[entry], None, body) for entry, body in bodies.items()]


def _plans_holding(
    connection: Connection, store: Store, job: ReadJob, digests: set[str], forms: Sequence[bytes]
) -> list[str]:
    """Return the job's bundle plans that hold one of these records, or a generated file with a text.

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
