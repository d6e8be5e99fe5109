"""Units that several commands of one submission share: a failed one hides behind the others.

They may be of one batch job, or of several that were submitted together and have the same only
input. A retry among them ends with its first success. Where another command begins after a success,
they are no retries of one command, and a failure among them was not made good.

Source: docs/how-to/record-jobs.md, "Several commands in one batch job" and "An input that all jobs
have".
"""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Text, case, func, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import aliased
from sqlalchemy.sql.functions import FunctionElement

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.recording.job_rows import KILLED, STATES, SUCCEEDED
from jobprov.provenance.db.tables import Experiment, Job, TaskRow

_MOST_BAD = 10_000
"""Jobs of a task that failed, the newest, that are looked at."""
_MOST_NEWEST = 100_000
"""Jobs of all tasks, the newest, among which those that failed are looked for."""
_BAD = (STATES.index("failed"), KILLED)
_Other = aliased(Job)


class _Before(FunctionElement[str]):
    """What stands before the first of some character, or the whole text where it has none."""

    type = Text()
    inherit_cache = True


@compiles(_Before, "sqlite")
def _before_in_sqlite(element: Any, compiler: Any, **words: Any) -> str:
    text, character = (compiler.process(clause, **words) for clause in element.clauses)
    return f"substr({text}, 1, instr({text} || {character}, {character}) - 1)"


@compiles(_Before, "postgresql")
def _before_in_postgresql(element: Any, compiler: Any, **words: Any) -> str:
    text, character = (compiler.process(clause, **words) for clause in element.clauses)
    return f"split_part({text}, {character}, 1)"


class TaskThatHides(NamedTuple):
    """A task, how many of its units hide a failure, and when the first of these failed."""

    experiment: str
    task_id: str
    units: int
    since: datetime | None


def count_hidden_failures(connection: Connection, task: int) -> int:
    """Return how many units of a task count by one command while another failed."""
    hiding = _hiding([Job.task_id == task], most=_MOST_BAD)
    query = select(func.count(hiding.c.unit.distinct()))
    return connection.execute(query).scalar_one()


def tasks_that_hide_failures(connection: Connection, since: datetime) -> list[TaskThatHides]:
    """Return the tasks with such units of which a command failed since then."""
    newest = connection.execute(select(func.max(Job.id))).scalar_one() or 0
    wanted = [Job.id > newest - _MOST_NEWEST, Job.ended_at >= since, Job.task_id.is_not(None)]
    hiding = _hiding(wanted, most=_MOST_NEWEST)
    query = (
        select(
            Experiment.name,
            TaskRow.task_id,
            func.count(hiding.c.unit.distinct()),
            func.min(hiding.c.failed_at),
        )
        .select_from(hiding)
        .join(TaskRow, TaskRow.id == hiding.c.task_id)
        .join(Experiment, Experiment.id == TaskRow.experiment_id)
        .group_by(Experiment.name, TaskRow.task_id)
    )
    return [TaskThatHides._make(row) for row in connection.execute(query)]


def _hiding(wanted: list[ColumnElement[bool]], *, most: int) -> Any:
    """Return a subquery of the submissions that hide a failure, with task and unit.

    Those are found from the jobs that failed, which are few, by the index of a task's units.
    """
    bad = (
        select(
            Job.id,
            Job.task_id,
            Job.unit,
            _submission(Job.batch_id).label("submission"),
            Job.ended_at,
        )
        .where(IS_BAD, Job.state.in_(_BAD), *wanted)
        .where(Job.unit.is_not(None), Job.batch_id.is_not(None), Job.rerun_of.is_(None))
        .order_by(Job.id.desc())
        .limit(most)
        .subquery()
    )
    places = (
        select(bad.c.task_id, bad.c.unit, bad.c.submission, func.min(bad.c.ended_at).label("ended"))
        .group_by(bad.c.task_id, bad.c.unit, bad.c.submission)
        .subquery()
    )
    success_began = case((_Other.state == SUCCEEDED, _Other.started_at))
    return (
        select(places.c.task_id, places.c.unit, func.min(places.c.ended).label("failed_at"))
        .join(
            _Other,
            (_Other.task_id == places.c.task_id)
            & (_Other.unit == places.c.unit)
            & (_submission(_Other.batch_id) == places.c.submission),
        )
        .where(_Other.rerun_of.is_(None))
        .group_by(places.c.task_id, places.c.unit, places.c.submission)
        .having(func.max(_Other.started_at) > func.min(success_began))
        .subquery()
    )


def _submission(batch_id: Any) -> ColumnElement[str]:
    """Return the cluster of a job of HTCondor (`81@sched01` of `81.4@sched01`), else its id."""
    cluster = _Before(batch_id, ".")
    schedd = func.substr(batch_id, func.length(_Before(batch_id, "@")) + 1)
    return case((batch_id.like("%.%@%"), cluster.concat(schedd)), else_=batch_id)
