"""How databases read what grows with a campaign.

SQLite does not follow an index that leads all over a table; PostgreSQL does not search a list of all
tasks for each job.
"""

from typing import Any

import pytest
from sqlalchemy import event

from jobprov.provenance.db.queries.statistics.campaign_graph import fold_tasks
from jobprov.provenance.db.queries.tasks.tasks import declared_tasks
from tests.library.production import Production
from tests.library.records import a_record


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_tasks_that_nobody_declared_are_passed_in_the_order_of_their_keys(
    production: Production,
) -> None:
    for number in range(1, 4):
        production.record(a_record(number, task={"task_id": f"t{number}"}))
    asked: list[tuple[str, object]] = []

    with production.database.reading.connect() as connection:

        @event.listens_for(connection, "before_cursor_execute")
        def note(_1: object, _2: object, text: str, values: object, *_: object) -> None:
            asked.append((text, values))

        found = declared_tasks(connection, "nova", most=10)
        (text, values) = asked[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()  # type: ignore[arg-type]

    steps = [row[3] for row in plan]
    assert found == []
    assert steps[0] == "SCAN tasks"
    assert not any("ORDER BY" in step for step in steps), "they are in order as they are read"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_folding_looks_tasks_up_by_a_hash_when_it_is_planned_for_any_values(
    production: Production,
) -> None:
    """So it is planned from the eleventh part of a campaign on; of 63 parts that was not done."""
    asked: list[tuple[str, Any]] = []

    with production.database.reading.connect() as connection:

        @event.listens_for(connection, "before_cursor_execute")
        def note(_1: object, _2: object, text: str, values: Any, *_: object) -> None:
            asked.append((text, values))

        fold_tasks(connection, [1, 2, 3])
        [(flows, values)] = [(text, values) for text, values in asked if "mentions" in text]
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        rows = connection.exec_driver_sql(f"EXPLAIN {flows}", values).scalars().all()

    plan = "\n".join(rows)
    assert plan.count("hashed SubPlan") == 1
    assert plan.count("= ANY") == 1, "that of the few tasks of the part"
