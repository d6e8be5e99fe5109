"""PostgreSQL's statistics, kept up while much is recorded.

Its own autovacuum looks once a minute. What is asked in the meantime, after the first thousands of
jobs came into an empty database, is planned as if they were not there, and may take a thousand
times as long.
"""

from sqlalchemy import text

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.writer.advisory_locks import STATISTICS

LEAST_CHANGES = 1000
_SHARE = 0.2
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:lock)")
_STALE = text(
    "SELECT relname FROM pg_stat_user_tables "
    "WHERE schemaname = current_schema() "
    "AND n_mod_since_analyze > :least + :share * n_live_tup ORDER BY relname"
)


def refresh_statistics(database: Database) -> list[str]:
    """Have PostgreSQL look again at tables of which a fifth changed; return their names.

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
