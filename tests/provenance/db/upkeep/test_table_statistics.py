"""Statistics follow what was recorded, before autovacuum looks."""

from sqlalchemy import insert, text

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.tables import Host
from jobprov.provenance.db.upkeep.housekeeping import LEAST_CHANGES, refresh_statistics
from jobprov.provenance.db.writer.advisory_locks import STATISTICS


def test_a_table_that_grew_is_looked_at_once(database: Database) -> None:
    rows = [{"hostname": f"wn{n}", "site": "", "facility": ""} for n in range(2 * LEAST_CHANGES)]
    with database.writing.begin() as connection:
        connection.execute(insert(Host), rows)
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_stat_force_next_flush()"))

    assert refresh_statistics(database) == ([] if database.is_sqlite else ["hosts"])
    assert refresh_statistics(database) == []
    if not database.is_sqlite:
        with database.reading.connect() as connection:
            known = connection.execute(
                text("SELECT reltuples FROM pg_class WHERE relname = 'hosts'")
            ).scalar_one()
        assert known == len(rows)


def test_one_process_at_a_time_looks(database: Database) -> None:
    if database.is_sqlite:
        return
    with database.writing.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": STATISTICS})
        assert refresh_statistics(database) == []
