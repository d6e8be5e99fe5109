"""Which configurations have a parameter with such a value, and which of their jobs are the newest.

A condition leads from keys to tables, from tables to sets, from sets to closures: some thousands of rows whatever the number of jobs.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Connection, and_, bindparam, exists, func, select
from sqlalchemy.sql.selectable import Select

from provenance.db.queries.patterns import matches
from provenance.db.tables import Evaluation, Job, JobClosure, Parameter, ParameterKey, ParameterSetTable

_FEW_JOBS = 10_000
"""Jobs that are rather gathered and sorted than met by going through the newest."""


class ParameterCondition(NamedTuple):
    """A question to parameters.

    Attributes:
        pattern: of the key, `*` for any letters.
        operator: one of = != < <= > >=; None asks for the key alone.
        canonical: text of the value, as the index keeps it.
        number: the value of a comparison by size.
    """

    pattern: str
    operator: str | None = None
    canonical: str = ""
    number: float = 0.0


def closures_with(connection: Connection, condition: ParameterCondition) -> list[int]:
    """Return the integer keys of the configurations in which the condition holds for at least one parameter."""
    found = [
        row[0]
        for row in connection.execute(
            select(ParameterKey.id).where(*matches(connection.dialect.name, ParameterKey.name, condition.pattern))
        )
    ]
    steps: list[tuple[Any, Any, list[ColumnElement[bool]]]] = [
        (Parameter.table_id, Parameter.key_id, _holds(condition)),
        (ParameterSetTable.set_id, ParameterSetTable.table_id, []),
        (Evaluation.closure_id, Evaluation.set_id, []),
    ]
    for wanted, by, conditions in steps:  # one by one: a planner that guesses wrongly at one step is lost in the next
        if not found:
            return []
        query = select(wanted).where(by.in_(_listed(connection, found)), *conditions).distinct()
        found = [row[0] for row in connection.execute(query)]
    return found


def _holds(condition: ParameterCondition) -> list[ColumnElement[bool]]:
    number = Parameter.number
    comparisons = {
        "=": Parameter.canonical == condition.canonical,
        "!=": Parameter.canonical != condition.canonical,
        "<": number < condition.number,
        "<=": number <= condition.number,
        ">": number > condition.number,
        ">=": number >= condition.number,
    }
    return [] if condition.operator is None else [comparisons[condition.operator]]


def narrowed_to_closures(connection: Connection, query: Select[Any], closures: Sequence[int]) -> Select[Any]:
    """Return a query of jobs, newest first, narrowed to those that ran one of these configurations and may be told so.

    Few jobs are gathered from the index of configurations. Many are met soon by going through the newest, from the last of them on.
    """
    among = JobClosure.closure_id.in_(_listed(connection, closures))
    ran = exists().where(
        and_(
            JobClosure.job_id == Job.id,
            (JobClosure.closure_id + 0).in_(
                _listed(connection, closures)
            ),  # else SQLite tries each of them for each job
            Evaluation.closure_id == JobClosure.closure_id,
            Evaluation.experiment_id == Job.experiment_id,
            Evaluation.set_id.is_not(None),
        )
    )
    some = select(JobClosure.job_id).where(among).limit(_FEW_JOBS + 1).subquery()
    count = connection.execute(select(func.count()).select_from(some)).scalar_one()
    if count <= _FEW_JOBS:
        return query.where(Job.id.in_(select(JobClosure.job_id).where(among)), ran)
    newest = connection.execute(select(func.max(JobClosure.job_id)).where(among)).scalar_one()
    return query.where(Job.id <= newest, ran)


def _listed(connection: Connection, keys: Sequence[int]) -> Any:
    """Return a subquery of integer keys that are one parameter, however many they are."""
    if connection.dialect.name == "sqlite":
        values = func.json_each(bindparam("closures", json.dumps(list(keys)), unique=True)).table_valued("value")
        return select(values.c.value)
    listed = bindparam("closures", list(keys), type_=ARRAY(BigInteger), unique=True)
    return select(func.unnest(listed).column_valued("closure_id"))
