"""Writes what follows from the records of jobs.

Their rows, edges, grade and gaps, and the work that these ask for.

Called when a record comes, and again when what follows from one has changed (`derive_again.py`).
The records themselves are written by `record_jobs.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys, chunks
from jobprov.provenance.db.recording.aliases import join_sightings
from jobprov.provenance.db.recording.writing import JobDraft, intern_experiments, write_jobs
from jobprov.provenance.db.tables import AwaitedBlob
from jobprov.provenance.db.turns import begin_deriving
from jobprov.provenance.records.gaps import Findings, Gap, find_gaps, level_of
from jobprov.provenance.records.job_record import FAILED
from jobprov.provenance.services.code.products import enqueue_products
from jobprov.provenance.services.code.repositories import enqueue_resolutions
from jobprov.provenance.services.recording.findings import Reading, find_for, pending_of
from jobprov.provenance.services.work.classifications import enqueue_failures
from jobprov.provenance.services.work.evaluations import enqueue_evaluations


class ReadJob(NamedTuple):
    """A job as its witnesses say it, and where its rows go.

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


def derive_jobs(connection: Connection, known: KnownKeys, jobs: Sequence[ReadJob]) -> list[Grading]:
    """Write the rows of these jobs, no two of them the same.

    Return how each is graded, in order.
    """
    if not jobs:
        return []
    begin_deriving(connection)
    readings = [job.reading for job in jobs]
    findings = find_for(connection, known, readings)
    gradings = [grade(reading, found) for reading, found in zip(readings, findings, strict=True)]
    drafts = [
        JobDraft(
            job.key,
            job.is_new,
            job.reading.record,
            job.received_at,
            grading.level,
            grading.gaps,
            columns=job.reading.columns,
        )
        for job, grading in zip(jobs, gradings, strict=True)
    ]
    unclaimed = write_jobs(connection, known, drafts)
    join_sightings(connection, {draft.key: draft.record.job_id for draft in drafts}, unclaimed)
    missing = {job.key: found.awaited for job, found in zip(jobs, findings, strict=True)}
    write_awaited(connection, missing, replace=[job.key for job in jobs if not job.is_new])
    _ask_for_work(connection, known, jobs, findings)
    return gradings


def grade(reading: Reading, found: Findings) -> Grading:
    """Return what a job's own record and what the service knows beside it say of its rerun."""
    gaps = find_gaps(reading.record, found)
    return Grading(level_of(gaps, reading.record, found), gaps, sorted(found.missing_blobs))


def _ask_for_work(
    connection: Connection, known: KnownKeys, jobs: Sequence[ReadJob], findings: Sequence[Findings]
) -> None:
    """Have failures classified, code resolved and configurations evaluated that these jobs are the first to have."""
    if failures := [job.key for job in jobs if job.reading.record.state in FAILED]:
        enqueue_failures(connection, failures)
    if any(found.unresolved for found in findings):
        enqueue_resolutions(connection)
        enqueue_products(
            connection,
            [
                (job.reading.record.software or (), found.unresolved)
                for job, found in zip(jobs, findings, strict=True)
                if found.unresolved
            ],
        )
    if any(found.pending for found in findings):
        pending = pending_of([job.reading for job in jobs], findings)
        enqueue_evaluations(
            connection,
            intern_experiments(connection, known, {name for name, _ in pending}),
            pending,
        )


def write_awaited(
    connection: Connection, missing: Mapping[int, Iterable[str]], *, replace: Sequence[int]
) -> None:
    """Note which blobs each of these jobs still waits for.

    What was noted of the jobs in `replace` goes first.
    """
    for part in chunks(replace):
        connection.execute(delete(AwaitedBlob).where(AwaitedBlob.job_id.in_(part)))
    rows = [
        {"sha256": sha256, "job_id": job}
        for job, digests in missing.items()
        for sha256 in sorted(digests)
    ]
    insert_rows(connection, table_of(AwaitedBlob), rows)
