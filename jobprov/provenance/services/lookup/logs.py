"""The bytes of a job's log, to be read from anywhere in it."""

import hashlib
import io
from datetime import datetime
from typing import BinaryIO, NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.holdings.expiry import expired_logs
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.job_record import Log
from jobprov.provenance.services.intake.log_tails import read_tail
from jobprov.provenance.services.lookup.job import ReadJob


class OpenLog(NamedTuple):
    """A log, open.

    Attributes:
        sha256: of the bytes of the stream.
        is_truncated: whether the hook kept only head and tail.
        expired_at: when its middle expired, where it did.
        tail_at: when the last piece came, if it is only the end that the hook sent while the job
            ran.
    """

    name: str
    step: str | None
    size_bytes: int
    sha256: str
    is_truncated: bool
    stream: BinaryIO
    tail_at: datetime | None = None
    expired_at: datetime | None = None


def read_log(connection: Connection, store: Store, job: ReadJob, name: str) -> OpenLog:
    """Return a job's log by name; the caller closes the stream.

    If no record brought the log, it is the end that the hook sent while the job ran.

    Raises:
        NotFoundError: the job has no such log, or its bytes never came.
    """
    logs = job.reading.record.logs or []
    log = next((log for log in logs if log.name == name), None)
    if log is not None and log.sha256 is not None and _is_here(connection, job, log.sha256):
        size, stream = store.size(log.sha256), store.open(log.sha256)
        return OpenLog(log.name, log.step, size, log.sha256, bool(log.is_truncated), stream)

    tail = read_tail(connection, job.found.key, name)
    if tail is not None:
        sha256 = hashlib.sha256(tail.content).hexdigest()
        size, stream = len(tail.content), io.BytesIO(tail.content)
        return OpenLog(name, None, size, sha256, tail.start > 0, stream, tail.received_at)

    if log is None:
        names = [log.name for log in logs]
        raise NotFoundError(f"Job {job.found.job_id} has no log {name}.", names)
    expired = _open_expired(connection, store, job, log)
    if expired is None:
        raise NotFoundError(
            f"The bytes of log {name} of job {job.found.job_id} were never uploaded."
        )
    return expired


def _is_here(connection: Connection, job: ReadJob, sha256: str) -> bool:
    return bool(possessed_blobs(connection, job.found.experiment, [sha256]))


def _open_expired(connection: Connection, store: Store, job: ReadJob, log: Log) -> OpenLog | None:
    """Return the kept head and tail of a log whose middle expired; None where it did not."""
    if not log.sha256:
        return None
    kept = expired_logs(connection, job.found.experiment, [log.sha256]).get(log.sha256)
    if kept is None:
        return None
    return OpenLog(
        log.name,
        log.step,
        store.size(kept.kept_sha256),
        kept.kept_sha256,
        is_truncated=True,
        stream=store.open(kept.kept_sha256),
        expired_at=kept.expired_at,
    )
