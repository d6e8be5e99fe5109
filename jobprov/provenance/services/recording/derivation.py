"""Writes what follows from the records of jobs.

That is their rows, edges, grade and gaps, and the work that these ask for. It is called when a
record comes, and again when what follows from one has changed (`recording/rederivation.py`). The
records themselves are written by `recording/jobs.py`.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.changes.recording import write_awaited, write_awaited_traces
from jobprov.provenance.db.queries.code.repositories import has_repositories
from jobprov.provenance.db.queries.recording.findings import Kind
from jobprov.provenance.db.recording.configurations.closures import (
    RanConfiguration,
    digests_of,
    ran_configurations,
)
from jobprov.provenance.db.recording.files.aliases import is_anything_sighted, join_sightings
from jobprov.provenance.db.recording.files.full_names import name_inputs
from jobprov.provenance.db.recording.writing import JobDraft, intern_experiments, write_jobs
from jobprov.provenance.db.writer.turns import begin_deriving
from jobprov.provenance.records.gaps.findings import Findings, blobs_to_send
from jobprov.provenance.records.gaps.gaps import Gap, find_gaps, level_of
from jobprov.provenance.records.job_record import FAILED, Software
from jobprov.provenance.services.code.products import enqueue_products
from jobprov.provenance.services.code.repositories import enqueue_carried, enqueue_unresolved
from jobprov.provenance.services.ledger.witnessed_jobs import Reading
from jobprov.provenance.services.recording.findings import find_for
from jobprov.provenance.services.recording.resolved_code import distinct_entries
from jobprov.provenance.services.recording.traced_kinds import awaited_kinds, note_traced
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.work.evaluations import enqueue_evaluations
from jobprov.provenance.services.writing import Writing


class MergedJob(NamedTuple):
    """A job as its witnesses describe it, and the key of its rows.

    Attributes:
        key: integer key, allocated.
        is_new: False where rows of an earlier reading have to go first.
    """

    key: int
    is_new: bool
    received_at: datetime
    reading: Reading


class Grading(NamedTuple):
    """What the service found out about a job."""

    level: int
    gaps: list[Gap]
    missing_blobs: list[str]


def derive_jobs(writing: Writing, jobs: Sequence[MergedJob]) -> list[Grading]:
    """Write the rows of these jobs, no two of them the same.

    Return how each is graded, in order.
    """
    if not jobs:
        return []
    connection = writing.connection
    # Before anything is looked up: else neither side would see what comes in between
    begin_deriving(connection)
    note_traced(connection, [(job.reading.record, job.received_at) for job in jobs])
    deciding = writing.physics_variables
    ran = [ran_configurations(job.reading.record, deciding) for job in jobs]
    readings = [job.reading for job in jobs]
    closures = list(map(digests_of, ran))
    arrivals = [job.received_at for job in jobs]
    findings = find_for(connection, writing.memory, readings, closures, arrivals)
    drafts: list[JobDraft] = []
    gradings: list[Grading] = []
    awaited: dict[int, AbstractSet[str]] = {}
    for job, job_ran, job_findings in zip(jobs, ran, findings, strict=True):
        grading = grade(job.reading, job_findings)
        gradings.append(grading)
        drafts.append(_draft(job, job_ran, grading))
        awaited[job.key] = job_findings.awaited
    has_sightings = is_anything_sighted(connection)
    # From here on others wait who name the same files
    unclaimed = write_jobs(writing, drafts)
    if has_sightings:
        join_sightings(connection, {job.key: job.reading.record.job_id for job in jobs}, unclaimed)
        name_inputs(writing, [job.key for job in jobs], unclaimed)
    known = [job.key for job in jobs if not job.is_new]
    write_awaited(connection, awaited, replace=known)
    write_awaited_traces(connection, _awaited_traces(jobs), replace=known)
    _ask_for_work(writing, jobs, findings)
    return gradings


def _awaited_traces(jobs: Sequence[MergedJob]) -> list[tuple[int, Kind]]:
    awaited: list[tuple[int, Kind]] = []
    for job in jobs:
        for kind in awaited_kinds(job.reading.record):
            awaited.append((job.key, kind))
    return awaited


def _draft(job: MergedJob, ran: Sequence[RanConfiguration], grading: Grading) -> JobDraft:
    reading = job.reading
    return JobDraft(
        job.key,
        job.is_new,
        reading.record,
        job.received_at,
        grading.level,
        grading.gaps,
        ran,
        columns=reading.columns,
    )


def grade(reading: Reading, findings: Findings) -> Grading:
    """Return level and gaps of a job, from its record and from what the service knows beside it."""
    gaps = find_gaps(reading.record, findings)
    level = level_of(gaps, reading.record, findings)
    return Grading(level, gaps, blobs_to_send(reading.record, findings))


def _ask_for_work(
    writing: Writing, jobs: Sequence[MergedJob], findings: Sequence[Findings]
) -> None:
    """Have failures classified, code resolved and configurations evaluated, where that is open."""
    failures = [job.key for job in jobs if job.reading.record.state in FAILED]
    if failures:
        enqueue_failures(writing.connection, failures)
    _ask_for_code(writing.connection, jobs, findings)
    ask_for_evaluations(writing, [job.reading for job in jobs], findings)


def ask_for_evaluations(
    writing: Writing, readings: Sequence[Reading], findings: Sequence[Findings]
) -> None:
    """Have the configurations of these jobs evaluated that can be by now."""
    pending: set[tuple[str, str]] = set()
    for reading, job_findings in zip(readings, findings, strict=True):
        pending.update((reading.record.experiment, digest) for digest in job_findings.pending)
    if pending:
        experiments = intern_experiments(writing, {experiment for experiment, _ in pending})
        enqueue_evaluations(writing.connection, experiments, pending)


def _ask_for_code(
    connection: Connection, jobs: Sequence[MergedJob], findings: Sequence[Findings]
) -> None:
    """Have the code of these jobs resolved where no commit is known yet."""
    unresolved: list[tuple[Sequence[Software], Iterable[int]]] = []
    for job, job_findings in zip(jobs, findings, strict=True):
        if job_findings.unresolved:
            unresolved.append((job.reading.record.software or (), job_findings.unresolved))
    if not unresolved:
        return
    enqueue_carried(connection, distinct_entries(software for software, _ in unresolved))
    if has_repositories(connection):
        enqueue_unresolved(connection)
        enqueue_products(connection, unresolved)
