"""Hands constant statements straight to the database's driver.

Values are given by position, rows are plain tuples.

SQLAlchemy spends 50 to 300 us on a statement before the driver sees it, and recording a job takes
thirty. Statements here say `?` for a value on both databases, and nothing in them depends on what a
client sent. Errors are SQLAlchemy's, as everywhere else.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Row = tuple[Any, ...]
_CURSOR = "jobprov-cursor"
"""Of a connection: the cursor of all its statements, since making one costs as much as using it."""


def fetch(connection: Connection, statement: str, values: Sequence[Any] = ()) -> list[Row]:
    """Return the rows of a statement."""
    cursor = _cursor(connection)
    try:
        _execute(cursor, connection.dialect.name, statement, values)
        rows: list[Row] = cursor.fetchall()
    except connection.dialect.loaded_dbapi.Error as problem:
        raise _wrapped(connection, statement, problem) from problem
    return rows


def change(connection: Connection, statement: str, values: Sequence[Any] = ()) -> None:
    """Run a statement that returns no rows."""
    try:
        _execute(_cursor(connection), connection.dialect.name, statement, values)
    except connection.dialect.loaded_dbapi.Error as problem:
        raise _wrapped(connection, statement, problem) from problem


def change_many(connection: Connection, statement: str, rows: Iterable[Row]) -> None:
    """Run a statement that returns no rows once for each row of values."""
    rows = list(rows)
    if not rows:
        return
    try:
        _cursor(connection).executemany(_native(statement, connection.dialect.name), rows)
    except connection.dialect.loaded_dbapi.Error as problem:
        raise _wrapped(connection, statement, problem) from problem


def copy_rows(connection: Connection, statement: str, rows: Iterable[Row]) -> None:
    """Send rows by PostgreSQL's COPY."""
    try:
        with _cursor(connection).copy(statement) as copy:
            for row in rows:
                copy.write_row(row)
    except connection.dialect.loaded_dbapi.Error as problem:
        raise _wrapped(connection, statement, problem) from problem


def _cursor(connection: Connection) -> Any:
    if not connection.in_transaction():
        connection.begin()  # as SQLAlchemy does before its own first statement
    cursor = connection.info.get(_CURSOR)
    if cursor is None:
        cursor = connection.info[_CURSOR] = connection.connection.cursor()
    return cursor


def _execute(cursor: Any, dialect: str, statement: str, values: Sequence[Any]) -> None:
    # It comes again; `postgresql.py` goes by this
    options = {} if dialect == "sqlite" else {"prepare": True}
    cursor.execute(_native(statement, dialect), values, **options)


@lru_cache(maxsize=4096)
def _native(statement: str, dialect: str) -> str:
    return statement if dialect == "sqlite" else statement.replace("?", "%s")


def _wrapped(connection: Connection, statement: str, problem: Exception) -> Exception:
    base = connection.dialect.loaded_dbapi.Error
    return DBAPIError.instance(statement, None, problem, base, dialect=connection.dialect)
