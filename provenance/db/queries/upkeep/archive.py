"""What the database knows of its archive: which one it is, what it must hold, how fast it grows."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import AwaitedBlob, ExpiredLog, Job, OwnArchive, Possession


def known_archive(connection: Connection) -> str | None:
    """Return the identity of the archive that the database was written with; None if it is new."""
    return connection.execute(select(OwnArchive.identity)).scalar_one_or_none()


class AwaitedCount(NamedTuple):
    """How many blobs that records name never came, and how many jobs wait for any of them."""

    blobs: int
    jobs: int


def all_possessed(connection: Connection) -> Iterator[str]:
    """Yield the digest of every blob that any experiment uploaded."""
    query = select(Possession.sha256).distinct()
    # In parts: a service may possess millions
    rows = connection.execution_options(yield_per=5000).execute(query)
    yield from (row[0] for row in rows)


def count_awaited(connection: Connection) -> AwaitedCount:
    """Return how many blobs never came. Expired logs do not count: they came, and went again."""
    is_expired = AwaitedBlob.sha256.in_(select(ExpiredLog.sha256))
    blobs = select(func.count(AwaitedBlob.sha256.distinct())).where(~is_expired)
    jobs = select(func.count(AwaitedBlob.job_id.distinct())).where(~is_expired)
    return AwaitedCount(
        connection.execute(blobs).scalar_one(), connection.execute(jobs).scalar_one()
    )


class RecordedJobs(NamedTuple):
    """How many jobs are recorded, in all and since a moment, and when the first was."""

    jobs: int
    recent_jobs: int
    first_at: datetime | None


def count_recorded_since(connection: Connection, moment: datetime) -> RecordedJobs:
    """Return how many jobs are recorded, in all and since this moment."""
    recent = func.count().filter(Job.received_at >= moment)
    query = select(func.count(), recent, func.min(Job.received_at)).select_from(Job)
    return RecordedJobs(*connection.execute(query).one())
