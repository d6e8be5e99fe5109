"""Takes job records: the one use case that everything else stands on.

Each record gets its own answer; a batch is written set-wise. Idempotent within (experiment, job_id,
witness): the same final record again changes nothing, a different one is kept as evidence and
answered 409, a provisional one gives way to a final one.

Source: record.md, "Identity and finality"; http.md, `PUT /jobs/{job_id}`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from jobprov.provenance.db.changes.ledger import NewEntry, OfJob, append_entries, count_entries
from jobprov.provenance.db.changes.recording import (
    NewConflict,
    NewProvisional,
    NewUnread,
    add_conflicts,
    add_provisional,
    add_unread,
    new_job_keys,
    remove_provisional,
    set_received,
)
from jobprov.provenance.db.queries.holdings.erasures import erased_among
from jobprov.provenance.db.queries.ledger import recorded_jobs
from jobprov.provenance.db.queries.recording.findings import closures_of_jobs
from jobprov.provenance.db.queries.recording.jobs import is_conflict_known, is_unread_known
from jobprov.provenance.db.recording.packing import pack
from jobprov.provenance.db.recording.task_rows import name_tasks
from jobprov.provenance.db.recording.writing import (
    are_names_known,
    intern_experiments,
    known_experiment,
    name_hosts,
)
from jobprov.provenance.records.erasing import digests_of
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.records.reading.equality import have_equal_values
from jobprov.provenance.services.ledger.witnessed_jobs import (
    FinalRecord,
    Reading,
    WitnessedJob,
    load_witnessed,
    read_together,
)
from jobprov.provenance.services.recording.derivation import MergedJob, derive_jobs, grade
from jobprov.provenance.services.recording.findings import find_for
from jobprov.provenance.services.recording.submissions import Change, Outcome, Submission
from jobprov.provenance.services.writing import Writing


class _Batch(NamedTuple):
    """What one call works on: where it writes, and the jobs held, by (job_id, experiment key)."""

    writing: Writing
    experiments: dict[str, int]
    known_jobs: dict[tuple[str, int], WitnessedJob]

    def key_of(self, submission: Submission) -> tuple[str, int]:
        """Return what names the job in the database."""
        return submission.decoded.job_id, self.experiments[submission.decoded.experiment]

    def known_job(self, submission: Submission) -> WitnessedJob | None:
        """Return what is held of the submission's job."""
        return self.known_jobs.get(self.key_of(submission))


class _Decision(NamedTuple):
    """What becomes of a submission; `place` is where its answer goes."""

    place: int
    submission: Submission
    known_job: WitnessedJob | None
    change: Change

    @property
    def may_be_erased(self) -> bool:
        """Whether the record may have been erased on purpose and be sent again.

        A job that is not held had nothing erased.
        """
        # Else the ledger brings it
        is_sent = self.submission.place is None and self.submission.entry is None
        return is_sent and self.change not in ("same", "created")


def record_jobs(writing: Writing, submissions: Sequence[Submission]) -> list[Outcome]:
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
        outcomes.update(_record_distinct(writing, list(first.values())))
        rest = later
    return [outcomes[place] for place in range(len(submissions))]


def name_ahead(writing: Writing, submissions: Sequence[Submission]) -> None:
    """Make the hosts and tasks that a batch is the first to name, before the batch.

    It takes a while, and another process that records jobs of the same task need not wait for it.
    The names alone are written: all else follows from jobs. If these never come, there are names
    without jobs, as after a correction.
    """
    unnamed: dict[tuple[str, int], JobRecord] = {}
    for submission in submissions:
        decoded = submission.decoded
        experiment = known_experiment(writing, decoded.experiment)
        if experiment is None or decoded.record is None:
            continue
        if not are_names_known(writing, decoded.record, experiment):
            unnamed[decoded.job_id, experiment] = decoded.record
    if not unnamed:
        return
    # What a record names that contradicts the one that is held is nobody's
    recorded = recorded_jobs(writing.connection, list(unnamed))
    for experiment in sorted({experiment for _, experiment in unnamed}):
        new = [unnamed[job] for job in unnamed if job[1] == experiment and job not in recorded]
        name_hosts(writing, new)
        name_tasks(writing, new, experiment)


def revision_body(document: Mapping[str, Any]) -> bytes:
    """Return the bytes of a revision's ledger entry; `document` is `{reason, revision, record}`."""
    return json.dumps(document, sort_keys=True, ensure_ascii=False).encode()


def _record_distinct(
    writing: Writing, numbered: list[tuple[int, Submission]]
) -> dict[int, Outcome]:
    """Record submissions; no two of them are by the same witness of the same job."""
    experiments = intern_experiments(
        writing, {submission.decoded.experiment for _, submission in numbered}
    )
    batch = _Batch(writing, experiments, {})
    jobs = [batch.key_of(submission) for _, submission in numbered]
    batch.known_jobs.update(load_witnessed(writing.connection, writing.store, jobs))
    decisions = []
    for place, submission in numbered:
        known_job = batch.known_job(submission)
        decisions.append(_Decision(place, submission, known_job, _decide(submission, known_job)))
    accepted: list[_Decision] = []
    unchanged: list[_Decision] = []
    for decision in _without_erased(batch, decisions):
        if decision.change in ("created", "replaced"):
            accepted.append(decision)
        else:
            unchanged.append(decision)
    written = _write(batch, accepted)
    _keep_evidence(batch, unchanged)
    return {**written, **_describe_unchanged(batch, unchanged)}


def _without_erased(batch: _Batch, decisions: list[_Decision]) -> list[_Decision]:
    """Return the decisions, with `erased` for what was erased on purpose and is sent again."""
    digests: dict[int, list[tuple[int, str]]] = {}
    for decision in decisions:
        if decision.may_be_erased:
            decoded = decision.submission.decoded
            experiment = batch.experiments[decoded.experiment]
            digests[decision.place] = [(experiment, sha256) for sha256 in digests_of(decoded.body)]
    if not digests:
        return decisions
    erased = erased_among(batch.writing.connection, chain.from_iterable(digests.values()))
    checked: list[_Decision] = []
    for decision in decisions:
        if erased.isdisjoint(digests.get(decision.place, ())):
            checked.append(decision)
        else:
            checked.append(decision._replace(change="erased"))
    return checked


def _decide(submission: Submission, known_job: WitnessedJob | None) -> Change:
    if submission.decoded.record is None:
        return "unread"
    if known_job is None:
        return "created"
    if submission.is_conflict:
        return "conflict"
    final = known_job.finals.get(submission.witness)
    if final is None:
        return "replaced" if submission.witness in known_job.provisional else "created"
    return _compare(submission, final)


def _compare(submission: Submission, final: FinalRecord) -> Change:
    """Return what becomes of a record where a final one of its witness is held."""
    if submission.is_provisional:
        return "ignored"
    if submission.revision is not None and submission.revision not in final.numbers:
        return "replaced"
    bodies = [final.body]
    if submission.reason is None:  # a correction may bring back what an earlier one replaced
        bodies.extend(final.earlier)
    if any(_is_same(body, submission.decoded) for body in bodies):
        return "same"
    return "conflict" if submission.reason is None else "replaced"


def _is_same(earlier: bytes, decoded: DecodedRecord) -> bool:
    return earlier == decoded.body or have_equal_values(earlier, decoded.body)


def _keep_evidence(batch: _Batch, unchanged: Sequence[_Decision]) -> None:
    """Keep what changes nothing but must not be lost.

    That is evidence of conflicts, and records of a later schema.
    """
    for decision in unchanged:
        if decision.change == "conflict" and decision.known_job is not None:
            _keep_conflict(batch, decision.submission, decision.known_job)
        elif decision.change in ("conflict", "unread"):
            _keep_unread(batch, decision.submission, decision.change)


def _keep_conflict(batch: _Batch, submission: Submission, known_job: WitnessedJob) -> None:
    connection = batch.writing.connection
    sha256 = hashlib.sha256(submission.decoded.body).hexdigest()
    if is_conflict_known(connection, known_job.key, sha256):
        return
    entry = _entry_aside(batch, submission, "conflict")
    conflict = NewConflict(entry, known_job.key, submission.witness, sha256)
    add_conflicts(connection, [conflict])
    # In a chain it may stand behind what came later
    if submission.received_at < known_job.received_at:
        set_received(connection, known_job.key, submission.received_at)


def _keep_unread(batch: _Batch, submission: Submission, change: Change) -> None:
    connection, job_id = batch.writing.connection, submission.decoded.job_id
    sha256 = hashlib.sha256(submission.decoded.body).hexdigest()
    if is_unread_known(connection, job_id, sha256):
        return
    entry = _entry_aside(batch, submission, change)
    add_unread(connection, NewUnread(entry, job_id, sha256))


def _entry_aside(batch: _Batch, submission: Submission, change: Change) -> int:
    """Return the key of the ledger entry of a record that no job is made of.

    The entry is written where it is not there yet.
    """
    if submission.entry is not None:
        return submission.entry
    decoded, kind = submission.decoded, submission.kind or change
    experiment = batch.experiments[decoded.experiment]
    new = NewEntry(
        experiment,
        kind,
        submission.received_at,
        submission.submitter,
        decoded.body,
        submission.place,
    )
    return append_entries(batch.writing.connection, [new])[0]


def _write(batch: _Batch, accepted: Sequence[_Decision]) -> dict[int, Outcome]:
    """Write the records that were accepted, and what follows from them.

    Return the answers by place.
    """
    if not accepted:
        return {}
    fresh = [decision.submission for decision in accepted if decision.known_job is None]
    numbers = new_job_keys(batch.writing.connection, len(fresh))
    new_keys = dict(zip(map(batch.key_of, fresh), numbers, strict=True))
    jobs = []
    for decision in accepted:
        submission, known_job = decision.submission, decision.known_job
        key = known_job.key if known_job else new_keys[batch.key_of(submission)]
        received_at = _first_received(submission, known_job)
        jobs.append(MergedJob(key, known_job is None, received_at, _merge(submission, known_job)))
    gradings = derive_jobs(batch.writing, jobs)
    _write_witnesses(batch, accepted, [job.key for job in jobs])
    outcomes = {}
    for decision, job, grading in zip(accepted, jobs, gradings, strict=True):
        outcomes[decision.place] = Outcome(job.reading.record.job_id, decision.change, *grading)
    return outcomes


def _first_received(submission: Submission, known_job: WitnessedJob | None) -> datetime:
    """Return when the first final record came, before any did the first provisional one.

    A replay sees no provisional ones.
    """
    if known_job is None or (
        not known_job.finals and known_job.provisional and not submission.is_provisional
    ):
        return submission.received_at
    if known_job.finals and submission.is_provisional:
        return known_job.received_at
    return min(submission.received_at, known_job.received_at)


def _merge(submission: Submission, known_job: WitnessedJob | None) -> Reading:
    """Return the job by all its witnesses: the records so far, and the one that arrives now."""
    decoded, revision = submission.decoded, submission.revision
    if (
        known_job is not None
        and revision is not None
        and revision < known_job.last_revision(submission.witness)
    ):
        # an archive brings a record of which a later revision came after an older database was
        # restored: that stands
        return known_job.reading()
    others = known_job.records_but(submission.witness) if known_job is not None else {}
    alone = Reading.of_one(decoded, submission.columns) if not others else None
    return alone or read_together({**others, submission.witness: decoded.raw})


def _describe_unchanged(batch: _Batch, unchanged: Sequence[_Decision]) -> dict[int, Outcome]:
    """Return the answers for records that changed nothing: grade and gaps as they are today."""
    outcomes: dict[int, Outcome] = {}
    readings: dict[int, Reading] = {}
    jobs: list[int] = []
    arrivals: list[datetime] = []
    for decision in unchanged:
        outcomes[decision.place] = Outcome(decision.submission.decoded.job_id, decision.change)
        known_job = decision.known_job
        if known_job is not None and (known_job.finals or known_job.provisional):
            readings[decision.place] = known_job.reading()
            jobs.append(known_job.key)
            arrivals.append(known_job.received_at)
    writing = batch.writing
    by_job = closures_of_jobs(writing.connection, jobs)
    closures = [by_job[job] for job in jobs]
    findings = find_for(
        writing.connection, writing.memory, list(readings.values()), closures, arrivals
    )
    for (place, reading), job_findings in zip(readings.items(), findings, strict=True):
        outcome = outcomes[place]
        outcomes[place] = Outcome(outcome.job_id, outcome.change, *grade(reading, job_findings))
    return outcomes


def _write_witnesses(batch: _Batch, accepted: Sequence[_Decision], jobs: Sequence[int]) -> None:
    """Write the records themselves.

    Final ones go into the ledger, provisional ones where the next replaces them.
    """
    connection = batch.writing.connection
    entries: list[NewEntry] = []
    entered: dict[int, OfJob] = {}
    provisional: list[NewProvisional] = []
    for decision, job in zip(accepted, jobs, strict=True):
        submission, known_job = decision.submission, decision.known_job
        if known_job is not None and submission.witness in known_job.provisional:
            remove_provisional(connection, job, submission.witness)
        if submission.is_provisional:
            provisional.append(_provisional_record(job, submission))
            continue
        of_job = OfJob(job, submission.witness, _revision(submission, known_job))
        if known_job is not None:
            known_job.check_free(of_job.witness, of_job.revision)
        if submission.entry is not None:
            entered[submission.entry] = of_job
        else:
            entries.append(_entry_of(submission, batch.experiments, of_job))
    append_entries(connection, entries)
    count_entries(connection, entered)
    add_provisional(connection, provisional)


def _provisional_record(job: int, submission: Submission) -> NewProvisional:
    packed = submission.packed or pack(submission.decoded.body)
    return NewProvisional(job, submission.witness, submission.received_at, packed)


def _revision(submission: Submission, known_job: WitnessedJob | None) -> int:
    """Return the number that a record gets among those of its witness."""
    if submission.revision is not None:
        return submission.revision
    if submission.reason is None:
        return 0
    return known_job.next_revision(submission.witness) if known_job is not None else 1


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
