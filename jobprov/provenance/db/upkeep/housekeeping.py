"""What each kind of database needs from us: SQLite a cleared file, PostgreSQL fresh statistics."""

import sqlite3
from contextlib import closing

from sqlalchemy import text

from jobprov.provenance.db.connections.engines import BUSY_MILLISECONDS, Database
from jobprov.provenance.db.writer.advisory_locks import STATISTICS

LEAST_CHANGES = 1000
_SHARE = 0.2
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_STALE = text(
    "SELECT relname FROM pg_stat_user_tables "
    "WHERE schemaname = current_schema() "
    "AND n_mod_since_analyze > :least + :share * n_live_tup ORDER BY relname"
)


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


def refresh_statistics(database: Database) -> list[str]:
    """Have PostgreSQL analyse tables again that changed by a fifth; return their names.

    SQLite plans without this, so there is nothing to do.
    """
    if database.is_sqlite:
        return []
    with database.writing.begin() as connection:
        # Another process may do the same at this moment, and once is enough
        if not connection.execute(_TRY_LOCK, {"lock": STATISTICS}).scalar_one():
            return []
        limits = {"least": LEAST_CHANGES, "share": _SHARE}
        stale = list(connection.execute(_STALE, limits).scalars())
        for name in stale:
            connection.execute(text(f'ANALYZE "{name}"'))
    return stale
