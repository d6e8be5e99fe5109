"""Jobs that wait for blobs which their records name and nobody has sent yet."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import AwaitedBlob, Experiment, Job, Possession
from jobprov.provenance.db.writer.keys import chunks


def is_awaited(connection: Connection, sha256: str) -> bool:
    """Whether any job waits for the blob."""
    query = select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == sha256).limit(1)
    return connection.execute(query).first() is not None


def arrived_among(connection: Connection, digests: Sequence[str]) -> list[str]:
    """Return the digests that somebody possesses and some job waits for, sorted."""
    is_waited_for = select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == Possession.sha256)
    arrived: set[str] = set()
    for part in chunks(digests):
        query = select(Possession.sha256).where(Possession.sha256.in_(part), is_waited_for.exists())
        arrived.update(connection.execute(query).scalars())
    return sorted(arrived)


def jobs_awaiting(connection: Connection, sha256: str) -> list[int]:
    """Return the keys of the jobs that wait for the blob."""
    query = (
        select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == sha256).order_by(AwaitedBlob.job_id)
    )
    return list(connection.execute(query).scalars())


def experiments_awaiting(connection: Connection, digests: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of an experiment, by name, and a blob that its jobs wait for, in order."""
    awaited: list[tuple[str, str]] = []
    for part in chunks(digests):
        query = (
            select(Experiment.name, AwaitedBlob.sha256)
            .join(Job, Job.experiment_id == Experiment.id)
            .join(AwaitedBlob, AwaitedBlob.job_id == Job.id)
            .where(AwaitedBlob.sha256.in_(part))
            .distinct()
        )
        awaited += [(name, sha256) for name, sha256 in connection.execute(query)]
    return sorted(awaited)
