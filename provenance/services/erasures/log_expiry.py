"""Lets the logs of old jobs that succeeded expire.

Beginning and end are kept, the digest stays in the record, and a gap says so.

Logs of jobs that failed, and those that a bundle holds, stay whole. What goes is erased from the
archive once the ledger says so; a crash in between leaves bytes that nobody names, and the next run
erases them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from jobprov.archive.errors import ArchiveError
from jobprov.archive.store import Store
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.holdings.expiry import (
    all_expired,
    expired_logs,
    last_looked_at,
    needed_by_nobody,
    old_jobs,
)
from jobprov.provenance.db.queries.holdings.possessions import Possessions, possessed_blobs
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import Experiment, ExpiredLog, LogExpiry, Possession
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
    """Where logs expire."""

    database: Database
    writer: Writer
    store: Store
    whose: Owner


class _Log(NamedTuple):
    sha256: str
    size_bytes: int


class _Part(NamedTuple):
    """Some jobs, their logs that may expire, and jobs that name these or such as expired before."""

    jobs: list[int]
    logs: list[_Log]
    touched: list[int]


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
        key = connection.execute(
            select(Experiment.id).where(Experiment.name == experiment)
        ).scalar_one_or_none()
        if key is None:
            raise NotFoundError(f"No experiment {experiment} is recorded.")
        looked = last_looked_at(connection, key)
    if not is_trial:
        _erase(database, store, key, None)
    read = partial(_read, database, store, experiment, key, before=before, kept_bytes=kept_bytes)
    excess = (
        None
        if quota_bytes is None
        else sum(log.size_bytes for part in read(looked) for log in part.logs) - quota_bytes
    )
    done = Expiry()
    for part in read(looked):
        if done.jobs >= most_jobs or (excess is not None and done.freed_bytes >= excess):
            return done._replace(is_whole=excess is not None and done.freed_bytes >= excess)
        freed = sum(log.size_bytes - 2 * kept_bytes for log in part.logs)
        done = done._replace(
            jobs=done.jobs + len(part.jobs),
            logs=done.logs + len(part.logs),
            freed_bytes=done.freed_bytes + freed,
        )
        if not is_trial:
            left = _expire(
                _Place(database, writer, store, Owner(experiment, key)), part, kept_bytes
            )
            done = done._replace(left=done.left + left)
    return done


def _read(
    database: Database,
    store: Store,
    experiment: str,
    key: int,
    after: int,
    *,
    before: datetime,
    kept_bytes: int,
) -> Iterator[_Part]:
    """Yield jobs in the order in which they came, some at once, with their logs that may expire."""
    while True:
        with database.reading.connect() as connection:
            found = old_jobs(connection, key, after=after, before=before, limit=_JOBS_AT_ONCE)
            held = {job.key: HeldJob(job.key, job.received_at, {}, {}) for job in found}
            fill_records(connection, store, held)
            named: dict[str, list[int]] = {}
            for job, records in held.items():
                for log in read_together(records.records_but(None)).record.logs or ():
                    if log.sha256 is not None:
                        named.setdefault(log.sha256, []).append(job)
            expired = expired_logs(connection, experiment, named).keys()
            needed = {job.key for job in found if not job.may_expire}
            may_go = {sha256 for sha256, jobs in named.items() if needed.isdisjoint(jobs)} - expired
            here = possessed_blobs(connection, experiment, may_go)
        if not found:
            return
        sizes = {
            sha256: size for sha256 in sorted(here) if (size := _size(store, sha256)) is not None
        }
        large = [_Log(sha256, size) for sha256, size in sizes.items() if size > 2 * kept_bytes]
        gone = expired | {log.sha256 for log in large}
        yield _Part(
            [job.key for job in found],
            large,
            sorted({job for sha256 in gone for job in named[sha256]}),
        )
        after = found[-1].key


def _size(store: Store, sha256: str) -> int | None:
    try:
        return store.size(sha256)
    except ArchiveError:
        return None  # damaged or gone: `archive check` says so


def _expire(place: _Place, part: _Part, kept_bytes: int) -> int:
    """Keep beginnings and ends, say it in the ledger, then erase.

    Return how many logs could not be erased.
    """
    key, store = place.whose.key, place.store
    kept: list[dict[str, Any]] = []
    for log in part.logs:
        stored = store.put(_kept(store, log, kept_bytes))
        kept.append(
            {"sha256": log.sha256, "size_bytes": log.size_bytes, "kept_sha256": stored.sha256}
        )

    def write(writing: Writing) -> None:
        if kept:
            entry = enter_document(writing, key, "expiry", {"logs": kept})
            write_expiry_rows(writing, place.whose, entry, kept)
            grant_possession(
                writing, [Upload(place.whose.name, row["kept_sha256"]) for row in kept]
            )
        if part.touched:
            refresh_jobs(writing, part.touched)
        _note_place(writing.connection, key, part.jobs[-1])

    place.writer.run(write)
    return _erase(place.database, store, key, [log.sha256 for log in part.logs])


def _kept(store: Store, log: _Log, kept_bytes: int) -> bytes:
    with store.open(log.sha256) as stream:
        begin = stream.read(kept_bytes)
        stream.seek(log.size_bytes - kept_bytes)
        end = stream.read(kept_bytes)
    between = log.size_bytes - 2 * kept_bytes
    return begin + b"\n[jobprov: %d bytes of the log expired]\n" % between + end


def write_expiry_rows(
    writing: Writing, whose: Owner, entry: int, logs: Sequence[Mapping[str, Any]]
) -> None:
    """Write what an expiry says whose ledger entry is there.

    These are the rows of the logs, which the experiment no longer possesses.
    """
    table = table_of(ExpiredLog)
    digests = [log["sha256"] for log in logs]
    for part in chunks(digests):
        writing.connection.execute(
            delete(table).where(table.c.experiment_id == whose.key, table.c.sha256.in_(part))
        )
    columns = ("sha256", "kept_sha256", "size_bytes")
    rows = [
        {**{name: log[name] for name in columns}, "experiment_id": whose.key, "entry_id": entry}
        for log in logs
    ]
    insert_rows(writing.connection, table, rows)
    forget_possession(writing, whose, digests)


def forget_possession(writing: Writing, whose: Owner, digests: Sequence[str]) -> None:
    """Take blobs from an experiment."""
    table = table_of(Possession)
    for part in chunks(digests):
        writing.connection.execute(
            delete(table).where(table.c.experiment_id == whose.key, table.c.sha256.in_(part))
        )
    writing.remembered(Possessions).forget(whose.name, digests)


def _erase(database: Database, store: Store, key: int, digests: Sequence[str] | None) -> int:
    """Erase expired logs that nobody possesses; all that are left where none are named.

    Returns how many could not be.
    """
    with database.reading.connect() as connection:
        wanted = all_expired(connection, key) if digests is None else list(digests)
        free = needed_by_nobody(connection, wanted)
    there = [
        sha256 for part in chunks(free, 1000) for sha256 in sorted(set(part) - store.missing(part))
    ]
    return len(store.erase(there)) if there else 0


def _note_place(connection: Connection, key: int, job: int) -> None:
    table = table_of(LogExpiry)
    connection.execute(delete(table).where(table.c.experiment_id == key))
    connection.execute(table.insert(), [{"experiment_id": key, "job_id": job}])
