"""Inserts many rows at the driver's own speed.

It uses one prepared statement and tuples, and converts values a column at a time.

SQLAlchemy's own `execute` with a list of dictionaries builds a parameter dictionary a row and asks
each column's type a value: half of what recording a job cost. Column types convert here too, so
what is stored is the same. PostgreSQL gets a few rows as one array a column, several tables in one
statement, and many rows by COPY; SQLite many rows a statement, since it lets go of Python's lock at
each and other threads take their turn.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Table

from jobprov.provenance.db.statements.arrays import array_of
from jobprov.provenance.db.statements.driver import Row, change, copy_rows, fetch
from jobprov.provenance.db.statements.selecting import array_type
from jobprov.provenance.db.tables.base import binder

_MOST_VALUES = 64
"""Rows a statement of SQLite's.

There is one for each power of two up to it, so that few have to be kept prepared.
"""
COPY_FROM = 64
"""Rows from which PostgreSQL's COPY, which needs a round trip more, is the faster way."""


class _Prepared(NamedTuple):
    """A table's insertion: how to take a row apart, converters of columns, and statements."""

    take: Callable[[Mapping[str, object]], Row]
    converters: tuple[tuple[int, Callable[[Any], Any]], ...]
    insert_values: Callable[[int], str]
    arrays: str
    insert_arrays: str
    copy: str


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, object]],
    *,
    skip_known: bool = False,
) -> None:
    """Insert rows, all with the same columns.

    Args:
        connection: in a transaction.
        table: with a value in `rows` for each column that has no default of the database's.
        rows: values by column name.
        skip_known: leave out rows that break a unique constraint instead of failing (PostgreSQL
            only).
    """
    if not rows:
        return
    prepared = _prepare(table, tuple(rows[0]), connection.dialect)
    if connection.dialect.name != "postgresql":
        for part in _powers_of_two(list(_converted(prepared, rows))):
            change(connection, prepared.insert_values(len(part)), list(chain.from_iterable(part)))
    elif skip_known:
        change(
            connection, f"{prepared.insert_arrays} ON CONFLICT DO NOTHING", _arrays(prepared, rows)
        )
    elif len(rows) < COPY_FROM:
        change(connection, prepared.insert_arrays, _arrays(prepared, rows))
    else:
        copy_rows(connection, prepared.copy, _converted(prepared, rows))


def insert_unknown(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> set[int]:
    """Insert those rows that break no unique constraint; return their `id`s.

    This is for PostgreSQL only: SQLite has one writer.
    """
    prepared = _prepare(table, tuple(rows[0]), connection.dialect)
    statement = f"{prepared.insert_arrays} ON CONFLICT DO NOTHING RETURNING id"
    return {row[0] for row in fetch(connection, statement, _arrays(prepared, rows))}


class Insertions:
    """Rows of several tables that are inserted together, once nothing is left to be decided.

    PostgreSQL gets the few rows of all tables as one statement: of what a statement takes to insert
    some rows, most is the way there and back. It checks foreign keys when the statement ends.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._waiting: list[tuple[Table, Sequence[Mapping[str, object]]]] = []

    def add(self, table: Table, rows: Sequence[Mapping[str, object]]) -> None:
        """Have rows inserted, as `insert_rows` does, after those that they point at."""
        if rows:
            self._waiting.append((table, rows))

    def write(self) -> None:
        """Insert the rows that wait."""
        waiting, self._waiting = self._waiting, []
        few: list[tuple[Table, Sequence[Mapping[str, object]]]] = []
        is_postgresql = self._connection.dialect.name == "postgresql"
        for table, rows in waiting:
            if is_postgresql and len(rows) < COPY_FROM:
                few.append((table, rows))
                continue
            # Rows of the table may point at the few before
            _insert_few(self._connection, few)
            few = []
            insert_rows(self._connection, table, rows)
        _insert_few(self._connection, few)


def as_arrays(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, object]]
) -> tuple[str, list[str]]:
    """Return what stands for rows in a statement of PostgreSQL's: arguments of unnest, and values.

    A column each, in the order in which the first row names them.
    """
    prepared = _prepare(table, tuple(rows[0]), connection.dialect)
    return prepared.arrays, _arrays(prepared, rows)


def _insert_few(
    connection: Connection, together: Sequence[tuple[Table, Sequence[Mapping[str, object]]]]
) -> None:
    """Insert a few rows of each of several tables by one statement of PostgreSQL's."""
    if not together:
        return
    statements: list[str] = []
    arrays: list[str] = []
    for table, rows in together:
        prepared = _prepare(table, tuple(rows[0]), connection.dialect)
        statements.append(prepared.insert_arrays)
        arrays += _arrays(prepared, rows)
    change(connection, _joined(tuple(statements)), arrays)


@lru_cache(maxsize=256)
def _joined(statements: tuple[str, ...]) -> str:
    """Return insertions as one statement."""
    *others, last = statements
    if not others:
        return last
    named = [f"w{place} AS ({statement})" for place, statement in enumerate(others)]
    return f"WITH {', '.join(named)} {last}"


def _powers_of_two(rows: Sequence[Row]) -> Iterable[Sequence[Row]]:
    start = 0
    while left := len(rows) - start:
        count = min(_MOST_VALUES, 1 << (left.bit_length() - 1))
        yield rows[start : start + count]
        start += count


def _converted(prepared: _Prepared, rows: Sequence[Mapping[str, object]]) -> Iterable[Row]:
    if prepared.converters:
        return zip(*_columns(prepared, rows), strict=True)
    return map(prepared.take, rows)


def _arrays(prepared: _Prepared, rows: Sequence[Mapping[str, object]]) -> list[str]:
    return [array_of(column) for column in _columns(prepared, rows)]


def _columns(prepared: _Prepared, rows: Sequence[Mapping[str, object]]) -> list[list[Any]]:
    columns = [list(column) for column in zip(*map(prepared.take, rows), strict=True)]
    for place, convert in prepared.converters:
        columns[place] = [convert(value) for value in columns[place]]
    return columns


@lru_cache(maxsize=256)
def _prepare(table: Table, names: tuple[str, ...], dialect: Dialect) -> _Prepared:
    for column in table.columns:
        if column.default is not None and column.name not in names:
            message = f"rows for {table.name} lack {column.name}: only SQLAlchemy knows its default"
            raise ValueError(message)
    converters = []
    for place, name in enumerate(names):
        convert = binder(table.c[name].type, dialect)
        if convert is not None:
            converters.append((place, convert))
    quoted = ", ".join(dialect.identifier_preparer.quote(name) for name in names)
    target = f"{dialect.identifier_preparer.quote(table.name)} ({quoted})"
    take = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
    marks = ", ".join("?" for _ in names)
    arrays = ", ".join(f"?::{array_type(table, name)}" for name in names)

    @lru_cache
    def insert_values(count: int) -> str:
        listed = ", ".join([f"({marks})"] * count)
        return f"INSERT INTO {target} VALUES {listed}"  # noqa: S608 - values are bound

    return _Prepared(
        take,
        tuple(converters),
        insert_values,
        arrays,
        # Names are the schema's
        f"INSERT INTO {target} SELECT * FROM unnest({arrays})",  # noqa: S608
        f"COPY {target} FROM STDIN",
    )
