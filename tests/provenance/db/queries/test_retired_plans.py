"""How files that a catalog retired are found: no statement goes through all outputs of a task."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection

from jobprov.provenance.db.queries.catalogs import arrivals, catalogs, retired, unarrived
from jobprov.provenance.db.queries.tasks import units
from jobprov.provenance.db.recording import output_counts
from jobprov.provenance.db.statements.selecting import _among
from tests.library.production import Production
from tests.library.statements import plan_of, statements_sent

NOW = datetime(2026, 1, 8, 12, tzinfo=UTC)
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_files_that_are_gone_are_found_by_an_index_of_them_alone(production: Production) -> None:
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            retired.gone_outputs(connection, 1, limit=10)
        steps = plan_of(connection, statements[-1])

    assert "ix_catalog_outputs_gone" in steps[0]


def test_known_files_are_read_on_from_the_last_one_without_a_sort(production: Production) -> None:
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            retired.outputs_after(connection, 1, ("raw7.root", 7), limit=10)
        steps = plan_of(connection, statements[-1])

    assert "catalog_outputs USING PRIMARY KEY (task_id=? AND (unit,file_id)>(?,?))" in steps[0]
    assert not any("ORDER BY" in step for step in steps)


def test_who_did_a_unit_before_is_found_by_an_index_of_units(production: Production) -> None:
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            units._unread_files(connection, 1, needed=1, after=0, limit=10)
        steps = plan_of(connection, statements[-1])

    assert any("ix_jobs_task_id_unit (task_id=? AND unit=?)" in step for step in steps), steps


def test_whether_the_catalog_knows_a_claim_is_looked_up_by_its_name(production: Production) -> None:
    """Of 20,000 outputs each claim went through all: the time grew with the square."""
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            catalogs.unknown_outputs(connection, 1, only_of_units=True, after=0, limit=10)
            list(unarrived.seen_outputs(connection, 1))
        plans = [plan_of(connection, statement) for statement in statements]

    steps = [step for plan in plans for step in plan]
    assert any("ix_catalog_outputs_file_id" in step for step in steps)
    assert not any("catalog_outputs USING PRIMARY KEY (task_id=?)" in step for step in steps)


def test_other_names_of_a_claim_are_found_without_its_jobs_other_claims(
    production: Production,
) -> None:
    """Of a job with 10,000 outputs each went through all: `arrivals` took minutes."""
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            catalogs.unknown_outputs(connection, 1, only_of_units=True, after=0, limit=10)
            arrivals.unseen_files(connection, 1, NOW, NOW, before=None, limit=10)
            arrivals.count_written(connection, 1, [NOW, NOW], late_before=NOW)
            list(unarrived.seen_outputs(connection, 1))
        asked = [statement for statement in statements if "alias_of" in statement.sql]
        plans = [plan_of(connection, statement) for statement in asked]

    assert len(plans) == 4
    for steps in plans:
        assert any("claims_1 USING INDEX ix_claims_alias_of" in step for step in steps), steps
        assert not any("claims_1 USING INDEX ix_claims_job_id" in step for step in steps), steps


@pytest.mark.parametrize(
    ("statement", "keys"),
    [
        (retired._IN_USE, [1]),
        (retired._RETIRED_NAMED, ["a.root"]),
        (retired._RETIRED_INPUTS, [1]),
        (output_counts._MAKERS, [1]),
        (output_counts._LOST_SOME, [1]),
        (output_counts._GONE, [1]),
        (output_counts._UNARRIVED, [1]),
        (output_counts._UNARRIVED_OF_JOBS, [1]),
    ],
)
def test_no_table_is_gone_through(
    production: Production, statement: str, keys: list[int] | list[str]
) -> None:
    with production.database.reading.connect() as connection:
        steps = _plan(connection, statement, keys)

    scanned = [step for step in steps if step.startswith("SCAN") and "json_each" not in step]
    assert scanned == []


def _plan(connection: Connection, statement: str, keys: list[int] | list[str]) -> list[str]:
    text, values = _among(connection, statement, keys)
    before = (1,) * (text.count("?") - len(values))
    rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", (*before, *values))
    return [row[-1] for row in rows]
