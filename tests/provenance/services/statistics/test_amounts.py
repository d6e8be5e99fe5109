"""How many jobs and files are recorded, as the first page says."""

from jobprov.provenance.db.queries.statistics.home import recorded_amounts
from tests.library.production import Production
from tests.library.records import a_record


def test_restarts_count_no_jobs_that_nobody_recorded(production: Production) -> None:
    """On PostgreSQL each process takes a block of keys, and leaves the rest of it out."""
    production.record(a_record(1, outputs=[{"name": "1.root"}]))
    production.decide_physics_by("A_RESTART")
    production.record(a_record(2, outputs=[{"name": "2.root"}]))

    with production.database.reading.connect() as connection:
        amounts = recorded_amounts(connection)

    assert (amounts.jobs, amounts.files) == (2, 2)
