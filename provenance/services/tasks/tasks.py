"""Tasks: what was to be made, what was made, and what stands in the way.

Without a declaration a task is what its jobs say.

Source: http.md, tasks.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.queries.tasks.tasks import (
    FoundTask,
    done_since,
    failing_jobs,
    find_tasks,
    output_count,
    resource_sums,
    tasks_of_campaign,
)
from jobprov.provenance.db.queries.tasks.units import silent_units
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.services.failures.errors import list_causes
from jobprov.provenance.services.statistics.home import campaign_counts
from jobprov.provenance.services.tasks.declarations import (
    read_declaration,
    read_task_document,
    read_task_documents,
)
from jobprov.provenance.services.tasks.units import Units, count_units, units_of_tasks
from jobprov.provenance.services.tasks.waivers import list_waivers

SILENT_AFTER = timedelta(days=1)
MOST_CAUSES = 50
MOST_LISTED = 1000
_LEAST_DONE = 5
_UNITS = ("expected", "produced", "running", "failed", "waived", "missing")


def find_task(connection: Connection, task_id: str, *, experiment: str | None = None) -> FoundTask:
    """Return the task of this id.

    Raises:
        NotFoundError: nobody declared it and no job names it.
        AmbiguousError: several experiments have it.
    """
    found = find_tasks(connection, task_id, experiment)
    if not found:
        of = f" of experiment {experiment}" if experiment is not None else ""
        raise NotFoundError(f"No task {task_id}{of} was declared, and no job names it.")
    if len(found) > 1:
        choices = [(task.experiment, "") for task in found]
        raise AmbiguousError(
            f"Several experiments have a task {task_id}; say which with experiment=.", choices
        )
    return found[0]


def show_task(
    connection: Connection, store: Store, task_id: str, *, experiment: str | None = None
) -> dict[str, Any]:
    """Return what the page of a task shows, in the words of the HTTP interface.

    `expected`, `produced`, `running`, `failed`, … count units; a unit counts once, by its best
    attempt, or as `waived`. `missing` are units of the frozen list that nobody waived and of which
    no attempt succeeded; None where the task was not declared. `silent` are those of the `running`
    ones of which no job was heard of for a day. `seconds_left` is how long they take at the pace of
    the last hour, or of the last day; those that failed wait for somebody, and nobody knows how
    long: they are left out, and it is None where nothing else is missing.

    Raises:
        NotFoundError, AmbiguousError: see `find_task`.
    """
    task = find_task(connection, task_id, experiment=experiment)
    document = read_task_document(connection, store, task)
    declaration = read_declaration(document) if document else None
    units = count_units(connection, task, declaration)
    outputs = declaration.outputs_per_unit if declaration else None
    counts = _counts(units)
    mine = JobFilters(experiment=task.experiment, task_id=task.task_id)
    return {
        "task_id": task.task_id,
        "experiment": task.experiment,
        "campaign": task.campaign or None,
        "stage": task.stage or None,
        "declared": document,
        **counts,
        "unlisted": units.unlisted,
        "by_catalog": units.by_catalog,
        "silent": len(
            units.running
            & silent_units(connection, task.key, before=datetime.now(UTC) - SILENT_AFTER)
        ),
        "states": units.states,
        "seconds_left": _seconds_left(connection, [task.key], [counts]),
        "expected_files": None
        if units.expected is None or outputs is None
        else units.expected * outputs,
        "produced_files": output_count(connection, task.key),
        "errors": list_causes(connection, mine, most=MOST_CAUSES),
        "failing_jobs": failing_jobs(connection, task.key),
        "resources": resource_sums(connection, task.key),
        "blocking": units.open[:MOST_LISTED],
        "waivers": list_waivers(connection, store, units.entries),
    }


def missing_units(
    connection: Connection, store: Store, task_id: str, *, experiment: str | None = None
) -> list[dict[str, Any]]:
    """Return the units that nobody waived and of which no attempt succeeded, with the state of the best one (None: never tried)."""
    task = find_task(connection, task_id, experiment=experiment)
    document = read_task_document(connection, store, task)
    return count_units(connection, task, read_declaration(document) if document else None).open


def task_waivers(
    connection: Connection, store: Store, task_id: str, *, experiment: str | None = None
) -> list[dict[str, Any]]:
    """Return the waivers that a task goes on with, newest first, as `list_waivers` does."""
    task = find_task(connection, task_id, experiment=experiment)
    document = read_task_document(connection, store, task)
    units = count_units(connection, task, read_declaration(document) if document else None)
    return list_waivers(connection, store, units.entries)


def show_campaign(
    connection: Connection, store: Store, experiment: str, campaign: str
) -> dict[str, Any]:
    """Return `{experiment, campaign, stages, task_count, tasks, seconds_left}`.

    Stages in the order of production, and tasks.

    A stage has its jobs by state (`states`) and the sums over all its tasks (`units`): `expected`
    and `missing` are None where a task of the stage was not declared. A task has the same counts of
    its units; the newest thousand are listed.

    Raises:
        NotFoundError: no task or job names the campaign.
    """
    tasks = tasks_of_campaign(connection, experiment, campaign)
    counts = campaign_counts(connection, campaign, experiment)
    if not tasks and not counts:
        raise NotFoundError(
            f"No job or task of experiment {experiment} names a campaign {campaign}."
        )
    documents = read_task_documents(connection, store, tasks)
    declared = [
        (task, read_declaration(documents[task.key]) if task.key in documents else None)
        for task in tasks
    ]
    shown = [
        {"task_id": task.task_id, "stage": task.stage, "states": units.states, **_counts(units)}
        for task, units in zip(tasks, units_of_tasks(connection, declared), strict=True)
    ]
    stages = list(counts[0]["stages"]) if counts else []
    begun = {stage["stage"] for stage in stages}
    to_come = dict.fromkeys(task["stage"] for task in shown if task["stage"] not in begun)
    stages += [{"stage": stage, "states": {}} for stage in to_come]
    stages = [
        {**stage, "units": _sums([t for t in shown if t["stage"] == stage["stage"]])}
        for stage in stages
    ]
    left = _seconds_left(connection, [task.key for task in tasks], shown) or None
    return {
        "experiment": experiment,
        "campaign": campaign,
        "stages": stages,
        "task_count": len(shown),
        "tasks": shown[-MOST_LISTED:],
        "seconds_left": left,
    }


def _counts(units: Units) -> dict[str, Any]:
    return {
        "expected": units.expected,
        "produced": units.states.get("succeeded", 0),
        "running": units.states.get("running", 0),
        "failed": sum(units.states.get(state, 0) for state in ("failed", "killed", "lost")),
        "waived": units.waived,
        "missing": units.missing,
    }


def _seconds_left(
    connection: Connection, tasks: list[int], counts: list[dict[str, Any]]
) -> float | None:
    """Return how long the missing units that did not fail take at the pace of the last hour, or of the last day.

    None where there is no pace, nobody knows what is missing, or all that is missing failed.
    """
    known = [each for each in counts if each["missing"] is not None]
    missing: int = sum(max(0, each["missing"] - each["failed"]) for each in known)
    if not missing:
        return 0.0 if known and not any(each["missing"] for each in known) else None
    now = datetime.now(UTC)
    spans = (timedelta(hours=1), timedelta(days=1))
    for span, done in zip(
        spans, done_since(connection, tasks, [now - span for span in spans]), strict=True
    ):
        if done >= _LEAST_DONE:
            return missing * span.total_seconds() / done
    return None


def _sums(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the counts of several tasks together, with the states of their units."""
    sums: dict[str, Any] = {
        name: None
        if any(task[name] is None for task in tasks)
        else sum(task[name] for task in tasks)
        for name in _UNITS
    }
    states: Counter[str] = Counter()
    for task in tasks:
        states.update(task["states"])
    return {**sums, "states": dict(states)}
