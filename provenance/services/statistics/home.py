"""What the home page shows: the newest jobs, what campaigns there are, how much is recorded."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.reruns import Reproduction
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.db.queries.lookup.jobs import JobFilters, list_job_rows
from jobprov.provenance.db.queries.statistics.home import (
    highest_file_key,
    highest_job_key,
)
from jobprov.provenance.services.reruns.reproduction import reproduction_facts

NEWEST = 20


class HomeFacts(NamedTuple):
    """What the home page shows besides campaigns.

    Attributes:
        newest: the newest jobs.
        job_count, file_count: the highest keys: rows are never removed, so it is their number, or a
            little more.
        reproduction: as `GET /reproduction` answers it.
    """

    experiments: list[str]
    newest: list[JobSummary]
    job_count: int
    file_count: int
    reproduction: Reproduction


def home_facts(connection: Connection) -> HomeFacts:
    """Return what the home page shows; counts come from indexes alone."""
    rows = list_job_rows(connection, JobFilters(), limit=NEWEST, before=None)
    return HomeFacts(
        experiments=experiment_names(connection),
        newest=[summary for _, summary in rows],
        job_count=highest_job_key(connection),
        file_count=highest_file_key(connection),
        reproduction=reproduction_facts(connection, datetime.now(UTC)),
    )
