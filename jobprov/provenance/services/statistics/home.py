"""What the home page shows: the newest jobs, what campaigns there are, how much is recorded."""

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.reruns.reproduction import Reproduction
from jobprov.provenance.answers.tasks.queue import Queue
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.db.queries.lookup.lists.jobs import list_job_rows
from jobprov.provenance.db.queries.statistics.home import Amounts, recorded_amounts
from jobprov.provenance.services.reruns.reproduction import reproduction_facts
from jobprov.provenance.services.tasks.queue import whole_queue

NEWEST = 20


class HomeFacts(NamedTuple):
    """What the home page shows besides campaigns.

    Attributes:
        newest: the newest jobs.
        amounts: how many jobs and files are recorded.
        reproduction: as `GET /reproduction` answers it.
        queue: how many jobs run and wait, without the jobs.
    """

    experiments: list[str]
    newest: list[JobSummary]
    amounts: Amounts
    reproduction: Reproduction
    queue: Queue


def home_facts(connection: Connection) -> HomeFacts:
    """Return what the home page shows; counts come from indexes alone."""
    rows = list_job_rows(connection, JobFilters(), limit=NEWEST, before=None)
    return HomeFacts(
        experiments=experiment_names(connection),
        newest=[summary for _, summary in rows],
        amounts=recorded_amounts(connection),
        reproduction=reproduction_facts(connection, datetime.now(UTC)),
        queue=whole_queue(connection, limit=0),
    )
