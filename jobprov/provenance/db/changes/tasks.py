"""Rows of tasks, of waived units, and of queues, as they are written and changed.

The ledger entries of tasks and waivers are there before; queues have none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from jobprov.provenance.db.queries.fragments.membership import remove_among, rows_among
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.queries.tasks.queue_samples import SampleCounts, SampledQueue
from jobprov.provenance.db.recording.output_counts import leave_out_lost_of_task
from jobprov.provenance.db.recording.task_rows import place_again
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import (
    Claim,
    File,
    Identity,
    Job,
    QueueJob,
    QueueReport,
    QueueSample,
    QueueSampleStage,
    Stage,
    TaskRow,
    WaivedUnit,
)
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_keys
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.files.outputs import count_named

_COUNT = "UPDATE jobs SET output_count = ? WHERE id = ?"


def intern_task(transaction: Transaction, experiment: int, task_id: str) -> int:
    """Return the key of a task, made where it is not known yet."""
    key = (experiment, task_id)
    row = {"experiment_id": experiment, "task_id": task_id}
    return transaction.intern(table_of(TaskRow), ["experiment_id", "task_id"], {key: row})[key]


def intern_stage(transaction: Transaction, experiment: int, campaign: str, name: str) -> int:
    """Return the key of a stage, made where it is not known yet."""
    key = (experiment, campaign, name)
    row = {"experiment_id": experiment, "campaign": campaign, "name": name}
    stages = transaction.intern(table_of(Stage), ["experiment_id", "campaign", "name"], {key: row})
    return stages[key]


def mark_declared(transaction: Transaction, task: int, entry: int, stage: int | None) -> None:
    """Note the declaration of a task and the stage that it names, and place the task by it."""
    values = {"entry_id": entry, "declared_stage_id": stage}
    transaction.connection.execute(update(TaskRow).where(TaskRow.id == task).values(values))
    place_again(transaction, [task])


def count_outputs_by(connection: Connection, task: int, patterns: Sequence[str]) -> None:
    """Note which outputs of a task's jobs count, and count those of jobs that are there already."""
    text = "\n".join(patterns) or None
    is_task = TaskRow.id == task
    if connection.execute(select(TaskRow.output_patterns).where(is_task)).scalar_one() == text:
        return
    connection.execute(update(TaskRow).where(is_task).values(output_patterns=text))
    names: dict[tuple[int, int], list[str]] = {}
    query = (
        select(Job.id, Job.output_count, File.name)
        .join(Claim, Claim.job_id == Job.id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .where(Job.task_id == task, Claim.alias_of.is_(None), is_made())
    )
    for job, before, name in connection.execute(query):
        names.setdefault((job, before), []).append(name)
    changed = []
    for (job, before), names_of_job in names.items():
        count = count_named(names_of_job, patterns)
        if count != before:
            changed.append((count, job))
    if changed:
        change_many(connection, _COUNT, changed)
    leave_out_lost_of_task(connection, task)


def forget_waivers(connection: Connection, task: int, units: Sequence[str]) -> set[str]:
    """Withdraw the waivers of these units of a task; return the units that had one."""
    is_of_task = WaivedUnit.task_id == task
    query = select(WaivedUnit.unit).where(is_of_task)
    waived = {unit for (unit,) in rows_among(connection, query, WaivedUnit.unit, units)}
    remove_among(connection, WaivedUnit.unit, units, is_of_task)
    return waived


def add_waivers(connection: Connection, task: int, units: Sequence[str], entry: int) -> None:
    """Note which ledger entry waived these units of a task; none of them is waived yet."""
    rows = [{"task_id": task, "unit": unit, "entry_id": entry} for unit in units]
    insert_rows(connection, table_of(WaivedUnit), rows)


def put_queue_report(
    connection: Connection, experiment: int, schedd: str, *, asked_at: datetime, left_out: int
) -> int:
    """Note when a queue was asked; return the key of its report.

    Who reports the same queue at the same moment waits for this transaction.
    """
    values = {"asked_at": asked_at, "left_out": left_out}
    is_this = (QueueReport.experiment_id == experiment, QueueReport.schedd == schedd)
    statement = update(QueueReport).where(*is_this).values(values).returning(QueueReport.id)
    report = connection.execute(statement).scalar_one_or_none()
    if report is None:
        [report] = allocate_keys(connection, table_of(QueueReport), 1)
        row = {"id": report, "experiment_id": experiment, "schedd": schedd, **values}
        connection.execute(insert(QueueReport).values(row))
    return report


def add_queue_jobs(
    connection: Connection, experiment: int, report: int, jobs: Sequence[Mapping[str, object]]
) -> None:
    """Store jobs of a queue; those that have no `id` yet get one."""
    shared = {"experiment_id": experiment, "report_id": report}
    known = [{**job, **shared} for job in jobs if "id" in job]
    # These first: a new key must not be one of theirs
    insert_rows(connection, table_of(QueueJob), known)
    new = [job for job in jobs if "id" not in job]
    keys = allocate_keys(connection, table_of(QueueJob), len(new))
    rows = [{**job, **shared, "id": key} for job, key in zip(new, keys, strict=True)]
    insert_rows(connection, table_of(QueueJob), rows)


def remove_queue_jobs(connection: Connection, jobs: Sequence[int]) -> None:
    """Remove jobs of queues, by their keys."""
    remove_among(connection, QueueJob.id, jobs)


def forget_queue_reports(connection: Connection, experiment: int, *, before: datetime) -> None:
    """Remove what an experiment's queues last reported before a moment."""
    is_old = (QueueReport.experiment_id == experiment, QueueReport.asked_at < before)
    old = select(QueueReport.id).where(*is_old)
    connection.execute(delete(QueueJob).where(QueueJob.report_id.in_(old)))
    connection.execute(delete(QueueReport).where(*is_old))


def add_queue_sample(
    connection: Connection,
    queue: SampledQueue,
    start: datetime,
    sample: SampleCounts,
    *,
    step_seconds: int = 0,
) -> bool:
    """Keep how many jobs a queue had; return False where there is one of that time already.

    Args:
        connection: in a transaction in which nobody else adds one of this queue.
        start: of the time for which the sample stands.
        step_seconds: how long that time is; 0 of a single report.
    """
    is_there = select(QueueSample.id).where(
        QueueSample.experiment_id == queue.experiment,
        QueueSample.schedd == queue.schedd,
        QueueSample.step_seconds == step_seconds,
        QueueSample.start == start,
    )
    if connection.execute(is_there).first() is not None:
        return False
    [key] = allocate_keys(connection, table_of(QueueSample), 1)
    row = {
        "id": key,
        "experiment_id": queue.experiment,
        "schedd": queue.schedd,
        "start": start,
        "step_seconds": step_seconds,
        **sample.counts._asdict(),
    }
    insert_rows(connection, table_of(QueueSample), [row])
    rows = []
    for stage, numbers in sample.by_stage.items():
        rows.append({"sample_id": key, "stage_id": stage, **numbers._asdict()})
    insert_rows(connection, table_of(QueueSampleStage), rows)
    return True


def remove_queue_samples(connection: Connection, samples: Sequence[int]) -> None:
    """Remove samples of queues, by their keys."""
    remove_among(connection, QueueSampleStage.sample_id, samples)
    remove_among(connection, QueueSample.id, samples)
