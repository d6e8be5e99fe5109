"""Stages and tasks that records name, and which stage a task is of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.driver import change_many
from jobprov.provenance.db.recording.job_rows import stage_key
from jobprov.provenance.db.selecting import change_among, select_among
from jobprov.provenance.db.tables import Stage, TaskRow
from jobprov.provenance.db.transaction import Transaction
from jobprov.provenance.records.job_record import JobRecord

StageKey = tuple[int, str, str]
TaskKey = tuple[int, str]
Place = tuple[str, str]
"""Campaign and stage, '' for what is not said."""
_NOWHERE: Place = ("", "")

_PLACES = """
SELECT t.id, s.campaign, s.name, d.campaign, d.name FROM tasks t
LEFT JOIN stages s ON s.id = t.stage_id LEFT JOIN stages d ON d.id = t.declared_stage_id WHERE t.id {among}
"""
_LOCK = "UPDATE tasks SET stage_id = stage_id WHERE id {among}"
_FIRST_SAID = """
SELECT t.id, t.experiment_id, d.campaign, d.name, MIN(NULLIF(s.campaign, '')), MIN(NULLIF(s.name, '')) FROM tasks t
LEFT JOIN stages d ON d.id = t.declared_stage_id LEFT JOIN jobs j ON j.task_id = t.id LEFT JOIN stages s ON s.id = j.stage_id
WHERE t.id {among} GROUP BY t.id, t.experiment_id, d.campaign, d.name
"""
_WRITE_PLACE = "UPDATE tasks SET stage_id = ? WHERE id = ?"


def intern_stages(
    transaction: Transaction, records: Sequence[JobRecord], experiments: Mapping[str, int]
) -> dict[StageKey, int]:
    """Return the integer keys of the stages that records name, made where they are new."""
    rows: dict[StageKey, dict[str, Any]] = {}
    for record in records:
        if key := stage_key(record):
            experiment = experiments[record.experiment]
            rows[(experiment, *key)] = {
                "experiment_id": experiment,
                "campaign": key[0],
                "name": key[1],
            }
    return transaction.intern(table_of(Stage), ["experiment_id", "campaign", "name"], rows)


def intern_tasks(
    transaction: Transaction, records: Sequence[JobRecord], experiments: Mapping[str, int]
) -> dict[TaskKey, int]:
    """Return task keys.

    Campaign and stage of a task are each what its declaration says, else the first by name that a
    job says.
    """
    rows: dict[TaskKey, dict[str, Any]] = {}
    said: dict[TaskKey, Place] = {}
    for record in records:
        if record.task is None or record.task.task_id is None:
            continue
        key = (experiments[record.experiment], record.task.task_id)
        rows[key] = {"experiment_id": key[0], "task_id": key[1]}
        if stage := stage_key(record):
            said[key] = _first_of(said.get(key, _NOWHERE), stage)
    tasks = transaction.intern(table_of(TaskRow), ["experiment_id", "task_id"], rows)
    _place(transaction, {tasks[key]: (key[0], *place) for key, place in said.items()})
    return tasks


def place_again(transaction: Transaction, tasks: Iterable[int]) -> None:
    """Place tasks anew.

    These are tasks whose declaration is another, or of which a job says something else than before,
    or nothing more.
    """
    rows = select_among(transaction.connection, _FIRST_SAID, sorted(tasks))
    places = {row[0]: (row[1], *_placed(_place_of(row[2:4]), _place_of(row[4:6]))) for row in rows}
    _write_places(transaction, places)


def _place(transaction: Transaction, said: Mapping[int, StageKey]) -> None:
    """Place the tasks of jobs that say another place than what stands there.

    Mostly that is none.
    """
    connection = transaction.connection
    if moved := _moved(connection, said):
        # Another process may have placed them since: look again
        change_among(connection, _LOCK, sorted(moved))
        _write_places(transaction, _moved(connection, {task: said[task] for task in moved}))


def _moved(connection: Connection, said: Mapping[int, StageKey]) -> dict[int, StageKey]:
    found: dict[int, StageKey] = {}
    for row in select_among(connection, _PLACES, said):
        experiment, *place = said[row[0]]
        held = _place_of(row[1:3])
        to_be = _placed(_place_of(row[3:5]), _first_of(held, _place_of(place)))
        if to_be != held:
            found[row[0]] = (experiment, *to_be)
    return found


def _write_places(transaction: Transaction, places: Mapping[int, StageKey]) -> None:
    rows: dict[StageKey, dict[str, Any]] = {}
    for experiment, campaign, name in places.values():
        if campaign or name:
            rows[experiment, campaign, name] = {
                "experiment_id": experiment,
                "campaign": campaign,
                "name": name,
            }
    stages = transaction.intern(table_of(Stage), ["experiment_id", "campaign", "name"], rows)
    change_many(
        transaction.connection,
        _WRITE_PLACE,
        [(stages.get(key), task) for task, key in places.items()],
    )


def _place_of(words: Sequence[str | None]) -> Place:
    campaign, name = words
    return campaign or "", name or ""


def _first_of(one: Place, other: Place) -> Place:
    """Return the first campaign and the first stage by name, of those that are said."""
    return _first_name(one[0], other[0]), _first_name(one[1], other[1])


def _first_name(one: str, other: str) -> str:
    return min(one, other) if one and other else one or other


def _placed(declared: Place, said: Place) -> Place:
    return declared[0] or said[0], declared[1] or said[1]
