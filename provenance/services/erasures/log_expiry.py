"""Lets the logs of old jobs that succeeded expire.

Beginning and end are kept, the digest stays in the record, and a gap says so.

Logs of jobs that failed, and those that a bundle holds, stay whole. What goes is erased from the
archive once the ledger says so; a crash in between leaves bytes that nobody names, and the next run
erases them.
"""

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
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.holdings.expiry import (
    OldJob,
    all_expired,
    expired_logs,
    last_looked_at,
    needed_by_nobody,
    old_jobs,
)
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.intake.blobs import Upload, grant_possession
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together
from jobprov.provenance.services.recording.gap_updates import refresh_jobs
from jobprov.provenance.services.writing import Writer, Writing

KEPT_BYTES = 64 * 1024
"""Of the beginning, and of the end."""

_JOBS_AT_ONCE = 100


class Expiry(NamedTuple):
    """What an expiry did, or would do.

    Attributes:
        jobs: looked at.
        logs: expired.
        freed_bytes: of their content, before compression, less what is kept.
        is_whole: whether nothing old enough is left; else the next run goes on.
        left: logs of which a damaged pack still holds a copy.
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
    """Where logs expire, and how much is kept of each: of its beginning, and of its end."""

    database: Database
    writer: Writer
    store: Store
    whose: Owner
    kept_bytes: int


class _Log(NamedTuple):
    sha256: str
    size_bytes: int


class _Part(NamedTuple):
    """Some jobs, their logs that may expire, and jobs that name these or such as expired before."""

    jobs: list[int]
    logs: list[_Log]
    touched: list[int]

    @property
    def size_bytes(self) -> int:
        """Return what the logs take together."""
        return sum(log.size_bytes for log in self.logs)


class _LogsOfJobs(NamedTuple):
    """The logs that some jobs name.

    Attributes:
        jobs_by_log: keys of the jobs that name each log, by digest.
        expired: those that expired before.
        may_expire: those that no job needs whole and that are possessed.
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
    """Let logs of an experiment expire whose jobs succeeded and were recorded before a moment.

    Return what was done.

    Args:
        database: to read from.
        writer: all writing goes through it, in short transactions.
        store: the archive.
        experiment: whose logs.
        before: when the jobs were recorded.
        quota_bytes: whole logs of jobs that succeeded may take so much: only the oldest beyond it
            expire.
        kept_bytes: of the beginning, and of the end; a log that is not larger than both stays.
        most_jobs: to look at.
        is_trial: change nothing.

    Raises:
        NotFoundError: no such experiment is recorded.
    """
    with database.reading.connect() as connection:
        key = experiment_key(connection, experiment)
        if key is None:
            raise NotFoundError(f"No experiment {experiment} is recorded.")
        after = last_looked_at(connection, key)
    place = _Place(database, writer, store, Owner(experiment, key), kept_bytes)
    if not is_trial:
        _erase(place, None)
    excess_bytes = None
    if quota_bytes is not None:
        whole_bytes = sum(part.size_bytes for part in _read(place, after, before))
        excess_bytes = whole_bytes - quota_bytes
    done = Expiry()
    for part in _read(place, after, before):
        is_enough = excess_bytes is not None and done.freed_bytes >= excess_bytes
        if is_enough or done.jobs >= most_jobs:
            return done._replace(is_whole=is_enough)
        left = 0 if is_trial else _expire(place, part)
        done = Expiry(
            jobs=done.jobs + len(part.jobs),
            logs=done.logs + len(part.logs),
            freed_bytes=done.freed_bytes + part.size_bytes - 2 * kept_bytes * len(part.logs),
            left=done.left + left,
        )
    return done


def _read(place: _Place, after: int, before: datetime) -> Iterator[_Part]:
    """Yield jobs in the order in which they came, some at once, with their logs that may expire."""
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
    held_jobs = {job.key: HeldJob(job.key, job.received_at, {}, {}) for job in jobs}
    fill_records(connection, place.store, held_jobs)
    jobs_by_log: dict[str, list[int]] = {}
    for key, held_job in held_jobs.items():
        record = read_together(held_job.records_but(None)).record
        for log in record.logs or ():
            if log.sha256 is not None:
                jobs_by_log.setdefault(log.sha256, []).append(key)
    expired = set(expired_logs(connection, place.whose.name, jobs_by_log))
    # One log may be of several jobs: it stays whole while one of them needs it
    needing = {job.key for job in jobs if not job.may_expire}
    unneeded = {sha256 for sha256, keys in jobs_by_log.items() if needing.isdisjoint(keys)}
    may_expire = possessed_blobs(connection, place.whose.name, unneeded - expired)
    return _LogsOfJobs(jobs_by_log, expired, may_expire)


def _large_logs(place: _Place, digests: set[str]) -> list[_Log]:
    """Return those of the logs that are larger than what would be kept of them."""
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
        return None  # damaged or gone: `archive check` says so


def _expire(place: _Place, part: _Part) -> int:
    """Keep beginnings and ends, say it in the ledger, then erase.

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
    with store.open(log.sha256) as stream:
        begin = stream.read(kept_bytes)
        stream.seek(log.size_bytes - kept_bytes)
        end = stream.read(kept_bytes)
    between = log.size_bytes - 2 * kept_bytes
    return begin + b"\n[jobprov: %d bytes of the log expired]\n" % between + end


def write_expiry_rows(
    writing: Writing, whose: Owner, entry: int, logs: Sequence[NewExpiredLog]
) -> None:
    """Write what an expiry says whose ledger entry is there.

    These are the rows of the logs, which the experiment no longer possesses.
    """
    replace_expired_logs(writing.connection, whose.key, entry, logs)
    remove_possessions(writing, whose.name, whose.key, [log.sha256 for log in logs])


def _erase(place: _Place, digests: Sequence[str] | None) -> int:
    """Erase expired logs that nobody possesses; all that are left where none are named.

    Returns how many could not be.
    """
    with place.database.reading.connect() as connection:
        if digests is None:
            digests = all_expired(connection, place.whose.key)
        free = needed_by_nobody(connection, digests)
    stored: list[str] = []
    for part in chunks(free, 1000):
        stored += sorted(set(part) - place.store.missing(part))
    return len(place.store.erase(stored)) if stored else 0
