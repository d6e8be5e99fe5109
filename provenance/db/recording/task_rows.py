"""Stages and tasks that records name, and which stage a task is of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.recording.job_rows import stage_key
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import Stage, TaskRow
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import JobRecord

StageKey = tuple[int, str, str]
TaskKey = tuple[int, str]


class Place(NamedTuple):
    """Campaign and stage, '' for what is not said."""

    campaign: str
    stage: str


_NOWHERE = Place("", "")

_PLACES = """
SELECT t.id, s.campaign, s.name, d.campaign, d.name
FROM tasks t
LEFT JOIN stages s ON s.id = t.stage_id
LEFT JOIN stages d ON d.id = t.declared_stage_id
WHERE t.id {among}
"""
_LOCK = "UPDATE tasks SET stage_id = stage_id WHERE id {among}"
_FIRST_SAID = """
SELECT t.id, t.experiment_id, d.campaign, d.name,
    MIN(NULLIF(s.campaign, '')), MIN(NULLIF(s.name, ''))
FROM tasks t
LEFT JOIN stages d ON d.id = t.declared_stage_id
LEFT JOIN jobs j ON j.task_id = t.id
LEFT JOIN stages s ON s.id = j.stage_id
WHERE t.id {among} GROUP BY t.id, t.experiment_id, d.campaign, d.name
"""
_PATTERNS = "SELECT id, output_patterns FROM tasks WHERE output_patterns IS NOT NULL AND id {among}"
_WRITE_PLACE = "UPDATE tasks SET stage_id = ? WHERE id = ?"


def intern_stages(
    transaction: Transaction, records: Sequence[JobRecord], experiments: Mapping[str, int]
) -> dict[StageKey, int]:
    """Return the integer keys of the stages that records name, made where they are new."""
    rows: dict[StageKey, dict[str, str | int]] = {}
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
    """Return the keys of the tasks that records name, made where they are new.

    Campaign and stage of a task are each what its declaration says, else the first by name that a
    job says.
    """
    rows: dict[TaskKey, dict[str, str | int]] = {}
    first_places: dict[TaskKey, Place] = {}
    for record in records:
        if record.task is None or record.task.task_id is None:
            continue
        key = (experiments[record.experiment], record.task.task_id)
        rows[key] = {"experiment_id": key[0], "task_id": key[1]}
        if stage := stage_key(record):
            first_places[key] = _first_of(first_places.get(key, _NOWHERE), Place(*stage))
    tasks = transaction.intern(table_of(TaskRow), ["experiment_id", "task_id"], rows)
    stages = {tasks[key]: (key[0], *place) for key, place in first_places.items()}
    _place(transaction, stages)
    return tasks


def patterns_of_tasks(connection: Connection, tasks: Iterable[int]) -> dict[int, list[str]]:
    """Return the patterns of outputs of these tasks, those that declare some."""
    patterns: dict[int, list[str]] = {}
    for task, text in select_among(connection, _PATTERNS, sorted(tasks)):
        patterns[task] = text.split("\n")
    return patterns


def place_again(transaction: Transaction, tasks: Iterable[int]) -> None:
    """Place tasks anew.

    These are tasks whose declaration is another, or of which a job says something else than before,
    or nothing more.
    """
    places: dict[int, StageKey] = {}
    for row in select_among(transaction.connection, _FIRST_SAID, sorted(tasks)):
        task, experiment, *names = row
        place = _placed(declared=_place_of(names[0:2]), said=_place_of(names[2:4]))
        places[task] = (experiment, *place)
    _write_places(transaction, places)


def _place(transaction: Transaction, places: Mapping[int, StageKey]) -> None:
    """Place the tasks of jobs that say another place than what stands there.

    Mostly that is none.
    """
    connection = transaction.connection
    if moved := _moved(connection, places):
        # Another process may have placed them since: look again
        change_among(connection, _LOCK, sorted(moved))
        _write_places(transaction, _moved(connection, {task: places[task] for task in moved}))


def _moved(connection: Connection, places: Mapping[int, StageKey]) -> dict[int, StageKey]:
    """Return the tasks that have another place now that jobs say these, and that place."""
    moved: dict[int, StageKey] = {}
    for task, *names in select_among(connection, _PLACES, places):
        experiment, campaign, stage = places[task]
        before = _place_of(names[0:2])
        first = _first_of(before, Place(campaign, stage))
        after = _placed(declared=_place_of(names[2:4]), said=first)
        if after != before:
            moved[task] = (experiment, *after)
    return moved


def _write_places(transaction: Transaction, places: Mapping[int, StageKey]) -> None:
    rows: dict[StageKey, dict[str, str | int]] = {}
    for experiment, campaign, name in places.values():
        if campaign or name:
            rows[experiment, campaign, name] = {
                "experiment_id": experiment,
                "campaign": campaign,
                "name": name,
            }
    stages = transaction.intern(table_of(Stage), ["experiment_id", "campaign", "name"], rows)
    rows_of_tasks = [(stages.get(key), task) for task, key in places.items()]
    change_many(transaction.connection, _WRITE_PLACE, rows_of_tasks)


def _place_of(names: Sequence[str | None]) -> Place:
    campaign, stage = names
    return Place(campaign or "", stage or "")


def _first_of(place: Place, other: Place) -> Place:
    """Return the first campaign and the first stage by name, of those that are said."""
    campaign = _first_name(place.campaign, other.campaign)
    return Place(campaign, _first_name(place.stage, other.stage))


def _first_name(name: str, other: str) -> str:
    if name and other:
        return min(name, other)
    return name or other


def _placed(*, declared: Place, said: Place) -> Place:
    """Return what a declaration says, and what jobs say where it says nothing."""
    return Place(declared.campaign or said.campaign, declared.stage or said.stage)
