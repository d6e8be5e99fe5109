"""Counts of jobs by state, site, stage and so on, of a bounded number of jobs.

They are exact where an index finds few jobs by one of the filters, or where few are recorded. Else
the newest jobs of a task, a place or a state, or of all, are looked at, and those counted that pass
the other filters as well.
"""

from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    case,
    select,
)

from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.lookup.lists.few_jobs import (
    filters_of_few,
    keys_of,
)
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    by_software,
    job_conditions,
)
from jobprov.provenance.db.queries.lookup.lists.jobs import newest_keys, of_one_index, recent_keys
from jobprov.provenance.db.recording.job_rows import STATES
from jobprov.provenance.db.tables import Experiment, FailureClass, Host, Job, Stage, TaskRow

MOST_COUNTED = 5_000
"""Jobs that are all counted."""
NEWEST_COUNTED = 2_000
"""Jobs that are looked at where there are more than that."""
_FEWEST_COUNTED = 200
"""Jobs that have to lie near the newest, so that these alone are looked at."""
_COLUMNS: dict[str, Any] = {
    "state": Job.state,
    "experiment": Job.experiment_id,
    "task": Job.task_id,
    "own_stage": Job.stage_id,
    "host_key": Job.host_id,
    "exit_code": Job.exit_code,
    "failed_step": Job.failed_step,
    "error_class": Job.error_class,
    "failure_class": FailureClass.class_name,
}
"""What is read of each job: values of facets, and the keys of what has their names."""
_FROM_TASKS = ("campaign", "stage", "task_id")

Value = str | int | None


class FacetCounts(NamedTuple):
    """How many jobs pass, and how many of them have each value of each facet.

    Attributes:
        is_exact: whether all jobs were looked at.
    """

    total: int
    is_exact: bool
    by: dict[str, Counter[Value]]


class _Looked(NamedTuple):
    """The query for the jobs that are looked at, and whether these are all."""

    jobs: Select[Any]
    is_exact: bool


def count_by(
    connection: Connection,
    filters: JobFilters,
    facets: Sequence[str],
    conditions: Sequence[ColumnElement[bool]],
) -> FacetCounts:
    """Count the jobs that pass the filters by these facets.

    Args:
        connection: where from.
        filters: what jobs must pass; files are named by their keys.
        facets: names of `JOB_FACETS`.
        conditions: what the filters on parameters and variables say.
    """
    looked = _looked_at(connection, filters, conditions)
    jobs = connection.execute(looked.jobs).all()
    # the values of each column; none where no job passed
    columns = dict(zip(_COLUMNS, zip(*jobs, strict=True), strict=False))
    found: dict[str, Counter[Value]] = {}
    for facet in facets:
        if facet in columns:
            found[facet] = Counter(columns[facet])
        else:
            found[facet] = Counter()
    if "state" in found:
        found["state"] = Counter(STATES[job.state] for job in jobs)
    if "experiment" in found:
        found["experiment"] = _named_experiments(connection, found["experiment"])
    tasks = zip(columns.get("task", ()), columns.get("own_stage", ()), strict=True)
    _add_tasks(connection, Counter(tasks), found)
    _add_hosts(connection, Counter(columns.get("host_key", ())), found)
    return FacetCounts(len(jobs), looked.is_exact, found)


def _looked_at(
    connection: Connection, filters: JobFilters, conditions: Sequence[ColumnElement[bool]]
) -> _Looked:
    others, software = by_software(connection, filters)
    wanted = [*job_conditions(others), *software, *conditions]
    few = filters_of_few(connection, filters, MOST_COUNTED)
    if few is not None:
        query = keys_of(connection, few).limit(MOST_COUNTED)
        keys: Sequence[int] = connection.execute(query).scalars().all()
    else:
        keys = _some_keys(connection, of_one_index(filters))
    # by keys that are known: PostgreSQL would rather read all jobs than those of a sub-query
    jobs = (
        select(*_COLUMNS.values())
        .outerjoin(FailureClass, FailureClass.job_id == Job.id)
        .where(among(connection, Job.id, keys))
    )
    if wanted:
        # said so that no index but that of the keys answers it
        jobs = jobs.where(case((and_(*wanted), 1), else_=0) == 1)
    return _Looked(jobs, few is not None)


def _some_keys(connection: Connection, base: JobFilters) -> Sequence[int]:
    """Return the keys of some jobs that pass filters of one index.

    They are the newest ones if enough lie near the newest of all. Else, as of a campaign of long
    ago, they are any: to sort all of its keys took PostgreSQL half a second.
    """
    keys = keys_of(connection, base)
    wanted = job_conditions(base)
    if not wanted:
        query = newest_keys(keys, base, before=None, limit=NEWEST_COUNTED)
        return connection.execute(query).scalars().all()
    recent = recent_keys(
        connection, wanted, before=None, limit=NEWEST_COUNTED, least=_FEWEST_COUNTED
    )
    if recent is not None:
        return recent
    return connection.execute(keys.limit(NEWEST_COUNTED)).scalars().all()


def _add_tasks(
    connection: Connection,
    tasks: Counter[tuple[int | None, int | None]],
    found: dict[str, Counter[Value]],
) -> None:
    """Count the campaigns, stages and tasks of jobs that have these tasks and own stages."""
    names = _task_names(connection, {task for task, _ in tasks if task is not None})
    own_stages = _stage_names(connection, {stage for _, stage in tasks if stage is not None})
    for (task, stage), count in tasks.items():
        task_id, campaign, stage_of_task = names.get(task, (None, None, None))
        of_job = {
            "task_id": task_id,
            "campaign": campaign or None,
            "stage": own_stages.get(stage) or stage_of_task or None,
        }
        for facet in _FROM_TASKS:
            if facet in found:
                found[facet][of_job[facet]] += count


def _add_hosts(
    connection: Connection, hosts: Counter[int | None], found: dict[str, Counter[Value]]
) -> None:
    """Count the sites and hosts of jobs that ran on these hosts."""
    keys = [host for host in hosts if host is not None]
    query = select(Host.id, Host.site, Host.hostname).where(among(connection, Host.id, keys))
    names: dict[int | None, tuple[str, str]] = {}
    for key, site, hostname in connection.execute(query):
        names[key] = (site, hostname)
    for host, count in hosts.items():
        site, hostname = names.get(host, ("", ""))
        if "site" in found:
            found["site"][site or None] += count
        if "host" in found:
            found["host"][hostname or None] += count


def _task_names(
    connection: Connection, keys: AbstractSet[int]
) -> dict[int | None, tuple[str | None, str | None, str | None]]:
    query = (
        select(TaskRow.id, TaskRow.task_id, Stage.campaign, Stage.name)
        .outerjoin(Stage, Stage.id == TaskRow.stage_id)
        .where(among(connection, TaskRow.id, sorted(keys)))
    )
    rows = connection.execute(query)
    return {key: (task_id, campaign, stage) for key, task_id, campaign, stage in rows}


def _stage_names(connection: Connection, keys: AbstractSet[int]) -> dict[int | None, str]:
    query = select(Stage.id, Stage.name).where(among(connection, Stage.id, sorted(keys)))
    return {row[0]: row[1] for row in connection.execute(query)}


def _named_experiments(connection: Connection, counts: Counter[Value]) -> Counter[Value]:
    query = select(Experiment.id, Experiment.name)
    names: dict[Any, str] = {row[0]: row[1] for row in connection.execute(query)}
    named: Counter[Value] = Counter()
    for key, count in counts.items():
        named[names[key]] += count
    return named
