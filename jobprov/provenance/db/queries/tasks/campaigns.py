"""Campaigns with their stages, and the number of jobs in each state."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    Select,
    SQLColumnExpression,
    Subquery,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    select,
)

from jobprov.provenance.answers.statistics.campaigns import CampaignJobs, StageJobs
from jobprov.provenance.db.queries.fragments.bounded import wide_sum
from jobprov.provenance.db.queries.fragments.stages import OWN_STAGE
from jobprov.provenance.db.queries.fragments.steps import Window, place_of
from jobprov.provenance.db.queries.tasks.tasks import beginnings_of, is_no_rerun
from jobprov.provenance.db.recording.job_rows import STATES, SUCCEEDED
from jobprov.provenance.db.tables import Experiment, Job, Stage, TaskRow

MOST_CAMPAIGNS = 200


def campaign_counts(
    connection: Connection, campaign: str | None = None, experiment: str | None = None
) -> list[CampaignJobs]:
    """Return campaigns with their stages and the number of jobs in each state.

    The newest campaign comes first; reruns count nowhere.

    Stages stand in the order of production: as the first recorded job of each began, since records
    arrive in any order. Jobs of a task of several stages count for their own.
    """
    stages_by_campaign = _stages_of(_count_rows(connection, campaign, experiment))
    firsts: list[int] = []
    for stages in stages_by_campaign.values():
        firsts.extend(stage.first for stage in stages)
    beginnings = beginnings_of(connection, firsts)
    campaigns = []
    for (name, title), stages in stages_by_campaign.items():
        in_order = sorted(stages, key=lambda stage: beginnings[stage.first])
        campaigns.append(CampaignJobs(name, title, in_order))
    campaigns.sort(key=lambda counted: -max(stage.first for stage in counted.stages))
    return campaigns[:MOST_CAMPAIGNS]


def _count_rows(
    connection: Connection, campaign: str | None, experiment: str | None
) -> list[Row[Any]]:
    """Return the rows of `_by_stage`: for tasks of one stage, then for tasks of several."""
    counted = select(
        Job.task_id, Job.state, func.count().label("jobs"), func.min(Job.id).label("first")
    )
    counted = counted.where(is_no_rerun())
    if campaign is not None or experiment is not None:
        counted = counted.where(Job.task_id.in_(_tasks_of(campaign, experiment)))
    # along the index, before anything is joined: the jobs of a million rows are counted in a tenth
    # of a second
    counts = counted.group_by(Job.task_id, Job.state).subquery("counts")
    counted_by_own_stage = (
        counted.add_columns(OWN_STAGE.label("stage"))
        .where(Job.task_id.in_(select(TaskRow.id).where(TaskRow.has_several_stages)))
        .group_by(Job.task_id, Job.state, Job.stage_id)
    )
    own_counts = counted_by_own_stage.subquery("own_counts")
    of_one_stage = _by_stage(counts, Stage.name).where(~TaskRow.has_several_stages)
    of_own_stage = _by_stage(own_counts, func.coalesce(own_counts.c.stage, Stage.name))
    return [*connection.execute(of_one_stage), *connection.execute(of_own_stage)]


class DoneInStep(NamedTuple):
    """What a stage got done in a step of time.

    Attributes:
        place: which step, 0 the first.
        units: of which a job succeeded that left a file; a job without a unit is one by itself.
        last_end: when the last of its jobs ended, however it did.
    """

    experiment: str
    campaign: str
    stage: str
    place: int
    units: int
    last_end: datetime


def done_in_steps(
    connection: Connection, window: Window, of: tuple[str, str] | None = None
) -> list[DoneInStep]:
    """Return what the stages of campaigns got done since a window began; reruns count nowhere.

    One statement, along the index of ended jobs, or that of tasks for one campaign (`of` is its
    experiment and its name); a job counts for the stage of its task, as units do.
    """
    unit = func.coalesce(Job.unit, cast(Job.id, Text))
    is_done = and_(Job.state == SUCCEEDED, Job.output_count > 0)
    place = place_of(connection, Job.ended_at, window)
    # by task before anything is joined: tasks are few; by the bare key SQLite would walk all jobs
    task = Job.task_id + literal_column("0")
    done = (
        select(
            task.label("task_id"),
            place.label("place"),
            func.count(case((is_done, unit)).distinct()).label("units"),
            func.max(Job.ended_at).label("last_end"),
        )
        .where(Job.ended_at >= window.start, is_no_rerun())
        .group_by(task, place)
    )
    if of is not None:
        experiment, campaign = of
        done = done.where(Job.task_id.in_(_tasks_of(campaign, experiment)))
    done_by_task = done.subquery("done")
    stage = func.coalesce(Stage.name, "")
    columns = (Experiment.name, Stage.campaign, stage, done_by_task.c.place)
    query = (
        select(*columns, wide_sum(done_by_task.c.units), func.max(done_by_task.c.last_end))
        .select_from(done_by_task)
        .join(TaskRow, TaskRow.id == done_by_task.c.task_id)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .where(Stage.campaign != "")
        .group_by(*columns)
    )
    done_steps = []
    for experiment_name, title, stage_name, number, units, last_end in connection.execute(query):
        done_steps.append(
            DoneInStep(experiment_name, title, stage_name, number, int(units), last_end)
        )
    return done_steps


def _by_stage(counts: Subquery, stage: SQLColumnExpression[Any]) -> Select[Any]:
    """Return the query for counts of jobs of tasks, summed over the tasks of each stage."""
    return (
        select(
            Experiment.name,
            Stage.campaign,
            stage,
            counts.c.state,
            func.sum(counts.c.jobs),
            func.min(counts.c.first),
        )
        .select_from(counts)
        .join(TaskRow, TaskRow.id == counts.c.task_id)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .join(Experiment, Experiment.id == Stage.experiment_id)
        .group_by(Experiment.name, Stage.campaign, stage, counts.c.state)
    )


def _stages_of(rows: Iterable[Any]) -> dict[tuple[str, str], list[StageJobs]]:
    """Return the stages by experiment and campaign; a row counts one state of one stage."""
    states: dict[tuple[str, str, str | None], dict[str, int]] = {}
    firsts: dict[tuple[str, str, str | None], int] = {}
    for experiment, campaign, stage, state, jobs, first in rows:
        key = (experiment, campaign, stage)
        jobs_by_state = states.setdefault(key, {})
        jobs_by_state[STATES[state]] = jobs_by_state.get(STATES[state], 0) + int(jobs)
        firsts[key] = min(first, firsts.get(key, first))
    stages_by_campaign: dict[tuple[str, str], list[StageJobs]] = {}
    for (experiment, campaign, stage), jobs_by_state in states.items():
        counted = StageJobs(stage, jobs_by_state, firsts[experiment, campaign, stage])
        stages_by_campaign.setdefault((experiment, campaign), []).append(counted)
    return stages_by_campaign


def _tasks_of(campaign: str | None, experiment: str | None) -> Any:
    query = (
        select(TaskRow.id)
        .join(Stage, Stage.id == TaskRow.stage_id)
        .join(Experiment, Experiment.id == Stage.experiment_id)
    )
    if campaign is not None:
        query = query.where(Stage.campaign == campaign)
    return query if experiment is None else query.where(Experiment.name == experiment)
