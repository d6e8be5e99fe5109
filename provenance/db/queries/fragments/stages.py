"""The stage of a job: the one declared for its task, else the one in its record.

In lists and filters it is the other way round: there a job of a task of several stages counts for
its own.
"""

from typing import TypeVarTuple

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.tables import Job, Stage, TaskRow

C = TypeVarTuple("C")

_Own, _Placed = aliased(Stage), aliased(Stage)
_Several, _Task, _Job = aliased(TaskRow), aliased(TaskRow), aliased(Job)
# No join: with one more table SQLite begins elsewhere
_OWN_NAME = select(_Own.name).where(_Own.id == Job.stage_id, _Own.name != "").scalar_subquery()
STAGE_OF_JOB = func.coalesce(_OWN_NAME, Stage.name)
"""The name of a job's own stage, else of its task's, in a query that joins the task's stage."""

MAY_HOLD_STAGE = TaskRow.has_several_stages
"""Of a task of another stage: jobs of it may name the stage that is looked for."""

_TASKS_OF_SEVERAL = select(_Several.id).where(_Several.has_several_stages)


def is_at_stage(name: str) -> ColumnElement[bool]:
    """Return the condition that a job's own stage, else that of its task, has a name.

    Only jobs of tasks that have the stage, or several, are to be asked. Nearly all tasks have one:
    their jobs are told by the task, which the index of tasks has. Jobs of the others are looked up
    once, by their keys.
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
    return query.outerjoin(Stage, Stage.id == func.coalesce(TaskRow.stage_id, Job.stage_id))
