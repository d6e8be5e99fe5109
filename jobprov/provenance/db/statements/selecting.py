"""Reads rows by many keys with constant statements.

Composing such a statement from columns and keying it for SQLAlchemy's cache took longer than
running it, and recording a single job needs a dozen. SQLite gets lists of a few lengths, the last
key repeated, so that its prepared statements serve again; PostgreSQL one array a column.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Table
from sqlalchemy.dialects import postgresql

from jobprov.provenance.db.statements.arrays import array_of
from jobprov.provenance.db.statements.driver import Row, change, fetch
from jobprov.provenance.db.tables.base import UtcInstant, binder

_MOST_KEYS = 256
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
StoredMoment = datetime | str
"""A moment as a driver takes and gives it: SQLite has texts."""
_Convert = Callable[[Any], Any] | None


def select_among(
    connection: Connection, statement: str, keys: Iterable[int] | Iterable[str], *before: Any
) -> list[Row]:
    """Return the rows of a statement with one `WHERE column {among}` for these integers or texts.

    Column types do not convert here: choose integers, texts and truth values alone. `before` are
    the values of what stands as `?` in front of that.
    """
    listed = list(keys)
    if not listed:
        return []
    text, parameters = _among(connection, statement, listed)
    return fetch(connection, text, (*before, *parameters))


def moment_for(connection: Connection, moment: datetime) -> StoredMoment:
    """Return a moment as the driver gives and takes moments."""
    convert = binder(UtcInstant(), connection.dialect)
    if convert is None:
        return moment
    stored: StoredMoment = convert(moment)
    return stored


def change_among(
    connection: Connection, statement: str, keys: Iterable[int] | Iterable[str]
) -> None:
    """Run a statement without rows, with one `WHERE column {among}` for these integers or texts."""
    listed = list(keys)
    if listed:
        change(connection, *_among(connection, statement, listed))


def _among(connection: Connection, statement: str, listed: list[Any]) -> tuple[str, tuple[Any]]:
    if connection.dialect.name == "sqlite":
        return statement.format(among="IN (SELECT value FROM json_each(?))"), (json.dumps(listed),)
    # Not the column's own type: a key may be greater than any that it can hold
    array = "BIGINT[]" if isinstance(listed[0], int) else "TEXT[]"
    return statement.format(among=f"= ANY(?::{array})"), (array_of(listed),)


def select_by(
    connection: Connection,
    table: Table,
    fields: tuple[str, ...],
    by: tuple[str, ...],
    keys: Sequence[Any],
) -> dict[Any, Row]:
    """Return the values of `fields` of the rows that `keys` name, by key.

    Keys without a row are left out.

    Args:
        by: the columns of a unique constraint.
        keys: values of the one column in `by`, or tuples of the values of all.
    """
    rows: dict[Any, Row] = {}
    selection = _prepare(table, fields, by, connection.dialect)
    for start in range(0, len(keys), _MOST_KEYS):
        part = keys[start : start + _MOST_KEYS]
        for place, *values in _rows_of(connection, selection, part):
            if place < len(part):  # else the last key, repeated
                rows[part[place]] = _converted(values, selection.results)
    return rows


class _Selection(NamedTuple):
    """A look-up made ready: converters of the columns of key and result, and the statement."""

    binds: tuple[_Convert, ...]
    results: tuple[_Convert, ...]
    statement: Callable[[int], str]


def _converted(values: Sequence[Any], converters: Sequence[_Convert]) -> Row:
    converted = list(values)
    for place, convert in enumerate(converters):
        if convert is not None:
            converted[place] = convert(values[place])
    return tuple(converted)


def _rows_of(connection: Connection, selection: _Selection, keys: Sequence[Any]) -> list[Row]:
    listed = [(key,) for key in keys] if len(selection.binds) == 1 else keys
    columns = [list(values) for values in zip(*listed, strict=True)]
    for place, convert in enumerate(selection.binds):
        if convert is not None:
            columns[place] = [convert(value) for value in columns[place]]
    if connection.dialect.name == "postgresql":
        arrays = [array_of(column) for column in columns]
        return fetch(connection, selection.statement(0), arrays)
    # A statement for each power of two of keys, the last key repeated
    length = 1 << (len(keys) - 1).bit_length()
    rows = list(zip(*columns, strict=True))
    rows += [rows[-1]] * (length - len(rows))
    return fetch(connection, selection.statement(length), list(chain.from_iterable(rows)))


@lru_cache(maxsize=256)
def _prepare(
    table: Table, fields: tuple[str, ...], by: tuple[str, ...], dialect: Dialect
) -> _Selection:
    binds = tuple(binder(table.c[name].type, dialect) for name in by)
    results = []
    for name in fields:
        own_type = table.c[name].type.dialect_impl(dialect)
        results.append(own_type.result_processor(dialect, None))
    build = _postgresql_statement if dialect.name == "postgresql" else _sqlite_statement
    statement = lru_cache(lambda length: build(table, fields, by, length))
    return _Selection(binds, tuple(results), statement)


def _sqlite_statement(
    table: Table, fields: tuple[str, ...], by: tuple[str, ...], length: int
) -> str:
    marks = ", ".join("?" for _ in by)
    listed = ", ".join(f"({place}, {marks})" for place in range(length))
    chosen = ", ".join(f't."{name}"' for name in fields)
    matched = " AND ".join(f't."{name}" = k.k{place}' for place, name in enumerate(by))
    names = ", ".join(f"k{place}" for place in range(len(by)))
    # CROSS JOIN: SQLite must not turn the loops around and walk the table
    return (
        # Names are the schema's, values are bound
        f"WITH k(place, {names}) AS (VALUES {listed}) "  # noqa: S608
        f'SELECT k.place, {chosen} FROM k CROSS JOIN "{table.name}" t ON {matched}'
    )


def _postgresql_statement(
    table: Table, fields: tuple[str, ...], by: tuple[str, ...], _length: int
) -> str:
    arrays = ", ".join(f"?::{array_type(table, name)}" for name in by)
    chosen = ", ".join(f't."{name}"' for name in fields)
    matched = " AND ".join(
        f't."{name}" = k.k{place}{_collation(table, name)}' for place, name in enumerate(by)
    )
    names = ", ".join(f"k{place}" for place in range(len(by)))
    return (
        # Names are the schema's, values are bound
        f"SELECT k.place - 1, {chosen} "  # noqa: S608
        f"FROM unnest({arrays}) WITH ORDINALITY AS k({names}, place) "
        f'JOIN "{table.name}" t ON {matched}'
    )


def array_type(table: Table, name: str) -> str:
    """Return what PostgreSQL calls an array of a column's values; of integers the widest.

    An operator may have widened the keys.
    """
    compiled = table.c[name].type.compile(dialect=_POSTGRESQL)
    return "BIGINT[]" if compiled == "INTEGER" else f"{compiled.partition(' COLLATE')[0]}[]"


def _collation(table: Table, name: str) -> str:
    return ' COLLATE "C"' if "COLLATE" in table.c[name].type.compile(dialect=_POSTGRESQL) else ""
