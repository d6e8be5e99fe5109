"""Background work that brings the gaps of jobs up to date after something has come or gone.

Each function here queues one piece of such work; its key names what has changed.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from sqlalchemy import Connection

from jobprov.provenance.db.queries.holdings.awaited import arrived_among, is_awaited
from jobprov.provenance.services.work.queue import enqueue_news

REFRESH = "refresh"
ERASED = "erased"
"""Kind of the notices of `blob_erased`, which an erasure works off without the others."""


def blob_arrived(connection: Connection, sha256: str) -> None:
    """Queue the jobs that wait for this blob, if there are any.

    Another process may be recording such a job at this moment: it sees no blob yet, and this one
    sees no job yet. Sealing therefore asks again (`blobs_there`).
    """
    if is_awaited(connection, sha256):
        enqueue_news(connection, REFRESH, [f"blob:{sha256}"])


def blobs_there(connection: Connection, digests: Sequence[str]) -> None:
    """Queue the jobs that waited for any of these blobs, which are here now."""
    arrived = arrived_among(connection, digests)
    enqueue_news(connection, REFRESH, [f"blob:{sha256}" for sha256 in arrived])


def blob_erased(connection: Connection, experiment: str, sha256: str) -> None:
    """Queue the jobs of an experiment whose records name this blob."""
    enqueue_news(connection, ERASED, [f"named:{sha256}:{experiment}"])


def code_resolved(connection: Connection, software_sha256: str) -> None:
    """Queue the jobs that used this software entry."""
    enqueue_news(connection, REFRESH, [f"software:{software_sha256}"])


def configuration_evaluated(connection: Connection, key: str) -> None:
    """Queue the jobs that ran this configuration; `key` is that of its evaluation."""
    enqueue_news(connection, REFRESH, [f"configuration:{key}"])


def kinds_traced(connection: Connection, kinds: AbstractSet[tuple[str, str]]) -> None:
    """Queue the jobs that ended before the traced one of their kind: experiment and key.

    Without asking whether there are any: one that is recorded at this moment is not seen yet.
    """
    keys = [f"trace:{key}:{experiment}" for experiment, key in sorted(kinds)]
    enqueue_news(connection, REFRESH, keys)


def capsule_registered(connection: Connection, entry: int) -> None:
    """Queue the jobs that this registration of a capsule serves."""
    enqueue_news(connection, REFRESH, [f"capsule:{entry}"])
