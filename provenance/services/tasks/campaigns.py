"""How far a campaign is: its stages in the order of production, and its tasks."""

from collections import Counter
from typing import Any

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.tasks.campaigns import campaign_counts
from jobprov.provenance.db.queries.tasks.tasks import tasks_of_campaign
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.tasks.declarations import read_declaration, read_task_documents
from jobprov.provenance.services.tasks.tasks import seconds_left
from jobprov.provenance.services.tasks.units import Units, units_of_tasks

MOST_LISTED = 1000
_COUNTS = ("expected", "produced", "running", "failed", "waived", "missing")


def show_campaign(
    connection: Connection, store: Store, experiment: str, campaign: str
) -> dict[str, Any]:
    """Return `{experiment, campaign, stages, task_count, tasks, seconds_left}`.

    A stage has its jobs by state (`states`) and the sums over its tasks (`units`): `expected` and
    `missing` are None where a task of the stage was not declared. A task has the same counts of its
    units; the newest thousand are listed.

    Raises:
        NotFoundError: no task or job names the campaign.
    """
    tasks = tasks_of_campaign(connection, experiment, campaign)
    campaigns = campaign_counts(connection, campaign, experiment)
    if not tasks and not campaigns:
        raise NotFoundError(
            f"No job or task of experiment {experiment} names a campaign {campaign}."
        )
    documents = read_task_documents(connection, store, tasks)
    declarations = [
        read_declaration(documents[task.key]) if task.key in documents else None for task in tasks
    ]
    pairs = list(zip(tasks, declarations, strict=True))
    units_by_task = list(units_of_tasks(connection, pairs))
    shown_tasks = [
        {"task_id": task.task_id, "stage": task.stage, **_counts(units)}
        for task, units in zip(tasks, units_by_task, strict=True)
    ]
    begun = campaigns[0]["stages"] if campaigns else []
    left = seconds_left(connection, [task.key for task in tasks], units_by_task)
    return {
        "experiment": experiment,
        "campaign": campaign,
        "stages": _stages(begun, shown_tasks),
        "task_count": len(shown_tasks),
        "tasks": shown_tasks[-MOST_LISTED:],
        "seconds_left": left or None,
    }


def _counts(units: Units) -> dict[str, Any]:
    counts = {name: getattr(units, name) for name in _COUNTS}
    return {"states": dict(units.states), **counts}


def _stages(begun: list[dict[str, Any]], tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the stages that have jobs, then those that only have tasks, with sums over tasks."""
    names_begun = {stage["stage"] for stage in begun}
    names_to_come = dict.fromkeys(
        task["stage"] for task in tasks if task["stage"] not in names_begun
    )
    stages = [*begun, *({"stage": name, "states": {}} for name in names_to_come)]
    tasks_by_stage: dict[str, list[dict[str, Any]]] = {}
    for task in tasks:
        tasks_by_stage.setdefault(task["stage"], []).append(task)
    return [{**stage, "units": _sums(tasks_by_stage.get(stage["stage"], []))} for stage in stages]


def _sums(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of several tasks together; None for what one of them does not know."""
    sums: dict[str, Any] = {}
    for name in _COUNTS:
        counts = [task[name] for task in tasks]
        sums[name] = None if None in counts else sum(counts)
    states: Counter[str] = Counter()
    for task in tasks:
        states.update(task["states"])
    return {**sums, "states": dict(states)}
