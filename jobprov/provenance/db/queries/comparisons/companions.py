"""Which jobs one would compare a job with.

These are attempts at the same unit, siblings that succeeded, and other runs of the same recipe.
"""

from itertools import chain
from typing import Any

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.recording.job_rows import SUCCEEDED
from jobprov.provenance.db.tables import Job, TaskRow

_MOST = 5


def companions_of(connection: Connection, key: int) -> dict[str, list[JobSummary]]:
    """Return summaries of a few jobs, by why one would compare with them.

    The reasons are `attempt`, `recipe`, `sibling` (same task, succeeded) and `stage` (another task,
    succeeded).
    """
    keys = {}
    for reason, query in _queries(connection, key).items():
        keys[reason] = [row[0] for row in connection.execute(query)]
    summaries = summaries_of(connection, chain.from_iterable(keys.values()))
    shown: set[int] = set()
    companions: dict[str, list[JobSummary]] = {}
    for reason, job_keys in keys.items():
        # A job is shown once, for the first reason
        jobs = [summaries[job_key] for job_key in job_keys if job_key not in shown]
        shown.update(job_keys)
        if jobs:
            companions[reason] = jobs
    return companions


def _queries(connection: Connection, key: int) -> dict[str, Select[Any]]:
    """Return the query for the keys of companions, by reason."""
    job = connection.execute(select(Job.task_id, Job.unit, Job.recipe).where(Job.id == key)).one()
    newest = select(Job.id).where(Job.id != key).order_by(Job.id.desc()).limit(_MOST)
    succeeded = newest.where(Job.state == SUCCEEDED)
    queries: dict[str, Select[Any]] = {}
    if job.task_id is not None and job.unit is not None:
        queries["attempt"] = newest.where(Job.task_id == job.task_id, Job.unit == job.unit)
    if job.task_id is not None:
        queries["sibling"] = succeeded.where(Job.task_id == job.task_id)
    if job.recipe is not None:
        queries["recipe"] = newest.where(Job.recipe == job.recipe)
    if job.task_id is not None:
        task = _task_before(connection, job.task_id)
        if task is not None:
            queries["stage"] = succeeded.where(Job.task_id == task)
    return queries


def _task_before(connection: Connection, task: int) -> int | None:
    """Return the newest other task of the same stage."""
    stage = select(TaskRow.stage_id).where(TaskRow.id == task).scalar_subquery()
    query = select(func.max(TaskRow.id)).where(TaskRow.stage_id == stage, TaskRow.id != task)
    return connection.execute(query).scalar_one()
