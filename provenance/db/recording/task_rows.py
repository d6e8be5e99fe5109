"""Stages and tasks that records name, and which stage a task is of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from provenance.db.base import table_of
from provenance.db.driver import change, fetch
from provenance.db.keys import KnownKeys
from provenance.db.recording.job_rows import stage_key
from provenance.db.selecting import select_among
from provenance.db.tables import Stage, TaskRow
from provenance.records.job_record import JobRecord

StageKey = tuple[int, str, str]
TaskKey = tuple[int, str]

_PLACES = """
SELECT t.id, s.campaign, s.name FROM tasks t LEFT JOIN stages s ON s.id = t.stage_id
WHERE t.entry_id IS NULL AND t.id {among}
"""
_PLACE_EARLIER = """
UPDATE tasks SET stage_id = ? WHERE id = ? AND entry_id IS NULL AND (
  stage_id IS NULL OR EXISTS (
    SELECT 1 FROM stages held, stages said WHERE held.id = tasks.stage_id AND said.id = ?
    AND (held.campaign > said.campaign OR (held.campaign = said.campaign AND held.name > said.name))))
"""  # another process may have placed it since it was read
_FIRST_SAID = """
SELECT s.id FROM jobs j JOIN stages s ON s.id = j.stage_id WHERE j.task_id = ? ORDER BY s.campaign, s.name LIMIT 1
"""
_PLACE_AGAIN = "UPDATE tasks SET stage_id = ? WHERE id = ? AND entry_id IS NULL"


def intern_stages(
    connection: Connection, known: KnownKeys, records: Sequence[JobRecord], experiments: Mapping[str, int]
) -> dict[StageKey, int]:
    """Return the integer keys of the stages that records name, made where they are new."""
    rows: dict[StageKey, dict[str, Any]] = {}
    for record in records:
        if key := stage_key(record):
            experiment = experiments[record.experiment]
            rows[(experiment, *key)] = {"experiment_id": experiment, "campaign": key[0], "name": key[1]}
    return known.intern(connection, table_of(Stage), ["experiment_id", "campaign", "name"], rows)


def intern_tasks(
    connection: Connection,
    known: KnownKeys,
    records: Sequence[JobRecord],
    experiments: Mapping[str, int],
    stages: Mapping[StageKey, int],
) -> dict[TaskKey, int]:
    """Return task keys. A task's stage is what its declaration says, else the first by name that one of its jobs says."""
    rows: dict[TaskKey, dict[str, Any]] = {}
    said: dict[TaskKey, tuple[str, str]] = {}
    for record in records:
        if record.task is None or record.task.task_id is None:
            continue
        key = (experiments[record.experiment], record.task.task_id)
        rows[key] = {"experiment_id": key[0], "task_id": key[1]}
        if stage := stage_key(record):
            said[key] = min(said.get(key, stage), stage)
    tasks = known.intern(connection, table_of(TaskRow), ["experiment_id", "task_id"], rows)
    _place(connection, {tasks[key]: (stage, stages[(key[0], *stage)]) for key, stage in said.items()})
    return tasks


def _place(connection: Connection, said: Mapping[int, tuple[tuple[str, str], int]]) -> None:
    for task, campaign, name in select_among(connection, _PLACES, said):
        stage, number = said[task]
        if campaign is None or stage < (campaign, name):
            change(connection, _PLACE_EARLIER, (number, task, number))


def place_again(connection: Connection, tasks: Iterable[int]) -> None:
    """Find the stage of tasks anew of which a job says something else than before, or nothing more."""
    for task in sorted(tasks):
        found = fetch(connection, _FIRST_SAID, (task,))
        change(connection, _PLACE_AGAIN, (found[0][0] if found else None, task))
