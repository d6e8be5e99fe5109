"""Brings what a catalog knows of tasks into the database.

That is outputs of their units, their project's processes, and what their jobs claim.

Bounded by time and resumable. What the catalog refuses of one task keeps no other from being
compared.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.opening import Catalogs, open_catalog
from jobprov.provenance.db.changes.catalogs import note_sync_end
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.catalogs.catalogs import tasks_by_last_sync
from jobprov.provenance.errors import ForbiddenError, ProvenanceError, UnreachableError
from jobprov.provenance.progress import watched
from jobprov.provenance.services.catalogs.arrivals import hours_to_arrive
from jobprov.provenance.services.catalogs.syncing.claims import sync_claims
from jobprov.provenance.services.catalogs.syncing.inputs import sync_inputs
from jobprov.provenance.services.catalogs.syncing.project import sync_project
from jobprov.provenance.services.catalogs.syncing.retired import recheck_outputs
from jobprov.provenance.services.catalogs.syncing.task import TaskInCatalog, TaskSync
from jobprov.provenance.services.catalogs.syncing.unarrived import judge_unarrived
from jobprov.provenance.services.catalogs.syncing.units import sync_units
from jobprov.provenance.services.tasks.declarations import declaration_or_empty
from jobprov.provenance.services.tasks.tasks import find_task
from jobprov.provenance.services.writing import Writer


def sync_experiment(
    database: Database,
    writer: Writer,
    store: Store,
    catalogs: Catalogs,
    experiment: str,
    *,
    seconds: float,
    everything: bool = False,
    task_id: str | None = None,
) -> list[TaskSync]:
    """Compare the declared tasks of an experiment with its catalog, or one of them.

    Return what was done, a task each.

    Those come first that were not asked about for the longest time. It ends when the seconds are
    over, or where the catalog cannot be reached; one that fails at the questions about a task is
    asked about the others.

    Raises:
        NotFoundError: no catalog of the experiment is named, or no such task is declared.
    """
    catalog, until = open_catalog(catalogs, experiment), time.monotonic() + seconds
    with database.reading.connect() as connection:
        names = [task_id] if task_id is not None else tasks_by_last_sync(connection, experiment)
    done: list[TaskSync] = []
    for name in watched(f"tasks of {experiment} compared", names, lambda: len(names)):
        with database.reading.connect() as connection:
            task = find_task(connection, name, experiment=experiment)
            declaration = declaration_or_empty(connection, store, task)
        compared = TaskInCatalog(
            database,
            writer,
            store,
            catalog,
            task,
            declaration,
            is_over=lambda: time.monotonic() > until,
            began_at=datetime.now(UTC),
            arrive_within=timedelta(hours=hours_to_arrive(catalogs, experiment)),
        )
        outcome = _sync(compared, everything=everything)
        done.append(outcome.progress)
        if compared.is_over() or outcome.is_away:
            break
    return done


class _Outcome(NamedTuple):
    """What was done for a task, and whether the catalog is away, so that no other can be asked."""

    progress: TaskSync
    is_away: bool


def _sync(compared: TaskInCatalog, *, everything: bool) -> _Outcome:
    """Compare a task with its catalog."""
    progress = TaskSync(compared.task.task_id)
    is_away = False
    try:
        progress = sync_units(compared, progress, everything=everything)
        if progress.is_whole:
            progress = sync_claims(compared, progress)
        if progress.is_whole:
            progress = sync_inputs(compared, progress)
        if progress.is_whole:
            progress = judge_unarrived(compared, progress)
        if not compared.is_over():
            progress = recheck_outputs(compared, progress, everything=everything)
        if compared.declaration.project and not compared.is_over():
            progress = sync_project(compared, progress, compared.declaration.project)
    except ForbiddenError as problem:
        progress = progress._replace(problem=str(problem), is_whole=False)
        is_away = True
    except UnreachableError as problem:
        progress = progress._replace(problem=str(problem), is_whole=False)
        is_away = compared.is_away()
    except ProvenanceError as problem:  # it refuses a query, which only the author can mend
        progress = progress._replace(problem=str(problem), is_whole=False)
    compared.writer.run(lambda writing: _note_end(writing.connection, compared.task.key, progress))
    return _Outcome(progress, is_away)


def _note_end(connection: Connection, task: int, progress: TaskSync) -> None:
    now = datetime.now(UTC)
    finished_at = now if progress.is_whole else None
    note_sync_end(connection, task, asked_at=now, problem=progress.problem, finished_at=finished_at)
