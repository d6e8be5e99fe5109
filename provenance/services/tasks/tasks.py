"""How far a task is, and what stands in its way.

Without a declaration a task is what its jobs say.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks import StandingWaiver, TaskProgress, UnitState
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.db.queries.tasks.tasks import (
    FoundTask,
    done_since,
    failing_jobs,
    find_tasks,
    output_count,
    resource_sums,
)
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.services.failures.errors import list_causes
from jobprov.provenance.services.tasks.declarations import (
    find_declaration,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.tasks.units import Units, count_units
from jobprov.provenance.services.tasks.waivers import list_waivers

MOST_CAUSES = 50
MOST_LISTED = 1000
_LEAST_DONE = 5
"""Units: fewer than these say nothing about the pace."""


def find_task(connection: Connection, task_id: str, *, experiment: str | None = None) -> FoundTask:
    """Return the task of this id.

    Raises:
        NotFoundError: nobody declared it, and no job names it.
        AmbiguousError: several experiments have it.
    """
    tasks = find_tasks(connection, task_id, experiment)
    if not tasks:
        task = f"task {task_id}"
        if experiment is not None:
            task += f" of experiment {experiment}"
        raise NotFoundError(f"No {task} was declared, and no job names it.")
    if len(tasks) > 1:
        choices = [(task.experiment, "") for task in tasks]
        raise AmbiguousError(
            f"Several experiments have a task {task_id}; say which with experiment=.", choices
        )
    return tasks[0]


def show_task(connection: Connection, store: Store, task: FoundTask) -> TaskProgress:
    """Return how far a task is, and what stands in its way."""
    document = read_task_document(connection, store, task)
    declaration = read_declaration(document) if document else None
    units = count_units(connection, task, declaration)
    needed = outputs_needed(declaration)
    expected_files = None
    if declaration is not None:
        expected_files = declaration.expected_files()
    jobs_of_task = JobFilters(experiment=task.experiment, task_id=task.task_id)
    return TaskProgress(
        task_id=task.task_id,
        experiment=task.experiment,
        campaign=task.campaign or None,
        stage=task.stage or None,
        declared=document,
        expected=units.expected,
        produced=units.produced,
        running=units.running,
        failed=units.failed,
        no_output=units.no_output,
        waived=units.waived,
        missing=units.missing,
        unlisted=units.unlisted,
        by_catalog=units.by_catalog,
        silent=units.states.get(UnitState.SILENT, 0),
        states=dict(units.states),
        seconds_left=seconds_left(connection, {task.key: needed}, [units]),
        expected_files=expected_files,
        produced_files=output_count(connection, task.key, needed=needed),
        errors=list_causes(connection, jobs_of_task, most=MOST_CAUSES),
        failing_jobs=failing_jobs(connection, task.key),
        resources=resource_sums(connection, task.key),
        blocking=units.open[:MOST_LISTED],
        waivers=list_waivers(connection, store, units.entries),
    )


def task_waivers(
    connection: Connection, store: Store, task_id: str, *, experiment: str | None = None
) -> list[StandingWaiver]:
    """Return the waivers of a task that are in force, the newest first."""
    task = find_task(connection, task_id, experiment=experiment)
    units = count_units(connection, task, find_declaration(connection, store, task))
    return list_waivers(connection, store, units.entries)


def seconds_left(
    connection: Connection, needed: Mapping[int, int], units_by_task: Sequence[Units]
) -> float | None:
    """Return how long the missing units of tasks take at the pace of the last hour or day.

    Units that wait for somebody are left out. It is None where nothing else is missing, where
    nobody knows what is missing, or where there is no pace.

    Args:
        connection: where from.
        needed: by the key of a task, how many outputs make a unit done.
        units_by_task: the units of these tasks.
    """
    known_units = [units for units in units_by_task if units.missing is not None]
    missing, waiting = 0, 0
    for units in known_units:
        missing += units.missing or 0
        waiting += max(0, (units.missing or 0) - units.needs_somebody)
    if not waiting:
        return 0.0 if known_units and not missing else None
    return _at_pace(connection, needed, waiting)


def _at_pace(connection: Connection, needed: Mapping[int, int], waiting: int) -> float | None:
    """Return how long so many units take at the pace of the last hour, else of the last day."""
    now, spans = datetime.now(UTC), (timedelta(hours=1), timedelta(days=1))
    done_in_span = done_since(connection, needed, [now - span for span in spans])
    for span, done in zip(spans, done_in_span, strict=True):
        if done >= _LEAST_DONE:
            return waiting * span.total_seconds() / done
    return None
