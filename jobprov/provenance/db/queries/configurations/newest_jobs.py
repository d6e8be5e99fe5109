"""The newest jobs that ran one of some configurations, and pass other filters.

Each stretch of jobs is a statement of its own, as each step that leads to the configurations is.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    select,
)

from jobprov.provenance.db.queries.configurations.parameters import AMONG, Ran, listed
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import Job

_FEW_JOBS = 10_000
"""Jobs that PostgreSQL rather gathers and sorts than meets by going through the newest."""
_FEW_LISTS = 300
"""Lists of configurations that may well be of jobs of long ago.

Of more, the newest jobs are looked at first.
"""
_NEAR = 20
"""Jobs that are looked at first for each that is wanted."""
_MOST_WALKED = 20_000
"""Jobs that are looked at with all conditions of a question, before lists are gone by."""
_LONGEST_STRETCH = 10_000
_GROWTH = 4

_COUNT = (
    "SELECT count(*) FROM "
    "(SELECT 1 FROM jobs WHERE closure_set_id = ANY(?::bigint[]) LIMIT ?) AS counted"
)
_BEHIND_ALL = "SELECT coalesce(max(id), 0) + 1 FROM jobs"
_THROUGH_JOBS = {
    "sqlite": "SELECT id, closure_set_id, experiment_id FROM jobs"
    " WHERE closure_set_id + 0 {among} AND id < ? AND id > ? ORDER BY id DESC LIMIT ?",
    "postgresql": "SELECT id, closure_set_id, experiment_id FROM jobs"
    # hashed once, never joined
    " WHERE CASE WHEN closure_set_id IN (SELECT unnest(?::bigint[])) THEN true END"
    " AND id < ? AND id > ? ORDER BY id DESC LIMIT ?",
}
_WITH_EXPERIMENTS = """
SELECT m.id, m.closure_set_id, j.experiment_id
FROM ({gathered} ORDER BY id DESC LIMIT ?) AS m JOIN jobs AS j ON j.id = m.id ORDER BY m.id DESC
"""
_GATHERED = {
    # CROSS JOIN: the lists come first, so that their index is used
    "sqlite": "SELECT id, closure_set_id FROM (SELECT value FROM json_each(?)) AS list"
    " CROSS JOIN jobs ON closure_set_id = value WHERE id < ? AND id > ?",
    "postgresql": "SELECT id, closure_set_id FROM (SELECT id, closure_set_id FROM jobs"
    # the offset keeps order and range out
    " WHERE closure_set_id {among} OFFSET 0) AS gathered WHERE id < ? AND id > ?",
}


def newest_that_ran(
    connection: Connection,
    ran: Ran,
    wanted: Sequence[ColumnElement[bool]],
    *,
    before: int | None,
    length: int,
) -> Iterator[list[int]]:
    """Yield the integer keys of the jobs that ran one of these lists, newest first.

    They come in stretches that grow.

    What many jobs ran is soon met by going through the newest, all conditions at once, so that none
    is met in vain. Else jobs are gathered from the index of lists: SQLite's has those of each list
    in order, and takes the newest of each; PostgreSQL takes all, and goes on through the newest
    where they are too many.

    Args:
        ran: the configurations of a `ParameterSearch`, or what several have in common.
        wanted: what else must hold of the jobs.
        before: jobs before this one only; None for all.
        length: jobs of the first stretch.
    """
    if not ran:
        return
    if before is None:
        before = int(fetch(connection, _BEHIND_ALL)[0][0])
    lists = sorted({closure_set for _, closure_set in ran})
    if len(lists) > _FEW_LISTS:
        before = yield from _near(connection, ran, lists, wanted, before=before, length=length)
    if before > 1:
        rest = _gathered(connection, ran, lists, before=before, length=length)
        for jobs in rest:
            yield passing(connection, jobs, wanted)


def passing(
    connection: Connection, jobs: Sequence[int], wanted: Sequence[ColumnElement[bool]]
) -> list[int]:
    """Return which of these jobs meet all conditions, newest first."""
    if not wanted:
        return list(jobs)
    query = select(Job.id).where(among(connection, Job.id, jobs), *wanted)
    return list(connection.execute(query.order_by(Job.id.desc())).scalars())


def _near(
    connection: Connection,
    ran: Ran,
    lists: Sequence[int],
    wanted: Sequence[ColumnElement[bool]],
    *,
    before: int,
    length: int,
) -> Generator[list[int], None, int]:
    """Yield the jobs among the newest; return the key before which no job was looked at."""
    dialect, keys = connection.dialect.name, listed(connection, lists)
    through = _THROUGH_JOBS[dialect].format(among=AMONG[dialect])
    is_wanted = and_(_is_one_of(connection, lists), *wanted)
    end, window = max(0, before - _MOST_WALKED), _NEAR * length
    while before > end + 1:
        after = max(end, before - window - 1)
        rows: Sequence[Any]
        if wanted:
            rows = connection.execute(_walk(is_wanted, before, after, length)).all()
        else:
            rows = fetch(connection, through, (keys, before, after, length))
        yield _known_to_experiment(rows, ran)
        if len(rows) == length:
            before, length = rows[-1][0], min(length * _GROWTH, _LONGEST_STRETCH)
        else:
            before, window = after + 1, window * _GROWTH
    return before


def _gathered(
    connection: Connection, ran: Ran, lists: Sequence[int], *, before: int, length: int
) -> Iterator[list[int]]:
    """Yield the jobs that the index of lists leads to, or all where they are too many for that."""
    dialect, keys = connection.dialect.name, listed(connection, lists)
    statement = _WITH_EXPERIMENTS.format(gathered=_GATHERED[dialect].format(among=AMONG[dialect]))
    if _are_too_many(connection, keys):
        statement = _THROUGH_JOBS[dialect].format(among=AMONG[dialect])
    while True:
        rows = fetch(connection, statement, (keys, before, 0, length))
        yield _known_to_experiment(rows, ran)
        if len(rows) < length:
            return
        before, length = rows[-1][0], min(length * _GROWTH, _LONGEST_STRETCH)


def _known_to_experiment(rows: Sequence[Any], ran: Ran) -> list[int]:
    """Return the jobs of (job, list, experiment) whose experiment knows what the list holds."""
    return [job for job, closure_set, experiment in rows if (experiment, closure_set) in ran]


def _walk(wanted: ColumnElement[bool], before: int, after: int, length: int) -> Select[Any]:
    """Return the query for the newest jobs of a stretch of keys that are wanted."""
    columns: tuple[Any, ...] = (Job.id, Job.closure_set_id, Job.experiment_id)
    query = select(*columns)
    # a condition that no index answers but that of the keys
    query = query.where(case((wanted, 1), else_=0) == 1, Job.id < before, Job.id > after)
    return query.order_by(Job.id.desc()).limit(length)


def _is_one_of(connection: Connection, lists: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a job ran one of these lists, which are hashed and not joined."""
    if connection.dialect.name == "sqlite":
        return among(connection, Job.closure_set_id, lists)
    text = bindparam("lists", listed(connection, lists), type_=Text(), unique=True)
    return Job.closure_set_id.in_(select(func.unnest(cast(text, ARRAY(BigInteger)))))


def _are_too_many(connection: Connection, sets: str) -> bool:
    """Return whether too many jobs ran one of these lists to collect them."""
    if connection.dialect.name == "sqlite":
        return False
    [(count,)] = fetch(connection, _COUNT, (sets, _FEW_JOBS + 1))
    return bool(count > _FEW_JOBS)
