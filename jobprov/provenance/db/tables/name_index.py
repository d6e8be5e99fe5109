"""The index that finds files by a part of their name, upper or lower case.

SQLite: an FTS5 table of trigrams without the names themselves, filled by
`writer/indexed_names.py`. PostgreSQL: a GIN index of `pg_trgm` on `files.name`, and on the names of
tasks and parameters, which may be tens of thousands. It is derived and is none of our tables: its
answers are checked against the names, so it may lag behind or be missing. See
docs/decisions/0033-search.md.
"""

from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from jobprov.provenance.db.tables.base import Base

TRIGRAMS = "file_name_trigrams"
"""Of SQLite: its row ids are keys of files."""
INDEXES = {
    "ix_files_name_trigrams": ("files", "name"),
    "ix_tasks_task_id_trigrams": ("tasks", "task_id"),
    "ix_parameter_keys_name_trigrams": ("parameter_keys", "name"),
}
"""Of PostgreSQL, each with its table and column; the files' first."""
LETTERS = 3
"""Of a trigram: a shorter text is in no index."""

_MAKE_TRIGRAMS = f"""
CREATE VIRTUAL TABLE {TRIGRAMS} USING fts5(name, content='', tokenize='trigram', detail='none')
"""
_FILL_TRIGRAMS = f"INSERT INTO {TRIGRAMS} (rowid, name) SELECT id, name FROM files"  # noqa: S608
_MAKE_EXTENSION = "CREATE EXTENSION IF NOT EXISTS pg_trgm"
_MAKE_INDEX = "CREATE INDEX IF NOT EXISTS {name} ON {table} USING gin ({column} gin_trgm_ops)"
_HAS_TRIGRAMS = f"SELECT 1 FROM sqlite_master WHERE name = '{TRIGRAMS}'"  # noqa: S608
_HAS_INDEX = "SELECT 1 FROM pg_class WHERE oid = to_regclass('ix_files_name_trigrams')"


def has_name_index(connection: Connection) -> bool:
    """Return whether the database has the index."""
    is_sqlite = connection.dialect.name == "sqlite"
    question = _HAS_TRIGRAMS if is_sqlite else _HAS_INDEX
    return connection.exec_driver_sql(question).first() is not None


def make_name_index(connection: Connection) -> bool:
    """Make and fill the index unless it is there; return whether it is there now.

    It is not where SQLite lacks FTS5's trigrams, or PostgreSQL `pg_trgm` and this user may not
    create it. Search then looks at the beginnings of names, and at the newest names alone.
    """
    if has_name_index(connection):
        return True
    statements = [_MAKE_TRIGRAMS, _FILL_TRIGRAMS]
    if connection.dialect.name != "sqlite":
        statements = [_MAKE_EXTENSION]
        for name, (table, column) in INDEXES.items():
            statements.append(_MAKE_INDEX.format(name=name, table=table, column=column))
    try:
        # What fails takes nothing else of the transaction with it
        with connection.begin_nested():
            for statement in statements:
                connection.exec_driver_sql(statement)
    except DBAPIError:
        return False
    return True


def drop_name_index(connection: Connection) -> None:
    """Drop the index if it is there."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"DROP TABLE IF EXISTS {TRIGRAMS}")
    else:
        connection.exec_driver_sql(f"DROP INDEX IF EXISTS {', '.join(INDEXES)}")


def is_of_name_index(name: str | None) -> bool:
    """Return whether a table or index is part of it, and so none that the tables declare."""
    return name is not None and (name in INDEXES or name.startswith(TRIGRAMS))


@event.listens_for(Base.metadata, "after_create")
def _make_with_tables(_tables: Any, connection: Connection, **_options: Any) -> None:
    make_name_index(connection)


@event.listens_for(Base.metadata, "before_drop")
def _drop_with_tables(_tables: Any, connection: Connection, **_options: Any) -> None:
    drop_name_index(connection)
