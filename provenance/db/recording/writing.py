"""Writes jobs set-wise: a few statements a table and batch, whatever the number of records.

It uses no per-row ORM.

Not here: whether a record may be written (services/recording/jobs.py), and its exact bytes (the
ledger).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, update

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.closure_rows import closure_set_digest
from jobprov.provenance.db.recording.file_rows import (
    Removed,
    remove_files,
    unlink_claims,
    write_files,
)
from jobprov.provenance.db.recording.job_rows import host_key, job_columns, stage_key
from jobprov.provenance.db.recording.linking import link_files, link_new_files
from jobprov.provenance.db.recording.module_rows import write_modules
from jobprov.provenance.db.recording.shared_rows import (
    SharedKeys,
    gap_document,
    intern_experiments,
    intern_shared,
)
from jobprov.provenance.db.recording.software_rows import software_set_digest
from jobprov.provenance.db.recording.task_rows import place_again
from jobprov.provenance.db.selecting import change_among, select_among
from jobprov.provenance.db.tables import Job
from jobprov.provenance.db.transaction import Transaction
from jobprov.provenance.records.gaps import Gap
from jobprov.provenance.records.job_record import JobRecord

__all__ = [
    "JobDraft",
    "gap_document",
    "intern_experiments",
    "table_of",
    "unlink_claims",
    "write_jobs",
]

_PLACES = "SELECT id, task_id, stage_id FROM jobs WHERE id {among}"


class JobDraft(NamedTuple):
    """A job about to be written: its merged record and what the service found out about it.

    Attributes:
        key: integer key, allocated.
        is_new: False where rows of an earlier reading have to go first.
        columns: what `job_columns` says of the record, where somebody asked it before.
    """

    key: int
    is_new: bool
    record: JobRecord
    received_at: datetime
    level: int
    gaps: list[Gap]
    columns: dict[str, Any] | None = None


def write_jobs(transaction: Transaction, drafts: Sequence[JobDraft]) -> set[int]:
    """Write the rows of every draft and bring the edges of all names that they touch up to date.

    Returns:
        The files that an earlier reading of these jobs claimed.
    """
    connection = transaction.connection
    if not drafts:
        return set()
    shared = intern_shared(
        transaction, [draft.record for draft in drafts], [draft.gaps for draft in drafts]
    )
    replaced = [draft.key for draft in drafts if not draft.is_new]
    removed = remove_files(connection, replaced) if replaced else Removed(set(), set())
    before = _places(connection, replaced)
    _write_job_rows(connection, drafts, shared)
    after = _places(connection, replaced)
    moved = {task for job, (task, stage) in before.items() if task and (task, stage) != after[job]}
    place_again(transaction, moved)
    records = {draft.key: draft.record for draft in drafts}
    change_among(connection, "DELETE FROM failure_classes WHERE job_id {among}", replaced)
    write_modules(transaction, records, replaced)
    touched = write_files(transaction, records, shared.experiments)
    link_new_files(connection, touched.new_identities, touched.new_claims)
    link_files(connection, removed.named | touched.files, touched.claims)
    return removed.claimed


def _places(
    connection: Connection, jobs: Sequence[int]
) -> dict[int, tuple[int | None, int | None]]:
    """Return task and stage of each job."""
    places: dict[int, tuple[int | None, int | None]] = {}
    for part in chunks(jobs):
        places.update(
            (job, (task, stage)) for job, task, stage in select_among(connection, _PLACES, part)
        )
    return places


def _write_job_rows(connection: Connection, drafts: Sequence[JobDraft], shared: SharedKeys) -> None:
    fresh = []
    for draft in drafts:
        columns = {"id": draft.key, **_job_row(draft, shared)}
        if draft.is_new:
            fresh.append(columns)
        else:
            connection.execute(update(Job).where(Job.id == draft.key).values(**columns))
    insert_rows(connection, table_of(Job), fresh)


def _job_row(draft: JobDraft, shared: SharedKeys) -> dict[str, Any]:
    return {
        **(draft.columns or job_columns(draft.record)),
        **_shared_columns(draft.record, shared),
        "received_at": draft.received_at,
        "level": draft.level,
        "gap_set_id": shared.gap_sets[gap_document(draft.gaps)[0]],
    }


def _shared_columns(record: JobRecord, shared: SharedKeys) -> dict[str, int | None]:
    """Return the columns that point at what jobs share; None where the record does not name it."""
    experiment = shared.experiments[record.experiment]
    columns: dict[str, int | None] = {
        "experiment_id": experiment,
        "task_id": None,
        "stage_id": None,
        "host_id": None,
        "software_set_id": None,
        "closure_set_id": None,
    }
    if record.task and record.task.task_id:
        columns["task_id"] = shared.tasks.get((experiment, record.task.task_id))
    if stage := stage_key(record):
        columns["stage_id"] = shared.stages[(experiment, *stage)]
    if host := host_key(record):
        columns["host_id"] = shared.hosts[host]
    if record.software:
        columns["software_set_id"] = shared.software_sets[software_set_digest(record.software)]
    if record.configurations:
        columns["closure_set_id"] = shared.closure_sets[closure_set_digest(record.configurations)]
    return columns
