"""Orders: which are open, and which stand where.

The queries also find what is known of the units of a task that a workflow makes. All work on sets.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, func, or_, select

from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.fragments.claim_places import IN_ORDER
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import (
    Claim,
    Experiment,
    File,
    Host,
    Job,
    Order,
    OrderInput,
    OrderLease,
    TaskRow,
    WorkflowRow,
)

_BAD = [STATES.index(state) for state in ("failed", "killed", "lost")]


class OrderRow(NamedTuple):
    """One order, as planning sees it."""

    id: int
    unit: str
    attempt: int
    batch_id: str | None
    placed_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    exit_signal: int | None
    problem: str | None
    entry_id: int
    position: int


class FailedAttempt(NamedTuple):
    """The last attempt of a unit that has none that succeeded or runs."""

    job: int
    job_id: str
    site: str | None
    exit_code: int | None
    exit_signal: int | None
    message: str | None


class MadeFile(NamedTuple):
    """A file that a unit's first good job made."""

    name: str
    unit: str
    event_count: int | None


class OpenOrder(NamedTuple):
    """An order that is not over, with where its document is."""

    id: int
    order_id: str
    entry_id: int
    position: int
    batch_id: str | None


_ORDER_COLUMNS: tuple[Any, ...] = (
    Order.id, Order.unit, Order.attempt, Order.batch_id, Order.placed_at, Order.ended_at, Order.exit_code,
    Order.exit_signal, Order.problem, Order.entry_id, Order.position,
)  # fmt: skip


def orders_of_task(connection: Connection, task: int) -> list[OrderRow]:
    """Return the orders of a task, in the order in which they were made."""
    query = select(*_ORDER_COLUMNS).where(Order.task_id == task).order_by(Order.id)
    return [OrderRow._make(row) for row in connection.execute(query).all()]


def last_attempt(orders: Iterable[OrderRow]) -> int:
    """Return the highest attempt of these orders of a unit, 0 of none.

    More than their number where a job came without an order.
    """
    return max((order.attempt for order in orders), default=0)


def inputs_of_task(connection: Connection, task: int) -> dict[str, list[str]]:
    """Return the files that each unit of a task reads, as its first order says."""
    query = (
        select(Order.unit, OrderInput.name)
        .join(OrderInput, OrderInput.order_id == Order.id)
        .where(Order.task_id == task, Order.attempt == 1)
        .order_by(Order.id, OrderInput.position)
    )
    found: dict[str, list[str]] = {}
    for unit, name in connection.execute(query).all():
        found.setdefault(unit, []).append(name)
    return found


def failed_attempts(connection: Connection, task: int) -> dict[str, list[FailedAttempt]]:
    """Return the attempts of each unit of a task that did not succeed, the last one last."""
    query = (
        select(Job.unit, Job.id, Job.uuid, Host.site, Job.exit_code, Job.exit_signal, Job.message)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(
            Job.task_id == task, Job.state.in_(_BAD), Job.rerun_of.is_(None), Job.unit.is_not(None)
        )
        .order_by(func.coalesce(Job.ended_at, Job.received_at), Job.id)
    )
    found: dict[str, list[FailedAttempt]] = {}
    for row in connection.execute(query):
        found.setdefault(str(row[0]), []).append(FailedAttempt._make(row[1:]))
    return found


def made_files(connection: Connection, task: int) -> list[MadeFile]:
    """Return the files that good jobs of a task made, the oldest first.

    Of a unit that was done twice those of one job.
    """
    first = (
        select(Job.unit, func.min(Job.id).label("id"))
        .where(
            Job.task_id == task,
            Job.state == STATES.index("succeeded"),
            Job.rerun_of.is_(None),
            Job.unit.is_not(None),
        )
        .group_by(Job.unit)
        .subquery()
    )
    query = (
        select(File.namespace, File.name, first.c.unit, Claim.event_count)
        .join(Claim, Claim.job_id == first.c.id)
        .join(File, File.id == Claim.file_id)
        .where(Claim.alias_of.is_(None), func.coalesce(Claim.status, "written") == "written")
        .order_by(*IN_ORDER)
    )
    return [
        MadeFile(f"{row[0]}:{row[1]}" if row[0] else row[1], row[2], row[3])
        for row in connection.execute(query).all()
    ]


def open_orders(
    connection: Connection,
    experiment: int,
    *,
    holder: str,
    now: datetime,
    workflows: Sequence[int] | None,
    limit: int,
) -> list[OpenOrder]:
    """Return orders that nobody placed and no other holder has a lease of, the oldest first.

    Args:
        connection: where from.
        experiment: its key.
        holder: who asks; its own leases count as none.
        now: leases that ended before are over.
        workflows: orders of these, and those of no workflow; None for those of no workflow alone.
        limit: how many at most.
    """
    query = (
        select(Order.id, Order.uuid, Order.entry_id, Order.position, Order.batch_id)
        .join(TaskRow, TaskRow.id == Order.task_id)
        .outerjoin(OrderLease, OrderLease.order_id == Order.id)
        .where(
            Order.ended_at.is_(None),
            Order.batch_id.is_(None),
            TaskRow.experiment_id == experiment,
            or_(
                OrderLease.order_id.is_(None),
                OrderLease.leased_until < now,
                OrderLease.holder == holder,
            ),
            or_(Order.workflow_id.is_(None), Order.workflow_id.in_(workflows or [])),
        )
        .order_by(Order.id)
        .limit(limit)
        .with_for_update(of=Order, skip_locked=True)
    )
    return [OpenOrder(*row) for row in connection.execute(query)]


def placed_orders(connection: Connection, experiment: int) -> list[dict[str, Any]]:
    """Return the orders of an experiment that are placed and not over.

    Each is `{order_id, batch_id, placed_at}`.
    """
    query = (
        select(Order.uuid, Order.batch_id, Order.placed_at)
        .join(TaskRow, TaskRow.id == Order.task_id)
        .where(
            Order.ended_at.is_(None),
            Order.batch_id.is_not(None),
            TaskRow.experiment_id == experiment,
        )
        .order_by(Order.id)
    )
    return [
        {
            "order_id": row[0],
            "batch_id": row[1],
            "placed_at": row[2].isoformat() if row[2] else None,
        }
        for row in connection.execute(query)
    ]


def find_orders(
    connection: Connection, experiment: int, order_ids: Sequence[str]
) -> dict[str, OrderRow]:
    """Return orders of an experiment by id; those that it does not have are left out."""
    found: dict[str, OrderRow] = {}
    for part in chunks(order_ids):
        query = (
            select(Order.uuid, *_ORDER_COLUMNS)
            .join(TaskRow, TaskRow.id == Order.task_id)
            .where(Order.uuid.in_(part), TaskRow.experiment_id == experiment)
        )
        found |= {row[0]: OrderRow._make(row[1:]) for row in connection.execute(query).all()}
    return found


def wanting_workflows(connection: Connection, experiment: int) -> set[int]:
    """Return the workflows of an experiment that have orders which nobody placed."""
    query = (
        select(Order.workflow_id)
        .join(TaskRow, TaskRow.id == Order.task_id)
        .where(
            Order.ended_at.is_(None), Order.batch_id.is_(None), TaskRow.experiment_id == experiment
        )
        .distinct()
    )
    return {row[0] for row in connection.execute(query) if row[0] is not None}


def open_count(connection: Connection, workflow: int) -> int:
    """Return how many orders of a workflow are not over."""
    query = select(func.count()).where(Order.workflow_id == workflow, Order.ended_at.is_(None))
    return connection.execute(query).scalar_one()


class WorkflowFound(NamedTuple):
    """A version of a workflow: integer key, and ledger entries of its declaration and state."""

    key: int
    name: str
    version: int
    experiment: str
    experiment_key: int
    entry_id: int
    state_entry_id: int | None


def find_workflows(
    connection: Connection,
    *,
    name: str | None = None,
    experiment: str | None = None,
    version: int | None = None,
) -> list[WorkflowFound]:
    """Return versions of workflows, the newest first; a thousand at most."""
    query = (
        select(
            WorkflowRow.id, WorkflowRow.name, WorkflowRow.version, Experiment.name, Experiment.id,
            WorkflowRow.entry_id, WorkflowRow.state_entry_id,
        )
        .join(Experiment, Experiment.id == WorkflowRow.experiment_id)
        .order_by(WorkflowRow.id.desc())
        .limit(1000)
    )  # fmt: skip
    for column, value in (
        (WorkflowRow.name, name),
        (Experiment.name, experiment),
        (WorkflowRow.version, version),
    ):
        if value is not None:
            query = query.where(and_(column == value))
    return [WorkflowFound(*row) for row in connection.execute(query)]
