"""How many jobs ended in each step of a time window, and what they made: one grouped query."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    SQLColumnExpression,
    and_,
    cast,
    func,
    select,
    type_coerce,
)

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB, with_stage
from jobprov.provenance.db.queries.fragments.sums import wide_sum
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.db.tables import Claim, FailureClass, Host, Job
from jobprov.provenance.db.tables.base import EPOCH

_SECOND, _MICROSECOND = timedelta(seconds=1), timedelta(microseconds=1)

FACETS: dict[str, SQLColumnExpression[Any]] = {
    "state": Job.state,
    "stage": STAGE_OF_JOB,
    "site": Host.site,
    "class": FailureClass.class_name,
}
"""What jobs can be told apart by; `class` counts those that failed alone."""


class Step(NamedTuple):
    """What the jobs of one facet made that ended in one step of the window.

    Attributes:
        place: which step, 0 the first.
        facet: the number of a state, or a name; None or '' where the job names none.
        jobs: how many ended.
        amount: what is measured of them.
    """

    place: int
    facet: Any
    jobs: int
    amount: float


def ended_jobs(
    connection: Connection,
    filters: JobFilters,
    *,
    by: str,
    measure: str,
    start: datetime,
    end: datetime,
    step: timedelta,
) -> list[Step]:
    """Return what ended from `start` until before `end`, by step and facet; reruns are left out."""
    place = _place(connection, start, step).label("place")
    facet: ColumnElement[Any] = FACETS[by].label("facet")
    # One row a file, where files are counted
    jobs = func.count(Job.id.distinct()) if measure == "events" else func.count()
    query = select(place, facet, jobs, _amount(measure))
    query = _joined(query.select_from(Job), by, measure).where(
        Job.ended_at >= start,
        Job.ended_at < end,
        Job.rerun_of.is_(None),
        *job_conditions(filters),
    )
    if by == "class":
        query = query.where(IS_BAD)
    steps = []
    for row in connection.execute(query.group_by(place, facet)):
        steps.append(Step(int(row[0]), row[1], row[2], float(row[3] or 0)))
    return steps


def newest_end(connection: Connection) -> datetime | None:
    """Return when the job ended that ended last."""
    return connection.execute(select(func.max(Job.ended_at))).scalar_one()


def _joined(query: Select[Any], by: str, measure: str) -> Select[Any]:
    """Return the query with the tables that the facet and the measure are read from."""
    if by == "stage":
        query = with_stage(query)
    if by == "site":
        query = query.outerjoin(Host, Host.id == Job.host_id)
    if by == "class":
        query = query.outerjoin(FailureClass, FailureClass.job_id == Job.id)
    if measure == "events":
        query = query.outerjoin(Claim, and_(Claim.job_id == Job.id, Claim.alias_of.is_(None)))
    return query


def _amount(measure: str) -> ColumnElement[Any]:
    if measure == "files":
        return wide_sum(Job.output_count)
    if measure == "events":
        return wide_sum(Claim.event_count)
    if measure == "cpu_hours":
        return func.sum(Job.cpu_seconds) / 3600.0
    return func.count()


def _place(connection: Connection, start: datetime, step: timedelta) -> ColumnElement[int]:
    """Return in which step of the window a job ended."""
    seconds = int(step / _SECOND)
    if connection.dialect.name == "sqlite":
        first = (start - EPOCH) // _MICROSECOND
        return (type_coerce(Job.ended_at, BigInteger) - first) // (seconds * 1_000_000)
    since_start = func.extract("epoch", Job.ended_at - start)
    return cast(func.floor(since_start / seconds), BigInteger)
