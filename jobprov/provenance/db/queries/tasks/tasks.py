"""Tasks in numbers: which there are, what failed, what it took.

It takes a few statements a task; its units are in `units.py`.

Reruns for comparison count nowhere here, as in statistics: they are nobody's attempt to make
something.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Subquery, Text, case, cast, func, select, tuple_
from sqlalchemy.orm import aliased

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.tasks.tasks import TaskResources
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.patterns import without_index
from jobprov.provenance.db.queries.fragments.steps import Window, place_of
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.recording.job_rows import STATES, SUCCEEDED
from jobprov.provenance.db.tables import Experiment, Job, LedgerEntry, Stage, TaskRow
from jobprov.provenance.db.writer.keys import chunks

MOST_FAILING = 100


class FoundTask(NamedTuple):
    """A task: its integer key, its names, where it stands, its declaration's ledger entry."""

    key: int
    task_id: str
    experiment: str
    experiment_key: int
    campaign: str | None
    stage: str | None
    entry_id: int | None


_COLUMNS = (
    TaskRow.id,
    TaskRow.task_id,
    Experiment.name,
    Experiment.id,
    Stage.campaign,
    Stage.name,
    TaskRow.entry_id,
)
"""In the order of the fields of `FoundTask`."""
_TASKS = (
    select(*_COLUMNS)
    .join(Experiment, Experiment.id == TaskRow.experiment_id)
    .outerjoin(Stage, Stage.id == TaskRow.stage_id)
)


def find_tasks(connection: Connection, task_id: str, experiment: str | None) -> list[FoundTask]:
    """Return the tasks of this id; more than one only where experiments share it."""
    query = _TASKS.where(TaskRow.task_id == task_id).order_by(Experiment.name)
    if experiment is not None:
        query = query.where(Experiment.name == experiment)
    return [FoundTask(*row) for row in connection.execute(query)]


def tasks_of_keys(connection: Connection, keys: Sequence[int]) -> list[FoundTask]:
    """Return the tasks with these keys."""
    return [FoundTask(*row) for row in rows_among(connection, _TASKS, TaskRow.id, keys)]


def tasks_of_campaigns(
    connection: Connection, campaigns: Sequence[tuple[str, str]]
) -> list[FoundTask]:
    """Return the tasks of campaigns, in the order in which they were first heard of.

    A campaign is named by its experiment and its name.
    """
    query = (
        select(*_COLUMNS)
        .join(Experiment, Experiment.id == TaskRow.experiment_id)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .where(tuple_(Experiment.name, Stage.campaign).in_(campaigns))
        .order_by(TaskRow.id)
    )
    return [FoundTask(*row) for row in connection.execute(query)]


def newest_declared_tasks(connection: Connection, experiment: str, *, most: int) -> list[FoundTask]:
    """Return the declared tasks of an experiment, the newest first.

    Tasks are read in the order of their keys, until there are enough. An index of the experiment's
    would lead to one after the other, all over the table, also where none of them is declared.
    """
    key = select(Experiment.id).where(Experiment.name == experiment).scalar_subquery()
    query = (
        _TASKS.where(without_index(TaskRow.experiment_id) == key, TaskRow.entry_id.is_not(None))
        .order_by(TaskRow.id.desc())
        .limit(most)
    )
    return [FoundTask(*row) for row in connection.execute(query)]


def is_no_rerun() -> ColumnElement[bool]:
    """Return the condition that a job is not one of the few reruns for comparison.

    For counts that an index answers without the rows.
    """
    rerun = aliased(Job)
    return Job.id.not_in(select(rerun.id).where(rerun.rerun_of.is_not(None)))


def resource_sums(connection: Connection, task: int) -> TaskResources:
    """Return what the jobs of a task took, all attempts included."""
    query = select(
        func.count(),
        func.sum(Job.wall_seconds),
        func.sum(Job.cpu_seconds),
        func.max(Job.max_rss_bytes),
        func.min(Job.started_at),
        func.max(Job.ended_at),
    ).where(Job.task_id == task, Job.rerun_of.is_(None))
    jobs, wall_seconds, cpu_seconds, max_rss_bytes, started, ended = connection.execute(query).one()
    return TaskResources(
        jobs=jobs,
        wall_seconds=wall_seconds,
        cpu_seconds=cpu_seconds,
        max_rss_bytes=max_rss_bytes,
        first_started_at=iso_or_none(started),
        last_ended_at=iso_or_none(ended),
    )


def iso_or_none(moment: datetime | None) -> str | None:
    """Return a moment as answers have it; None for none."""
    return None if moment is None else moment.isoformat()


def jobs_that_did_units(tasks: Sequence[int], needed: int) -> Subquery:
    """Return for each unit of tasks the first job that succeeded with enough outputs: `id`.

    If a unit was done twice, only the files of the first such job count.
    """
    return (
        select(Job.task_id, Job.unit, func.min(Job.id).label("id"))
        .where(
            Job.task_id.in_(tasks),
            Job.state == SUCCEEDED,
            Job.output_count >= needed,
            Job.rerun_of.is_(None),
        )
        # A job that names no unit is one by itself
        .group_by(Job.task_id, Job.unit, case((Job.unit.is_(None), Job.id)))
        .subquery()
    )


def done_since(
    connection: Connection, needed: Mapping[int, int], moments: Sequence[datetime]
) -> list[int]:
    """Return how many units of tasks were done since each moment.

    Args:
        needed: by task, how many outputs make a unit done.
        moments: since when.
    """
    tasks_by_number: dict[int, list[int]] = {}
    for task, number in needed.items():
        tasks_by_number.setdefault(number, []).append(task)
    done = [0 for _ in moments]
    for number, tasks in tasks_by_number.items():
        done_of_tasks = _done_since(connection, tasks, moments, number)
        done = [total + count for total, count in zip(done, done_of_tasks, strict=True)]
    return done


def _done_since(
    connection: Connection, tasks: Sequence[int], moments: Sequence[datetime], needed: int
) -> list[int]:
    unit = func.coalesce(Job.unit, cast(Job.id, Text))
    counts = [func.count(case((Job.ended_at >= moment, unit)).distinct()) for moment in moments]
    done = [0 for _ in moments]
    for part in chunks(tasks):
        query = select(*counts).where(
            Job.task_id.in_(part),
            Job.state == SUCCEEDED,
            Job.output_count >= needed,
            Job.rerun_of.is_(None),
            Job.ended_at >= min(moments),
        )
        done_of_part = connection.execute(query).one()
        done = [total + count for total, count in zip(done, done_of_part, strict=True)]
    return done


def units_done_in_steps(
    connection: Connection, task: int, window: Window, needed: int
) -> list[tuple[int, int]]:
    """Return in which steps since a window began units of a task were done, and how many.

    Args:
        task: its key.
        window: a unit that is done twice counts in both of these steps.
        needed: how many outputs make a unit done.
    """
    place = place_of(connection, Job.ended_at, window).label("place")
    unit = func.coalesce(Job.unit, cast(Job.id, Text))
    query = (
        select(place, func.count(unit.distinct()))
        .where(
            Job.task_id == task,
            Job.state == SUCCEEDED,
            Job.output_count >= needed,
            Job.rerun_of.is_(None),
            Job.ended_at >= window.start,
        )
        .group_by(place)
    )
    return [(int(number), count) for number, count in connection.execute(query)]


def tasks_begun_since(
    connection: Connection, tasks: Sequence[int], since: datetime
) -> dict[int, datetime]:
    """Return when tasks began, of those that were declared and had no job before a moment.

    A task that is declared anew did not begin again, since its first job tells.
    """
    declared = select(TaskRow.id, LedgerEntry.received_at).where(
        LedgerEntry.id == TaskRow.entry_id, LedgerEntry.received_at >= since
    )
    began: dict[int, datetime] = {}
    for task, moment in rows_among(connection, declared, TaskRow.id, tasks):
        began[task] = moment
    firsts = (
        select(TaskRow.id, func.min(Job.id))
        .join(Job, Job.task_id == TaskRow.id)
        .group_by(TaskRow.id)
    )
    first_jobs: dict[int, int] = {}
    for task, job in rows_among(connection, firsts, TaskRow.id, sorted(began)):
        first_jobs[job] = task
    for beginning in beginnings_of(connection, first_jobs).values():
        task = first_jobs[beginning.job]
        began[task] = min(began[task], beginning.at)
    return {task: moment for task, moment in began.items() if moment >= since}


class Beginning(NamedTuple):
    """When a job began, and its key: these sort jobs."""

    at: datetime
    job: int


def beginnings_of(connection: Connection, jobs: Iterable[int]) -> dict[int, Beginning]:
    """Return when each job began, by its key.

    A job that does not say when it began counts as begun when its record came.
    """
    query = select(Job.id, func.coalesce(Job.started_at, Job.received_at))
    rows = rows_among(connection, query, Job.id, sorted(jobs))
    return {job: Beginning(at, job) for job, at in rows}


def failing_jobs(connection: Connection, task: int) -> list[JobSummary]:
    """Return the newest jobs of a task that did not succeed."""
    bad = [STATES.index(state) for state in ("failed", "killed", "lost")]
    query = (
        select(Job.id)
        .where(Job.task_id == task, Job.state.in_(bad), Job.rerun_of.is_(None))
        .order_by(Job.id.desc())
        .limit(MOST_FAILING)
    )
    keys = connection.execute(query).scalars().all()
    summaries = summaries_of(connection, keys)
    return [summaries[key] for key in keys]
