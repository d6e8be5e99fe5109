"""Measures bytes: of each table with its indexes, and of the archive's ledger segments."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.tables import Base


def table_bytes(database: Database) -> dict[str, int]:
    """Return the bytes of each table and each index that is in use, by name.

    Free pages are not counted.
    """
    with database.reading.connect() as connection:
        return _sqlite_bytes(connection) if database.is_sqlite else _postgresql_bytes(connection)


def compact(database: Database) -> None:
    """Give free space back, as an operator's housekeeping does."""
    connection = database.writing.raw_connection()
    if database.is_sqlite:
        connection.cursor().execute("VACUUM")
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    else:
        driver: Any = connection.driver_connection
        driver.autocommit = True
        driver.execute("VACUUM FULL")
        # As autovacuum does: the full one leaves out which pages everybody may see
        driver.execute("VACUUM ANALYZE")
        driver.autocommit = False
    connection.close()


def ledger_bytes(folder: Path) -> int:
    """Return the bytes of the sealed segments in an archive's folder.

    Blobs are shared and not counted.
    """
    return sum(
        file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and "ledger" in file.parts
    )


def _sqlite_bytes(connection: Connection) -> dict[str, int]:
    found = connection.exec_driver_sql("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
    return {name: size for name, size in found if size > 0}


def _postgresql_bytes(connection: Connection) -> dict[str, int]:
    names = ", ".join(f"'{table.name}'" for table in Base.metadata.sorted_tables)
    found = connection.exec_driver_sql(
        "SELECT relname, pg_relation_size(oid) + CASE WHEN reltoastrelid = 0 THEN 0 ELSE pg_total_relation_size(reltoastrelid) END"  # noqa: S608
        " FROM pg_class WHERE oid IN (SELECT oid FROM pg_class"
        f" WHERE relname IN ({names}) AND relkind = 'r'"
        " UNION SELECT indexrelid FROM pg_index JOIN pg_class t ON t.oid = indrelid"
        f" WHERE t.relname IN ({names}))"
    )
    return {name: size for name, size in found if size > 0}
