"""When releases, sites and rules changed: what ran in a window, what had run before, and changes.

The jobs of a window are walked once, along the index of ended jobs, as for the chart. Whether
anything ran before is decided by the first job that an index finds, by list of software or by host.
Rules and retry policies have a row a change, which are few and need no index.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, func, literal_column, select, true

from jobprov.provenance.db.queries.fragments.patterns import without_index
from jobprov.provenance.db.queries.fragments.steps import Window
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, job_conditions
from jobprov.provenance.db.tables import (
    Experiment,
    Host,
    Job,
    LedgerEntry,
    RetryPolicyRow,
    RuleTableRow,
    SoftwareRow,
    SoftwareSet,
    SoftwareSetMember,
)

MOST_LISTS = 1000
"""Lists of software, the newest, in which a release is looked for that had run before."""
_MOST_CHANGES = 100


class RanInWindow(NamedTuple):
    """Jobs of one experiment, list of software and site that ended in a window.

    Attributes:
        experiment: its key, as is `software_set`; None where jobs name no software.
        site: '' where jobs name none.
        first, last: when the first and the last of them ended.
    """

    experiment: int
    software_set: int | None
    site: str
    jobs: int
    first: datetime
    last: datetime


class RuleChange(NamedTuple):
    """A change of an experiment's error rules or retry policies.

    Attributes:
        version: of the error rules; None of retry policies, of which only the last change is known.
    """

    experiment: int
    at: datetime
    version: int | None


def ran_in(connection: Connection, filters: JobFilters, window: Window) -> list[RanInWindow]:
    """Return what ended in a window, by experiment, list of software and site; no reruns."""
    site = func.coalesce(Host.site, "").label("site")
    group: tuple[Any, ...] = (Job.experiment_id, Job.software_set_id, site)
    query = (
        select(*group, func.count(), func.min(Job.ended_at), func.max(Job.ended_at))
        .select_from(Job)
        .outerjoin(Host, Host.id == Job.host_id)
        .where(Job.ended_at >= window.start, Job.ended_at < window.end, Job.rerun_of.is_(None))
        .where(*job_conditions(filters))
        .group_by(*group)
    )
    return [RanInWindow(*row[:6]) for row in connection.execute(query)]


def lists_with(connection: Connection, names: Collection[str]) -> list[int]:
    """Return the keys of lists with an entry of one of these names, `MOST_LISTS` of the newest."""
    query = (
        select(SoftwareSetMember.software_set_id)
        .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
        .where(SoftwareRow.name.in_(sorted(names)))
        .distinct()
        .order_by(SoftwareSetMember.software_set_id.desc())
        .limit(MOST_LISTS)
    )
    return list(connection.execute(query).scalars())


def lists_before(
    connection: Connection,
    filters: JobFilters,
    moment: datetime,
    *,
    lists: Collection[int],
    experiments: Collection[int],
) -> set[tuple[int, int]]:
    """Return which experiment had run which of these lists before a moment."""
    of_list = _looked_up(Job.software_set_id, filters) == SoftwareSet.id
    ran = _ran_before(filters, moment).where(of_list)
    query = (
        select(Experiment.id, SoftwareSet.id, ran.scalar_subquery())
        .join_from(SoftwareSet, Experiment, true())
        .where(SoftwareSet.id.in_(sorted(lists)), Experiment.id.in_(sorted(experiments)))
    )
    rows = connection.execute(query)
    return {(experiment, key) for experiment, key, job in rows if job is not None}


def sites_before(
    connection: Connection,
    filters: JobFilters,
    moment: datetime,
    *,
    sites: Collection[str],
    experiments: Collection[int],
) -> set[tuple[int, str]]:
    """Return which experiment had run at which of these sites before a moment."""
    named = select(Host.site).where(Host.site.in_(sorted(sites))).distinct().subquery("named")
    of_site = _ran_before(filters, moment).join(Host, Host.id == _looked_up(Job.host_id, filters))
    ran = of_site.where(Host.site == named.c.site)
    query = (
        select(Experiment.id, named.c.site, ran.scalar_subquery())
        .join_from(named, Experiment, true())
        .where(Experiment.id.in_(sorted(experiments)))
    )
    rows = connection.execute(query)
    return {(experiment, key) for experiment, key, job in rows if job is not None}


def changed_rules(
    connection: Connection, experiments: Collection[int], window: Window
) -> list[RuleChange]:
    """Return what was changed in a window, the newest first."""
    tables = (
        select(RuleTableRow.experiment_id, RuleTableRow.created_at, RuleTableRow.version)
        .where(
            RuleTableRow.experiment_id.in_(sorted(experiments)),
            RuleTableRow.created_at >= window.start,
            RuleTableRow.created_at < window.end,
        )
        .order_by(RuleTableRow.created_at.desc())
        .limit(_MOST_CHANGES)
    )
    policies = (
        select(RetryPolicyRow.experiment_id, LedgerEntry.received_at)
        .join(LedgerEntry, LedgerEntry.id == RetryPolicyRow.entry_id)
        .where(
            RetryPolicyRow.experiment_id.in_(sorted(experiments)),
            LedgerEntry.received_at >= window.start,
            LedgerEntry.received_at < window.end,
        )
        .distinct()
    )
    changes = [RuleChange(*row) for row in connection.execute(tables)]
    changes += [RuleChange(*row, None) for row in connection.execute(policies)]
    changes.sort(key=lambda change: change.at, reverse=True)
    return changes


def _looked_up(column: Any, filters: JobFilters) -> Any:
    """Return a column of jobs that are found by it, or by their task where one is asked for.

    A task has some thousand jobs; a site or a release has millions.
    """
    return without_index(column) if filters.task_id is not None else column


def _ran_before(filters: JobFilters, moment: datetime) -> Select[Any]:
    """Return the query for one job of the experiment that ended before a moment.

    It is no EXISTS, which PostgreSQL may answer by a walk over all jobs.
    """
    return (
        select(literal_column("1"))
        .select_from(Job)
        .where(Job.experiment_id == Experiment.id, Job.ended_at < moment)
        .where(Job.rerun_of.is_(None), *job_conditions(filters))
        .correlate_except(Job, Host)
        .limit(1)
    )
