"""The width of integer keys on PostgreSQL: four bytes, since most of what a job takes is keys.

Eight for who needs more.

See docs/decisions/0018-narrow-rows.md. Keys of SQLite are as wide as each needs.
"""

from sqlalchemy import Connection, Table, text

from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.tables.base import Key
from jobprov.provenance.db.upkeep.migrating import changing_schema
from jobprov.provenance.progress import watched

_USED = text(
    "SELECT sequencename, last_value::float8 / max_value FROM pg_sequences"
    " WHERE last_value IS NOT NULL AND schemaname = current_schema()"
)
_SEQUENCES = text("SELECT sequencename FROM pg_sequences WHERE schemaname = current_schema()")


def keys_used(connection: Connection) -> dict[str, float]:
    """Return which share of its possible keys each table has given out, from 0 to 1.

    The shares are given by table; on SQLite there are none.
    """
    if connection.dialect.name == "sqlite":
        return {}
    return {name.removesuffix("_id_seq"): share for name, share in connection.execute(_USED)}


def widen_keys(url: str) -> bool:
    """Make all keys of a database on PostgreSQL eight bytes wide.

    Every table is written anew, and nobody reads or writes meanwhile.

    Returns:
        False where there was nothing to do: on SQLite.

    Raises:
        UnreachableError: the database does not answer, or others hold its tables.
    """
    with changing_schema(url) as connection:
        if connection.dialect.name == "sqlite":
            return False
        tables = Base.metadata.sorted_tables
        for table in watched("tables written anew", tables, lambda: len(tables)):
            if keys := _keys(table):
                changes = ", ".join(f"ALTER {key} TYPE bigint" for key in keys)
                connection.exec_driver_sql(f"ALTER TABLE {table.name} {changes}")
        for name in connection.execute(_SEQUENCES).scalars().all():
            connection.exec_driver_sql(f"ALTER SEQUENCE {name} AS bigint")
    return True


def _keys(table: Table) -> list[str]:
    """Return the columns that hold integer keys, of this table or of others."""
    return [column.name for column in table.columns if isinstance(column.type, Key)]
