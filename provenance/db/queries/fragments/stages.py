"""The stage of a job: the one declared for its task, else the one in its record."""

from typing import TypeVarTuple

from sqlalchemy import Select, func

from jobprov.provenance.db.tables import Job, Stage, TaskRow

C = TypeVarTuple("C")


def with_stage(query: Select[*C]) -> Select[*C]:
    """Return a query over jobs, joined with the stage of each; NULL if it has none."""
    query = query.outerjoin(TaskRow, TaskRow.id == Job.task_id)
    return query.outerjoin(Stage, Stage.id == func.coalesce(TaskRow.stage_id, Job.stage_id))
