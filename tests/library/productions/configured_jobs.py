"""Jobs whose fcl text is here, and which of them a question to parameters finds."""

from typing import Any

from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.services.lookup.jobs import list_jobs
from tests.library.production import Production
from tests.library.records import record_of


def configured(
    production: Production, number: int, text: bytes, *, experiment: str = "nova", **more: Any
) -> dict[str, Any]:
    """Return the record of a job that ran this text, whose bytes are here."""
    sha256 = production.upload(text, experiment)
    closure = {
        "step": "art",
        "main": "job.fcl",
        "files": [{"name": "job.fcl", "sha256": sha256}],
        **more,
    }
    return record_of(number, experiment=experiment, configurations=[closure])


def found(production: Production, **filters: Any) -> list[int]:
    """Return the numbers of the jobs that are listed, in order of number."""
    with production.database.reading.connect() as connection:
        return sorted(
            int(job.job_id[-4:], 16) for job in list_jobs(connection, JobFilters(**filters)).jobs
        )


def paged(production: Production, **filters: Any) -> list[int]:
    """Return the numbers of the jobs listed, three a page."""
    numbers, cursor = [], None
    with production.database.reading.connect() as connection:
        while True:
            page = list_jobs(connection, JobFilters(**filters), limit=3, cursor=cursor)
            numbers += [int(job.job_id[-4:], 16) for job in page.jobs]
            cursor = page.next
            if cursor is None:
                return numbers
            assert len(page.jobs) == 3
