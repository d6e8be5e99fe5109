"""How many jobs were recorded, and how many of them lately."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import Job


class RecordedJobs(NamedTuple):
    """How many jobs are recorded, in all and since a moment."""

    jobs: int
    recent_jobs: int


def count_recorded_since(connection: Connection, moment: datetime) -> RecordedJobs:
    """Return how many jobs are recorded, in all and since this moment."""
    recent = func.count().filter(Job.received_at >= moment)
    return RecordedJobs(*connection.execute(select(func.count(), recent).select_from(Job)).one())
