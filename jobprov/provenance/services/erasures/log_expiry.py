"""Expires the logs of old jobs that succeeded: only the beginning and the end are kept.

The digest of the whole log stays in the record, and a gap says that it expired. Logs of failed jobs
and logs in bundles stay whole. The expiry is in the ledger before the bytes are erased; a crash in
between leaves bytes that nobody possesses, which the next run erases.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.erasures import (
    NewExpiredLog,
    note_looked_at,
    remove_possessions,
    replace_expired_logs,
)
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.holdings.expiry import (
    OldJob,
    all_expired,
    expired_logs,
    last_looked_at,
    needed_by_nobody,
    old_jobs,
)
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.ledger.witnessed_jobs import read_records
from jobprov.provenance.services.recording.gap_updates import refresh_jobs
from jobprov.provenance.services.writing import Writer, Writing

KEPT_BYTES = 64 * 1024
"""So much is kept of the beginning, and as much of the end."""

_JOBS_AT_ONCE = 100
"""Jobs of one transaction; their logs are in one ledger entry."""


class Expiry(NamedTuple):
    """What an expiry did, or would do.

    Attributes:
        jobs: how many were looked at.
        logs: how many expired.
        freed_bytes: their content without what is kept, uncompressed.
        is_whole: whether nothing is left to expire; if False, the next run continues.
        left: how many logs a damaged pack still holds a copy of.
    """

    jobs: int = 0
    logs: int = 0
    freed_bytes: int = 0
    is_whole: bool = True
    left: int = 0


class Owner(NamedTuple):
    """An experiment, by name and integer key."""

    name: str
    key: int


class _Place(NamedTuple):
    """Where logs expire, and how many bytes are kept of the beginning and of the end of each."""

    database: Database
    writer: Writer
    store: Store
    whose: Owner
    kept_bytes: int


class _Log(NamedTuple):
    sha256: str
    size_bytes: int


class _Part(NamedTuple):
    """Some jobs, looked at together.

    Attributes:
        jobs: their keys, in order.
        logs: those of their logs that expire now.
        touched: the jobs that name one of these logs, or one that expired before.
    """

    jobs: list[int]
    logs: list[_Log]
    touched: list[int]

    @property
    def size_bytes(self) -> int:
        """Return the size of the logs together."""
        return sum(log.size_bytes for log in self.logs)


class _LogsOfJobs(NamedTuple):
    """The logs that some jobs name, by digest.

    Attributes:
        jobs_by_log: keys of the jobs that name each log.
        expired: logs that expired before.
        may_expire: logs that are possessed and that none of the jobs needs whole.
    """

    jobs_by_log: dict[str, list[int]]
    expired: set[str]
    may_expire: set[str]


def expire_logs(
    database: Database,
    writer: Writer,
    store: Store,
    experiment: str,
    *,
    before: datetime,
    quota_bytes: int | None = None,
    kept_bytes: int = KEPT_BYTES,
    most_jobs: int = 100_000,
    is_trial: bool = False,
) -> Expiry:
    """Expire the logs of an experiment's jobs that succeeded and were recorded before a moment.

    Return what was done.

    Args:
        writer: all writing goes through it, in short transactions.
        before: when the jobs were recorded.
        quota_bytes: how much the whole logs of these jobs may take together; only the oldest beyond
            that expire.
        kept_bytes: of the beginning, and of the end. A log not larger than both together stays.
        most_jobs: how many jobs to look at.
        is_trial: change nothing.

    Raises:
        NotFoundError: no such experiment is recorded.
    """
    with database.reading.connect() as connection:
        key = find_experiment(connection, experiment)
        after = last_looked_at(connection, key)
    place = _Place(database, writer, store, Owner(experiment, key), kept_bytes)
    if not is_trial:
        # Logs that expired in a run that crashed before it erased them
        _erase(place, None)
    excess_bytes = math.inf
    if quota_bytes is not None:
        # One more pass over the records: how much is too much is known only at the end
        whole_bytes = sum(part.size_bytes for part in _read(place, after, before))
        excess_bytes = whole_bytes - quota_bytes
    done = Expiry()
    for part in _read(place, after, before):
        if done.freed_bytes >= excess_bytes:
            return done._replace(is_whole=True)
        if done.jobs >= most_jobs:
            return done._replace(is_whole=False)
        left = 0
        if not is_trial:
            left = _expire(place, part)
        done = Expiry(
            jobs=done.jobs + len(part.jobs),
            logs=done.logs + len(part.logs),
            freed_bytes=done.freed_bytes + part.size_bytes - 2 * kept_bytes * len(part.logs),
            left=done.left + left,
        )
    return done


def _read(place: _Place, after: int, before: datetime) -> Iterator[_Part]:
    """Yield the old jobs in the order in which they came, some at once, with logs to expire."""
    while True:
        with place.database.reading.connect() as connection:
            jobs = old_jobs(
                connection, place.whose.key, after=after, before=before, limit=_JOBS_AT_ONCE
            )
            logs = _logs_of(connection, place, jobs)
        if not jobs:
            return
        large = _large_logs(place, logs.may_expire)
        gone = logs.expired | {log.sha256 for log in large}
        touched: set[int] = set()
        for sha256 in gone:
            touched.update(logs.jobs_by_log[sha256])
        yield _Part([job.key for job in jobs], large, sorted(touched))
        after = jobs[-1].key


def _logs_of(connection: Connection, place: _Place, jobs: Sequence[OldJob]) -> _LogsOfJobs:
    """Return the logs of jobs, and which of them may expire: those that no job needs whole."""
    needing = {job.key for job in jobs if not job.may_expire}
    records = read_records(connection, place.store, [job.key for job in jobs])
    jobs_by_log: dict[str, list[int]] = {}
    for key, record in records.items():
        for log in record.logs or ():
            if log.sha256 is not None:
                jobs_by_log.setdefault(log.sha256, []).append(key)
    expired = set(expired_logs(connection, place.whose.name, jobs_by_log))
    unneeded = set()
    for sha256, keys in jobs_by_log.items():
        # Several jobs may share a log: it stays whole while one of them needs it
        if sha256 not in expired and needing.isdisjoint(keys):
            unneeded.add(sha256)
    may_expire = possessed_blobs(connection, place.whose.name, unneeded)
    return _LogsOfJobs(jobs_by_log, expired, may_expire)


def _large_logs(place: _Place, digests: set[str]) -> list[_Log]:
    """Return the logs that are larger than what would be kept of them."""
    logs: list[_Log] = []
    for sha256 in sorted(digests):
        size_bytes = _size(place.store, sha256)
        if size_bytes is not None and size_bytes > 2 * place.kept_bytes:
            logs.append(_Log(sha256, size_bytes))
    return logs


def _size(store: Store, sha256: str) -> int | None:
    try:
        return store.size(sha256)
    except ArchiveError:
        return None  # damaged or gone: not to be hidden by an expiry; `archive check` reports it


def _expire(place: _Place, part: _Part) -> int:
    """Store beginnings and ends, enter the expiry in the ledger, then erase the whole logs.

    Return how many logs could not be erased.
    """
    expired: list[NewExpiredLog] = []
    for log in part.logs:
        kept = place.store.put(_kept(place.store, log, place.kept_bytes))
        expired.append(NewExpiredLog(log.sha256, kept.sha256, log.size_bytes))
    whose = place.whose

    def write(writing: Writing) -> None:
        if expired:
            document = {"logs": [log._asdict() for log in expired]}
            entry = enter_document(writing, whose.key, "expiry", document)
            write_expiry_rows(writing, whose, entry, expired)
            uploads = [Upload(whose.name, log.kept_sha256) for log in expired]
            grant_possession(writing, uploads)
        if part.touched:
            refresh_jobs(writing, part.touched)
        note_looked_at(writing.connection, whose.key, part.jobs[-1])

    place.writer.run(write)
    return _erase(place, [log.sha256 for log in part.logs])


def _kept(store: Store, log: _Log, kept_bytes: int) -> bytes:
    """Return the beginning and the end of a log, with a line between them about what is missing."""
    with store.open(log.sha256) as stream:
        begin = stream.read(kept_bytes)
        stream.seek(log.size_bytes - kept_bytes)
        end = stream.read(kept_bytes)
    between = log.size_bytes - 2 * kept_bytes
    return begin + b"\n[jobprov: %d bytes of the log expired]\n" % between + end


def write_expiry_rows(
    writing: Writing, whose: Owner, entry: int, logs: Sequence[NewExpiredLog]
) -> None:
    """Write the rows of an expiry whose ledger entry exists: the experiment loses these logs."""
    replace_expired_logs(writing.connection, whose.key, entry, logs)
    remove_possessions(writing, whose.name, whose.key, [log.sha256 for log in logs])


def _erase(place: _Place, digests: Sequence[str] | None) -> int:
    """Erase these expired logs, or all if None, as far as nobody possesses them.

    Return how many could not be erased.
    """
    with place.database.reading.connect() as connection:
        if digests is None:
            digests = all_expired(connection, place.whose.key)
        free = needed_by_nobody(connection, digests)
    stored: list[str] = []
    for part in chunks(free, 1000):
        stored += sorted(set(part) - place.store.missing(part))
    return len(place.store.erase(stored)) if stored else 0
