"""How SQLite goes to the newest jobs of a parameter.

Never by trying every configuration for every job.
"""

import json

import pytest

from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.configurations import newest_jobs, parameters
from jobprov.provenance.db.statements.driver import fetch


@pytest.mark.parametrize(
    ("statement", "plan"),
    [
        (
            newest_jobs._THROUGH_JOBS["sqlite"],
            "SEARCH jobs USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
        ),
        (
            newest_jobs._WITH_EXPERIMENTS.format(gathered=newest_jobs._GATHERED["sqlite"]),
            (
                "SEARCH jobs USING COVERING INDEX ix_jobs_closure_set_id (closure_set_id=? "
                "AND rowid>? AND rowid<?)"
            ),
        ),
    ],
)
def test_jobs_are_met_by_their_key_or_gathered_by_configuration(
    database: Database, statement: str, plan: str
) -> None:
    if not database.is_sqlite:
        pytest.skip(
            "plans of PostgreSQL depend on its statistics; there the statements leave it no choice"
        )
    statement = statement.format(among=parameters.AMONG["sqlite"])

    with database.reading.connect() as connection:
        steps = [
            row[3]
            for row in fetch(
                connection, f"EXPLAIN QUERY PLAN {statement}", (json.dumps([1, 2]), 9, 1, 9)
            )
        ]

    assert plan in steps
    assert not [step for step in steps if step.startswith("SCAN jobs")]
