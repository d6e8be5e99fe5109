"""What is known of when the jobs of a task, or of one of its units, waited and ran."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.db.queries.tasks.queue import STANDINGS
from jobprov.provenance.db.queries.tasks.running import JobsToCount
from jobprov.provenance.db.queries.tasks.tasks import FoundTask
from jobprov.provenance.db.tables import Host, Job, Order, QueueJob, QueueReport

PLACES = {"site": Host.site, "host": Host.hostname}
"""What the jobs of a task are folded by."""


class Span(NamedTuple):
    """How many jobs a task has, and from when until when they ran; None if not recorded."""

    jobs: int
    start: datetime | None
    end: datetime | None
    newest_start: datetime | None


class QueuedAttempt(NamedTuple):
    """A job of a unit, as its batch system's queue has it.

    Attributes:
        since: when it came into its state.
    """

    batch_id: str
    job_id: str
    state: str
    since: datetime | None
    asked_at: datetime
    host: str | None
    site: str | None
    hold_reason: str | None


class PlacedOrder(NamedTuple):
    """An order that was handed to a batch system."""

    job_id: str
    batch_id: str | None
    placed_at: datetime
    is_over: bool


def span_of(connection: Connection, task: int) -> Span:
    """Return how many jobs a task has and when they ran."""
    query = select(
        func.count(), func.min(Job.started_at), func.max(Job.ended_at), func.max(Job.started_at)
    )
    return Span(*connection.execute(query.where(*_of_task(task))).one())


def newest_attempts(connection: Connection, task: int, unit: str, *, limit: int) -> list[int]:
    """Return the keys of the newest jobs of a unit."""
    query = select(Job.id).where(*_of_task(task), Job.unit == unit)
    return list(connection.execute(query.order_by(Job.id.desc()).limit(limit)).scalars())


def longest_jobs(connection: Connection, task: int, *, limit: int) -> list[int]:
    """Return the keys of the jobs of a task that took longest, of those with recorded times."""
    took = func.coalesce(Job.wall_seconds, 0.0)
    query = select(Job.id).where(*_of_task(task)).order_by(took.desc(), Job.id.desc())
    return list(connection.execute(query.limit(limit)).scalars())


def jobs_by_place(task: int, by: str) -> JobsToCount:
    """Return the jobs of a task as they are counted by `site` or `host`, over all of its time."""
    return JobsToCount(PLACES[by], _with_host, [Job.task_id == task], is_all_within=True)


def queued_attempts(
    connection: Connection, task: FoundTask, unit: str, *, limit: int
) -> list[QueuedAttempt]:
    """Return the jobs of a unit that queues have, as they were last asked."""
    query = (
        select(
            QueueJob.batch_id,
            QueueJob.job_uuid,
            QueueJob.standing,
            QueueJob.since,
            QueueReport.asked_at,
            QueueJob.host,
            QueueJob.site,
            QueueJob.hold_reason,
        )
        .join(QueueReport, QueueReport.id == QueueJob.report_id)
        .where(
            QueueJob.experiment_id == task.experiment_key,
            QueueJob.task_id == task.task_id,
            QueueJob.unit == unit,
        )
        .order_by(QueueJob.id)
        .limit(limit)
    )
    attempts = []
    for row in connection.execute(query):
        attempts.append(QueuedAttempt._make(row)._replace(state=STANDINGS[row.standing].state))
    return attempts


def placed_orders_of_unit(
    connection: Connection, task: int, unit: str, *, limit: int
) -> list[PlacedOrder]:
    """Return the newest orders of a unit that were handed to a batch system."""
    query = (
        select(Order.uuid, Order.batch_id, Order.placed_at, Order.ended_at.is_not(None))
        .where(Order.task_id == task, Order.unit == unit, Order.placed_at.is_not(None))
        .order_by(Order.id.desc())
        .limit(limit)
    )
    return [PlacedOrder._make(row) for row in connection.execute(query)]


def _of_task(task: int) -> Sequence[Any]:
    return [Job.task_id == task, Job.rerun_of.is_(None)]


def _with_host(query: Select[Any]) -> Select[Any]:
    return query.outerjoin(Host, Host.id == Job.host_id)
