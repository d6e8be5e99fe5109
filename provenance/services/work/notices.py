"""What came, told to those that bring the gaps of jobs up to date.

Each notice is a piece of background work.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.tables import (
    AwaitedBlob,
    Possession,
)
from jobprov.provenance.services.work.queue import enqueue, enqueue_all

REFRESH = "refresh"


def blob_arrived(connection: Connection, sha256: str) -> None:
    """Have the jobs looked at again that wait for this blob, where there are any.

    Another process may record such a job at the same moment, and see no blob where this one sees no
    job: sealing asks again.
    """
    waits = select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == sha256).limit(1)
    if connection.execute(waits).first() is not None:
        enqueue(connection, REFRESH, f"blob:{sha256}")


def blobs_there(connection: Connection, digests: Sequence[str]) -> None:
    """Have the jobs looked at again that wait for any of these blobs, which somebody possesses."""
    waits = select(AwaitedBlob.job_id).where(AwaitedBlob.sha256 == Possession.sha256).exists()
    for part in chunks(digests):
        rows = connection.execute(
            select(Possession.sha256).where(Possession.sha256.in_(part), waits)
        )
        awaited = sorted({row.sha256 for row in rows})
        enqueue_all(connection, REFRESH, [f"blob:{sha256}" for sha256 in awaited])


def blob_erased(connection: Connection, experiment: str, sha256: str) -> None:
    """Have the jobs of an experiment looked at again whose records name this blob."""
    enqueue(connection, REFRESH, f"named:{sha256}:{experiment}")


def code_resolved(connection: Connection, software_sha256: str) -> None:
    """Have the jobs looked at again that used this software entry."""
    enqueue(connection, REFRESH, f"software:{software_sha256}")


def configuration_evaluated(connection: Connection, key: str) -> None:
    """Have the jobs looked at again that ran this configuration.

    `key` is that of its evaluation.
    """
    enqueue(connection, REFRESH, f"configuration:{key}")


def capsule_registered(connection: Connection, entry: int) -> None:
    """Have the jobs looked at again that this registration serves."""
    enqueue(connection, REFRESH, f"capsule:{entry}")
