"""Jobs that wait for blobs which their records name and nobody has sent yet."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.queries.fragments.membership import rows_among
from jobprov.provenance.db.tables import AwaitedBlob, Experiment, Job, Possession


def is_awaited(connection: Connection, sha256: str) -> bool:
    """Whether any job waits for the blob."""
    query = select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == sha256).limit(1)
    return connection.execute(query).first() is not None


def arrived_among(connection: Connection, digests: Sequence[str]) -> list[str]:
    """Return the digests that somebody possesses and some job waits for, sorted."""
    is_waited_for = select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == Possession.sha256)
    query = select(Possession.sha256).where(is_waited_for.exists())
    return sorted({row[0] for row in rows_among(connection, query, Possession.sha256, digests)})


def jobs_awaiting(connection: Connection, sha256: str) -> list[int]:
    """Return the keys of the jobs that wait for the blob."""
    query = (
        select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == sha256).order_by(AwaitedBlob.job_id)
    )
    return list(connection.execute(query).scalars())


def experiments_awaiting(connection: Connection, digests: Sequence[str]) -> list[tuple[str, str]]:
    """Return pairs of an experiment, by name, and a blob that its jobs wait for, in order."""
    query = (
        select(Experiment.name, AwaitedBlob.sha256)
        .join(Job, Job.experiment_id == Experiment.id)
        .join(AwaitedBlob, AwaitedBlob.job_id == Job.id)
        .distinct()
    )
    rows = rows_among(connection, query, AwaitedBlob.sha256, digests)
    return sorted((name, sha256) for name, sha256 in rows)
