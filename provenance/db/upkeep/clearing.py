"""Clears the file of an SQLite database of what was deleted from it."""

import sqlite3
from contextlib import closing

from jobprov.provenance.db.connections.engines import BUSY_MILLISECONDS, Database


def clear_deleted(database: Database) -> bool:
    """Write the database's file anew without what was deleted, and empty its log.

    Return whether that could be done.

    Deleted rows leave their bytes in free pages, in the rest of others, and in the log. On
    PostgreSQL this does nothing: the server's VACUUM does, as erase.md says.
    """
    if not database.is_sqlite:
        return True
    file = str(database.reading.url.database)
    with closing(
        sqlite3.connect(file, timeout=BUSY_MILLISECONDS / 1000, isolation_level=None)
    ) as connection:
        try:
            connection.execute("PRAGMA temp_store=FILE")  # the copy may be larger than memory
            connection.execute("VACUUM")
            is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError:
            return False  # somebody held the database all the time
        return not is_busy
