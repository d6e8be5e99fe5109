"""When jobs began and stopped to run in a window of time, summed by step: how many ran at once.

A job ran from its start until its end; one that still runs, and of which something was heard
lately, until now. Jobs without a known end (lost and silent ones) and reruns are left out, and
those whose clocks say that they ended before they started.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    SQLColumnExpression,
    case,
    exists,
    func,
    or_,
    select,
)

from jobprov.provenance.db.queries.fragments.steps import (
    Window,
    place_and_state_of,
    place_of,
    read_place_and_state,
    seconds_after_start,
    within,
)
from jobprov.provenance.db.recording.job_rows import RUNNING
from jobprov.provenance.db.tables import Job, LogTailPiece, ProvisionalRecord


class JobsToCount(NamedTuple):
    """Which jobs, and what they are told apart by.

    Attributes:
        facet: what groups have in common.
        joined: returns a query over jobs with the tables joined that the facet is read from.
        conditions: which jobs.
        is_all_within: whether all of them started and ended in the window, so that an index of
            times is of no use.
        is_of_all: most jobs there are may be among them.
    """

    facet: SQLColumnExpression[Any]
    joined: Callable[[Select[Any]], Select[Any]]
    conditions: Sequence[ColumnElement[bool]]
    is_all_within: bool = False
    is_of_all: bool = False


class Edges(NamedTuple):
    """Jobs of one facet that began, or stopped, to run in one step.

    Attributes:
        place: which step, 0 the first.
        seconds: from the start of the window to these moments, summed.
        earlier: how many of them began before the window.
    """

    facet: Any
    place: int
    jobs: int
    seconds: float
    earlier: int = 0


class Ran(NamedTuple):
    """When jobs began and stopped to run.

    Attributes:
        starts: those that ran already when the window started began at its start.
        ends: those that ran longer than the window have none.
        still: jobs that run, by facet and step as in `starts`; they have no end.
    """

    starts: list[Edges]
    ends: list[Edges]
    still: list[Edges]


def ran_jobs(
    connection: Connection, jobs: JobsToCount, window: Window, *, silent_before: datetime
) -> Ran:
    """Return when jobs began and stopped to run in a window.

    Args:
        window: in which steps.
        silent_before: a job counts as running if it was heard of since.
    """
    is_over = Job.ended_at >= Job.started_at
    is_running = _is_running(silent_before)
    if jobs.is_all_within:
        return Ran(
            starts=_edges(connection, jobs, window, Job.started_at, [is_over]),
            ends=_edges(connection, jobs, window, Job.ended_at, [is_over]),
            still=_edges(connection, jobs, window, Job.started_at, is_running),
        )
    is_before = Job.started_at < window.start
    ends_within = within(connection, Job.ended_at, window, is_of_all=jobs.is_of_all)
    ends = _edges(connection, jobs, window, Job.ended_at, [*ends_within, is_over])
    starts_within = within(connection, Job.started_at, window, is_of_all=jobs.is_of_all)
    starts = _edges(connection, jobs, window, Job.started_at, [*starts_within, is_over])
    starts += [Edges(edges.facet, 0, edges.earlier, 0.0) for edges in ends if edges.earlier]
    starts += _at_the_start(connection, jobs, [Job.ended_at >= window.end, is_before])
    is_within = [Job.started_at >= window.start, Job.started_at < window.end]
    still = [
        *_edges(connection, jobs, window, Job.started_at, [*is_within, *is_running]),
        *_at_the_start(connection, jobs, [is_before, *is_running]),
    ]
    return Ran(starts, ends, still)


def is_any_running(connection: Connection, jobs: JobsToCount, *, silent_before: datetime) -> bool:
    """Return whether any job runs and was heard of since `silent_before`."""
    query = _chosen(select(Job.id), jobs, _is_running(silent_before)).limit(1)
    return connection.execute(query).first() is not None


def _is_running(silent_before: datetime) -> list[ColumnElement[bool]]:
    is_heard = Job.id.in_(_heard_since(silent_before))
    has_started = Job.started_at.is_not(None)
    return [Job.state == RUNNING, has_started, Job.ended_at.is_(None), is_heard]


def _edges(
    connection: Connection,
    jobs: JobsToCount,
    window: Window,
    moment: SQLColumnExpression[Any],
    conditions: Sequence[ColumnElement[bool]],
) -> list[Edges]:
    is_by_state = jobs.facet is Job.state
    group: list[Any] = [
        jobs.facet.label("facet"),
        place_of(connection, moment, window).label("place"),
    ]
    if is_by_state:
        group = [place_and_state_of(connection, moment, window).label("place_and_state")]
    seconds = func.sum(seconds_after_start(connection, moment, window))
    earlier = func.sum(case((Job.started_at < window.start, 1), else_=0))
    query = _chosen(select(func.count(), seconds, earlier, *group), jobs, conditions)
    edges = []
    rows = connection.execute(query.group_by(*group))
    for job_count, seconds_in_step, earlier_jobs, *names in rows:
        if is_by_state:
            step, facet = read_place_and_state(names[0])
        else:
            facet, step = names
        edges.append(Edges(facet, int(step), job_count, float(seconds_in_step), int(earlier_jobs)))
    return edges


def _at_the_start(
    connection: Connection, jobs: JobsToCount, conditions: Sequence[ColumnElement[bool]]
) -> list[Edges]:
    facet: ColumnElement[Any] = jobs.facet.label("facet")
    query = _chosen(select(facet, func.count()), jobs, conditions).group_by(facet)
    return [Edges(name, 0, count, 0.0) for name, count in connection.execute(query)]


def _chosen(
    query: Select[Any], jobs: JobsToCount, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    chosen = jobs.joined(query.select_from(Job))
    return chosen.where(*conditions, Job.rerun_of.is_(None), *jobs.conditions)


def _heard_since(moment: datetime) -> Select[int]:
    """Return the query for running jobs that were heard of; an index has no others."""
    writes_log = exists().where(
        LogTailPiece.job_id == ProvisionalRecord.job_id, LogTailPiece.received_at >= moment
    )
    is_heard = or_(ProvisionalRecord.received_at >= moment, writes_log)
    return select(ProvisionalRecord.job_id).where(is_heard)
