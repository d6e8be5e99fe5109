"""What units of stages took: the newest attempts of each stage, and the files that they made."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, case, func, or_, select

from jobprov.provenance.db.queries.fragments.bounded import wide_sum
from jobprov.provenance.db.queries.lookup.jobs.summaries import selected
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, narrowed
from jobprov.provenance.db.queries.tasks.tasks import beginnings_of
from jobprov.provenance.db.recording.job_rows import RUNNING, SUCCEEDED
from jobprov.provenance.db.tables import Claim, Identity, Job, Stage

MOST_ATTEMPTS = 20_000


class MeasuredAttempt(NamedTuple):
    """One attempt at a unit; a job without a unit is one by itself."""

    job: int
    unit: str
    succeeded: bool
    wall_seconds: float
    cpu_seconds: float | None
    max_rss_bytes: int | None
    ended_at: datetime | None


class Yield(NamedTuple):
    """What the successful jobs of a stage made.

    Also how many they are, and how many of them say how many events that is.
    """

    jobs: int
    size_bytes: int
    events: int
    counted_jobs: int


def stages_of(connection: Connection, filters: JobFilters) -> list[str]:
    """Return the stages that jobs of the filters are of, in the order of production.

    That is the order in which the first recorded job of each began.
    """
    query = narrowed(selected(Stage.name, func.min(Job.id)), filters).where(
        Job.rerun_of.is_(None), Stage.name.is_not(None)
    )
    firsts = {row[0]: row[1] for row in connection.execute(query.group_by(Stage.name))}
    beginnings = beginnings_of(connection, firsts.values())
    return sorted(firsts, key=lambda stage: beginnings[firsts[stage]])


def attempts(connection: Connection, filters: JobFilters) -> list[MeasuredAttempt]:
    """Return the attempts that are over and whose wall time is known.

    As measured, else from start to end; newest first.
    """
    columns = (
        Job.id,
        Job.task_id,
        Job.unit,
        Job.state,
        Job.wall_seconds,
        Job.cpu_seconds,
        Job.max_rss_bytes,
    )
    is_timed = or_(Job.wall_seconds.is_not(None), Job.started_at <= Job.ended_at)
    query = narrowed(selected(*columns, Job.started_at, Job.ended_at), filters).where(
        Job.rerun_of.is_(None), Job.state != RUNNING, is_timed
    )
    rows = connection.execute(query.order_by(Job.id.desc()).limit(MOST_ATTEMPTS))
    return [_attempt(row) for row in rows]


def _attempt(row: Any) -> MeasuredAttempt:
    job, task, unit, state, wall_seconds, cpu_seconds, max_rss_bytes, started_at, ended_at = row
    if wall_seconds is None:
        wall_seconds = (ended_at - started_at).total_seconds()
    name = f"job {job}"
    if unit is not None:
        name = f"{task} {unit}"
    return MeasuredAttempt(
        job, name, state == SUCCEEDED, wall_seconds, cpu_seconds, max_rss_bytes, ended_at
    )


def yields(connection: Connection, filters: JobFilters) -> Yield:
    """Return what the newest successful jobs made.

    Files that are aliases of others count once, jobs without files as well.
    """
    newest = narrowed(selected(Job.id.label("id")), filters).where(
        Job.rerun_of.is_(None), Job.state == SUCCEEDED
    )
    chosen = newest.order_by(Job.id.desc()).limit(MOST_ATTEMPTS).subquery()
    query = (
        select(
            func.count(chosen.c.id.distinct()),
            func.coalesce(wide_sum(Identity.size_bytes), 0),
            func.coalesce(wide_sum(Claim.event_count), 0),
            func.count(case((Claim.event_count.is_not(None), chosen.c.id)).distinct()),
        )
        .select_from(chosen)
        .outerjoin(Claim, and_(Claim.job_id == chosen.c.id, Claim.alias_of.is_(None)))
        .outerjoin(Identity, Identity.id == Claim.identity_id)
    )
    jobs, size_bytes, events, counted_jobs = connection.execute(query).one()
    return Yield(jobs, int(size_bytes), int(events), counted_jobs)
