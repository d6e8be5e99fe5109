"""Which configurations have a parameter with such a value, and which of their jobs are the newest.

A condition leads from keys to values, from values to tables, from tables to sets, from sets to closures: some thousands of rows whatever
the number of jobs. Each step is a statement of its own, and so is each stretch of jobs: a planner that guesses wrongly at one step is
lost in the next. What holds nearly everywhere would lead through nearly every row, so values and tables are followed in parts that
grow, until every set is found: those met first are the common ones, as the first set that was indexed has them.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, Select, and_, any_, bindparam, func, or_, select

from provenance.db.driver import fetch
from provenance.db.queries.parameter_values import ParameterCondition, holds, holds_exactly, unsure_text
from provenance.db.queries.patterns import matches
from provenance.db.tables import Job, JobClosure, ParameterKey, ParameterSet, ParameterValue
from provenance.db.tables.parameters import sets_in

_FEW_JOBS = 2_000
"""Jobs that are rather gathered and sorted than met by going through the newest."""
_LONGEST_STRETCH = 10_000
_LAST = 2**62
_FIRST_PART = 10
_GROWTH = 8
_MANY_KEYS = 500
"""Keys whose values are taken as they come, so that the first may be enough; those of fewer keys are looked up."""

_TOLD = "SELECT experiment_id, closure_id FROM evaluations WHERE set_id {among}"
_TABLES = "SELECT DISTINCT table_id FROM parameters WHERE value_id {among}"
_SETS = "SELECT block, members FROM parameter_set_tables WHERE table_id {among}"
_COUNT = "SELECT count(*) FROM (SELECT 1 FROM job_closures WHERE closure_id {among} LIMIT ?) AS counted"
_STRETCH = """
SELECT m.job_id, m.closure_id, j.experiment_id
FROM ({newest} ORDER BY job_id DESC LIMIT ?) AS m JOIN jobs AS j ON j.id = m.job_id ORDER BY m.job_id DESC
"""
_THROUGH_JOBS = {
    "sqlite": "SELECT job_id, closure_id FROM job_closures WHERE closure_id + 0 {among} AND job_id < ?",
    "postgresql": "SELECT job_id, closure_id FROM job_closures"
    " WHERE CASE WHEN closure_id IN (SELECT unnest(?::bigint[])) THEN true END AND job_id < ?",  # hashed once, never joined
}
_GATHERED = {
    "sqlite": "SELECT job_id, closure_id FROM job_closures INDEXED BY ix_job_closures_closure_id"
    " WHERE closure_id {among} AND job_id < ?",
    "postgresql": "SELECT job_id, closure_id FROM (SELECT job_id, closure_id FROM job_closures"
    " WHERE closure_id {among} AND job_id < ? OFFSET 0) AS gathered",  # the offset keeps the order out
}
_AMONG = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(?::bigint[])"}


Ran = set[tuple[int, int]]
"""Integer keys of experiments and configurations: jobs of the one that ran the other may be told so."""


def configurations_with(connection: Connection, condition: ParameterCondition) -> Ran:
    """Return the configurations in which the condition holds for at least one parameter, each with an experiment that knows it."""
    found = _sets_with(connection, condition)
    return {(row[0], row[1]) for row in _fetch_among(connection, _TOLD, found)} if found else set()


def _sets_with(connection: Connection, condition: ParameterCondition) -> list[int]:
    """Return the integer keys of the parameter sets in which the condition holds for at least one parameter."""
    total: int = connection.execute(select(func.count()).select_from(ParameterSet)).scalar_one()
    met: set[int] = set()
    blocks: dict[int, int] = {}
    for values in _values_with(connection, condition):
        tables = {row[0] for row in _fetch_among(connection, _TABLES, values)} - met
        met |= tables
        for few in _growing(sorted(tables)):
            for block, members in _fetch_among(connection, _SETS, few):
                blocks[block] = blocks.get(block, 0) | members
            if sum(map(int.bit_count, blocks.values())) >= total:
                return _members(blocks)
    return _members(blocks)


def _values_with(connection: Connection, condition: ParameterCondition) -> Iterator[list[int]]:
    """Yield the integer keys of the values for which the condition holds, in parts that grow, those entered first before others."""
    dialect = connection.dialect.name
    query = select(ParameterValue.id, unsure_text(condition)).where(*holds(dialect, condition))
    if condition.pattern != "*":
        keys = select(ParameterKey.id).where(*matches(dialect, ParameterKey.name, condition.pattern))
        found = [row[0] for row in connection.execute(keys.limit(_MANY_KEYS))]
        if not found:
            return
        if len(found) < _MANY_KEYS:
            rows = connection.execute(query.where(among(connection, ParameterValue.key_id, found))).all()
            yield from _growing(sorted(key for key, text in rows if text is None or holds_exactly(condition, text)))
            return
        query = query.where(ParameterValue.key_id.in_(keys))
    last, length = 0, _FIRST_PART
    while part := connection.execute(_after(query, last, length)).all():
        yield [key for key, text in part if text is None or holds_exactly(condition, text)]
        last, length = part[-1][0], length * _GROWTH


def _after(query: Select[Any], last: int, length: int) -> Select[Any]:
    return query.where(ParameterValue.id > last).order_by(ParameterValue.id).limit(length)


def _members(blocks: dict[int, int]) -> list[int]:
    return [key for block, members in blocks.items() for key in sets_in(block, members)]


def _growing(keys: list[int]) -> Iterator[list[int]]:
    start, length = 0, _FIRST_PART
    while start < len(keys):
        yield keys[start : start + length]
        start, length = start + length, length * _GROWTH


def _fetch_among(connection: Connection, statement: str, keys: Sequence[int]) -> list[Any]:
    """Return the rows of a statement about some integer keys."""
    return fetch(connection, statement.format(among=_AMONG[connection.dialect.name]), (_listed(connection, keys),))


def _listed(connection: Connection, keys: Sequence[int]) -> str:
    """Return integer keys as one parameter; drivers take a text in a tenth of the time of a list."""
    inside = ",".join(map(str, keys))
    return f"[{inside}]" if connection.dialect.name == "sqlite" else f"{{{inside}}}"


def ran_one_of(connection: Connection, ran: Ran) -> ColumnElement[bool]:
    """Return the condition that a job ran one of these configurations, and may be told so.

    For lists that are wanted whole; the newest alone come sooner from `newest_that_ran`.
    """
    closures: dict[int, list[int]] = {}
    for experiment, closure in sorted(ran):
        closures.setdefault(experiment, []).append(closure)
    told = [
        and_(Job.experiment_id == experiment, among(connection, JobClosure.closure_id, its))
        for experiment, its in closures.items()
    ]
    found = select(JobClosure.job_id).join(Job, Job.id == JobClosure.job_id).where(or_(*told))
    if len(told) > 1:  # the index of configurations answers what holds of all
        found = found.where(among(connection, JobClosure.closure_id, sorted({closure for _, closure in ran})))
    return Job.id.in_(found)


def newest_that_ran(connection: Connection, ran: Ran, *, before: int | None, length: int) -> Iterator[list[int]]:
    """Yield the integer keys of the jobs that ran one of these configurations, newest first, in stretches that grow.

    Few jobs are gathered from the index of configurations. Many are met soon by going through the newest.

    Args:
        connection: to read with.
        ran: from `configurations_with`.
        before: jobs before this one only; None for all.
        length: jobs of the first stretch.
    """
    if not ran:
        return
    dialect, before = connection.dialect.name, _LAST if before is None else before
    closures = _listed(connection, sorted({closure for _, closure in ran}))
    [(count,)] = fetch(connection, _COUNT.format(among=_AMONG[dialect]), (closures, _FEW_JOBS + 1))
    newest = (_GATHERED if count <= _FEW_JOBS else _THROUGH_JOBS)[dialect]
    statement = _STRETCH.format(newest=newest.format(among=_AMONG[dialect]))
    while True:
        rows = fetch(connection, statement, (closures, before, length + 1))
        is_last, last = len(rows) <= length, rows[-1][0] if rows else 0
        # the configurations of the last job may go on behind the end of the stretch: it is met again
        whole = rows if is_last else [row for row in rows if row[0] != last]
        yield list(dict.fromkeys(job for job, closure, experiment in whole if (experiment, closure) in ran))
        if is_last:
            return
        before = last + 1
        length = min(length * 4, _LONGEST_STRETCH) if whole else length * 4


def among(connection: Connection, column: Any, keys: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a column is one of these integer keys, one parameter however many they are."""
    if connection.dialect.name == "sqlite":
        values = func.json_each(bindparam("keys", json.dumps(list(keys)), unique=True)).table_valued("value")
        return column.in_(select(values.c.value))  # type: ignore[no-any-return]
    return column == any_(bindparam("keys", list(keys), type_=ARRAY(BigInteger), unique=True))  # type: ignore[no-any-return]
