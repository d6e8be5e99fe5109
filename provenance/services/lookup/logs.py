"""The bytes of a job's log, to be read from anywhere in it."""

import io
from datetime import datetime
from typing import BinaryIO, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.holdings.expiry import expired_logs
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.intake.log_tails import read_tail
from jobprov.provenance.services.lookup.job import read_job
from jobprov.provenance.services.recording.findings import possessed_blobs


class OpenLog(NamedTuple):
    """A log, open.

    Attributes:
        is_truncated: whether the hook kept only head and tail.
        expired_at: when its middle expired, where it did.
        tail_at: where it is only what the hook sent while the job ran: when the last of it came.
    """

    name: str
    step: str | None
    size_bytes: int
    is_truncated: bool
    stream: BinaryIO
    tail_at: datetime | None = None
    expired_at: datetime | None = None


def read_log(
    connection: Connection,
    store: Store,
    job_id: str,
    name: str,
    *,
    experiment: str | None = None,
) -> OpenLog:
    """Return a job's log by name; the caller closes the stream.

    Where no record brought it, the end that came while the job ran.

    Raises:
        NotFoundError: no such job, no such log, or its bytes never came.
    """
    job = read_job(connection, store, job_id, experiment=experiment)
    logs = job.reading.record.logs or []
    found = next((log for log in logs if log.name == name), None)
    if (
        found is None
        or found.sha256 is None
        or not possessed_blobs(connection, job.found.experiment, [found.sha256])
    ):
        tail = read_tail(connection, job.found.key, name)
        if tail is not None:
            content = io.BytesIO(tail.content)
            return OpenLog(name, None, len(tail.content), tail.start > 0, content, tail.received_at)
        if found is None:
            raise NotFoundError(f"Job {job_id} has no log {name}.", [log.name for log in logs])
        digests = [found.sha256] if found.sha256 else []
        for kept in expired_logs(connection, job.found.experiment, digests).values():
            size = store.size(kept.kept_sha256)
            stream = store.open(kept.kept_sha256)
            return OpenLog(
                found.name,
                found.step,
                size,
                is_truncated=True,
                stream=stream,
                expired_at=kept.expired_at,
            )
        raise NotFoundError(f"The bytes of log {name} of job {job_id} were never uploaded.")
    size = store.size(found.sha256)
    return OpenLog(found.name, found.step, size, bool(found.is_truncated), store.open(found.sha256))
