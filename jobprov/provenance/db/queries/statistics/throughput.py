"""What jobs did in each step of a time window: how many ended and what they made and took."""

from array import array
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    SQLColumnExpression,
    and_,
    case,
    func,
    null,
    or_,
    select,
)

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.fragments.bounded import count_at_most, wide_sum
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB, with_stage
from jobprov.provenance.db.queries.fragments.steps import (
    Window,
    place_and_state_of,
    place_of,
    read_place_and_state,
    within,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.db.queries.tasks.running import JobsToCount
from jobprov.provenance.db.tables import Claim, FailureClass, Host, Job

FACETS: dict[str, SQLColumnExpression[Any]] = {
    "state": Job.state,
    "stage": STAGE_OF_JOB,
    "site": Host.site,
    "class": FailureClass.class_name,
}
"""What jobs can be grouped by; `class` counts only those that failed."""
SPREADS: dict[str, SQLColumnExpression[Any]] = {
    "wall_seconds": Job.wall_seconds,
    "max_rss_bytes": Job.max_rss_bytes,
}
"""Measures whose distribution is given; jobs without a recorded value are left out."""
_TENTHS = (1, 5, 9)
"""Of p10, the median and p90."""
_ROWS_AT_ONCE = 10_000


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


class RankedValue(NamedTuple):
    """A value of one facet in one step, and where it stands among them.

    Attributes:
        place: which step, 0 the first.
        facet: as in `Step`; '' where the job names none; None for all but the named ones as one.
        jobs: how many of them have a value.
        rank: of this one, 1 the smallest.
    """

    place: int
    facet: Any
    jobs: int
    rank: int
    value: float


def ended_jobs(
    connection: Connection, filters: JobFilters, window: Window, *, by: str, measure: str
) -> list[Step]:
    """Return what ended in a window, by step and facet; reruns are left out.

    With a measure of `SPREADS`, the amount is the number of jobs that have a value.
    """
    group: list[Any] = [
        place_of(connection, Job.ended_at, window).label("place"),
        FACETS[by].label("facet"),
    ]
    if by == "state":
        group = [place_and_state_of(connection, Job.ended_at, window).label("place_and_state")]
    # One row a file, where files are counted
    jobs = func.count(Job.id.distinct()) if measure == "events" else func.count()
    query: Select[Any] = select(jobs, _amount(measure), *group).select_from(Job)
    if measure == "events":
        query = query.outerjoin(Claim, and_(Claim.job_id == Job.id, Claim.alias_of.is_(None)))
    conditions = _conditions(filters, by)
    query = _joined(query, by).where(*_ended_in(connection, filters, window, by), *conditions)
    steps = []
    for count, amount, *names in connection.execute(query.group_by(*group)):
        if by == "state":
            place, facet = read_place_and_state(names[0])
        else:
            place, facet = names
        steps.append(Step(int(place), facet, count, float(amount or 0)))
    return steps


def ranked_values(
    connection: Connection,
    filters: JobFilters,
    window: Window,
    *,
    by: str,
    measure: str,
    facets: Sequence[Any],
) -> list[RankedValue]:
    """Return for each step and facet the values from which its quantiles follow: seven at most.

    Args:
        window: when they ended.
        by: the facet by which they are grouped.
        measure: one of `SPREADS`.
        facets: values with a group of their own, '' for jobs without one; all others are one group.
    """
    place = place_of(connection, Job.ended_at, window).label("place")
    facet = _among(FACETS[by], facets).label("facet")
    value: ColumnElement[Any] = SPREADS[measure].label("value")
    query: Select[Any] = select(place, facet, value).select_from(Job)
    conditions = [*_conditions(filters, by), SPREADS[measure].is_not(None)]
    query = _joined(query, by).where(*_ended_in(connection, filters, window, by), *conditions)
    if connection.dialect.name == "sqlite":
        return _ranked_here(connection, query)
    return _ranked_there(connection, query)


def _ranked_here(connection: Connection, query: Select[Any]) -> list[RankedValue]:
    """Return the wanted values of (place, facet, value), sorted here.

    SQLite, which runs in this process too, takes four times as long for it. Eight bytes are kept a
    job.
    """
    groups: defaultdict[tuple[int, Any], array[float]] = defaultdict(lambda: array("d"))
    for place, facet, value in connection.execute(query).yield_per(_ROWS_AT_ONCE):
        groups[place, facet].append(value)
    ranked = []
    for (place, facet), values in groups.items():
        jobs, ordered = len(values), sorted(values)
        wanted = {jobs}
        for tenths in _TENTHS:
            lower = (jobs - 1) * tenths // 10 + 1
            wanted |= {lower, min(lower + 1, jobs)}
        for rank in wanted:
            ranked.append(RankedValue(int(place), facet, jobs, rank, ordered[rank - 1]))
    return ranked


def _ranked_there(connection: Connection, query: Select[Any]) -> list[RankedValue]:
    """Return the wanted values of (place, facet, value), sorted by the database."""
    measured = query.subquery().c
    group = (measured.place, measured.facet)
    jobs = func.count().over(partition_by=group).label("jobs")
    rank = func.row_number().over(partition_by=group, order_by=measured.value).label("rank")
    ranked = select(*group, jobs, rank, measured.value).subquery().c
    wanted: list[ColumnElement[bool]] = [ranked.rank == ranked.jobs]
    for tenths in _TENTHS:
        # as `quantile` of services/statistics/resources.py: between two neighbours
        lower = (ranked.jobs - 1) * tenths // 10 + 1
        wanted += [ranked.rank == lower, ranked.rank == lower + 1]
    chosen = select(ranked.place, ranked.facet, ranked.jobs, ranked.rank, ranked.value)
    values = []
    for place, facet, count, place_in_order, value in connection.execute(
        chosen.where(or_(*wanted))
    ):
        values.append(RankedValue(int(place), facet, count, place_in_order, float(value)))
    return values


def jobs_to_count(filters: JobFilters, by: str) -> JobsToCount:
    """Return the jobs that pass the filters, as it is counted how many ran."""
    return JobsToCount(
        FACETS[by],
        lambda query: _joined(query, by),
        _conditions(filters, by),
        is_of_all=_is_of_all(filters, by),
    )


def newest_end(connection: Connection, now: datetime) -> datetime | None:
    """Return when the job ended that ended last; those left out whose clock was ahead."""
    query = select(func.max(Job.ended_at)).where(Job.ended_at <= now)
    return connection.execute(query).scalar_one()


def have_more_ended(connection: Connection, since: datetime, jobs: int) -> bool:
    """Return whether more than so many jobs ended since a moment."""
    ended = select(Job.ended_at).where(Job.ended_at >= since)
    return count_at_most(connection, ended, jobs + 1) > jobs


def _ended_in(
    connection: Connection, filters: JobFilters, window: Window, by: str
) -> list[ColumnElement[bool]]:
    ended = within(connection, Job.ended_at, window, is_of_all=_is_of_all(filters, by))
    return [*ended, Job.rerun_of.is_(None)]


def _is_of_all(filters: JobFilters, by: str) -> bool:
    """Return whether most jobs may pass: nothing but their experiment is asked for."""
    return by != "class" and filters == JobFilters(experiment=filters.experiment)


def _conditions(filters: JobFilters, by: str) -> list[ColumnElement[bool]]:
    conditions = job_conditions(filters)
    if by == "class":
        conditions.append(IS_BAD)
    return conditions


def _joined(query: Select[Any], by: str) -> Select[Any]:
    """Return the query with the tables that the facet is read from."""
    if by == "stage":
        query = with_stage(query)
    if by == "site":
        query = query.outerjoin(Host, Host.id == Job.host_id)
    if by == "class":
        query = query.outerjoin(FailureClass, FailureClass.job_id == Job.id)
    return query


def _amount(measure: str) -> ColumnElement[Any]:
    if measure == "files":
        return wide_sum(Job.output_count)
    if measure == "events":
        return wide_sum(Claim.event_count)
    if measure == "cpu_hours":
        return func.sum(Job.cpu_seconds) / 3600.0
    if measure in SPREADS:
        return func.count(SPREADS[measure])
    return func.count()


def _among(facet: SQLColumnExpression[Any], facets: Sequence[Any]) -> ColumnElement[Any]:
    """Return the facet if it is one of these, otherwise NULL."""
    if "" in facets:
        facet = func.coalesce(facet, "")
    return case((facet.in_(facets), facet), else_=null())
