"""Jobs in another order than the newest first.

Each page reads a bounded number of rows. When jobs came, started and ended is in an index: a page
walks it from where the page before ended, looks at so many jobs at most, and may find fewer than it
was to have. All other orders are of lists that are short anyway: of a task, a host, a cause or a
time with not more than `MOST_SORTED` jobs. They are counted in an index alone.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, case, null, or_, select

from jobprov.provenance.answers.lookup.jobs import JOB_ORDERS
from jobprov.provenance.db.queries.fragments.stages import STAGE_OF_JOB
from jobprov.provenance.db.queries.lookup.lists.few_jobs import keys_of_few
from jobprov.provenance.db.queries.lookup.lists.job_filters import (
    JobFilters,
    conditions_by_keys,
    look_up_keys,
)
from jobprov.provenance.db.tables import Host, Job, Stage, TaskRow
from jobprov.provenance.errors import BadInputError

MOST_SORTED = 10_000
"""Jobs of a list that is sorted without an index."""
MOST_WALKED = 20_000
"""Jobs that a page looks at, in the order of an index."""
_COLUMNS: dict[str, Any] = {
    "received_at": Job.id,
    "started_at": Job.started_at,
    "ended_at": Job.ended_at,
    "wall_seconds": Job.wall_seconds,
    "cpu_seconds": Job.cpu_seconds,
    "max_rss_bytes": Job.max_rss_bytes,
    "exit_code": Job.exit_code,
    "output_count": Job.output_count,
    "state": Job.state,
    "stage": STAGE_OF_JOB,
    "task_id": TaskRow.task_id,
    "unit": Job.unit,
    "site": Host.site,
    "host": Host.hostname,
}
_HAVE_INDEX = ("received_at", "started_at", "ended_at")
_ALWAYS_KNOWN = ("received_at", "output_count", "state")
Value = datetime | float | str | None


class JobOrder(NamedTuple):
    """How a list is sorted: by what, and which way. What is not known comes last."""

    name: str
    is_descending: bool

    @property
    def column(self) -> Any:
        """Return what is compared."""
        return _COLUMNS[self.name]

    @property
    def has_index(self) -> bool:
        """Return whether an index has all jobs in this order."""
        return self.name in _HAVE_INDEX

    @property
    def is_usual(self) -> bool:
        """Return whether it is the order of lists that ask for none."""
        return self == USUAL


USUAL = JobOrder("received_at", is_descending=True)


class PageEnd(NamedTuple):
    """Where a page ended: what the last job was sorted by, and its integer key."""

    value: Value
    key: int


class SortedPage(NamedTuple):
    """The integer keys of the jobs of a page, and where it ended; None where no job is behind."""

    keys: list[int]
    end: PageEnd | None


def read_order(sort: str | None) -> JobOrder:
    """Return the order that a name stands for, the other way round with a `-` in front.

    Raises:
        BadInputError: it is none.
    """
    if sort is None:
        return USUAL
    order = JobOrder(sort.removeprefix("-"), sort.startswith("-"))
    if order.name not in JOB_ORDERS:
        problem = (
            f"{sort[:40]!r} is not an order; there are {', '.join(JOB_ORDERS)}, each with a - in "
            "front for the largest or latest first"
        )
        raise BadInputError.of_field("sort", problem)
    return order


def sorted_jobs(
    connection: Connection,
    filters: JobFilters,
    order: JobOrder,
    *,
    limit: int,
    after: PageEnd | None,
    conditions: Sequence[ColumnElement[bool]] = (),
) -> SortedPage:
    """Return a page of the jobs that pass the filters, in an order.

    Args:
        filters: what they must pass; files are named by their keys.
        order: any but the usual one.
        after: where the page before ended.
        conditions: what the filters on parameters and variables say.

    Raises:
        BadInputError: the list is too long to be sorted so.
    """
    filters = look_up_keys(connection, filters)
    few = keys_of_few(connection, filters, MOST_SORTED)
    if few is None and not order.has_index:
        raise _too_long(order)
    wanted = [*conditions_by_keys(connection, filters), *conditions]
    if few is None:
        return _walk(connection, wanted, order, limit=limit, after=after)
    # By which filters they are to be found: SQLite knows nothing of how many rows a value has, and
    # would begin with any index
    wanted.append(Job.id.in_(few))
    return _sort(connection, wanted, order, limit=limit, after=after)


def _too_long(order: JobOrder) -> BadInputError:
    problem = (
        f"{order.name} sorts lists of at most {MOST_SORTED:,} jobs, and this one may be longer; "
        "filter by task, host, cause or time of start as well, or sort by "
        f"{', '.join(_HAVE_INDEX)}, which indexes have"
    )
    return BadInputError.of_field("sort", problem)


def _sort(
    connection: Connection,
    wanted: Sequence[ColumnElement[bool]],
    order: JobOrder,
    *,
    limit: int,
    after: PageEnd | None,
) -> SortedPage:
    """Return the next of the jobs that are wanted, which are few."""
    rows: list[Any] = []
    for part in _parts(order, after):
        if len(rows) <= limit:
            query = part.where(*wanted).limit(limit + 1 - len(rows))
            rows += connection.execute(query).all()
    return _page(rows, limit, None)


def _walk(
    connection: Connection,
    wanted: Sequence[ColumnElement[bool]],
    order: JobOrder,
    *,
    limit: int,
    after: PageEnd | None,
) -> SortedPage:
    """Return the jobs that are wanted among the next `MOST_WALKED` in the order of an index."""
    rows: list[Any] = []
    for part in _parts(order, after):
        last = connection.execute(part.limit(1).offset(MOST_WALKED - 1)).first()
        query = part.limit(limit + 1 - len(rows))
        if wanted:
            # in a form that no other index answers: all that it finds would have to be sorted
            query = query.where(case((and_(*wanted), 1), else_=0) == 1)
        if last is not None:
            query = query.where(_is_not_behind(order, PageEnd(last[1], last[0])))
        rows += connection.execute(query).all()
        if last is not None or len(rows) > limit:
            return _page(rows, limit, last)
    return _page(rows, limit, None)


def _page(rows: Sequence[Any], limit: int, last: Any) -> SortedPage:
    """Return the page that these rows make; one more than its limit was asked for.

    Args:
        rows: key and value of jobs.
        limit: how many the page has at most.
        last: the row of the last job that was looked at; None where no other is left.
    """
    if len(rows) > limit:
        last = rows[limit - 1]
    end = None if last is None else PageEnd(last[1], last[0])
    return SortedPage([row[0] for row in rows[:limit]], end)


def _parts(order: JobOrder, after: PageEnd | None) -> list[Select[Any]]:
    """Return the queries for keys and values of the jobs behind a place, sorted.

    The first query is for jobs with a known value, the second for jobs without one.
    """
    parts = []
    if after is None or after.value is not None:
        known = _with_joins(select(Job.id, order.column), order).order_by(*_terms(order))
        if order.name not in _ALWAYS_KNOWN:
            known = known.where(order.column.is_not(None))
        if after is not None:
            known = known.where(_is_behind(order, after))
        parts.append(known)
    if order.name not in _ALWAYS_KNOWN:
        nothing: Any = null()
        unknown = _with_joins(select(Job.id, nothing), order).where(order.column.is_(None))
        if after is not None and after.value is None:
            unknown = unknown.where(_is_key_behind(order, after.key))
        parts.append(unknown.order_by(_directed(Job.id, order)))
    return parts


def _with_joins(query: Select[Any], order: JobOrder) -> Select[Any]:
    """Return a query over jobs, joined with the table that has what they are sorted by."""
    query = query.select_from(Job)
    if order.name in {"task_id", "stage"}:
        query = query.outerjoin(TaskRow, TaskRow.id == Job.task_id)
    if order.name == "stage":
        query = query.outerjoin(Stage, Stage.id == TaskRow.stage_id)
    if order.name in {"site", "host"}:
        query = query.outerjoin(Host, Host.id == Job.host_id)
    return query


def _terms(order: JobOrder) -> list[Any]:
    """Return what jobs are sorted by, at last by their keys."""
    if order.name == "received_at":
        return [_directed(Job.id, order)]
    return [_directed(order.column, order), _directed(Job.id, order)]


def _directed(column: Any, order: JobOrder) -> Any:
    return column.desc() if order.is_descending else column.asc()


def _is_behind(order: JobOrder, place: PageEnd) -> ColumnElement[bool]:
    """Return the condition that a job comes after a place where something was known."""
    if order.name == "received_at":
        return _is_key_behind(order, place.key)
    column = order.column
    is_further = column < place.value if order.is_descending else column > place.value
    is_as_far = column <= place.value if order.is_descending else column >= place.value
    # the first condition repeats it for the index, which has no keys
    return and_(is_as_far, or_(is_further, _is_key_behind(order, place.key)))


def _is_not_behind(order: JobOrder, place: PageEnd) -> ColumnElement[bool]:
    """Return the condition that a job is at a place or before it."""
    is_key = Job.id >= place.key if order.is_descending else Job.id <= place.key
    if order.name == "received_at" or place.value is None:
        return is_key
    column = order.column
    is_earlier = column > place.value if order.is_descending else column < place.value
    is_as_early = column >= place.value if order.is_descending else column <= place.value
    return and_(is_as_early, or_(is_earlier, is_key))


def _is_key_behind(order: JobOrder, key: int) -> ColumnElement[bool]:
    return Job.id < key if order.is_descending else Job.id > key
