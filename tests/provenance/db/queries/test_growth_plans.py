"""How databases read what grows with a campaign.

The newest jobs of a host are the last of its own in an index. SQLite does not follow an index that
leads all over a table; PostgreSQL does not search a list of all tasks for each job.
"""

import pytest

from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.lookup.lists.jobs import list_job_rows
from jobprov.provenance.db.queries.statistics.campaign_graph import fold_tasks
from jobprov.provenance.db.queries.tasks.tasks import newest_declared_tasks
from tests.library.production import Production
from tests.library.records import a_record
from tests.library.statements import plan_of, statements_sent


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_tasks_that_nobody_declared_are_passed_in_the_order_of_their_keys(
    production: Production,
) -> None:
    for number in range(1, 4):
        production.record(a_record(number, task={"task_id": f"t{number}"}))

    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            tasks = newest_declared_tasks(connection, "nova", most=10)
        steps = plan_of(connection, statements[-1])

    assert tasks == []
    assert steps[0] == "SCAN tasks"
    assert not any("ORDER BY" in step for step in steps), "they are in order as they are read"


def test_newest_jobs_of_a_host_are_read_in_the_order_of_an_index(production: Production) -> None:
    """A host that runs for years has ever more jobs, and none of the older ones is looked at."""
    for number in range(1, 6):
        production.record(a_record(number, host={"hostname": f"wn{number % 2}"}))

    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            jobs = list_job_rows(connection, JobFilters(host="wn1"), limit=2, before=None)
        if not production.database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        [page] = [statement for statement in statements if "LIMIT" in statement.sql]
        steps = plan_of(connection, page)

    [place] = [number for number, step in enumerate(steps) if "ix_jobs_host_id_id" in step]
    assert len(jobs) == 2
    assert "Only" in steps[place] or "COVERING" in steps[place], steps
    assert "Sort" not in steps[place - 1], steps
    assert "ORDER BY" not in steps[place + 1], steps


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_folding_looks_tasks_up_by_a_hash_when_it_is_planned_for_any_values(
    production: Production,
) -> None:
    """So it is planned from the eleventh part of a campaign on; of 63 parts that was not done."""
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            fold_tasks(connection, [1, 2, 3])
        [flows] = [statement for statement in statements if "mentions" in statement.sql]
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        plan = "\n".join(plan_of(connection, flows))

    assert plan.count("hashed SubPlan") == 1
    assert plan.count("= ANY") == 1, "that of the few tasks of the part"
