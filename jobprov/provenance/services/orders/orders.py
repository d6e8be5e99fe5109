"""Orders: jobs that are to be submitted, each once.

Workflows and retries make orders; whoever may submit takes them under a lease.

The service submits nothing and holds no credential. An order's id is made from its task, unit and
attempt, so that ordering the same attempt twice makes one order. The id goes into the batch system
with the job, and the submitter looks for it there before it submits.

Source: http.md, orders.
"""

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.orders.orders import (
    EnteredOrder,
    FullJobId,
    NewOrder,
    OrdersInFlight,
    OrdersReported,
    OrderWord,
    TakenOrder,
)
from jobprov.provenance.db.changes.orders import (
    NewOrderRow,
    OrderEnd,
    add_orders,
    end_leases,
    lease_orders,
    mark_ended,
    mark_placed,
)
from jobprov.provenance.db.changes.tasks import intern_task
from jobprov.provenance.db.queries.orders.orders import (
    OrderRow,
    find_orders,
    open_orders,
    placed_orders,
)
from jobprov.provenance.db.queries.orders.workflows import (
    find_versions,
    workflows_with_unplaced_orders,
)
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.records.job_record import Integer
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.orders.workflows import read_workflows
from jobprov.provenance.services.writing import Writing

ORDER_NAMESPACE = uuid.UUID("0a6d8a3e-0c60-5f43-8f6e-2b8c6c7f9d01")
LEASE = timedelta(minutes=10)
MOST_TAKEN = 1000


class TakeBody(msgspec.Struct, kw_only=True):
    """What `POST /orders/take` takes.

    Attributes:
        holder: who will submit; the same name again gets its own leases back.
        workflow: take orders of this workflow, and those of no workflow; all by default.
    """

    experiment: OrderWord
    holder: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_TAKEN)] = 100
    workflow: OrderWord | None = None


class PlacedOrder(msgspec.Struct):
    """An order that was submitted, and the batch system's id for it."""

    order_id: FullJobId
    batch_id: OrderWord


class EndedOrder(msgspec.Struct):
    """An order that is over in the batch system.

    Attributes:
        problem: what the batch system reports where the job did not end by itself.
    """

    order_id: FullJobId
    exit_code: Integer | None = None
    signal: Integer | None = None
    problem: Annotated[str, msgspec.Meta(max_length=3000)] | None = None


class ReportBody(msgspec.Struct, kw_only=True):
    """What `POST /orders/report` takes."""

    experiment: OrderWord
    placed: Annotated[list[PlacedOrder], msgspec.Meta(max_length=MOST_TAKEN)] = []
    ended: Annotated[list[EndedOrder], msgspec.Meta(max_length=MOST_TAKEN)] = []


def order_id(experiment: str, order: NewOrder) -> str:
    """Return the id of an attempt of a unit of a task."""
    key = f"{experiment}|{order.task_id}|{order.unit}|{order.attempt}"
    return str(uuid.uuid5(ORDER_NAMESPACE, key))


def append_orders(
    writing: Writing,
    experiment: str,
    orders: Sequence[NewOrder],
    *,
    decision: Mapping[str, str] | None = None,
) -> list[str]:
    """Make orders; return their ids, in order.

    Orders that exist already stay as they are.

    Args:
        decision: who ordered it and why; kept with the new orders.

    Raises:
        ConflictError: one of them is over already, and would never be taken again: another attempt
            has to be ordered.
    """
    ids = [order_id(experiment, order) for order in orders]
    key = intern_experiments(writing, {experiment})[experiment]
    existing = find_orders(writing.connection, key, ids)
    for row in existing.values():
        if row.ended_at is not None:
            raise ConflictError(
                f"Attempt {row.attempt} of unit {row.unit} was ordered and is over: nothing was "
                "ordered; ask again."
            )
    documents = {}
    for name, order in zip(ids, orders, strict=True):
        if name not in existing:
            documents[name] = {"order_id": name, **msgspec.to_builtins(order)}
    # Whoever reads one order reads its whole entry, so that is kept small
    for part in chunks(list(documents.values()), MOST_TAKEN):
        body = {"orders": part, **(decision or {})}
        write_order_rows(writing, key, enter_document(writing, key, "orders", body), body)
    return ids


def write_order_rows(
    writing: Writing, experiment: int, entry: int, body: Mapping[str, Any]
) -> None:
    """Write the rows of orders whose ledger entry is there."""
    orders = msgspec.convert(body["orders"], list[EnteredOrder])
    keys: dict[tuple[str, int] | None, int | None] = {None: None}
    rows = []
    for position, order in enumerate(orders):
        workflow = order.workflow
        if workflow is not None and workflow not in keys:
            keys[workflow] = _workflow_key(writing.connection, experiment, *workflow)
        row = NewOrderRow(
            order_id=order.order_id,
            task=intern_task(writing, experiment, order.task_id),
            workflow=keys[workflow],
            unit=order.unit,
            attempt=order.attempt,
            position=position,
            retry_of=order.retry_of,
            inputs=order.inputs,
        )
        rows.append(row)
    add_orders(writing.connection, entry, rows)


def _workflow_key(connection: Connection, experiment: int, name: str, number: int) -> int | None:
    for version in find_versions(connection, name=name, number=number):
        if version.experiment_key == experiment:
            return version.key
    return None


def take_orders(writing: Writing, body: TakeBody) -> list[TakenOrder]:
    """Return orders that are to be submitted, each leased to the holder, the oldest first.

    Raises:
        NotFoundError: there is no such experiment or workflow.
    """
    connection, now = writing.connection, writing.received_at
    experiment = find_experiment(connection, body.experiment, offers_names=False)
    orders = open_orders(
        connection,
        experiment,
        holder=body.holder,
        now=now,
        workflows=_running_workflows(writing, experiment, body),
        limit=body.limit,
    )
    until = now + LEASE
    lease_orders(
        connection, [order.id for order in orders], holder=body.holder, now=now, until=until
    )
    taken = []
    for document in read_order_documents(connection, writing.store, orders):
        document["leased_until"] = until.isoformat()
        taken.append(msgspec.convert(document, TakenOrder))
    return taken


def _running_workflows(writing: Writing, experiment: int, body: TakeBody) -> list[int]:
    """Return the workflows whose orders may be taken: those that run, or the one that is named."""
    versions = find_versions(writing.connection, name=body.workflow, experiment=body.experiment)
    if body.workflow is not None and not versions:
        raise NotFoundError(f"Experiment {body.experiment} has no workflow {body.workflow}.")
    # To know its state, a workflow is read from the ledger: only where orders wait for it
    unplaced = workflows_with_unplaced_orders(writing.connection, experiment)
    declared = read_workflows(
        writing.connection,
        writing.store,
        [version for version in versions if version.key in unplaced],
    )
    return [workflow.version.key for workflow in declared if workflow.state.state == "running"]


def read_order_documents(
    connection: Connection, store: Store, orders: Iterable[OrderRow]
) -> list[dict[str, object]]:
    """Return the documents of orders from the ledger, in the same order."""
    orders = list(orders)
    bodies = read_entries(connection, store, {order.entry_id for order in orders})
    entries = {entry: json.loads(body)["orders"] for entry, body in bodies.items()}
    return [entries[order.entry_id][order.position] for order in orders]


def report_orders(writing: Writing, body: ReportBody) -> OrdersReported:
    """Note which orders were placed and which are over; return how many of each were new.

    Repeating a report changes nothing.

    Raises:
        NotFoundError: there is no such experiment.
        BadInputError: the experiment has no such order.
    """
    connection = writing.connection
    experiment = find_experiment(connection, body.experiment, offers_names=False)
    rows = _reported_orders(connection, experiment, body)
    # A report comes again where its answer was lost
    placed = [order for order in body.placed if rows[order.order_id].batch_id is None]
    ended = [order for order in body.ended if rows[order.order_id].ended_at is None]
    if placed or ended:
        document = {"placed": msgspec.to_builtins(placed), "ended": msgspec.to_builtins(ended)}
        enter_document(writing, experiment, "order_report", document)
        write_report(connection, document, writing.received_at)
        end_leases(connection, [rows[order.order_id].id for order in placed])
    return OrdersReported(placed=len(placed), ended=len(ended))


def _reported_orders(
    connection: Connection, experiment: int, body: ReportBody
) -> dict[str, OrderRow]:
    """Return the orders that a report names, by id."""
    ids = [order.order_id for order in body.placed] + [order.order_id for order in body.ended]
    rows = find_orders(connection, experiment, ids)
    unknown = sorted(set(ids) - rows.keys())
    if unknown:
        raise BadInputError(
            f"Experiment {body.experiment} has no order {unknown[0]}.", {"order_id": ["unknown"]}
        )
    return rows


def write_report(
    connection: Connection, document: Mapping[str, Any], received_at: datetime
) -> None:
    """Write the rows of a report whose ledger entry is there."""
    batch_ids = {order["order_id"]: order["batch_id"] for order in document["placed"]}
    mark_placed(connection, batch_ids, received_at)
    ends = []
    for order in document["ended"]:
        code, signal = order["exit_code"], order["signal"]
        ends.append(OrderEnd(order["order_id"], code, signal, order["problem"]))
    mark_ended(connection, ends, received_at)


def list_orders_in_flight(connection: Connection, experiment: str) -> OrdersInFlight:
    """Return the orders of an experiment that were placed and are not over, the oldest first.

    Raises:
        NotFoundError: there is no such experiment.
    """
    return OrdersInFlight(placed_orders(connection, find_experiment(connection, experiment)))
