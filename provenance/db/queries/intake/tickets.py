"""Of which task a job is already: an upload ticket may not write to the jobs of other tasks.

A job without a task, or one that is not known yet, belongs to the task that its first record names.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Experiment, Job, TaskRow
from jobprov.provenance.db.writer.keys import chunks


def jobs_of_other_tasks(
    connection: Connection, experiment: str, task_id: str, job_ids: Sequence[str]
) -> dict[str, str]:
    """Return those of the jobs that are known as another task's, with that task's id."""
    task_of: dict[str, str] = {}
    for part in chunks(list(dict.fromkeys(job_ids))):
        query = (
            select(Job.uuid, TaskRow.task_id)
            .join(Experiment, Experiment.id == Job.experiment_id)
            .join(TaskRow, TaskRow.id == Job.task_id)
            .where(Experiment.name == experiment, Job.uuid.in_(part), TaskRow.task_id != task_id)
        )
        for job_id, other_task in connection.execute(query):
            task_of[str(job_id)] = other_task
    return task_of
