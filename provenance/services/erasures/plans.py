"""What an erasure of a record would take.

It says which entries and bundle plans go, what takes their place, and who else holds the same.

Nothing is written here. `erasures/records.py` asks once more in the transaction that writes.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.holdings.erasures import was_erased
from jobprov.provenance.db.tables import BundlePlan, Conflict, LedgerEntry, UnreadRecord
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
from jobprov.provenance.services.bundles.plan_blobs import generated_by, named_in_plan
from jobprov.provenance.services.intake.secrets import secrets_in, secrets_in_record
from jobprov.provenance.services.ledger.entries import read_entries
from jobprov.provenance.services.ledger.witnessed_jobs import record_bytes
from jobprov.provenance.services.lookup.job import ReadJob, read_job


class Wanted(NamedTuple):
    """What an operator asks for.

    Attributes:
        witness: whose record; may be None where the job has one witness.
        fields: paths whose values go from the record.
        replacement: the corrected record instead; neither where a revision is right already and
            what came before it goes.
    """

    job_id: str
    who: str
    why: str
    experiment: str | None = None
    witness: str | None = None
    fields: tuple[str, ...] = ()
    replacement: bytes | None = None


class Entry(NamedTuple):
    """A ledger entry that holds a record of the job.

    `body` is the record's bytes, `revision` None where it changed nothing.
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
    """What goes.

    Attributes:
        entries: of the ledger, whose bytes go.
        provisional: a running or lost record that goes.
        replacement: the record that takes the place; None where the newest revision is right
            already.
        kept: that revision's entry.
        texts: what stood in what goes and no longer stands in what stays.
        plans: digests of the bundle plans of the job that hold it.
        also: witnesses of the job whose records hold the same, and are not erased by this.
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
        """Return the records that go."""
        return [entry.body for entry in self.entries] + (
            [self.provisional] if self.provisional is not None else []
        )

    @property
    def digests(self) -> set[str]:
        """Return the digests by which these records are known when they are sent again."""
        return set().union(*(digests_of(body) for body in self.bodies))


def plan_erasure(connection: Connection, store: Store, wanted: Wanted) -> RecordErasure:
    """Return what would go; nothing is written.

    Raises:
        NotFoundError: no such job or witness.
        BadInputError: it is not said what takes the place, or that holds a secret, or still what
            was to go.
    """
    _check_words(wanted)
    job = read_job(connection, store, wanted.job_id, experiment=wanted.experiment)
    witness = _witness(job, wanted.witness)
    entries = _finals(connection, store, job.found.key, witness)
    provisional = None if entries else job.held.provisional[witness]
    current = entries[-1].body if entries else provisional or b""
    replacement, kept = _replacement(wanted, current), None
    if replacement is None:
        if len(entries) < 2:  # noqa: PLR2004 - the newest stays
            raise BadInputError(
                "Say what goes from the record (--field), or name a corrected one (--replacement)."
            )
        kept = entries.pop()
    else:
        _check_replacement(connection, job, witness, current, replacement)
    stays = replacement if replacement is not None else current
    bodies = [entry.body for entry in entries] + ([provisional] if provisional is not None else [])
    texts = sorted({*texts_gone(bodies, stays), *_named_texts(current, wanted.fields)})
    _check_gone(stays, _named_texts(current, wanted.fields))
    forms = forms_of(texts)
    entries += [
        entry
        for entry in _evidence(connection, store, job, witness)
        if holds_any(entry.body, forms)
    ]
    also = sorted(name for name, body in _others(job, witness).items() if holds_any(body, forms))
    plans = _plans_holding(connection, store, job, {_sha256(body) for body in bodies}, forms)
    return RecordErasure(job, witness, entries, provisional, replacement, kept, texts, plans, also)


def _check_words(wanted: Wanted) -> None:
    if not wanted.who.strip() or not wanted.why.strip():
        raise BadInputError(
            "An erasure says who wants it, and why.", {"who": ["not empty"], "why": ["not empty"]}
        )
    if found := secrets_in({"who": wanted.who, "why": wanted.why}):
        raise BadInputError(
            "The words of an erasure stay for ever, and these hold what looks like a secret.", found
        )
    if wanted.fields and wanted.replacement is not None:
        raise BadInputError("Name fields or a corrected record, not both.")


def _witness(job: ReadJob, named: str | None) -> str:
    there = sorted({*job.held.finals, *job.held.provisional})
    if named is None and len(there) > 1:
        raise BadInputError(
            f"Job {job.found.job_id} has several witnesses; say which: --witness "
            f"{' or '.join(there)}."
        )
    if named is not None and named not in there:
        raise NotFoundError(f"No record of job {job.found.job_id} by witness {named}.", there)
    return named or there[0]


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
    said = (decoded.job_id, decoded.experiment, decoded.witness, decoded.state in PROVISIONAL)
    if said != (job.found.job_id, job.found.experiment, witness, now.state in PROVISIONAL):
        raise RecordError(
            "The corrected record is of another job, experiment or witness, or of another kind of "
            "state."
        )
    if found := secrets_in_record(decoded):
        raise RecordError("The corrected record holds what looks like a secret.", found)
    if decoded.raw == now.raw:
        raise RecordError("The corrected record says the same as the one that it shall replace.")
    if any(
        was_erased(connection, job.found.experiment, sha256) for sha256 in digests_of(replacement)
    ):
        raise RecordError("The corrected record was erased itself.")


def _named_texts(current: bytes, fields: Sequence[str]) -> list[str]:
    return sorted(
        {
            text
            for value in values_at(current, fields)
            for text in texts_in(value)
            if len(text) > 3  # noqa: PLR2004
        }
    )


def _check_gone(stays: bytes, texts: Sequence[str]) -> None:
    """Refuse a corrected record that has elsewhere what was named by its field."""
    left = [text for text in texts if holds_any(stays, forms_of([text]))]
    if left:
        places = sorted(
            {path for text in left for path in _paths(decode_record(stays).raw, text, "")}
        )
        raise RecordError(
            "What was to go stands in other fields of the record too: "
            f"{', '.join(places) or 'a name of one'}. Name these as well, or a corrected record.",
            {path: ["holds the same"] for path in places},
        )


def _paths(value: Any, text: str, path: str) -> list[str]:
    if isinstance(value, dict):
        return [
            found
            for key, item in value.items()
            for found in _paths(item, text, f"{path}.{key}" if path else key)
        ]
    if isinstance(value, list):
        return [
            found
            for place, item in enumerate(value)
            for found in _paths(item, text, f"{path}[{place}]")
        ]
    return [path] if isinstance(value, str) and text in value else []


def _finals(connection: Connection, store: Store, job: int, witness: str) -> list[Entry]:
    """Return the final records of a witness that have their bytes, oldest first."""
    query: Any = (
        select(LedgerEntry.id, LedgerEntry.kind, LedgerEntry.revision)
        .where(LedgerEntry.job_id == job, LedgerEntry.witness == witness)
        .order_by(LedgerEntry.revision)
    )
    rows = connection.execute(query).all()
    bodies = read_entries(connection, store, [row[0] for row in rows])
    return [
        Entry(row[0], row[1], row[2], record_bytes(bodies[row[0]], row[2]))
        for row in rows
        if row[0] in bodies
    ]


def _evidence(connection: Connection, store: Store, job: ReadJob, witness: str) -> list[Entry]:
    """Return the records of a job that changed nothing.

    They are contradictions of this witness, and those of a later version.
    """
    conflicts = select(Conflict.entry_id).where(
        Conflict.job_id == job.found.key, Conflict.witness == witness
    )
    unread = select(UnreadRecord.entry_id).join(
        LedgerEntry, LedgerEntry.id == UnreadRecord.entry_id
    )
    unread = unread.where(
        UnreadRecord.job_uuid == job.found.job_id,
        LedgerEntry.experiment_id == job.found.experiment_key,
    )
    kinds = {row[0]: "conflict" for row in connection.execute(conflicts)}
    kinds |= {row[0]: "unread" for row in connection.execute(unread)}
    bodies = read_entries(connection, store, kinds)
    return [Entry(entry, kinds[entry], None, body) for entry, body in bodies.items()]


def _others(job: ReadJob, witness: str) -> dict[str, bytes]:
    bodies = {
        **job.held.provisional,
        **{name: final.body for name, final in job.held.finals.items()},
    }
    return {name: body for name, body in bodies.items() if name != witness}


def _plans_holding(
    connection: Connection, store: Store, job: ReadJob, digests: set[str], forms: Sequence[bytes]
) -> list[str]:
    """Return the job's bundle plans that hold one of these records, or generated any of some texts.

    The texts are `forms`, as bytes.
    """
    query = select(BundlePlan.plan_sha256).where(BundlePlan.job_id == job.found.key)
    found = []
    for (plan,) in connection.execute(query).all():
        if was_erased(connection, job.found.experiment, plan):
            continue
        generated = generated_by(connection, store, [plan])
        if digests & named_in_plan(store, plan) or any(
            holds_any(store.get(each), forms) for each in generated
        ):
            found.append(plan)
    return sorted(found)


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
