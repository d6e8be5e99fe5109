"""What comes before a job's record, and records that are not, or not yet, what a job is made of.

Conflicts, unread records and awaited blobs are derived from the ledger, and so is what of turns
follows from the records. Tokens, ends of logs, provisional records and dead letters are not in it.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import Base, Count, DigestBytes, Key, NameText, key_of


class WriteToken(Base):
    """A write token of an experiment, stored hashed (256 random bits need no slow hash).

    With a task, it is an upload ticket. Scopes are words with spaces between them. When it was last
    used is noted once an hour, and not of tickets: their records say it.
    """

    __tablename__ = "write_tokens"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    name: Mapped[str] = mapped_column(String(200))
    task_id: Mapped[str | None]
    scopes: Mapped[str] = mapped_column(String(80))
    sha256: Mapped[str] = mapped_column(DigestBytes, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class LogTailPiece(Base):
    """Some bytes of a log as they came, packed; `start` is the position of the first in the log.

    `first_event` and `last_event` are art's numbers of the events that begin in them, with the
    log's own clock, whatever its zone. They are not derived.
    """

    __tablename__ = "log_tails"
    job_id: Mapped[int] = key_of("jobs.id")
    name: Mapped[str] = mapped_column(NameText, primary_key=True)
    start: Mapped[int] = mapped_column(Count, primary_key=True, autoincrement=False)
    size_bytes: Mapped[int]
    first_event: Mapped[int | None] = mapped_column(Count)
    last_event: Mapped[int | None] = mapped_column(Count)
    first_event_clock: Mapped[datetime | None]
    last_event_clock: Mapped[datetime | None]
    content: Mapped[bytes]
    received_at: Mapped[datetime]


class TraceTurn(Base):
    """The job of a kind whose turn it is to be traced; `key` is what the hook made of its command.

    `traced_at` is when a record of it came, `traced_job` the newest of these jobs, and `used` is
    JSON of what that job used without naming it, for the jobs of its kind that are not traced.
    These follow from the records. The turns themselves are in no ledger: without them a kind of
    jobs is traced once more.
    """

    __tablename__ = "trace_turns"
    experiment: Mapped[str] = mapped_column(NameText, primary_key=True)
    key: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    given_at: Mapped[datetime]
    traced_at: Mapped[datetime | None]
    traced_job: Mapped[str | None] = mapped_column(String(36))
    used: Mapped[str | None]


class AwaitedTrace(Base):
    """A job that was not traced and ended before the traced one of its kind."""

    __tablename__ = "awaited_traces"
    experiment: Mapped[str] = mapped_column(NameText, primary_key=True)
    key: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    job_id: Mapped[int] = key_of("jobs.id")

    __table_args__ = (Index("ix_awaited_traces_job_id", "job_id"), {"sqlite_with_rowid": False})


class ProvisionalRecord(Base):
    """A running or lost record of one witness: a working row, replaced by any later record.

    It is not in the ledger.
    """

    __tablename__ = "provisional_records"
    job_id: Mapped[int] = key_of("jobs.id")
    witness: Mapped[str] = mapped_column(String(1000), primary_key=True)
    received_at: Mapped[datetime]
    body: Mapped[bytes]


class Conflict(Base):
    """A second, different final record of one witness.

    Answered 409, kept as evidence, changing nothing.
    """

    __tablename__ = "conflicts"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    witness: Mapped[str] = mapped_column(String(1000))
    sha256: Mapped[str] = mapped_column(DigestBytes)


class UnreadRecord(Base):
    """A record of a later schema version: kept, not indexed, until the service understands it."""

    __tablename__ = "unread_records"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    job_uuid: Mapped[str] = mapped_column(String(36), index=True)
    sha256: Mapped[str] = mapped_column(DigestBytes)


class DeadLetter(Base):
    """A body that was authenticated but could not be decoded.

    It is kept, so that a bug in a hook loses nothing.
    """

    __tablename__ = "dead_letters"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    received_at: Mapped[datetime]
    job_id: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str]
    body: Mapped[bytes]
    task_id: Mapped[str | None]

    __table_args__ = (
        Index("ix_dead_letters_job_id", "job_id"),
        Index("ix_dead_letters_experiment_id_received_at", "experiment_id", "received_at"),
    )


class AwaitedBlob(Base):
    """A blob that a job's record names and its experiment does not possess yet."""

    __tablename__ = "awaited_blobs"
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    job_id: Mapped[int] = key_of("jobs.id")

    __table_args__ = (Index("ix_awaited_blobs_job_id", "job_id"), {"sqlite_with_rowid": False})
