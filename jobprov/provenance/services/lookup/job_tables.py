"""What the page of jobs shows besides the jobs: their files, counts, and how they can be sorted."""

from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.answers.lookup.job_facets import JobFacets
from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.answers.names import FileName
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.lookup.jobs.summaries import first_files
from jobprov.provenance.db.queries.lookup.lists.few_jobs import keys_of_few
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters, look_up_keys
from jobprov.provenance.db.queries.lookup.lists.job_orders import MOST_SORTED
from jobprov.provenance.errors import LimitError
from jobprov.provenance.services.lookup.job_facets import count_facets, uncounted
from jobprov.provenance.services.lookup.named_filters import named_filters

_PAGE_FACETS = (
    "experiment",
    "campaign",
    "stage",
    "task_id",
    "site",
    "host",
    "exit_code",
    "failed_step",
    "failure_class",
)
_PAGE_VALUES = 8
_COUNTING_SECONDS = 1.0
_FEWER = "the page goes without counts"


class AroundJobs(NamedTuple):
    """What there is to know of all jobs of a list.

    Attributes:
        filters: of the list, with all that they name looked up, so that the list itself need not.
        facets: counts by state, and by all that the list is not filtered by; none where they would
            take too long for a page.
        is_short: whether it can be sorted by every column.
    """

    filters: JobFilters
    facets: JobFacets
    is_short: bool


def look_around(connection: Connection, filters: JobFilters) -> AroundJobs:
    """Return what there is to know of all jobs that pass the filters.

    Raises:
        BadInputError, NotFoundError, AmbiguousError, LimitError: see `count_facets`.
    """
    facets = [name for name in _PAGE_FACETS if getattr(filters, name) is None]
    filters = named_filters(connection, filters)
    try:
        with time_limit(connection, _FEWER, seconds=_COUNTING_SECONDS):
            filters = look_up_keys(connection, filters)
            counted = count_facets(connection, filters, ["state", *facets], limit=_PAGE_VALUES)
    except LimitError:
        # the list itself matters more; what PostgreSQL ended has to be given up
        connection.rollback()
        counted = uncounted(["state"])
    few = keys_of_few(connection, filters, MOST_SORTED)
    return AroundJobs(filters, counted, few is not None)


def files_of(connection: Connection, jobs: Iterable[JobSummary]) -> dict[tuple[str, str], FileName]:
    """Return the first file of each of these jobs, by job id and experiment."""
    return first_files(connection, [job.job_id for job in jobs if job.output_count])
