"""Opens databases for readers who may not see all experiments.

Such a reader gets connections on which each table is hidden by a temporary view of its name: both
databases find a temporary view first. So the statements are the same as for other readers, but only
find what this reader may see, and none can forget the check. Which experiments are hidden is an
option of the engine without a default: a transaction without it does not begin.

If all experiments are open, no such connection is made, and there is no cost.
"""

import json
from collections.abc import Set as AbstractSet
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from jobprov.provenance.db.connections.engines import READING_CACHE, set_up_sqlite
from jobprov.provenance.db.connections.visibility import ViewWords, view_bodies

_OPTION = "hidden_experiments"
_SQLITE = ViewWords(
    schema="main",
    hidden="({key} IN (SELECT id FROM temp.hidden_experiments WHERE id IS NOT NULL))",
    hidden_name="({name} IN (SELECT name FROM temp.hidden_experiments))",
    experiment_of_question="json_extract(t.question, '$.experiment')",
)
_FORGET = "DELETE FROM temp.hidden_experiments"
_HIDE = (
    "INSERT INTO temp.hidden_experiments (name, id)"
    " SELECT value, (SELECT id FROM main.experiments WHERE name = value) FROM json_each(?)"
)
_SET = (
    "SELECT set_config('jobprov.hidden_names', %s, true), set_config('jobprov.hidden', "
    "(SELECT coalesce(array_agg(id), '{{}}')::text FROM {schema}.experiments"
    " WHERE name = ANY(%s::text[])), true)"
)


class NarrowedDatabase:
    """Reads a database as those do from whom some experiments are hidden.

    Args:
        url: of the database, which was opened before.
    """

    def __init__(self, url: str) -> None:
        self._url = make_url(url)

    @cached_property
    def _engine(self) -> Engine:
        """The engine, made for the first such reader."""
        if self._url.get_backend_name() == "sqlite":
            engine = create_engine(self._url, pool_size=16, max_overflow=16)
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        # Only here, since it imports the driver, which is installed for PostgreSQL alone
        from jobprov.provenance.db.connections.postgresql import open_postgresql  # noqa: PLC0415

        engine, _ = open_postgresql(self._url)
        event.listen(engine, "connect", _set_up_postgresql)
        event.listen(engine, "begin", _begin_postgresql)
        return engine

    def reading(self, hidden: AbstractSet[str]) -> Engine:
        """Return the engine of readers from whom these experiments are hidden."""
        return self._engine.execution_options(**{_OPTION: frozenset(hidden)})

    def dispose(self) -> None:
        """Close every connection."""
        if "_engine" in vars(self):
            self._engine.dispose()


def is_narrowed(connection: Connection) -> bool:
    """Return whether some experiments are hidden from who reads."""
    return _OPTION in connection.get_execution_options()


def _hidden_names(connection: Connection) -> list[str]:
    """Return the experiments that are hidden from who reads.

    Raises:
        KeyError: nobody said which.
    """
    return sorted(connection.get_execution_options()[_OPTION])


def _set_up_sqlite(connection: Any, record: Any) -> None:
    set_up_sqlite(READING_CACHE, connection, record)
    connection.execute("CREATE TEMP TABLE hidden_experiments (name TEXT PRIMARY KEY, id INTEGER)")
    for name, body in view_bodies(_SQLITE).items():
        connection.execute(f'CREATE TEMP VIEW "{name}" AS {body}')


def _begin_sqlite(connection: Connection) -> None:
    names = _hidden_names(connection)
    connection.exec_driver_sql("BEGIN")
    connection.exec_driver_sql(_FORGET)
    connection.exec_driver_sql(_HIDE, (json.dumps(names),))


def _set_up_postgresql(connection: Any, record: Any) -> None:
    [(schema,)] = connection.execute("SELECT quote_ident(current_schema())").fetchall()
    words = ViewWords(
        schema=schema,
        hidden="({key} = ANY (current_setting('jobprov.hidden')::bigint[]))",
        hidden_name="({name} = ANY (current_setting('jobprov.hidden_names')::text[]))",
        experiment_of_question="(t.question::json ->> 'experiment')",
    )
    for name, body in view_bodies(words).items():
        connection.execute(f'CREATE TEMP VIEW "{name}" AS {body}')
    connection.commit()
    record.info["schema"] = schema


def _begin_postgresql(connection: Connection) -> None:
    names = _hidden_names(connection)
    schema = connection.connection.info["schema"]
    cursor = connection.connection.cursor()
    cursor.execute("SELECT %s::text[]::text", (names,))
    [(listed,)] = cursor.fetchall()
    cursor.execute(_SET.format(schema=schema), (listed, names))
    cursor.close()
