"""Takes job records: the one use case that everything else stands on.

Each record gets its own answer; a batch is written set-wise. Idempotent within (experiment, job_id,
witness): the same final record again changes nothing, a different one is kept as evidence and
answered 409, a provisional one gives way to a final one.

Source: record.md, "Identity and finality"; http.md, `PUT /jobs/{job_id}`.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select, update

from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys, allocate_keys
from jobprov.provenance.db.queries.holdings.erasures import erased_among
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import Conflict, Job, ProvisionalRecord, UnreadRecord
from jobprov.provenance.records.decoding import DecodedRecord
from jobprov.provenance.records.equality import have_equal_values
from jobprov.provenance.records.erasing import digests_of
from jobprov.provenance.services.ledger.entries import (
    NewEntry,
    OfJob,
    append_entries,
    count_entries,
)
from jobprov.provenance.services.ledger.frames import Documents
from jobprov.provenance.services.ledger.witnessed_jobs import (
    FinalRecord,
    HeldJob,
    load_held,
    read_together,
)
from jobprov.provenance.services.recording.derivation import ReadJob, derive_jobs, grade
from jobprov.provenance.services.recording.findings import Reading, find_for
from jobprov.provenance.services.recording.submissions import Change, Outcome, Submission


class _Batch(NamedTuple):
    """What one call works on: where it writes, and what is held of the jobs already, by (job_id, experiment key)."""

    connection: Connection
    known: KnownKeys
    experiments: dict[str, int]
    held: dict[tuple[str, int], HeldJob]

    def key_of(self, submission: Submission) -> tuple[str, int]:
        """Return what names the job in the database."""
        return submission.decoded.job_id, self.experiments[submission.decoded.experiment]

    def held_of(self, submission: Submission) -> HeldJob | None:
        """Return what is held of the submission's job."""
        return self.held.get(self.key_of(submission))


def record_jobs(
    connection: Connection, known: KnownKeys, store: Documents, submissions: Sequence[Submission]
) -> list[Outcome]:
    """Return the outcome of each submission, in order.

    Several of one job are taken one after the other.
    """
    outcomes: dict[int, Outcome] = {}
    rest = list(enumerate(submissions))
    while rest:
        first: dict[tuple[str, str], tuple[int, Submission]] = {}
        later = []
        for place, submission in rest:
            key = (submission.decoded.experiment, submission.decoded.job_id)
            if key in first:
                later.append((place, submission))
            else:
                first[key] = (place, submission)
        outcomes.update(_record_distinct(connection, known, store, list(first.values())))
        rest = later
    return [outcomes[place] for place in range(len(submissions))]


def revision_body(document: dict[str, Any]) -> bytes:
    """Return the bytes of a revision's ledger entry; `document` is `{reason, revision, record}`."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


def _record_distinct(
    connection: Connection,
    known: KnownKeys,
    store: Documents,
    numbered: list[tuple[int, Submission]],
) -> dict[int, Outcome]:
    experiments = intern_experiments(connection, known, {s.decoded.experiment for _, s in numbered})
    batch = _Batch(connection, known, experiments, {})
    batch.held.update(
        load_held(connection, store, [batch.key_of(submission) for _, submission in numbered])
    )
    accepted: list[tuple[int, Submission, Change]] = []
    unchanged: list[tuple[int, Submission, Change]] = []
    changes = [_decide(submission, batch.held_of(submission)) for _, submission in numbered]
    for (place, submission), change in zip(
        numbered, _erased_among(batch, numbered, changes), strict=True
    ):
        if change in ("created", "replaced"):
            accepted.append((place, submission, change))
        else:
            _keep_aside(batch, submission, change)
            unchanged.append((place, submission, change))
    return {**_write(batch, accepted), **_describe_unchanged(batch, unchanged)}


def _erased_among(
    batch: _Batch, numbered: Sequence[tuple[int, Submission]], changes: Sequence[Change]
) -> Iterator[Change]:
    """Yield the changes, `erased` for what was erased on purpose and is sent again.

    A job that is not held had nothing erased.
    """
    asked = {
        place: [
            (batch.key_of(submission)[1], sha256) for sha256 in digests_of(submission.decoded.body)
        ]
        for (place, submission), change in zip(numbered, changes, strict=True)
        if change not in ("same", "created")
        and submission.place is None
        and submission.entry is None
    }
    erased = erased_among(batch.connection, chain.from_iterable(asked.values())) if asked else set()
    for (place, _), change in zip(numbered, changes, strict=True):
        yield "erased" if erased and not erased.isdisjoint(asked.get(place, ())) else change


def _decide(submission: Submission, held: HeldJob | None) -> Change:
    if submission.decoded.record is None:
        return "unread"
    if held is None:
        return "created"
    if submission.is_conflict:
        return "conflict"
    final = held.finals.get(submission.witness)
    if final is None:
        return "replaced" if submission.witness in held.provisional else "created"
    return _compare(submission, final)


def _compare(submission: Submission, final: FinalRecord) -> Change:
    """Return what becomes of a record where a final one of its witness is held."""
    if submission.is_provisional:
        return "ignored"
    if submission.revision is not None and submission.revision not in final.numbers:
        return "replaced"
    known = (final.body,) if submission.reason is not None else (final.body, *final.earlier)
    if any(_is_same(body, submission.decoded) for body in known):
        return "same"
    return "conflict" if submission.reason is None else "replaced"


def _is_same(earlier: bytes, decoded: DecodedRecord) -> bool:
    return earlier == decoded.body or have_equal_values(earlier, decoded.body)


def _keep_aside(batch: _Batch, submission: Submission, change: Change) -> None:
    """Keep what changes nothing but must not be lost.

    Evidence of a conflict, records of a later schema.
    """
    if change not in ("conflict", "unread"):
        return
    decoded, held = submission.decoded, batch.held_of(submission)
    sha256 = hashlib.sha256(decoded.body).hexdigest()
    if change == "conflict" and held is not None:
        known = select(Conflict.entry_id).where(
            Conflict.job_id == held.key, Conflict.sha256 == sha256
        )
    else:
        known = select(UnreadRecord.entry_id).where(
            UnreadRecord.job_uuid == decoded.job_id, UnreadRecord.sha256 == sha256
        )
    if batch.connection.execute(known).first() is not None:
        return
    entry = submission.entry
    if entry is None:
        experiment, kind = batch.experiments[decoded.experiment], submission.kind or change
        new = NewEntry(
            experiment,
            kind,
            submission.received_at,
            submission.submitter,
            decoded.body,
            submission.place,
        )
        [entry] = append_entries(batch.connection, [new])
    if change == "conflict" and held is not None:
        row = {
            "entry_id": entry,
            "job_id": held.key,
            "witness": submission.witness,
            "sha256": sha256,
        }
        batch.connection.execute(table_of(Conflict).insert(), [row])
        if (
            submission.received_at < held.received_at
        ):  # in a chain it may stand behind what came later
            came = update(Job).where(Job.id == held.key)
            batch.connection.execute(came.values(received_at=submission.received_at))
    else:
        row = {"entry_id": entry, "job_uuid": decoded.job_id, "sha256": sha256}
        batch.connection.execute(table_of(UnreadRecord).insert(), [row])


def _write(batch: _Batch, accepted: list[tuple[int, Submission, Change]]) -> dict[int, Outcome]:
    if not accepted:
        return {}
    submissions = [submission for _, submission, _ in accepted]
    fresh = [
        batch.key_of(submission) for submission in submissions if batch.held_of(submission) is None
    ]
    new_keys = dict(
        zip(fresh, allocate_keys(batch.connection, table_of(Job), len(fresh)), strict=True)
    )
    jobs = []
    for submission in submissions:
        held = batch.held_of(submission)
        key = held.key if held else new_keys[batch.key_of(submission)]
        jobs.append(
            ReadJob(key, held is None, _first_received(submission, held), _merge(submission, held))
        )
    gradings = derive_jobs(batch.connection, batch.known, jobs)
    _write_witnesses(batch, [job.key for job in jobs], submissions)
    return {
        place: Outcome(job.reading.record.job_id, change, *grading)
        for (place, _, change), job, grading in zip(accepted, jobs, gradings, strict=True)
    }


def _first_received(submission: Submission, held: HeldJob | None) -> datetime:
    """Return when the first final record came, before any did the first provisional one.

    A replay sees no provisional ones.
    """
    if held is None or (not held.finals and held.provisional and not submission.is_provisional):
        return submission.received_at
    if held.finals and submission.is_provisional:
        return held.received_at
    return min(submission.received_at, held.received_at)


def _merge(submission: Submission, held: HeldJob | None) -> Reading:
    """Return the job as its witnesses say it: those that are held, and the one that comes now.

    An archive may bring a record of which a later revision is held: that came after an older
    database was restored, and stands.
    """
    decoded = submission.decoded
    if (
        held is not None
        and submission.revision is not None
        and submission.revision < held.last_revision(submission.witness)
    ):
        return read_together(held.records_but(None))
    others = held.records_but(submission.witness) if held is not None else {}
    if decoded.record is not None and not others:
        return Reading(decoded.record, decoded.repairs, (), decoded.references, submission.columns)
    return read_together({**others, submission.witness: decoded.raw})


def _describe_unchanged(
    batch: _Batch, unchanged: list[tuple[int, Submission, Change]]
) -> dict[int, Outcome]:
    """Return the answers for records that changed nothing: grade and gaps as they are today."""
    outcomes = {
        place: Outcome(submission.decoded.job_id, change) for place, submission, change in unchanged
    }
    there = {
        place: held
        for place, submission, _ in unchanged
        if (held := batch.held_of(submission)) is not None and (held.finals or held.provisional)
    }
    readings = [read_together(held.records_but(None)) for held in there.values()]
    for place, reading, found in zip(
        there, readings, find_for(batch.connection, batch.known, readings), strict=True
    ):
        outcomes[place] = Outcome(
            outcomes[place].job_id, outcomes[place].change, *grade(reading, found)
        )
    return outcomes


def _write_witnesses(batch: _Batch, jobs: Sequence[int], submissions: Sequence[Submission]) -> None:
    entries: list[NewEntry] = []
    entered: dict[int, OfJob] = {}
    working: list[dict[str, Any]] = []
    for job, submission in zip(jobs, submissions, strict=True):
        held = batch.held_of(submission)
        if held is not None and submission.witness in held.provisional:
            _remove_provisional(batch.connection, job, submission.witness)
        if submission.is_provisional:
            working.append(
                {
                    "job_id": job,
                    "witness": submission.witness,
                    "received_at": submission.received_at,
                    "body": submission.packed or pack(submission.decoded.body),
                }
            )
            continue
        revision = (
            0
            if submission.reason is None
            else held.next_revision(submission.witness)
            if held
            else 1
        )
        of_job = OfJob(
            job,
            submission.witness,
            revision if submission.revision is None else submission.revision,
        )
        if held is not None:
            held.check_free(of_job.witness, of_job.revision)
        if submission.entry is not None:
            entered[submission.entry] = of_job
        else:
            entries.append(_entry_of(submission, batch.experiments, of_job))
    append_entries(batch.connection, entries)
    count_entries(batch.connection, entered)
    insert_rows(batch.connection, table_of(ProvisionalRecord), working)


def _remove_provisional(connection: Connection, job: int, witness: str) -> None:
    connection.execute(
        delete(ProvisionalRecord).where(
            ProvisionalRecord.job_id == job, ProvisionalRecord.witness == witness
        )
    )


def _entry_of(submission: Submission, experiments: dict[str, int], of_job: OfJob) -> NewEntry:
    experiment = experiments[submission.decoded.experiment]
    body, packed = submission.decoded.body, submission.packed
    kind = submission.kind or "record"
    if submission.reason is not None:
        kind, packed = "revision", None
        body = revision_body(
            {"reason": submission.reason, "revision": of_job.revision, "record": body.decode()}
        )
    received_at, submitter = submission.received_at, submission.submitter
    return NewEntry(
        experiment, kind, received_at, submitter, body, submission.place, packed, of_job
    )
