"""Lists of jobs, newest first or in another order, a page at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import JobList, JobSummary, MatchedParameter
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.configurations.jobs_that_meet import conditions_that_meet
from jobprov.provenance.db.queries.configurations.matched_values import (
    matched_seeds,
    matched_values,
)
from jobprov.provenance.db.queries.configurations.parameters import ParameterSearch
from jobprov.provenance.db.queries.lookup.jobs.summaries import summaries_of
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.lookup.lists.job_orders import (
    JobOrder,
    PageEnd,
    Value,
    read_order,
    sorted_jobs,
)
from jobprov.provenance.db.queries.lookup.lists.jobs import list_job_rows
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.named_filters import named_filters
from jobprov.provenance.services.lookup.parameter_filters import read_conditions
from jobprov.provenance.services.paging import (
    bad_cursor,
    check_limit,
    next_cursor,
    read_cursor,
    read_json_cursor,
    write_json_cursor,
)

MOST_LISTED = 1000
_NARROWER = "narrow it down by the beginning of the parameter's key, or by task"
_OF_TIME = ("started_at", "ended_at")
_OF_TEXT = ("stage", "task_id", "unit", "site", "host")
_MOST_KEY = 2**63


def list_jobs(
    connection: Connection,
    filters: JobFilters,
    *,
    limit: int = 100,
    cursor: str | None = None,
    sort: str | None = None,
) -> JobList:
    """Return a page of the jobs that pass the filters, behind the job that the cursor names.

    Args:
        sort: one of `JOB_ORDERS`, with a `-` in front for the other way round; None for the newest
            first.

    Raises:
        BadInputError: the state, limit, cursor, order or condition on a parameter cannot be read, or
            the list is too long for the order.
        NotFoundError, AmbiguousError: the file that the jobs touch; see `find_file`.
        LimitError: the search took more than five seconds.
    """
    check_limit(limit, MOST_LISTED)
    order = read_order(sort)
    conditions = read_conditions(filters)
    searches = [ParameterSearch(connection, condition) for condition in conditions]
    filters = named_filters(connection, filters)
    with time_limit(connection, _NARROWER):
        if order.is_usual:
            page = _newest(connection, filters, searches, limit=limit, cursor=cursor)
        else:
            page = _sorted(connection, filters, searches, order, limit=limit, cursor=cursor)
        matched = _matched(connection, searches, filters.seed, page.rows)
    return JobList([summary for _, summary in page.rows], next=page.next, matched=matched)


class _Page(NamedTuple):
    """Key and summary of the jobs of a page, and the cursor of the next one."""

    rows: list[tuple[int, JobSummary]]
    next: str | None


def _newest(
    connection: Connection,
    filters: JobFilters,
    searches: Sequence[ParameterSearch],
    *,
    limit: int,
    cursor: str | None,
) -> _Page:
    before = read_cursor(cursor)
    # one more than is shown: then there is a next page
    rows = list_job_rows(connection, filters, limit=limit + 1, before=before, searches=searches)
    return _Page(rows[:limit], next_cursor(rows, limit, lambda row: row[0]))


def _sorted(
    connection: Connection,
    filters: JobFilters,
    searches: Sequence[ParameterSearch],
    order: JobOrder,
    *,
    limit: int,
    cursor: str | None,
) -> _Page:
    after = read_place(cursor, order)
    met = conditions_that_meet(searches)
    if met is None:
        return _Page([], None)
    page = sorted_jobs(connection, filters, order, limit=limit, after=after, conditions=met)
    summaries = summaries_of(connection, page.keys)
    rows = [(key, summaries[key]) for key in page.keys]
    if page.end is None:
        return _Page(rows, None)
    return _Page(rows, write_place(page.end, order))


def _matched(
    connection: Connection,
    searches: Sequence[ParameterSearch],
    seed: int | None,
    rows: Sequence[tuple[int, JobSummary]],
) -> dict[str, list[MatchedParameter]]:
    """Return the parameters and seeds of each job for which the question holds, by job id.

    Return nothing where it asks for none.
    """
    keys = [key for key, _ in rows]
    answers = [matched_values(search, keys) for search in searches]
    if seed is not None:
        answers.append(matched_seeds(connection, seed, keys))
    if not answers:
        return {}
    matched: dict[str, list[MatchedParameter]] = {}
    for key, job in rows:
        of_job = matched.setdefault(job.job_id, [])
        for values in answers:
            of_job += [MatchedParameter(*value) for value in values.get(key, ())]
    return matched


class _Written(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """What the cursor of a sorted list holds, as JSON."""

    sort: str
    value: float | int | str | None
    key: int


def write_place(place: PageEnd, order: JobOrder) -> str:
    """Return the cursor of the page behind a place."""
    value: Any = place.value
    if isinstance(value, datetime):
        value = value.isoformat()
    written = _Written(_name(order), value, place.key)
    return write_json_cursor(written)


def read_place(cursor: str | None, order: JobOrder) -> PageEnd | None:
    """Return the place that a cursor names; None without one.

    Raises:
        BadInputError: no list in this order gave it.
    """
    if cursor is None:
        return None
    written = read_json_cursor(cursor, _Written)
    try:
        value = _read_value(written.value, order)
    except ValueError:
        raise bad_cursor() from None
    if written.sort != _name(order):
        problem = f"of a list sorted by {written.sort[:40]}; ask for its first page without one"
        raise BadInputError.of_field("cursor", problem)
    if not 0 <= written.key < _MOST_KEY:
        raise bad_cursor()
    return PageEnd(value, written.key)


def _name(order: JobOrder) -> str:
    return f"-{order.name}" if order.is_descending else order.name


def _read_value(value: float | str | None, order: JobOrder) -> Value:
    """Return what a list is sorted by.

    Raises:
        ValueError: it is not of the kind that the order has.
    """
    if value is None:
        return None
    if order.name in _OF_TIME:
        time = datetime.fromisoformat(str(value))
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    is_text = isinstance(value, str)
    if is_text != (order.name in _OF_TEXT) or (is_text and "\0" in str(value)):
        raise ValueError(value)
    if not is_text and abs(float(value)) >= _MOST_KEY:
        raise ValueError(value)
    return value
