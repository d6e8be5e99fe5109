"""How fast an archive grows: bytes per job so far, times the jobs of the last 30 days.

An archive that is younger grows by what came since its first job: a day's work is not spread over
the month before it.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.upkeep import RecordedJobs, count_recorded_since

_MOST_DAYS = 30


class Growth(NamedTuple):
    """The growth to be expected.

    Attributes:
        recent_jobs: jobs recorded in the last `days` days.
        days: 30, or fewer where the first job was recorded since; at least 1.
        bytes_a_day: None where no job was recorded in these days.
        days_left: until the disk is full at that pace; None where that is not known.
    """

    recent_jobs: int
    days: float
    bytes_a_day: float | None
    days_left: float | None


def count_recorded(connection: Connection, *, now: datetime) -> RecordedJobs:
    """Return how many jobs are recorded, in all and in the last 30 days."""
    return count_recorded_since(connection, now - timedelta(days=_MOST_DAYS))


def forecast_growth(
    stored_bytes: int, recorded: RecordedJobs, *, now: datetime, free_bytes: int | None
) -> Growth:
    """Return the expected growth of an archive that holds these bytes for these jobs."""
    days = _days_counted(recorded.first_at, now)
    if not recorded.recent_jobs or not stored_bytes:
        return Growth(recorded.recent_jobs, days, None, None)
    bytes_a_job = stored_bytes / recorded.jobs
    bytes_a_day = bytes_a_job * recorded.recent_jobs / days
    days_left = None if free_bytes is None else free_bytes / bytes_a_day
    return Growth(recorded.recent_jobs, days, bytes_a_day, days_left)


def _days_counted(first_at: datetime | None, now: datetime) -> float:
    """Return over how many days the recent jobs came."""
    if first_at is None:
        return _MOST_DAYS
    age_days = (now - first_at) / timedelta(days=1)
    return min(max(age_days, 1), _MOST_DAYS)
