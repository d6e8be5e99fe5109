"""What a new report of a queue is compared with: the report before, and what jobs usually do."""

from collections.abc import Iterable
from datetime import datetime
from statistics import median
from typing import NamedTuple

from sqlalchemy import Connection, case, func, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.tasks.queue import RUNNING_STANDINGS
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Job, LogTailPiece, QueueJob, QueueReport, TaskRow

_NEWEST_JOBS = 501
_NEWEST_TASKS = 5
_LEAST_JOBS = 5
"""Fewer jobs than this show nothing about how long they take."""
_UNITS_OF_NODES = """
SELECT a.node, min(j.unit), max(j.unit)
FROM node_attempts a JOIN jobs j ON j.id = a.job_id WHERE a.node {among} GROUP BY a.node
"""


class FoundReport(NamedTuple):
    """The last report of a queue: its key, and when the queue was asked."""

    key: int
    asked_at: datetime


class EarlierJob(NamedTuple):
    """A job of the report before.

    Attributes:
        fingerprint: of its whole row.
        job_id: of its attempt; None where it did not run.
        cpu_changed_measured: see `QueueJob`.
    """

    key: int
    fingerprint: bytes
    job_id: str | None
    cpu_seconds: float | None
    cpu_changed_measured: float | None


def find_report(connection: Connection, experiment: int, schedd: str) -> FoundReport | None:
    """Return the last report of a queue; None before the first."""
    query = select(QueueReport.id, QueueReport.asked_at).where(
        QueueReport.experiment_id == experiment, QueueReport.schedd == schedd
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else FoundReport(*row)


def earlier_jobs(connection: Connection, report: int) -> dict[str, EarlierJob]:
    """Return the jobs of a report as it was, by batch id."""
    is_running = QueueJob.standing.in_(RUNNING_STANDINGS)
    # To turn the bytes of all ids into text would take half of the time
    query = select(
        QueueJob.batch_id,
        QueueJob.id,
        QueueJob.fingerprint,
        case((is_running, QueueJob.job_uuid)),
        QueueJob.cpu_seconds,
        QueueJob.cpu_changed_measured,
    ).where(QueueJob.report_id == report)
    rows = connection.execute(query).all()
    return {batch_id: EarlierJob(*others) for batch_id, *others in rows}


def announced_tasks(
    connection: Connection, experiment: int, job_ids: Iterable[str]
) -> dict[str, str]:
    """Return the task of each of these jobs that a hook announced with one, by job id."""
    query = (
        select(Job.uuid, TaskRow.task_id)
        .join(TaskRow, TaskRow.id == Job.task_id)
        .where(Job.experiment_id == experiment, Job.rerun_of.is_(None))
    )
    rows = rows_among(connection, query, Job.uuid, job_ids)
    return {row.uuid: row.task_id for row in rows}


def units_of_nodes(connection: Connection, nodes: Iterable[int]) -> dict[int, str]:
    """Return the unit that all recorded attempts at a node count for, by node.

    Nodes without an attempt are left out, and those whose attempts count for several units.
    """
    units: dict[int, str] = {}
    for node, first, last in select_among(connection, _UNITS_OF_NODES, nodes):
        if first is not None and first == last:
            units[node] = first
    return units


def jobs_with_unit(connection: Connection, experiment: int, job_ids: Iterable[str]) -> set[str]:
    """Return those of these jobs that are recorded with a unit."""
    query = select(Job.uuid).where(Job.experiment_id == experiment, Job.unit.is_not(None))
    return {row.uuid for row in rows_among(connection, query, Job.uuid, job_ids)}


def last_log_lines(
    connection: Connection, experiment: int, job_ids: Iterable[str]
) -> dict[str, datetime]:
    """Return when the newest part of any log of these jobs came, by job id; none without logs."""
    query = (
        select(Job.uuid, func.max(LogTailPiece.received_at).label("heard_at"))
        .join(LogTailPiece, LogTailPiece.job_id == Job.id)
        .where(Job.experiment_id == experiment)
        .group_by(Job.uuid)
    )
    rows = rows_among(connection, query, Job.uuid, job_ids)
    return {row.uuid: row.heard_at for row in rows}


def stages_of_tasks(
    connection: Connection, experiment: int, task_ids: Iterable[str]
) -> dict[str, int]:
    """Return the key of the stage of each of these tasks that is known and has one."""
    query = select(TaskRow.task_id, TaskRow.stage_id).where(
        TaskRow.experiment_id == experiment, TaskRow.stage_id.is_not(None)
    )
    stages: dict[str, int] = {}
    for task_id, stage in rows_among(connection, query, TaskRow.task_id, task_ids):
        if stage:
            stages[task_id] = stage
    return stages


class UsualTimes:
    """How long jobs of a stage usually take; each stage is looked up once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seconds_by_stage: dict[int, float | None] = {}

    def seconds(self, stage: int) -> float | None:
        """Return the median wall time of a stage's jobs; None if too few of them succeeded."""
        if stage not in self._seconds_by_stage:
            self._seconds_by_stage[stage] = _median_seconds(self._connection, stage)
        return self._seconds_by_stage[stage]


def _median_seconds(connection: Connection, stage: int) -> float | None:
    """Return the median wall time of the newest jobs that succeeded in the newest tasks of a stage.

    At most 501 rows are read, however many jobs the stage has.
    """
    newest_tasks = (
        select(TaskRow.id)
        .where(TaskRow.stage_id == stage)
        .order_by(TaskRow.id.desc())
        .limit(_NEWEST_TASKS)
    )
    seconds: list[float] = []
    for task in connection.execute(newest_tasks).scalars().all():
        query = (
            select(Job.wall_seconds)
            .where(
                Job.task_id == task,
                Job.state == SUCCEEDED,
                Job.rerun_of.is_(None),
                Job.wall_seconds.is_not(None),
            )
            .order_by(Job.id.desc())
            .limit(_NEWEST_JOBS - len(seconds))
        )
        seconds += [row[0] for row in connection.execute(query) if row[0] is not None]
    return median(seconds) if len(seconds) >= _LEAST_JOBS else None
