"""Versions of workflows, and which of them have orders that are not over."""

from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from jobprov.provenance.db.tables import Experiment, Order, TaskRow, WorkflowRow

_MOST_VERSIONS = 1000


class WorkflowVersion(NamedTuple):
    """A version of a workflow: integer key, and ledger entries of its declaration and state.

    Attributes:
        number: of the version, from 1.
        state_entry_id: None where nobody has changed the state since the declaration.
    """

    key: int
    name: str
    number: int
    experiment: str
    experiment_key: int
    entry_id: int
    state_entry_id: int | None


def find_versions(
    connection: Connection,
    *,
    name: str | None = None,
    experiment: str | None = None,
    number: int | None = None,
) -> list[WorkflowVersion]:
    """Return versions of workflows, the newest first; a thousand at most."""
    query = (
        select(
            WorkflowRow.id,
            WorkflowRow.name,
            WorkflowRow.version,
            Experiment.name,
            Experiment.id,
            WorkflowRow.entry_id,
            WorkflowRow.state_entry_id,
        )
        .join(Experiment, Experiment.id == WorkflowRow.experiment_id)
        .order_by(WorkflowRow.id.desc())
        .limit(_MOST_VERSIONS)
    )
    for column, value in (
        (WorkflowRow.name, name),
        (Experiment.name, experiment),
        (WorkflowRow.version, number),
    ):
        if value is not None:
            query = query.where(and_(column == value))
    return [WorkflowVersion._make(row) for row in connection.execute(query)]


def newest_version_number(connection: Connection, experiment: int, name: str) -> int:
    """Return the number of the newest version of a workflow, 0 where there is none."""
    query = select(func.coalesce(func.max(WorkflowRow.version), 0)).where(
        WorkflowRow.experiment_id == experiment, WorkflowRow.name == name
    )
    return connection.execute(query).scalar_one()


def state_entry_of(connection: Connection, workflow: int) -> int | None:
    """Return the ledger entry of a version's state; None where nobody has changed it."""
    query = select(WorkflowRow.state_entry_id).where(WorkflowRow.id == workflow)
    return connection.execute(query).scalar_one()


def workflows_with_unplaced_orders(connection: Connection, experiment: int) -> set[int]:
    """Return the workflows of an experiment that have orders which nobody placed."""
    query = (
        select(Order.workflow_id)
        .join(TaskRow, TaskRow.id == Order.task_id)
        .where(
            Order.ended_at.is_(None),
            Order.batch_id.is_(None),
            TaskRow.experiment_id == experiment,
        )
        .distinct()
    )
    return {row[0] for row in connection.execute(query) if row[0] is not None}


def count_open_orders(connection: Connection, workflow: int) -> int:
    """Return how many orders of a workflow are not over."""
    query = select(func.count()).where(Order.workflow_id == workflow, Order.ended_at.is_(None))
    return connection.execute(query).scalar_one()
