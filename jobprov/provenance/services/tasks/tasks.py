"""How far a task is, and what stands in its way.

Without a declaration a task is what its jobs say.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.tasks.tasks import StandingWaiver, TaskProgress, UnitState
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.tasks.shared_units import count_hidden_failures
from jobprov.provenance.db.queries.tasks.tasks import (
    FoundTask,
    failing_jobs,
    find_tasks,
    resource_sums,
)
from jobprov.provenance.errors import AmbiguousError, NotFoundError
from jobprov.provenance.services.failures.errors import list_causes
from jobprov.provenance.services.search.near_names import nearest
from jobprov.provenance.services.tasks.backlogs import backlog_of
from jobprov.provenance.services.tasks.burn_downs import burn_down_of_task
from jobprov.provenance.services.tasks.declarations import (
    find_declaration,
    read_declaration,
    read_task_document,
)
from jobprov.provenance.services.tasks.time_left import time_left
from jobprov.provenance.services.tasks.unit_states import outputs_needed
from jobprov.provenance.services.tasks.units import count_units, with_lost_files
from jobprov.provenance.services.tasks.waivers import list_waivers

MOST_CAUSES = 50
MOST_LISTED = 1000


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
        raise NotFoundError(
            f"No {task} was declared, and no job names it.", nearest(connection, task_id, "task")
        )
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
    left = time_left(connection, {task.key: needed}, [units])
    now = datetime.now(UTC)
    burn_down = burn_down_of_task(connection, task.key, needed, units, now)
    expected_files = None
    if declaration is not None:
        expected_files = declaration.expected_files()
    seconds_left, seconds_left_low, seconds_left_high = left or (None, None, None)
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
        seconds_left=seconds_left,
        seconds_left_low=seconds_left_low,
        seconds_left_high=seconds_left_high,
        expected_files=expected_files,
        produced_files=units.files,
        errors=list_causes(connection, jobs_of_task, most=MOST_CAUSES),
        failing_jobs=failing_jobs(connection, task.key),
        resources=resource_sums(connection, task.key),
        blocking=with_lost_files(connection, task, units.open[:MOST_LISTED]),
        waivers=list_waivers(connection, store, units.entries),
        backlog=backlog_of(burn_down, [units.states], left, now),
        hidden_failures=count_hidden_failures(connection, task.key),
    )


def task_waivers(
    connection: Connection, store: Store, task_id: str, *, experiment: str | None = None
) -> list[StandingWaiver]:
    """Return the waivers of a task that are in force, the newest first."""
    task = find_task(connection, task_id, experiment=experiment)
    units = count_units(connection, task, find_declaration(connection, store, task))
    return list_waivers(connection, store, units.entries)
