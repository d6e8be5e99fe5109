"""Jobs that did not succeed are few: their own index leads to them, never a look at every job."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, event

from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production

QUESTIONS: dict[str, Callable[[Connection], object]] = {
    "failures to read again": lambda connection: failures_of(connection, None),
    "failures of an experiment": lambda connection: failures_of(connection, 1),
    "list of killed jobs": lambda connection: list_jobs(connection, JobFilters(state="killed")),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_failures_are_found_by_their_index(
    production: Production, question: Callable[[Connection], object]
) -> None:
    statements: list[tuple[str, Any]] = []
    with production.database.reading.connect() as connection:

        def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
            statements.append((statement, values))

        event.listen(connection, "before_cursor_execute", note)
        question(connection)
        event.remove(connection, "before_cursor_execute", note)
        steps = [
            row[3]
            for statement, values in statements
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]

    assert [step for step in steps if "ix_jobs_bad" in step]
    assert not [step for step in steps if step.startswith("SCAN jobs")]
