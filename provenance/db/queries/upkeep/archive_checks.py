"""The blobs that the archive must hold, and how many never came."""

from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from jobprov.provenance.db.tables import AwaitedBlob, ExpiredLog, Possession


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
