"""Which stage a job belongs to: the one declared for its task, else the one its record says."""

from typing import TypeVarTuple

from sqlalchemy import Select, func

from jobprov.provenance.db.tables import Job, Stage, TaskRow

C = TypeVarTuple("C")


def with_stage(query: Select[*C]) -> Select[*C]:
    """Return a query over jobs with the row of its stage beside each.

    None where nobody said one.
    """
    query = query.outerjoin(TaskRow, TaskRow.id == Job.task_id)
    return query.outerjoin(Stage, Stage.id == func.coalesce(TaskRow.stage_id, Job.stage_id))
