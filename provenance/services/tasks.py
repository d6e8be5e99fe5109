"""Tasks: what was to be made, what was made, and what stands in the way.

A declaration (`PUT /tasks/{task_id}`) freezes the list of units; without one a task is what its jobs say. Numbers come from the
frozen list and from jobs, never from names that look alike.

Source: http.md, `PUT /tasks/{task_id}`.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from sqlalchemy import Connection, update

from provenance.db.keys import KnownKeys
from provenance.db.queries.tasks import (
    FoundTask,
    causes,
    failing_jobs,
    find_tasks,
    output_count,
    resource_sums,
    silent_count,
    tasks_of_campaign,
    unit_states,
    units_in_state,
)
from provenance.db.recording.writing import intern_experiments, table_of
from provenance.db.tables import Stage, TaskRow
from provenance.errors import AmbiguousError, BadInputError, NotFoundError
from provenance.records.decoding import split_message
from provenance.records.job_record import ExperimentName
from provenance.services.home import campaign_counts
from provenance.services.ledger import Documents, NewEntry, append_document, read_entries

SILENT_AFTER = timedelta(days=1)
MOST_UNITS = 1_000_000
MOST_LISTED = 1000
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class Declaration(msgspec.Struct, kw_only=True):
    """What `PUT /tasks/{task_id}` takes; fields that it does not name are kept with it.

    Attributes:
        units: the frozen input list, or the number of units of a stage without inputs.
        outputs_per_unit: files expected of each unit.
    """

    experiment: ExperimentName
    campaign: _Word | None = None
    stage: _Word | None = None
    units: list[_Word] | Annotated[int, msgspec.Meta(ge=0, le=MOST_UNITS)] | None = None
    outputs_per_unit: Annotated[int, msgspec.Meta(ge=0, le=1000)] | None = None
    recovers: _Word | None = None

    def unit_count(self) -> int | None:
        """Return how many units there are to be; None where nobody said."""
        return len(set(self.units)) if isinstance(self.units, list) else self.units


def read_declaration(document: dict[str, Any]) -> Declaration:
    """Return the typed reading of a declaration.

    Raises:
        BadInputError: a field is missing or wrong; `fields` says which.
    """
    try:
        return msgspec.convert(document, Declaration)
    except msgspec.ValidationError as problem:
        path, message = split_message(str(problem))
        raise BadInputError(f"{path or 'The task'}: {message}.", {path: [message]}) from None


def declare_task(
    connection: Connection,
    known: KnownKeys,
    task_id: str,
    document: dict[str, Any],
    *,
    store: Documents,
    received_at: datetime,
    submitter: str | None = None,
) -> bool:
    """Declare a task, or declare it anew; return whether it was declared for the first time.

    Raises:
        BadInputError: the declaration cannot be read.
    """
    declaration = read_declaration(document)
    experiment = intern_experiments(connection, known, {declaration.experiment})[declaration.experiment]
    held = find_tasks(connection, task_id, declaration.experiment)
    before = _declared(connection, store, held[0]) if held else None
    if before == document:
        return False
    new = NewEntry(experiment, "task", received_at, submitter, b"")
    entry = append_document(connection, new, {"task_id": task_id, "task": document})
    write_task_row(connection, known, task_id, document, entry=entry, experiment=experiment)
    return before is None


def write_task_row(
    connection: Connection, known: KnownKeys, task_id: str, document: dict[str, Any], *, entry: int, experiment: int
) -> None:
    """Write the row of a declared task whose ledger entry is there; what it says of its stage goes before what jobs say."""
    declaration = read_declaration(document)
    key = (experiment, task_id)
    row = {"experiment_id": experiment, "task_id": task_id}
    task = known.intern(connection, table_of(TaskRow), ["experiment_id", "task_id"], {key: row})[key]
    values: dict[str, Any] = {"entry_id": entry}
    if declaration.campaign or declaration.stage:
        stage_key = (experiment, declaration.campaign or "", declaration.stage or "")
        stage = dict(zip(("experiment_id", "campaign", "name"), stage_key, strict=True))
        stages = known.intern(connection, table_of(Stage), ["experiment_id", "campaign", "name"], {stage_key: stage})
        values["stage_id"] = stages[stage_key]
    connection.execute(update(TaskRow).where(TaskRow.id == task).values(**values))
    known.notes.pop(("task-stage", task), None)


def find_task(connection: Connection, task_id: str, *, experiment: str | None = None) -> FoundTask:
    """Return the task of this id.

    Raises:
        NotFoundError: nobody declared it and no job names it.
        AmbiguousError: several experiments have it.
    """
    found = find_tasks(connection, task_id, experiment)
    if not found:
        raise NotFoundError(f"No task {task_id} was declared, and no job names it.")
    if len(found) > 1:
        choices = [(task.experiment, "") for task in found]
        raise AmbiguousError(f"Several experiments have a task {task_id}; say which with experiment=.", choices)
    return found[0]


def show_task(
    connection: Connection, store: Documents, task_id: str, *, experiment: str | None = None
) -> dict[str, Any]:
    """Return what the page of a task shows, in the words of the HTTP interface.

    `expected`, `produced`, `running`, `failed`, … count units; a unit counts by its best attempt. `missing` are units of the
    frozen list of which no attempt succeeded; None where the task was not declared.

    Raises:
        NotFoundError, AmbiguousError: see `find_task`.
    """
    task = find_task(connection, task_id, experiment=experiment)
    document = _declared(connection, store, task)
    declaration = read_declaration(document) if document else None
    states = unit_states(connection, task.key)
    expected = declaration.unit_count() if declaration else None
    produced = states.get("succeeded", 0)
    outputs = declaration.outputs_per_unit if declaration else None
    return {
        "task_id": task.task_id,
        "experiment": task.experiment,
        "campaign": task.campaign or None,
        "stage": task.stage or None,
        "declared": document,
        "expected": expected,
        "produced": produced,
        "running": states.get("running", 0),
        "silent": silent_count(connection, task.key, before=datetime.now(UTC) - SILENT_AFTER),
        "failed": states.get("failed", 0) + states.get("killed", 0) + states.get("lost", 0),
        "states": states,
        "waived": 0,
        "missing": None if expected is None else max(0, expected - produced),
        "expected_files": None if expected is None or outputs is None else expected * outputs,
        "produced_files": output_count(connection, task.key),
        "errors": causes(connection, task.key),
        "failing_jobs": failing_jobs(connection, task.key),
        "resources": resource_sums(connection, task.key),
        "blocking": _blocking(connection, task, declaration),
    }


def missing_units(
    connection: Connection, store: Documents, task_id: str, *, experiment: str | None = None
) -> list[dict[str, Any]]:
    """Return the units of the frozen list of which no attempt succeeded, with the state of the best one (None: never tried)."""
    task = find_task(connection, task_id, experiment=experiment)
    document = _declared(connection, store, task)
    return _blocking(connection, task, read_declaration(document) if document else None, most=MOST_UNITS)


def _blocking(
    connection: Connection, task: FoundTask, declaration: Declaration | None, *, most: int = MOST_LISTED
) -> list[dict[str, Any]]:
    states = units_in_state(connection, task.key)
    units = declaration.units if declaration is not None and isinstance(declaration.units, list) else sorted(states)
    listed = [{"unit": unit, "state": states.get(unit)} for unit in dict.fromkeys(units)]
    return [unit for unit in listed if unit["state"] != "succeeded"][:most]


def _declared(connection: Connection, store: Documents, task: FoundTask) -> dict[str, Any] | None:
    if task.entry_id is None:
        return None
    body = read_entries(connection, store, [task.entry_id])[task.entry_id]
    return dict(json.loads(body)["task"])


def show_campaign(connection: Connection, store: Documents, experiment: str, campaign: str) -> dict[str, Any]:
    """Return `{experiment, campaign, stages, tasks}`: stages in the order of production, with jobs by state, and tasks.

    Raises:
        NotFoundError: no task or job names the campaign.
    """
    tasks = tasks_of_campaign(connection, experiment, campaign)
    counts = campaign_counts(connection, campaign, experiment)
    if not tasks and not counts:
        raise NotFoundError(f"No job or task of experiment {experiment} names a campaign {campaign}.")
    shown = []
    for task in tasks:
        document = _declared(connection, store, task)
        expected = read_declaration(document).unit_count() if document else None
        states = unit_states(connection, task.key)
        shown.append({"task_id": task.task_id, "stage": task.stage, "expected": expected, "states": states})
    stages = counts[0]["stages"] if counts else []
    return {"experiment": experiment, "campaign": campaign, "stages": stages, "tasks": shown}
