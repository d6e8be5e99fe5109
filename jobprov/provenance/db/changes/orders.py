"""Rows of workflows, orders, leases and retry policies, as they are written and changed.

All but leases belong to ledger entries, which are there before.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, select, update

from jobprov.provenance.db.queries.fragments.membership import remove_among
from jobprov.provenance.db.statements.inserting import insert_rows
from jobprov.provenance.db.tables import Order, OrderInput, OrderLease, RetryPolicyRow, WorkflowRow
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.keys import allocate_keys

_ORDERS = table_of(Order)


class NewOrderRow(NamedTuple):
    """An order about to be written.

    Attributes:
        task, workflow: integer keys; the workflow is None for the retry of a recorded job.
        position: where the order's document is in its ledger entry, from 0.
    """

    order_id: str
    task: int
    workflow: int | None
    unit: str
    attempt: int
    position: int
    retry_of: str | None
    inputs: Sequence[str]


class OrderEnd(NamedTuple):
    """How an order ended in the batch system."""

    order_id: str
    exit_code: int | None
    exit_signal: int | None
    problem: str | None


def lock_workflow(connection: Connection, workflow: int) -> None:
    """Have everybody else who wants this version of a workflow locked wait for our commit."""
    query = select(WorkflowRow.id).where(WorkflowRow.id == workflow)
    connection.execute(query.with_for_update())


def add_workflow_version(
    connection: Connection, experiment: int, *, entry: int, name: str, number: int
) -> None:
    """Add a version of a workflow."""
    table = table_of(WorkflowRow)
    [key] = allocate_keys(connection, table, 1)
    row = {
        "id": key,
        "experiment_id": experiment,
        "entry_id": entry,
        "version": number,
        "name": name,
    }
    insert_rows(connection, table, [row])


def set_state_entry(
    connection: Connection, experiment: int, *, entry: int, name: str, number: int
) -> None:
    """Note the ledger entry that holds the newest state of a version."""
    table = table_of(WorkflowRow)
    is_version = (
        (table.c.experiment_id == experiment) & (table.c.name == name) & (table.c.version == number)
    )
    connection.execute(update(table).where(is_version).values(state_entry_id=entry))


def add_orders(connection: Connection, entry: int, orders: Sequence[NewOrderRow]) -> None:
    """Add orders and the names of the files that they read."""
    keys = allocate_keys(connection, _ORDERS, len(orders))
    order_rows = []
    input_rows = []
    for key, order in zip(keys, orders, strict=True):
        order_rows.append(
            {
                "id": key,
                "task_id": order.task,
                "entry_id": entry,
                "workflow_id": order.workflow,
                "position": order.position,
                "attempt": order.attempt,
                "uuid": order.order_id,
                "unit": order.unit,
                "retry_of": order.retry_of,
            }
        )
        for position, name in enumerate(order.inputs):
            input_rows.append({"order_id": key, "position": position, "name": name})
    insert_rows(connection, _ORDERS, order_rows)
    insert_rows(connection, table_of(OrderInput), input_rows)


def lease_orders(
    connection: Connection, orders: Sequence[int], *, holder: str, now: datetime, until: datetime
) -> None:
    """Lease orders to a holder, in the place of its own leases and of those that are over.

    Raises:
        IntegrityError: somebody else leased one of them meanwhile; nothing is leased.
    """
    is_free = (OrderLease.leased_until < now) | (OrderLease.holder == holder)
    remove_among(connection, OrderLease.order_id, orders, is_free)
    rows = [{"order_id": order, "holder": holder, "leased_until": until} for order in orders]
    # The lease of somebody who was quicker is still there, and two break the primary key
    insert_rows(connection, table_of(OrderLease), rows)


def end_leases(connection: Connection, orders: Sequence[int]) -> None:
    """Remove the leases of orders, whoever holds them."""
    remove_among(connection, OrderLease.order_id, orders)


def mark_placed(connection: Connection, batch_ids: Mapping[str, str], placed_at: datetime) -> None:
    """Note that orders were submitted, by the batch system's id of each."""
    statement = (
        update(_ORDERS)
        .where(_ORDERS.c.uuid == bindparam("order"))
        .values(batch_id=bindparam("batch"), placed_at=placed_at)
    )
    rows = [{"order": order_id, "batch": batch_id} for order_id, batch_id in batch_ids.items()]
    if rows:
        connection.execute(statement, rows)


def mark_ended(connection: Connection, ends: Sequence[OrderEnd], ended_at: datetime) -> None:
    """Note how orders ended in the batch system."""
    statement = (
        update(_ORDERS)
        .where(_ORDERS.c.uuid == bindparam("order"))
        .values(
            ended_at=ended_at,
            exit_code=bindparam("code"),
            exit_signal=bindparam("signal"),
            problem=bindparam("words"),
        )
    )
    rows = []
    for end in ends:
        rows.append(
            {
                "order": end.order_id,
                "code": end.exit_code,
                "signal": end.exit_signal,
                "words": end.problem,
            }
        )
    if rows:
        connection.execute(statement, rows)


def replace_policies(
    connection: Connection, experiment: int, entry: int, documents: Mapping[str, str]
) -> None:
    """Put policies by stage, each as JSON, in the place of all that the experiment had."""
    table = table_of(RetryPolicyRow)
    connection.execute(delete(table).where(table.c.experiment_id == experiment))
    same = {"experiment_id": experiment, "entry_id": entry}
    rows = []
    for stage, document in sorted(documents.items()):
        rows.append({**same, "stage": stage, "document": document})
    insert_rows(connection, table, rows)
