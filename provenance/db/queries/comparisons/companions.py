"""Which jobs one would compare a job with.

These are attempts at the same unit, siblings that succeeded, and other runs of the same recipe.
"""

from itertools import chain
from typing import Any

from sqlalchemy import Connection, Select, func, select

from jobprov.provenance.answers.lookup import JobSummary
from jobprov.provenance.db.queries.lookup.job_summaries import summaries_of
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Job, TaskRow

_MOST = 5
_SUCCEEDED = STATES.index("succeeded")


def companions_of(connection: Connection, key: int) -> dict[str, list[JobSummary]]:
    """Return summaries of a few jobs, by why one would compare with them.

    The reasons are `attempt`, `recipe`, `sibling` (same task, succeeded) and `stage` (another task,
    succeeded).
    """
    here = connection.execute(select(Job.task_id, Job.unit, Job.recipe).where(Job.id == key)).one()
    queries: dict[str, Select[Any]] = {}
    newest = select(Job.id).where(Job.id != key).order_by(Job.id.desc()).limit(_MOST)
    if here.task_id is not None and here.unit is not None:
        queries["attempt"] = newest.where(Job.task_id == here.task_id, Job.unit == here.unit)
    succeeded = newest.where(Job.state == _SUCCEEDED)
    if here.task_id is not None:
        queries["sibling"] = succeeded.where(Job.task_id == here.task_id)
    if here.recipe is not None:
        queries["recipe"] = newest.where(Job.recipe == here.recipe)
    if here.task_id is not None and (task := _task_before(connection, here.task_id)) is not None:
        queries["stage"] = succeeded.where(Job.task_id == task)
    keys = {why: [row[0] for row in connection.execute(query)] for why, query in queries.items()}
    summaries = summaries_of(connection, chain.from_iterable(keys.values()))
    seen: set[int] = set()
    chosen: dict[str, list[JobSummary]] = {}
    for why, job_keys in keys.items():
        chosen[why] = [summaries[job_key] for job_key in job_keys if job_key not in seen]
        seen.update(job_keys)
    return {why: jobs for why, jobs in chosen.items() if jobs}


def _task_before(connection: Connection, task: int) -> int | None:
    """Return the newest other task of the same stage."""
    stage = select(TaskRow.stage_id).where(TaskRow.id == task).scalar_subquery()
    query = select(func.max(TaskRow.id)).where(TaskRow.stage_id == stage, TaskRow.id != task)
    return connection.execute(query).scalar_one()
