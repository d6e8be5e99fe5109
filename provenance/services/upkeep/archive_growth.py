"""How fast an archive grows: bytes per job so far, times the jobs of the last 30 days."""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.upkeep.archive import (
    RecordedJobs,
    count_recorded_since,
)

_DAYS = 30


class Growth(NamedTuple):
    """The growth to be expected.

    Attributes:
        recent_jobs: jobs recorded in the last 30 days.
        bytes_a_day: None where no job was recorded in these days.
        days_left: until the disk is full at that pace; None where that is not known.
    """

    recent_jobs: int
    bytes_a_day: float | None
    days_left: float | None


def count_recorded(connection: Connection, *, now: datetime) -> RecordedJobs:
    """Return how many jobs are recorded, in all and in the last 30 days."""
    return count_recorded_since(connection, now - timedelta(days=_DAYS))


def forecast_growth(
    stored_bytes: int, jobs: int, recent_jobs: int, *, free_bytes: int | None
) -> Growth:
    """Return the expected growth of an archive that holds so many bytes of so many jobs."""
    if not recent_jobs or not stored_bytes:
        return Growth(recent_jobs, None, None)
    bytes_a_job = stored_bytes / jobs
    bytes_a_day = bytes_a_job * recent_jobs / _DAYS
    days_left = None if free_bytes is None else free_bytes / bytes_a_day
    return Growth(recent_jobs, bytes_a_day, days_left)
