"""Jobs in lists, the newest first."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal_column, select

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.db.queries.configurations.jobs_that_meet import (
    conditions_that_meet,
    newest_that_meet,
)
from jobprov.provenance.db.queries.configurations.parameters import ParameterSearch
from jobprov.provenance.db.queries.fragments.bounded import count_at_most
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.lookup.jobs.summaries import SUMMARIES, summaries
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    by_keys,
    conditions_by_keys,
    is_of_tasks,
    look_up_keys,
    narrowed,
    read_states,
)
from jobprov.provenance.db.recording.job_rows import FIRST_BAD
from jobprov.provenance.db.tables import Job

_MOST_GATHERED = 10_000
"""Keys of a task, campaign or site that are gathered and sorted, whatever the newest jobs are."""
_LOOKED_AT = 20_000
"""Jobs among which those of a larger one are looked for first."""


def list_job_rows(
    connection: Connection,
    filters: JobFilters,
    *,
    limit: int,
    before: int | None,
    searches: Sequence[ParameterSearch] = (),
) -> list[tuple[int, JobSummary]]:
    """Return (key, summary) of the newest jobs that pass the filters.

    Args:
        before: only jobs that were recorded before the one with this key.
        searches: for the filters `parameter`, `value` and `variable`.
    """
    filters = look_up_keys(connection, filters)
    if searches and not _is_of_few(filters):
        newest = _newest_that_meet(connection, filters, searches, limit=limit, before=before)
        is_of_page = among(connection, Job.id, newest)
    elif _is_of_index(filters) and not searches:
        is_of_page = _is_of_page(connection, filters, limit=limit, before=before)
    else:
        return _rows_that_meet(connection, filters, searches, limit=limit, before=before)
    query = SUMMARIES.where(is_of_page).order_by(Job.id.desc()).limit(limit)
    return list(summaries(connection, connection.execute(query).all()).items())


def _is_of_page(
    connection: Connection, filters: JobFilters, *, limit: int, before: int | None
) -> ColumnElement[bool]:
    """Return the condition that a job is one of the newest that pass filters of an index.

    Of a site that runs a sixth of ten million jobs, all keys took 190 ms to gather and sort; of all
    that failed of three million, 270 ms on PostgreSQL.
    """
    wanted = conditions_by_keys(connection, filters)
    is_of_sites = filters.site is not None and filters.host is None
    if is_of_tasks(filters) or is_of_sites or _is_of_bad_states(filters):
        recent = recent_keys(connection, wanted, before=before, limit=limit)
        if recent is not None:
            return among(connection, Job.id, recent)
    keys = select(Job.id).where(*wanted)
    return Job.id.in_(newest_keys(keys, filters, before=before, limit=limit))


def _rows_that_meet(
    connection: Connection,
    filters: JobFilters,
    searches: Sequence[ParameterSearch],
    *,
    limit: int,
    before: int | None,
) -> list[tuple[int, JobSummary]]:
    """Return (key, summary) of the newest jobs, read with all that lists show of them."""
    met = conditions_that_meet(searches)
    if met is None:
        return []
    others, by_key = by_keys(connection, filters)
    query = narrowed(SUMMARIES, others).where(*by_key, *met)
    if before is not None:
        query = query.where(Job.id < before)
    rows = connection.execute(query.order_by(Job.id.desc()).limit(limit)).all()
    return list(summaries(connection, rows).items())


def _is_of_few(filters: JobFilters) -> bool:
    """Return whether so few jobs pass the filters that they are read before their parameters."""
    of_few = (
        filters.job_id,
        filters.seed,
        filters.unit,
        filters.batch_id,
        filters.recipe,
        filters.cause_id,
        filters.file_key,
        filters.reads_key,
    )
    return any(value is not None for value in of_few)


def _is_of_index(filters: JobFilters) -> bool:
    """Return whether an index has the keys of the jobs that pass the filters, if in no order."""
    is_of_place = filters.host is not None or filters.site is not None
    is_of_failure = filters.cause_id is not None or filters.failure_class is not None
    is_of_others = is_of_place or is_of_failure
    return is_of_others or is_of_tasks(filters) or _is_of_bad_states(filters)


def _is_of_bad_states(filters: JobFilters) -> bool:
    return filters.state is not None and min(read_states(filters.state)) >= FIRST_BAD


def recent_keys(
    connection: Connection,
    wanted: Sequence[ColumnElement[bool]],
    *,
    before: int | None,
    limit: int,
    least: int | None = None,
) -> list[int] | None:
    """Return the keys of the newest jobs that are wanted; None unless they lie near the newest.

    Jobs of a large task or campaign that still runs do, or of a large site, and to gather and sort
    all of its keys would take far longer.

    Args:
        wanted: what must hold of the jobs.
        before: only jobs that were recorded before the one with this key.
        least: how many must be found; None for as many as the limit.
    """
    gathered = select(Job.id).where(*wanted)
    if count_at_most(connection, gathered, _MOST_GATHERED + 1) <= _MOST_GATHERED:
        return None
    newest = before or connection.execute(select(func.max(Job.id) + 1)).scalar_one() or 1
    query = (
        select(Job.id)
        # a condition that no index answers but that of the keys
        .where(case((and_(*wanted), 1), else_=0) == 1)
        .where(Job.id < newest, Job.id >= newest - _LOOKED_AT)
        .order_by(Job.id.desc())
        .limit(limit)
    )
    keys = list(connection.execute(query).scalars())
    return keys if len(keys) >= (least or limit) else None


def newest_keys(
    keys: Select[int], filters: JobFilters, *, before: int | None, limit: int
) -> Select[int]:
    """Return the query for the newest of some jobs by their keys alone, which an index has.

    Sorted as whole rows, those of a task of a hundred thousand jobs took 280 ms.

    Args:
        keys: the query for all of them.
        before: only jobs that were recorded before the one with this key.
    """
    if before is not None:
        keys = keys.where(Job.id < before)
    newest_first = Job.id.desc()
    if is_of_tasks(filters):
        # They lie together, perhaps far from the newest jobs of all: PostgreSQL would look through
        # those, 2.5 s for a campaign of a year ago
        newest_first = (Job.id + literal_column("0")).desc()
    return keys.order_by(newest_first).limit(limit)


def of_one_index(filters: JobFilters) -> JobFilters:
    """Return those of the filters that one index answers with the keys of jobs."""
    if is_of_tasks(filters):
        return JobFilters(
            experiment=filters.experiment,
            task_id=filters.task_id,
            campaign=filters.campaign,
            stage=filters.stage,
        )
    if filters.host is not None or filters.site is not None:
        return JobFilters(host=filters.host, site=filters.site, host_keys=filters.host_keys)
    if _is_of_bad_states(filters):
        return JobFilters(state=filters.state)
    return JobFilters()


def _newest_that_meet(
    connection: Connection,
    filters: JobFilters,
    searches: Sequence[ParameterSearch],
    *,
    limit: int,
    before: int | None,
) -> list[int]:
    """Return the keys of the newest jobs that pass the filters and meet all searches.

    What lists show of jobs is read once for these, not for all that a stretch looks at.
    """
    wanted = conditions_by_keys(connection, filters)
    newest: list[int] = []
    for jobs in newest_that_meet(connection, searches, wanted, before=before, length=limit):
        newest += jobs
        if len(newest) >= limit:
            break
    return newest[:limit]


def jobs_among(connection: Connection, filters: JobFilters, keys: Sequence[int]) -> set[int]:
    """Return those of these jobs, by integer key, that pass the filters."""
    wanted = conditions_by_keys(connection, filters)
    query = select(Job.id).where(*wanted, among(connection, Job.id, keys))
    return {row[0] for row in connection.execute(query)}
