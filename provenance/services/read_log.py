"""The bytes of a job's log, to be read from anywhere in it."""

from typing import BinaryIO, NamedTuple, Protocol

from sqlalchemy import Connection

from provenance.errors import NotFoundError
from provenance.services.findings import possessed_blobs
from provenance.services.ledger import Documents
from provenance.services.show_job import read_job


class Blobs(Documents, Protocol):
    """The part of the archive that logs are read from."""

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob as a readable file."""

    def size(self, sha256: str) -> int:
        """Return the bytes of a blob, uncompressed."""


class OpenLog(NamedTuple):
    """A log, open.

    Attributes:
        is_truncated: whether the hook kept only head and tail.
    """

    name: str
    step: str | None
    size_bytes: int
    is_truncated: bool
    stream: BinaryIO


def read_log(connection: Connection, store: Blobs, job_id: str, name: str, *, experiment: str | None = None) -> OpenLog:
    """Return a job's log by name; the caller closes the stream.

    Raises:
        NotFoundError: no such job, no such log, or its bytes never came.
    """
    job = read_job(connection, store, job_id, experiment=experiment)
    logs = job.reading.record.logs or []
    found = next((log for log in logs if log.name == name), None)
    if found is None:
        raise NotFoundError(f"Job {job_id} has no log {name}.", [log.name for log in logs])
    if found.sha256 is None or not possessed_blobs(connection, job.found.experiment, [found.sha256]):
        raise NotFoundError(f"The bytes of log {name} of job {job_id} were never uploaded.")
    size = store.size(found.sha256)
    return OpenLog(found.name, found.step, size, bool(found.is_truncated), store.open(found.sha256))
