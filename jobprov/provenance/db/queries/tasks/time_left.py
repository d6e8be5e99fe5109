"""How fast tasks get on: when their jobs began and ended, what runs, and how long jobs ran."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Connection, cast, func, or_, select, type_coerce

from jobprov.provenance.db.recording.job_rows import RUNNING, SUCCEEDED
from jobprov.provenance.db.tables import Job, ProvisionalRecord
from jobprov.provenance.db.writer.keys import chunks

_MOST_RUNS = 1000


class Activity(NamedTuple):
    """What jobs did within a minute.

    Attributes:
        started, ended: how many jobs.
        first_at: when the first of them did so.
    """

    started: int
    ended: int
    first_at: datetime


class Running(NamedTuple):
    """The jobs of tasks that run now: how many, and when the last of them began."""

    jobs: int
    last_started_at: datetime | None


class _JobsInMinute(NamedTuple):
    """How many jobs have a moment in a minute, and the first of these moments."""

    jobs: int
    first_at: datetime


def activity_by_minute(
    connection: Connection, tasks: Sequence[int], since: datetime, until: datetime
) -> dict[int, Activity]:
    """Return what jobs of tasks did between two moments, by the minute since 1970.

    Minutes in which none began or ended are left out. A job that does not say when it began counts
    from its end, and one whose end nobody saw not at all.
    """
    is_over = Job.ended_at.is_not(None)
    began_at = func.coalesce(Job.started_at, Job.ended_at)
    is_known = or_(is_over, Job.state == RUNNING)
    began = _count_by_minute(connection, tasks, began_at, is_known, began_at.between(since, until))
    ended = _count_by_minute(
        connection, tasks, Job.ended_at, is_known, Job.ended_at.between(since, until)
    )
    activity = {}
    for minute in began.keys() | ended.keys():
        counts_at = [counts[minute] for counts in (began, ended) if minute in counts]
        activity[minute] = Activity(
            started=_jobs_at(minute, began),
            ended=_jobs_at(minute, ended),
            first_at=min(count.first_at for count in counts_at),
        )
    return activity


def _jobs_at(minute: int, counts: Mapping[int, _JobsInMinute]) -> int:
    return counts[minute].jobs if minute in counts else 0


def _count_by_minute(
    connection: Connection,
    tasks: Sequence[int],
    moment: Any,
    *conditions: ColumnElement[bool],
) -> dict[int, _JobsInMinute]:
    """Return the jobs that have a moment in each minute since 1970."""
    minute = _minute_of(connection, moment).label("minute")
    counts: dict[int, _JobsInMinute] = {}
    for part in chunks(tasks):
        query = (
            select(minute, func.count(), func.min(moment))
            .where(Job.task_id.in_(part), Job.rerun_of.is_(None), *conditions)
            .group_by("minute")
        )
        for key, jobs, first_at in connection.execute(query):
            earlier = counts.get(key, _JobsInMinute(0, first_at))
            counts[key] = _JobsInMinute(earlier.jobs + jobs, min(earlier.first_at, first_at))
    return counts


def _minute_of(connection: Connection, moment: Any) -> ColumnElement[int]:
    """Return the minute since 1970 in which a moment is."""
    if connection.dialect.name == "sqlite":
        return type_coerce(moment, BigInteger) // 60_000_000
    return cast(func.floor(func.extract("epoch", moment) / 60), BigInteger)


def running_jobs(connection: Connection, tasks: Sequence[int], *, heard_since: datetime) -> Running:
    """Return the jobs of tasks that run, those left out that were not heard of since a moment."""
    jobs, last_started_at = 0, None
    heard_at = (
        select(func.max(ProvisionalRecord.received_at))
        .where(ProvisionalRecord.job_id == Job.id)
        .scalar_subquery()
    )
    for part in chunks(tasks):
        query = select(func.count(), func.max(Job.started_at)).where(
            Job.task_id.in_(part),
            Job.state == RUNNING,
            Job.rerun_of.is_(None),
            func.coalesce(heard_at, Job.received_at) >= heard_since,
        )
        count, newest = connection.execute(query).one()
        jobs += count
        if newest is not None and (last_started_at is None or newest > last_started_at):
            last_started_at = newest
    return Running(jobs, last_started_at)


def newest_run_times(connection: Connection, tasks: Sequence[int]) -> list[float]:
    """Return how many seconds the newest jobs of tasks ran that succeeded: a thousand of each part.

    As measured, else from start to end.
    """
    seconds = []
    for part in chunks(tasks):
        query = (
            select(Job.wall_seconds, Job.started_at, Job.ended_at)
            .where(
                Job.task_id.in_(part),
                Job.state == SUCCEEDED,
                Job.rerun_of.is_(None),
                or_(Job.wall_seconds.is_not(None), Job.started_at <= Job.ended_at),
            )
            .order_by(Job.id.desc())
            .limit(_MOST_RUNS)
        )
        for wall_seconds, started_at, ended_at in connection.execute(query):
            if wall_seconds is not None:
                seconds.append(wall_seconds)
            elif started_at is not None and ended_at is not None:
                seconds.append((ended_at - started_at).total_seconds())
    return seconds
