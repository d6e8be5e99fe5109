"""Orders: jobs that are to be submitted, each once.

Made by workflows and by retries, taken under a lease by whoever may submit.

The service submits nothing and holds no credential. An order's id is made of what it is for, so
that asking twice for the same attempt of the same unit makes one order; it goes into the batch
system with the job, where the submitter looks before it submits.

Source: http.md, orders.
"""

import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, delete, select, update

from jobprov.provenance.db.changes.tasks import intern_task
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import allocate_keys, chunks
from jobprov.provenance.db.queries.orders.orders import (
    find_orders,
    find_workflows,
    open_orders,
    wanting_workflows,
)
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import Experiment, Order, OrderInput, OrderLease
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.records.job_record import Integer
from jobprov.provenance.services.ledger.entries import enter_document, read_entries
from jobprov.provenance.services.orders.workflows import read_workflows
from jobprov.provenance.services.writing import Writing

ORDER_NAMESPACE = uuid.UUID("0a6d8a3e-0c60-5f43-8f6e-2b8c6c7f9d01")
LEASE = timedelta(minutes=10)
MOST_TAKEN = 1000
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=3000)]
_Id = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class Part(msgspec.Struct, omit_defaults=True):
    """Which events of its input a job does.

    It says how many to leave out first, how many to do then, and the part's number from 1.
    """

    skip: int
    events: int
    part: int


class NewOrder(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What one job is to do.

    Attributes:
        inputs: names of the files that it reads.
        workflow: name and version of the workflow whose stage it is of; None for a retry of a
            recorded job.
        retry_of: the job that it tries again.
        bundle_of: the recorded job whose bundle it runs; None where a workflow says what to run.
        memory_bytes: what to ask for; None for the default.
        avoided_sites: sites not to run at.
    """

    task_id: _Word
    unit: _Word
    attempt: int
    stage: _Word | None = None
    campaign: _Word | None = None
    inputs: list[_Word] = []
    workflow: tuple[str, int] | None = None
    retry_of: _Id | None = None
    bundle_of: _Id | None = None
    part: Part | None = None
    memory_bytes: int | None = None
    avoided_sites: list[str] = []


class TakeBody(msgspec.Struct, kw_only=True):
    """What `POST /orders/take` takes.

    Attributes:
        holder: who will submit; the same name again gets its own leases back.
        workflow: orders of this workflow alone, besides those of none.
    """

    experiment: _Word
    holder: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST_TAKEN)] = 100
    workflow: _Word | None = None


class PlacedOrder(msgspec.Struct):
    """An order that was submitted, and the batch system's id for it."""

    order_id: _Id
    batch_id: _Word


class EndedOrder(msgspec.Struct):
    """An order that is over in the batch system.

    `problem` is what that says where the job did not end by itself.
    """

    order_id: _Id
    exit_code: Integer | None = None
    signal: Integer | None = None
    problem: Annotated[str, msgspec.Meta(max_length=3000)] | None = None


class ReportBody(msgspec.Struct, kw_only=True):
    """What `POST /orders/report` takes."""

    experiment: _Word
    placed: Annotated[list[PlacedOrder], msgspec.Meta(max_length=MOST_TAKEN)] = []
    ended: Annotated[list[EndedOrder], msgspec.Meta(max_length=MOST_TAKEN)] = []


def order_id(experiment: str, order: NewOrder) -> str:
    """Return the id of an attempt of a unit of a task."""
    words = f"{experiment}|{order.task_id}|{order.unit}|{order.attempt}"
    return str(uuid.uuid5(ORDER_NAMESPACE, words))


def append_orders(
    writing: Writing,
    experiment: str,
    orders: Sequence[NewOrder],
    *,
    said: dict[str, Any] | None = None,
) -> list[str]:
    """Make orders; return their ids, in order.

    Those that are there already are left as they are; `said` is kept with the others.

    Raises:
        ConflictError: one of them is over already, and would never be taken again: another attempt
            has to be ordered.
    """
    ids = [order_id(experiment, order) for order in orders]
    key = intern_experiments(writing, {experiment})[experiment]
    held = find_orders(writing.connection, key, ids)
    if over := next((row for row in held.values() if row.ended_at is not None), None):
        raise ConflictError(
            f"Attempt {over.attempt} of unit {over.unit} was ordered and is over: nothing was "
            "ordered; ask again."
        )
    fresh = {each: order for each, order in zip(ids, orders, strict=True) if each not in held}
    for part in chunks(list(fresh), MOST_TAKEN):
        listed = [{"order_id": each, **msgspec.to_builtins(fresh[each])} for each in part]
        body = {"orders": listed, **(said or {})}
        write_order_rows(writing, key, enter_document(writing, key, "orders", body), body)
    return ids


def write_order_rows(writing: Writing, experiment: int, entry: int, body: dict[str, Any]) -> None:
    """Write the rows of orders whose ledger entry is there."""
    connection = writing.connection
    orders = body["orders"]
    numbers = allocate_keys(connection, table_of(Order), len(orders))
    named = {tuple(order["workflow"]) for order in orders if order.get("workflow")}
    workflows = {
        (name, version): _workflow_key(connection, experiment, name, version)
        for name, version in sorted(named)
    }
    rows = [
        {
            "id": number,
            "task_id": intern_task(writing, experiment, order["task_id"]),
            "entry_id": entry,
            "workflow_id": workflows.get(tuple(order.get("workflow") or ())),
            "position": place,
            "attempt": order["attempt"],
            "uuid": order["order_id"],
            "unit": order["unit"],
            "retry_of": order.get("retry_of"),
        }
        for place, (number, order) in enumerate(zip(numbers, orders, strict=True))
    ]
    insert_rows(connection, table_of(Order), rows)
    inputs = [
        {"order_id": number, "position": place, "name": name}
        for number, order in zip(numbers, orders, strict=True)
        for place, name in enumerate(order.get("inputs", []))
    ]
    insert_rows(connection, table_of(OrderInput), inputs)


def take_orders(writing: Writing, body: TakeBody) -> list[dict[str, Any]]:
    """Return orders that are to be submitted, each leased to the holder.

    That is what `POST /orders/take` answers.

    Raises:
        NotFoundError: the workflow that is named is none.
    """
    connection = writing.connection
    experiment = find_experiment(connection, body.experiment)
    found = find_workflows(connection, name=body.workflow, experiment=body.experiment)
    if body.workflow is not None and not found:
        raise NotFoundError(f"Experiment {body.experiment} has no workflow {body.workflow}.")
    wanting = wanting_workflows(connection, experiment)
    read = read_workflows(
        connection, writing.store, [each for each in found if each.key in wanting]
    )
    running = [each.found for each in read if each.state.state == "running"]
    keys = [each.key for each in running]
    rows = open_orders(
        connection,
        experiment,
        holder=body.holder,
        now=writing.received_at,
        workflows=keys,
        limit=body.limit,
    )
    leases = table_of(OrderLease)
    for part in chunks([row.id for row in rows]):
        free = (leases.c.leased_until < writing.received_at) | (leases.c.holder == body.holder)
        connection.execute(delete(leases).where(leases.c.order_id.in_(part), free))
    # Where another one was quicker, its lease stands and this breaks a constraint: nothing is taken
    until = writing.received_at + LEASE
    insert_rows(
        connection,
        leases,
        [{"order_id": row.id, "holder": body.holder, "leased_until": until} for row in rows],
    )
    documents = read_entries(connection, writing.store, {row.entry_id for row in rows})
    listed = {entry: json.loads(document)["orders"] for entry, document in documents.items()}
    return [
        {**listed[row.entry_id][row.position], "leased_until": until.isoformat()} for row in rows
    ]


def report_orders(writing: Writing, body: ReportBody) -> dict[str, int]:
    """Note which orders were placed and which are over; return how many of each were new.

    Telling twice changes nothing.

    Raises:
        BadInputError: the experiment has no such order.
    """
    connection = writing.connection
    experiment = find_experiment(connection, body.experiment)
    ids = [*(order.order_id for order in body.placed), *(order.order_id for order in body.ended)]
    rows = find_orders(connection, experiment, ids)
    if strange := sorted(set(ids) - rows.keys()):
        raise BadInputError(
            f"Experiment {body.experiment} has no order {strange[0]}.", {"order_id": ["unknown"]}
        )
    placed = [order for order in body.placed if rows[order.order_id].batch_id is None]
    ended = [order for order in body.ended if rows[order.order_id].ended_at is None]
    if placed or ended:
        document = {"placed": msgspec.to_builtins(placed), "ended": msgspec.to_builtins(ended)}
        enter_document(writing, experiment, "order_report", document)
        write_report(connection, document, writing.received_at)
        leases = table_of(OrderLease)
        for part in chunks([rows[order.order_id].id for order in placed]):
            connection.execute(delete(leases).where(leases.c.order_id.in_(part)))
    return {"placed": len(placed), "ended": len(ended)}


def write_report(connection: Connection, document: dict[str, Any], received_at: datetime) -> None:
    """Write what a report says whose ledger entry is there."""
    table = table_of(Order)
    for order in document["placed"]:
        values = {"batch_id": order["batch_id"], "placed_at": received_at}
        connection.execute(update(table).where(table.c.uuid == order["order_id"]).values(**values))
    for order in document["ended"]:
        values = {
            "ended_at": received_at,
            "exit_code": order["exit_code"],
            "exit_signal": order["signal"],
            "problem": order["problem"],
        }
        connection.execute(update(table).where(table.c.uuid == order["order_id"]).values(**values))


def find_experiment(connection: Connection, name: str) -> int:
    """Return the key of an experiment.

    Raises:
        NotFoundError: there is none of this name.
    """
    found = connection.execute(
        select(Experiment.id).where(Experiment.name == name)
    ).scalar_one_or_none()
    if found is None:
        raise NotFoundError(f"There is no experiment {name}.")
    return found


def _workflow_key(connection: Connection, experiment: int, name: str, version: int) -> int | None:
    rows = find_workflows(connection, name=name, version=version)
    return next((row.key for row in rows if row.experiment_key == experiment), None)
