"""Jobs that did not succeed, counted by cause and by where they ran.

It takes a few statements, whatever the number of jobs.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    SQLColumnExpression,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    select,
    type_coerce,
)

from jobprov.provenance.db.queries.fragments.bad_jobs import IS_BAD
from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.queries.fragments.stages import with_stage
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.db.recording.job_rows import RUNNING, STATES
from jobprov.provenance.db.tables import FailureClass, Host, Job, Stage

_IS_OVER = Job.state != RUNNING
_AT: ColumnElement[datetime] = func.coalesce(Job.ended_at, Job.received_at)
_DAY = timedelta(days=1)

# '' stands for an unknown host, site or stage.
_SITE = func.nullif(Host.site, "")
_COLUMNS: dict[str, SQLColumnExpression[Any]] = {
    "stage": func.nullif(Stage.name, ""),
    "site": _SITE,
    "host": func.nullif(Host.hostname, ""),
    "version": Job.software_set_id,
}
_ALONE: dict[str, SQLColumnExpression[Any]] = {
    "class": FailureClass.class_name,
    "step": Job.failed_step,
    "code": case(
        (Job.exit_signal.is_not(None), literal("signal ") + cast(Job.exit_signal, Text)),
        else_=cast(Job.exit_code, Text),
    ),
}
_ENDINGS: tuple[Any, ...] = (
    Job.state,
    Job.failed_step,
    Job.exit_code,
    Job.exit_signal,
    Job.error_class,
)
# Failures that were not read yet are grouped by how they ended: nothing more is known of them
_CAUSE: tuple[Any, ...] = (
    FailureClass.cause_key,
    *(case((FailureClass.cause_key.is_(None), ending)) for ending in _ENDINGS),
)
FACETS = (*_COLUMNS, "day")
"""What causes can be split by."""

SUMS = tuple(_ALONE)
"""What failures can be counted by instead of by cause."""


class CauseRow(NamedTuple):
    """Failures of one cause in one part of a facet.

    Attributes:
        recent: those of the last 24 hours.
        before: those of the 24 hours before these.
        example: key of the newest job.
        state, failed_step, exit_code, exit_signal, error_class: None where they are not all the
            same.
        cause_key: what failures of one cause share; None where they were not read yet, and are
            grouped by how they ended.
        cause: the cause in words.
        rules: how many triage rules matched them; 0 if none matched, or none was read yet.
    """

    facet: Any
    state: str | None
    failed_step: str | None
    exit_code: int | None
    exit_signal: int | None
    error_class: str | None
    cause_key: str | None
    cause: str | None
    job_count: int
    hosts: int
    sites: int
    recent: int
    before: int
    first_at: datetime
    last_at: datetime
    example: int
    rules: int


class PlaceCount(NamedTuple):
    """Jobs of one place that are over, and how many of them failed.

    Host and site are None where jobs name none.
    """

    host: str | None
    site: str | None
    jobs: int
    failures: int


def cause_rows(
    connection: Connection, filters: JobFilters, facet: str | None, *, now: datetime, limit: int
) -> list[CauseRow]:
    """Return failures by cause, and by a facet where one is named, most frequent first.

    For a facet of `SUMS`, they are counted by it alone.
    """
    today = _AT >= now - _DAY  # noqa: SIM300 - columns first
    yesterday = and_(_AT >= now - 2 * _DAY, _AT < now - _DAY)  # noqa: SIM300
    grouping = _grouping(connection, facet)
    columns = (
        grouping.part, *grouping.cause,
        func.count(), func.count(Job.host_id.distinct()), func.count(_SITE.distinct()),
        _count(today), _count(yesterday), func.min(_AT), func.max(_AT), func.max(Job.id),
        func.count(FailureClass.rule.distinct()),
    )  # fmt: skip
    query = (
        select(*columns)
        .select_from(Job)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(*job_conditions(filters))
    )
    if facet == "stage":
        query = with_stage(query)
    query = query.outerjoin(FailureClass, FailureClass.job_id == Job.id)
    query = query.where(IS_BAD, Job.rerun_of.is_(None)).group_by(*grouping.terms)
    query = query.order_by(func.count().desc(), func.max(Job.id).desc()).limit(limit)
    causes = []
    for part, state, *others in connection.execute(query):
        state_name = None if state is None else STATES[state]
        causes.append(CauseRow(part, state_name, *others))
    return causes


class _Grouping(NamedTuple):
    """How failures are grouped.

    Attributes:
        part: the column of the facet.
        cause: the columns of the cause.
        terms: what the rows are grouped by.
    """

    part: Any
    cause: Sequence[Any]
    terms: Sequence[Any]


def _grouping(connection: Connection, facet: str | None) -> _Grouping:
    nothing: Any = literal_column("NULL")
    cause: list[Any] = [_shared(ending) for ending in _ENDINGS]
    cause += [FailureClass.cause_key, func.min(FailureClass.cause)]
    if facet is None:
        return _Grouping(nothing, cause, _CAUSE)
    if facet in _ALONE:
        part = _ALONE[facet]
        return _Grouping(part, [nothing] * len(cause), [part])
    part = _facet(connection, facet)
    return _Grouping(part, cause, [part, *_CAUSE])


def _shared(column: Any) -> ColumnElement[Any]:
    """Return the value of a column that all jobs of a group share, or NULL."""
    is_shared = (func.min(column) == func.max(column)) & (func.count(column) == func.count())
    return case((is_shared, func.min(column)))


def place_counts(connection: Connection, filters: JobFilters) -> list[PlaceCount]:
    """Return how many jobs of every place are over, and how many failed."""
    counts = _host_counts(connection, filters)
    names: dict[int | None, tuple[str | None, str | None]] = {}
    query = select(Host.id, Host.hostname, Host.site)
    known = [host for host in counts if host is not None]
    for key, hostname, site in rows_among(connection, query, Host.id, known):
        names[key] = hostname, site
    places = []
    for host, (jobs, failures) in counts.items():
        if jobs:
            places.append(PlaceCount(*names.get(host, (None, None)), jobs, failures))
    return places


class _HostCount(NamedTuple):
    """How many jobs of a host are over, and how many of them failed."""

    jobs: int
    failures: int


def _host_counts(connection: Connection, filters: JobFilters) -> dict[int | None, _HostCount]:
    """Return the counts of each host, by its key; None for jobs that name no host.

    All jobs, or all of an experiment, are counted in an index alone, and the few reruns among them
    are subtracted: for a million jobs this takes a tenth of the time of reading each.
    """
    conditions = (*job_conditions(filters), _IS_OVER)
    sums = (func.count(), _count(IS_BAD))
    host: Any = Job.host_id
    is_narrowed = any(value is not None for value in filters._replace(experiment=None))
    if is_narrowed:
        # an expression: SQLite would walk the jobs in the order of the column to group them, and
        # look for a page with each
        host = Job.host_id + literal_column("0")
        conditions = (*conditions, Job.rerun_of.is_(None))
    counts: dict[int | None, _HostCount] = {}
    query = select(host, *sums).where(*conditions).group_by(host)
    for key, jobs, failures in connection.execute(query):
        counts[key] = _HostCount(jobs, failures)
    if is_narrowed:
        return counts

    # not grouped there: SQLite would walk all jobs in the order of hosts for that
    reruns = select(Job.host_id, case((IS_BAD, 1), else_=0)).where(
        *conditions, Job.rerun_of.is_not(None)
    )
    for key, is_failure in connection.execute(reruns):
        counted = counts[key]
        counts[key] = _HostCount(counted.jobs - 1, counted.failures - is_failure)
    return counts


def _facet(connection: Connection, facet: str) -> SQLColumnExpression[Any]:
    if facet != "day":
        return _COLUMNS[facet]
    if connection.dialect.name == "sqlite":
        return func.date(type_coerce(_AT, BigInteger) / literal_column("1000000.0"), "unixepoch")
    return func.to_char(func.timezone("UTC", _AT), "YYYY-MM-DD")


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
