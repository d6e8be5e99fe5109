"""Runs statements that were composed once, by the driver itself.

Of what SQLAlchemy takes to run a statement (100 to 300 us) the database takes a tenth, and a page
of lineage needs a dozen. Here it composes and compiles each once; afterwards values go straight to
the driver, a list as one of them, and rows come back as named tuples. What a statement asks for is
therefore bound, never written into it. See docs/decisions/0016-statements-composed-once.md.
"""

import json
import re
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, Dialect, Float, Select, TextClause
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.types import TypeEngine

from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables.base import binder

_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(),
    "postgresql": PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call]
}
_LIST = re.compile(r"(NOT )?IN \(__\[POSTCOMPILE_\w+(?:~~.*?~~REPL~~.*?~~)?\]\)")
_AMONG = {
    "sqlite": (
        "IN (SELECT value FROM json_each(?))",
        "NOT IN (SELECT value FROM json_each(?))",
    ),
    "postgresql": ("= ANY(%s)", "<> ALL(%s)"),
}
_Statement = Select[*tuple[Any, ...]] | TextClause
_Convert = Callable[[Any], Any] | None


class _Compiled(NamedTuple):
    """A statement for one database.

    Attributes:
        values: (name, value unless another is given, what converts it) of each value, in the order
            of the text.
        results: (place, what converts it) of the columns of a row that need it.
        row: makes a row of what the driver returns.
    """

    text: str
    values: tuple[tuple[str, Any, _Convert], ...]
    results: tuple[tuple[int, Callable[[Any], Any]], ...]
    row: Callable[[Any], Any]


def run(connection: Connection, statement: _Statement, values: Mapping[str, Any]) -> list[Any]:
    """Return the rows of a statement that a module composed once, as tuples named like its columns.

    For a text they are plain tuples.

    Args:
        statement: the same object each time: it is compiled for who first runs it.
        values: by the names of its parameters; one that is `expanding` takes a list of integers or
            texts.
    """
    text, parameters, results, make_row = _compiled(statement, connection.dialect.name)
    bound = []
    for name, default, convert in parameters:
        value = values.get(name, default)
        if convert is not None:
            value = convert(value)
        bound.append(value)
    fetched = fetch(connection, text, bound)
    if not results:
        return list(map(make_row, fetched))
    rows = []
    for fetched_row in fetched:
        cells = list(fetched_row)
        for place, convert_cell in results:
            cells[place] = convert_cell(cells[place])
        rows.append(make_row(cells))
    return rows


@lru_cache(maxsize=512)
def _compiled(statement: _Statement, name: str) -> _Compiled:
    dialect = _DIALECTS[name]
    compiled: Any = statement.compile(dialect=dialect)
    columns = compiled._result_columns  # noqa: SLF001 - what types come back is nowhere else
    in_list, not_in_list = _AMONG[name]
    text = _LIST.sub(lambda match: not_in_list if match[1] else in_list, compiled.string)
    results = []
    for place, column in enumerate(columns):
        convert = _reader(column.type, dialect)
        if convert is not None:
            results.append((place, convert))
    row: Callable[[Any], Any] = tuple
    if columns:
        row = _row_of([column.keyname for column in columns])
    values = [_value(compiled.binds[key], name) for key in compiled.positiontup or ()]
    return _Compiled(text, tuple(values), tuple(results), row)


def _row_of(names: Sequence[str]) -> Callable[[Any], Any]:
    # Names are the columns'
    row: Any = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
    make: Callable[[Any], Any] = row._make
    return make


def _reader(kind: TypeEngine[Any], dialect: Dialect) -> _Convert:
    own = kind.dialect_impl(dialect)
    # Both drivers give floats as such
    return None if isinstance(own, Float) else own.result_processor(dialect, None)


def _value(bound: BindParameter[Any], name: str) -> tuple[str, Any, _Convert]:
    if bound.expanding:
        return bound.key, bound.effective_value, _json_list if name == "sqlite" else list
    return bound.key, bound.effective_value, binder(bound.type, _DIALECTS[name])


def _json_list(values: Sequence[Any]) -> str:
    return json.dumps(list(values))
