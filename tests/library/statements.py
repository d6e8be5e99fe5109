"""The SQL statements that code under test sends to its database, and how the database runs them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, event

from jobprov.provenance.db.statements import driver


class Statement(NamedTuple):
    """A statement as the driver gets it, with the values of its parameters."""

    sql: str
    values: Any


@contextmanager
def statements_sent(sender: Connection | Engine | type[Engine]) -> Iterator[list[Statement]]:
    """Yield a list that fills with what a connection or engine sends, or all engines do."""
    statements: list[Statement] = []

    def note(_connection: Any, _cursor: Any, sql: str, values: Any, *_: Any) -> None:
        statements.append(Statement(sql, values))

    event.listen(sender, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(sender, "before_cursor_execute", note)


@contextmanager
def constant_statements_sent() -> Iterator[list[str]]:
    """Yield a list that fills with what goes straight to the driver, which `statements_sent` misses."""
    statements: list[str] = []
    execute = driver._execute

    def noted(cursor: Any, dialect: str, statement: str, values: Any) -> None:
        statements.append(statement)
        execute(cursor, dialect, statement, values)

    driver._execute = noted
    try:
        yield statements
    finally:
        driver._execute = execute


def plan_of(connection: Connection, statement: Statement) -> list[str]:
    """Return the steps by which the database runs a statement, as it puts them."""
    is_sqlite = connection.dialect.name == "sqlite"
    explain = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
    rows = connection.exec_driver_sql(f"{explain} {statement.sql}", statement.values)
    return [row[-1] for row in rows]
