"""Inserts many rows at the driver's own speed: one prepared statement, tuples, values converted a column at a time.

SQLAlchemy's own `execute` with a list of dictionaries builds a parameter dictionary a row and asks each column's type a value:
half of what recording a job cost. Column types convert here too, so what is stored is the same.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Table

_COPY_FROM = 8
"""Rows from which PostgreSQL's COPY, which needs a round trip more, is the faster way."""


class _Prepared(NamedTuple):
    """A table's insertion: how to take a row apart, what converts which column, and the statement."""

    take: Callable[[dict[str, Any]], tuple[Any, ...]]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    insert: str
    copy: str


def insert_rows(
    connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, skip_known: bool = False
) -> None:
    """Insert rows, all with the same columns.

    Args:
        connection: in a transaction.
        table: with a value in `rows` for each column that has no default of the database's.
        rows: values by column name.
        skip_known: leave out rows that break a unique constraint instead of failing (PostgreSQL only).
    """
    if not rows:
        return
    prepared = _prepare(table, tuple(rows[0]), connection.dialect)
    values = _converted(prepared, rows)
    if connection.dialect.name == "postgresql" and not skip_known and len(rows) >= _COPY_FROM:
        _copy(connection, prepared.copy, values)
        return
    statement = f"{prepared.insert} ON CONFLICT DO NOTHING" if skip_known else prepared.insert
    connection.exec_driver_sql(statement, list(values))


def _converted(prepared: _Prepared, rows: Sequence[dict[str, Any]]) -> Iterable[tuple[Any, ...]]:
    tuples = map(prepared.take, rows)
    if not prepared.converters:
        return tuples
    columns: list[Any] = list(zip(*tuples, strict=True))
    for place, convert in prepared.converters:
        columns[place] = [convert(value) for value in columns[place]]
    return zip(*columns, strict=True)


def _copy(connection: Connection, statement: str, values: Iterable[tuple[Any, ...]]) -> None:
    cursor: Any = connection.connection.cursor()  # psycopg's; SQLAlchemy has no word for COPY
    with cursor.copy(statement) as copy:
        for row in values:
            copy.write_row(row)


@lru_cache(maxsize=256)
def _prepare(table: Table, names: tuple[str, ...], dialect: Dialect) -> _Prepared:
    left_out = [column.name for column in table.columns if column.default is not None and column.name not in names]
    if left_out:
        message = f"rows for {table.name} lack {', '.join(left_out)}, whose default only SQLAlchemy knows"
        raise ValueError(message)
    converters = [
        (place, convert)
        for place, name in enumerate(names)
        if (convert := table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) is not None
    ]
    quoted = ", ".join(dialect.identifier_preparer.quote(name) for name in names)
    marks = ", ".join("?" if dialect.paramstyle == "qmark" else "%s" for _ in names)
    target = f"{dialect.identifier_preparer.quote(table.name)} ({quoted})"
    take = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    insert = f"INSERT INTO {target} VALUES ({marks})"  # noqa: S608 - names are the schema's, values are bound
    return _Prepared(take, tuple(converters), insert, f"COPY {target} FROM STDIN")
