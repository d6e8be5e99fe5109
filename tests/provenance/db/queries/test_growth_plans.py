"""How SQLite reads what grows with a campaign: not by an index that leads all over a table."""

import pytest
from sqlalchemy import event

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
