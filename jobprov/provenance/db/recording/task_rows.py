"""Stages and tasks that records name, and which stage a task is of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.recording.job_rows import stage_key
from jobprov.provenance.db.statements.driver import Row, change_many
from jobprov.provenance.db.statements.selecting import change_among, select_among
from jobprov.provenance.db.tables import Stage, TaskRow
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.records.job_record import JobRecord

StageKey = tuple[int, str, str]
TaskKey = tuple[int, str]


class CampaignStage(NamedTuple):
    """Campaign and stage, '' for what is not known."""

    campaign: str
    stage: str


_NOWHERE = CampaignStage("", "")


class Placed(NamedTuple):
    """The row of a task: its place, and whether its jobs name several stages."""

    experiment: int
    place: CampaignStage
    has_several_stages: bool


class PlaceByJobs(NamedTuple):
    """The place that the jobs of a task name: the first one by name, and all stages."""

    experiment: int
    place: CampaignStage
    stages: frozenset[str]


class NamedTasks(NamedTuple):
    """Tasks that records name.

    Attributes:
        keys: by experiment and name of the task.
        patterns: patterns of outputs, by key, of tasks that declare some.
        moved: the places that jobs name, by key, of tasks whose row has another one.
    """

    keys: dict[TaskKey, int]
    patterns: dict[int, list[str]]
    moved: dict[int, PlaceByJobs]


_PLACES = """
SELECT t.id, s.campaign, s.name, d.campaign, d.name, t.has_several_stages, t.output_patterns
FROM tasks t
LEFT JOIN stages s ON s.id = t.stage_id
LEFT JOIN stages d ON d.id = t.declared_stage_id
WHERE t.id {among}
"""
_LOCK = "UPDATE tasks SET stage_id = stage_id WHERE id {among}"
_FIRST_SAID = """
SELECT t.id, t.experiment_id, d.campaign, d.name,
    MIN(NULLIF(s.campaign, '')), MIN(NULLIF(s.name, '')), MAX(NULLIF(s.name, ''))
FROM tasks t
LEFT JOIN stages d ON d.id = t.declared_stage_id
LEFT JOIN jobs j ON j.task_id = t.id
LEFT JOIN stages s ON s.id = j.stage_id
WHERE t.id {among} GROUP BY t.id, t.experiment_id, d.campaign, d.name
"""
_PATTERNS = "SELECT id, output_patterns FROM tasks WHERE output_patterns IS NOT NULL AND id {among}"
_WRITE_PLACE = "UPDATE tasks SET stage_id = ?, has_several_stages = ? WHERE id = ?"


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


def name_tasks(transaction: Transaction, records: Sequence[JobRecord], experiment: int) -> None:
    """Make the tasks that records of an experiment name, without their places."""
    keys = [task_key(record, experiment) for record in records]
    _intern_names(transaction, filter(None, keys))


def intern_tasks(
    transaction: Transaction, records: Sequence[JobRecord], experiments: Mapping[str, int]
) -> NamedTasks:
    """Return the tasks that records name, made where they are new; `place_tasks` places them."""
    named: set[TaskKey] = set()
    places: dict[TaskKey, PlaceByJobs] = {}
    for record in records:
        key = task_key(record, experiments[record.experiment])
        if key is None:
            continue
        named.add(key)
        if stage := stage_key(record):
            place = CampaignStage(*stage)
            before = places.get(key, PlaceByJobs(key[0], _NOWHERE, frozenset()))
            stages = before.stages | ({place.stage} - {""})
            places[key] = PlaceByJobs(key[0], _first_of(before.place, place), stages)
    tasks = _intern_names(transaction, named)
    stored = select_among(transaction.connection, _PLACES, tasks.values())
    places_by_task = {tasks[key]: place for key, place in places.items()}
    moved = {task: places_by_task[task] for task in _moved(stored, places_by_task)}
    patterns = {task: text.split("\n") for task, *_, text in stored if text is not None}
    return NamedTasks(tasks, patterns, moved)


def task_key(record: JobRecord, experiment: int) -> TaskKey | None:
    """Return what names the task of a record, None where it names none."""
    if record.task is None or record.task.task_id is None:
        return None
    return experiment, record.task.task_id


def _intern_names(transaction: Transaction, keys: Iterable[TaskKey]) -> dict[TaskKey, int]:
    rows = {key: {"experiment_id": key[0], "task_id": key[1]} for key in keys}
    return transaction.intern(table_of(TaskRow), ["experiment_id", "task_id"], rows)


def place_tasks(transaction: Transaction, moved: Mapping[int, PlaceByJobs]) -> None:
    """Place tasks whose jobs name another campaign or stage; usually there are none.

    The campaign of a task is the declared one or, if none is declared, the first by name of those
    that its jobs name; so is its stage. Others who place the same tasks wait from here on.
    """
    if not moved:
        return
    connection = transaction.connection
    tasks = sorted(moved)
    # Another process may have placed them since: look again
    change_among(connection, _LOCK, tasks)
    _write_places(transaction, _moved(select_among(connection, _PLACES, tasks), moved))


def patterns_of_tasks(connection: Connection, tasks: Iterable[int]) -> dict[int, list[str]]:
    """Return the output patterns of those tasks that declare some."""
    patterns: dict[int, list[str]] = {}
    for task, text in select_among(connection, _PATTERNS, sorted(tasks)):
        patterns[task] = text.split("\n")
    return patterns


def place_again(transaction: Transaction, tasks: Iterable[int]) -> None:
    """Place tasks anew whose declaration changed, or whose jobs no longer name the same place."""
    placed: dict[int, Placed] = {}
    rows = select_among(transaction.connection, _FIRST_SAID, sorted(tasks))
    for task, experiment, declared_campaign, declared_stage, campaign, stage, last_stage in rows:
        declared = _place_of(declared_campaign, declared_stage)
        place = _placed(declared=declared, by_jobs=_place_of(campaign, stage))
        stages = {place.stage, stage or "", last_stage or ""} - {""}
        placed[task] = Placed(experiment, place, len(stages) > 1)
    _write_places(transaction, placed)


def _moved(stored: Sequence[Row], places: Mapping[int, PlaceByJobs]) -> dict[int, Placed]:
    """Return the tasks that jobs move to another place, with their new values."""
    moved: dict[int, Placed] = {}
    for task, campaign, stage, declared_campaign, declared_stage, had_several, _ in stored:
        of_task = places.get(task)
        if of_task is None:
            continue
        before = _place_of(campaign, stage)
        first = _first_of(before, of_task.place)
        after = _placed(declared=_place_of(declared_campaign, declared_stage), by_jobs=first)
        stages = of_task.stages | ({before.stage, after.stage} - {""})
        has_several = bool(had_several) or len(stages) > 1
        if after != before or has_several != bool(had_several):
            moved[task] = Placed(of_task.experiment, after, has_several)
    return moved


def _write_places(transaction: Transaction, placed: Mapping[int, Placed]) -> None:
    rows: dict[StageKey, dict[str, str | int]] = {}
    for experiment, (campaign, name), _ in placed.values():
        if campaign or name:
            rows[experiment, campaign, name] = {
                "experiment_id": experiment,
                "campaign": campaign,
                "name": name,
            }
    stages = transaction.intern(table_of(Stage), ["experiment_id", "campaign", "name"], rows)
    rows_of_tasks = []
    for task, (experiment, place, has_several) in placed.items():
        rows_of_tasks.append((stages.get((experiment, *place)), has_several, task))
    change_many(transaction.connection, _WRITE_PLACE, rows_of_tasks)


def _place_of(campaign: str | None, stage: str | None) -> CampaignStage:
    return CampaignStage(campaign or "", stage or "")


def _first_of(place: CampaignStage, other: CampaignStage) -> CampaignStage:
    """Return the first campaign and the first stage by name, of those that are named."""
    campaign = _first_name(place.campaign, other.campaign)
    return CampaignStage(campaign, _first_name(place.stage, other.stage))


def _first_name(name: str, other: str) -> str:
    if name and other:
        return min(name, other)
    return name or other


def _placed(*, declared: CampaignStage, by_jobs: CampaignStage) -> CampaignStage:
    """Return the declared place; what the declaration leaves out is taken from jobs."""
    return CampaignStage(declared.campaign or by_jobs.campaign, declared.stage or by_jobs.stage)
