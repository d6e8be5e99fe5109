"""PostgreSQL's statistics, kept up while much is recorded.

Its own autovacuum looks once a minute. What is asked in the meantime, after the first thousands of
jobs came into an empty database, is planned as if they were not there, and may take a thousand
times as long.
"""

from sqlalchemy import text

from jobprov.provenance.db.advisory_locks import STATISTICS
from jobprov.provenance.db.engines import Database

LEAST_CHANGES = 1000
_SHARE = 0.2
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
        if not connection.execute(
            text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": STATISTICS}
        ).scalar_one():
            return []
        stale = [
            row[0] for row in connection.execute(_STALE, {"least": LEAST_CHANGES, "share": _SHARE})
        ]
        for name in stale:
            connection.execute(text(f'ANALYZE "{name}"'))
    return stale
