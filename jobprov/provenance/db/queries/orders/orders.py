"""Orders, and what is known of the units that they are for. All queries work on sets."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, literal_column, or_, select

from jobprov.provenance.answers.orders.orders import OrderInFlight
from jobprov.provenance.db.queries.catalogs.retired import gone_among, gone_outputs
from jobprov.provenance.db.queries.fragments.arrived import is_not_lost
from jobprov.provenance.db.queries.fragments.bad_jobs import NEVER_BEGAN
from jobprov.provenance.db.queries.fragments.claim_places import IN_ORDER
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.versions import is_made
from jobprov.provenance.db.queries.tasks.tasks import jobs_that_did_units
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.recording.task_rows import patterns_of_tasks
from jobprov.provenance.db.tables import (
    Claim,
    File,
    Host,
    Identity,
    Job,
    Order,
    OrderInput,
    OrderLease,
    TaskRow,
)
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.records.files.outputs import counts_for_unit

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
    """An attempt of a unit that did not succeed.

    Attributes:
        began: False for a job that was removed before.
    """

    job: int
    job_id: str
    site: str | None
    exit_code: int | None
    exit_signal: int | None
    message: str | None
    began: bool


class MadeFile(NamedTuple):
    """A file of the first job that did a unit."""

    name: str
    unit: str
    event_count: int | None


_ORDER_COLUMNS: tuple[Any, ...] = (
    Order.id, Order.unit, Order.attempt, Order.batch_id, Order.placed_at, Order.ended_at,
    Order.exit_code, Order.exit_signal, Order.problem, Order.entry_id, Order.position,
)  # fmt: skip


def orders_by_unit(connection: Connection, task: int) -> dict[str, list[OrderRow]]:
    """Return the orders of each unit of a task, in the order in which they were made."""
    query = select(*_ORDER_COLUMNS).where(Order.task_id == task).order_by(Order.id)
    orders: dict[str, list[OrderRow]] = {}
    for row in map(OrderRow._make, connection.execute(query)):
        orders.setdefault(row.unit, []).append(row)
    return orders


def last_attempt(orders: Iterable[OrderRow]) -> int:
    """Return the highest attempt of these orders of a unit, 0 of none.

    More than their number where a job came without an order.
    """
    return max((order.attempt for order in orders), default=0)


def inputs_of_task(connection: Connection, task: int) -> dict[str, list[str]]:
    """Return the files that each unit of a task reads, from its first order."""
    query = (
        select(Order.unit, OrderInput.name)
        .join(OrderInput, OrderInput.order_id == Order.id)
        .where(Order.task_id == task, Order.attempt == 1)
        .order_by(Order.id, OrderInput.position)
    )
    inputs: dict[str, list[str]] = {}
    for unit, name in connection.execute(query).all():
        inputs.setdefault(unit, []).append(name)
    return inputs


def failed_attempts_by_unit(connection: Connection, task: int) -> dict[str, list[FailedAttempt]]:
    """Return the attempts of each unit of a task that did not succeed, the last one last."""
    columns: tuple[Any, ...] = (
        Job.unit, Job.id, Job.uuid, Host.site, Job.exit_code, Job.exit_signal, Job.message,
        literal_column(NEVER_BEGAN),
    )  # fmt: skip
    query = (
        select(*columns)
        .select_from(Job)
        .outerjoin(Host, Host.id == Job.host_id)
        # A rerun for comparison is no attempt at its unit
        .where(
            Job.task_id == task, Job.state.in_(_BAD), Job.rerun_of.is_(None), Job.unit.is_not(None)
        )
        .order_by(func.coalesce(Job.ended_at, Job.received_at), Job.id)
    )
    failures: dict[str, list[FailedAttempt]] = {}
    for unit, *attempt, never_began in connection.execute(query):
        failed = FailedAttempt._make((*attempt, not never_began))
        failures.setdefault(str(unit), []).append(failed)
    return failures


def made_files(connection: Connection, task: int, *, needed: int) -> list[MadeFile]:
    """Return the files of the jobs that did the units of a task, the oldest first.

    Only files that count for a unit by their names, and none that is gone from the catalog or never
    arrived there.

    Args:
        task: its key.
        needed: how many outputs make a unit done.
    """
    done = jobs_that_did_units([task], needed)
    query = (
        select(File.namespace, File.name, done.c.unit, Claim.event_count)
        .select_from(done)
        .join(Claim, Claim.job_id == done.c.id)
        .join(File, File.id == Claim.file_id)
        .join(Identity, Identity.id == Claim.identity_id)
        .join(Job, Job.id == done.c.id)
        .where(done.c.unit.is_not(None), Claim.alias_of.is_(None), is_made(), is_not_lost())
        .order_by(*IN_ORDER)
    )
    patterns = patterns_of_tasks(connection, [task]).get(task, [])
    rows = connection.execute(query).all()
    gone: set[tuple[str, str]] = set()
    if gone_outputs(connection, task, limit=1):
        gone = gone_among(connection, task, [(row.name, row.namespace) for row in rows])
    files = []
    for namespace, name, unit, event_count in rows:
        if (name, namespace) in gone or not counts_for_unit(name, patterns):
            continue
        files.append(MadeFile(full_name(name, namespace), unit, event_count))
    return files


def open_orders(
    connection: Connection,
    experiment: int,
    *,
    holder: str,
    now: datetime,
    workflows: Sequence[int],
    limit: int,
) -> list[OrderRow]:
    """Return orders that are not placed yet and not leased by another holder, oldest first.

    Args:
        connection: in a transaction; PostgreSQL locks the orders until it ends.
        experiment: its key.
        holder: who asks; gets the orders that it has leased, too.
        now: leases that ended before are over.
        workflows: orders of these workflows count, besides those of no workflow.
    """
    query = (
        select(*_ORDER_COLUMNS)
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
            or_(Order.workflow_id.is_(None), Order.workflow_id.in_(workflows)),
        )
        .order_by(Order.id)
        .limit(limit)
        # Whoever takes orders at the same moment gets the next ones instead of waiting
        .with_for_update(of=Order, skip_locked=True)
    )
    return [OrderRow(*row) for row in connection.execute(query)]


def placed_orders(connection: Connection, experiment: int) -> list[OrderInFlight]:
    """Return the orders of an experiment that are placed and not over, the oldest first."""
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
    orders = []
    for order_id, batch_id, moment in connection.execute(query):
        placed_at = None if moment is None else moment.isoformat()
        orders.append(OrderInFlight(order_id, str(batch_id), placed_at))
    return orders


def find_orders(
    connection: Connection, experiment: int, order_ids: Sequence[str]
) -> dict[str, OrderRow]:
    """Return orders of an experiment by id; those that it does not have are left out."""
    query = (
        select(Order.uuid, *_ORDER_COLUMNS)
        .join(TaskRow, TaskRow.id == Order.task_id)
        .where(TaskRow.experiment_id == experiment)
    )
    orders: dict[str, OrderRow] = {}
    for order_id, *columns in rows_among(connection, query, Order.uuid, order_ids):
        orders[order_id] = OrderRow._make(columns)
    return orders
