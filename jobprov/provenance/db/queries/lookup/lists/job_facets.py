"""Counts of jobs by state, site, stage and so on, of a bounded number of jobs.

They are exact where an index finds few jobs by one of the filters, or where few are recorded. Else
the newest jobs of a task, a place or a state, or of all, are looked at, and those counted that pass
the other filters as well.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, select

from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.lookup.experiments import names_of_experiments
from jobprov.provenance.db.queries.lookup.lists.few_jobs import keys_of, keys_of_few
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    conditions_by_keys,
    job_conditions,
    look_up_keys,
)
from jobprov.provenance.db.queries.lookup.lists.jobs import newest_keys, of_one_index, recent_keys
from jobprov.provenance.db.recording.job_rows import FIRST_BAD, STATES
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import FailureClass, Host, Job, Stage

MOST_COUNTED = 5_000
"""Jobs that are all counted."""
NEWEST_COUNTED = 2_000
"""Jobs that are looked at where there are more than that."""
_FEWEST_COUNTED = 200
"""Jobs that have to lie near the newest, so that these alone are looked at."""
_COLUMNS: dict[str, Any] = {
    "key": Job.id,
    "state": Job.state,
    "experiment": Job.experiment_id,
    "task": Job.task_id,
    "own_stage": Job.stage_id,
    "host_key": Job.host_id,
    "exit_code": Job.exit_code,
    "failed_step": Job.failed_step,
    "error_class": Job.error_class,
}
"""What is read of each job: values of facets, and the keys of what has their names."""

_FROM_TASKS = ("campaign", "stage", "task_id")
_FROM_HOSTS = ("site", "host")
_TASKS = "SELECT id, task_id, stage_id FROM tasks WHERE id {among}"

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
        filters: what jobs must pass; files are named by their keys.
        facets: names of `JOB_FACETS`.
        conditions: what the filters on parameters and variables say.
    """
    looked = _looked_at(connection, filters, conditions)
    jobs = connection.execute(looked.jobs).all()
    # the values of each column; none where no job passed
    columns = dict(zip(_COLUMNS, zip(*jobs, strict=True), strict=False))
    counts: dict[str, Counter[Value]] = {}
    for facet in facets:
        counts[facet] = Counter(columns.get(facet, ()))
    if "state" in counts:
        counts["state"] = _named(counts["state"], dict(enumerate(STATES)))
    if "experiment" in counts:
        names = names_of_experiments(connection, set(columns.get("experiment", ())))
        counts["experiment"] = _named(counts["experiment"], names)
    if "failure_class" in counts:
        classes = _classes(connection, columns)
        if classes.total() < len(jobs):
            classes[None] = len(jobs) - classes.total()
        counts["failure_class"] = classes
    if not counts.keys().isdisjoint(_FROM_TASKS):
        _add_tasks(connection, columns, counts)
    if not counts.keys().isdisjoint(_FROM_HOSTS):
        _add_hosts(connection, Counter(columns.get("host_key", ())), counts)
    return FacetCounts(len(jobs), looked.is_exact, counts)


def _named(counts: Counter[Any], names: Mapping[Any, Value]) -> Counter[Value]:
    """Return what was counted by key by name; what has no name is counted as None."""
    named: Counter[Value] = Counter()
    for key, count in counts.items():
        named[names.get(key) or None] += count
    return named


def _looked_at(
    connection: Connection, filters: JobFilters, conditions: Sequence[ColumnElement[bool]]
) -> _Looked:
    filters = look_up_keys(connection, filters)
    wanted = [*conditions_by_keys(connection, filters), *conditions]
    few = keys_of_few(connection, filters, MOST_COUNTED)
    if few is not None:
        keys: Sequence[int] = connection.execute(few).scalars().all()
    else:
        keys = _some_keys(connection, of_one_index(filters))
    # by keys that are known: PostgreSQL would rather read all jobs than those of a sub-query
    jobs = select(*_COLUMNS.values()).where(among(connection, Job.id, keys))
    if wanted:
        # in this form no index but that of the keys can answer it
        jobs = jobs.where(case((and_(*wanted), 1), else_=0) == 1)
    return _Looked(jobs, few is not None)


def _some_keys(connection: Connection, base: JobFilters) -> Sequence[int]:
    """Return the keys of some jobs that pass filters of one index.

    They are the newest ones of a host, and of others if enough lie near the newest of all. Else, as
    of a campaign of long ago, they are any: to sort all of its keys took PostgreSQL half a second.
    """
    keys = keys_of(connection, base)
    if base == JobFilters() or base.host is not None:
        # An index has them in order
        query = newest_keys(keys, base, before=None, limit=NEWEST_COUNTED)
        return connection.execute(query).scalars().all()
    recent = recent_keys(
        connection,
        job_conditions(base),
        before=None,
        limit=NEWEST_COUNTED,
        least=_FEWEST_COUNTED,
    )
    if recent is not None:
        return recent
    return connection.execute(keys.limit(NEWEST_COUNTED)).scalars().all()


def _classes(connection: Connection, columns: Mapping[str, Sequence[Any]]) -> Counter[Value]:
    """Return how many of the jobs have each class of failure, without those that have none.

    Only jobs that failed are looked up: looking for the class of every job took as long as reading
    the jobs.
    """
    states = zip(columns.get("key", ()), columns.get("state", ()), strict=True)
    bad = [key for key, state in states if state >= FIRST_BAD]
    query = select(FailureClass.class_name).where(among(connection, FailureClass.job_id, bad))
    return Counter(connection.execute(query).scalars())


def _add_tasks(
    connection: Connection,
    columns: Mapping[str, Sequence[Any]],
    counts: dict[str, Counter[Value]],
) -> None:
    """Count the campaigns, stages and tasks of jobs."""
    tasks_of_jobs = columns.get("task", ())
    tasks = Counter(tasks_of_jobs)
    task_ids: dict[int | None, str] = {}
    stages: dict[int | None, int | None] = {}
    known_tasks = [task for task in tasks if task is not None]
    for task, task_id, stage in select_among(connection, _TASKS, known_tasks):
        task_ids[task] = task_id
        stages[task] = stage
    if "task_id" in counts:
        counts["task_id"] = _named(tasks, task_ids)
    # Stages are few, while each job may be of a task of its own
    stages_of_tasks = map(stages.get, tasks_of_jobs)
    pairs = Counter(zip(stages_of_tasks, columns.get("own_stage", ()), strict=True))
    _add_stages(connection, pairs, counts)


def _add_stages(
    connection: Connection,
    pairs: Counter[tuple[int | None, int | None]],
    counts: dict[str, Counter[Value]],
) -> None:
    """Count the campaigns and stages of jobs.

    `pairs` has the number of jobs by the stage of their task and the stage in their own record,
    which goes first.
    """
    keys: set[int | None] = set()
    for pair in pairs:
        keys.update(pair)
    names = _stage_names(connection, keys)
    campaigns: Counter[Value] = Counter()
    stage_names: Counter[Value] = Counter()
    for (stage_of_task, own_stage), job_count in pairs.items():
        of_task, of_record = names[stage_of_task], names[own_stage]
        campaigns[of_task.campaign or None] += job_count
        stage_names[of_record.stage or of_task.stage or None] += job_count
    if "campaign" in counts:
        counts["campaign"] = campaigns
    if "stage" in counts:
        counts["stage"] = stage_names


def _add_hosts(
    connection: Connection, hosts: Counter[int | None], counts: dict[str, Counter[Value]]
) -> None:
    """Count the sites and hosts of jobs that ran on these hosts."""
    keys = [host for host in hosts if host is not None]
    query = select(Host.id, Host.site, Host.hostname).where(among(connection, Host.id, keys))
    sites: dict[int | None, str] = {}
    hostnames: dict[int | None, str] = {}
    for key, site, hostname in connection.execute(query):
        sites[key] = site
        hostnames[key] = hostname
    if "site" in counts:
        counts["site"] = _named(hosts, sites)
    if "host" in counts:
        counts["host"] = _named(hosts, hostnames)


class _StageNames(NamedTuple):
    """The campaign and the name of a stage; both are empty for no stage."""

    campaign: str = ""
    stage: str = ""


def _stage_names(
    connection: Connection, keys: AbstractSet[int | None]
) -> dict[int | None, _StageNames]:
    """Return the names of stages by key; None stands for no stage."""
    names: dict[int | None, _StageNames] = dict.fromkeys(keys, _StageNames())
    known = sorted(key for key in keys if key is not None)
    query = select(Stage.id, Stage.campaign, Stage.name).where(among(connection, Stage.id, known))
    for key, campaign, stage in connection.execute(query):
        names[key] = _StageNames(campaign, stage)
    return names
