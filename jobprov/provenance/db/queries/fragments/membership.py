"""Questions and removals in which a column is one of many values."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVarTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    Select,
    any_,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from jobprov.provenance.db.writer.keys import chunks

C = TypeVarTuple("C")


def among(connection: Connection, column: Any, keys: Sequence[int]) -> ColumnElement[bool]:
    """Return the condition that a column is one of these integer keys.

    The keys are a single parameter: databases allow some thirty thousand parameters, and for each
    number of them SQLAlchemy would compile another statement.
    """
    if connection.dialect.name == "sqlite":
        values = func.json_each(
            bindparam("keys", json.dumps(list(keys)), unique=True)
        ).table_valued("value")
        return column.in_(select(values.c.value))  # type: ignore[no-any-return]
    array = bindparam("keys", list(keys), type_=ARRAY(BigInteger), unique=True)
    return column == any_(array)  # type: ignore[no-any-return]


def rows_among(
    connection: Connection, query: Select[*C], column: Any, values: Iterable[Any]
) -> Iterator[Row[*C]]:
    """Yield the rows of a query whose column has one of these values, in several statements.

    ORDER BY, GROUP BY and DISTINCT of the query hold only within each part of some hundred values.
    """
    for part in chunks(list(values)):
        yield from connection.execute(query.where(column.in_(part)))


def remove_among(
    connection: Connection,
    column: InstrumentedAttribute[Any],
    values: Iterable[Any],
    *conditions: ColumnElement[bool],
) -> None:
    """Remove the rows that meet the conditions and whose column has one of these values."""
    for part in chunks(list(values)):
        connection.execute(delete(column.class_).where(column.in_(part), *conditions))
