"""Jobs that did not succeed are few: their own index leads to them, never a look at every job."""

from collections.abc import Callable

import pytest
from sqlalchemy import Connection

from jobprov.provenance.db.queries.failures.rules import failures_of
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production
from tests.library.statements import plan_of, statements_sent

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
    steps: list[str] = []
    with production.database.reading.connect() as connection:
        with statements_sent(connection) as statements:
            question(connection)
        for statement in statements:
            steps += plan_of(connection, statement)

    assert [step for step in steps if "ix_jobs_bad" in step]
    assert not [step for step in steps if step.startswith("SCAN jobs")]
