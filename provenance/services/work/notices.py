"""Notices of what has come, for whoever brings the gaps of jobs up to date.

Each notice is a piece of background work.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.provenance.db.queries.holdings.awaited import arrived_among, is_awaited
from jobprov.provenance.services.work.queue import enqueue, enqueue_all

REFRESH = "refresh"


def blob_arrived(connection: Connection, sha256: str) -> None:
    """Have the jobs looked at again that wait for this blob, where there are any.

    Another process may record such a job at the same moment, and see no blob where this one sees no
    job: sealing asks again.
    """
    if is_awaited(connection, sha256):
        enqueue(connection, REFRESH, f"blob:{sha256}")


def blobs_there(connection: Connection, digests: Sequence[str]) -> None:
    """Have the jobs looked at again that wait for any of these blobs, which somebody possesses."""
    arrived = arrived_among(connection, digests)
    enqueue_all(connection, REFRESH, [f"blob:{sha256}" for sha256 in arrived])


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
