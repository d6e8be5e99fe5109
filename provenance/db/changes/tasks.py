"""Rows of tasks and of waived units, as they are written and changed.

Their ledger entries are there before.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, update

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.recording.task_rows import place_again
from jobprov.provenance.db.tables import Stage, TaskRow, WaivedUnit
from jobprov.provenance.db.transaction import Transaction

_WAIVED = table_of(WaivedUnit)


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


def forget_waivers(connection: Connection, task: int, units: Sequence[str]) -> None:
    """Have none of these units of a task waived any more."""
    for part in chunks(units):
        is_named = _WAIVED.c.unit.in_(part)
        connection.execute(_WAIVED.delete().where(_WAIVED.c.task_id == task, is_named))


def add_waivers(connection: Connection, task: int, units: Sequence[str], entry: int) -> None:
    """Have a ledger entry waive these units of a task, none of which is waived yet."""
    rows = [{"task_id": task, "unit": unit, "entry_id": entry} for unit in units]
    insert_rows(connection, _WAIVED, rows)
