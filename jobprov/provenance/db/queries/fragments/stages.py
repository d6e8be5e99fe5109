"""The stage of a job: that of its task, but of a task of several stages the one in its record."""

from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.tables import Job, Stage, TaskRow

C = TypeVarTuple("C")

_Own, _Placed = aliased(Stage), aliased(Stage)
_Several, _Task, _Job = aliased(TaskRow), aliased(TaskRow), aliased(Job)
# No join: with one more table SQLite begins elsewhere
OWN_STAGE = select(_Own.name).where(_Own.id == Job.stage_id, _Own.name != "").scalar_subquery()
"""The name of the stage in a job's record; NULL where it names none."""
STAGE_OF_JOB = func.coalesce(OWN_STAGE, Stage.name)
"""The name of a job's own stage, else of its task's, in a query that joins the task's stage."""

_OWN_KEY = select(_Own.id).where(_Own.id == Job.stage_id, _Own.name != "").scalar_subquery()
_STAGE_KEY = func.coalesce(
    case((TaskRow.has_several_stages, _OWN_KEY)), TaskRow.stage_id, Job.stage_id
)

MAY_HOLD_STAGE = TaskRow.has_several_stages
"""Of a task of another stage: jobs of it may name the stage that is looked for."""

_TASKS_OF_SEVERAL = select(_Several.id).where(_Several.has_several_stages)


def is_at_stage(name: str) -> ColumnElement[bool]:
    """Return the condition that a job's own stage, else that of its task, has a name.

    Nearly all tasks have one stage: their jobs are found by task, in the index of tasks. Only jobs
    of tasks with several stages are looked up themselves, once, by their keys.
    """
    own_name = func.coalesce(func.nullif(_Own.name, ""), _Placed.name)
    jobs = (
        select(_Job.id)
        .join(_Task, _Task.id == _Job.task_id)
        .join(_Placed, _Placed.id == _Task.stage_id)
        .outerjoin(_Own, _Own.id == _Job.stage_id)
        .where(_Task.has_several_stages, own_name == name)
    )
    return or_(Job.task_id.not_in(_TASKS_OF_SEVERAL), Job.id.in_(jobs))


def with_stage(query: Select[*C]) -> Select[*C]:
    """Return a query over jobs, joined with the stage of each; NULL if it has none."""
    query = query.outerjoin(TaskRow, TaskRow.id == Job.task_id)
    return query.outerjoin(Stage, Stage.id == _STAGE_KEY)
