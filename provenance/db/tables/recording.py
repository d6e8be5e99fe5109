"""Records that are not, or not yet, what a job is made of, and the blobs that jobs wait for.

Conflicts, unread records and awaited blobs are derived from the ledger. Provisional records and
dead letters are working rows outside it.
"""

from datetime import datetime

from sqlalchemy import (
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import (
    Base,
    DigestBytes,
    Key,
    UtcInstant,
)


class ProvisionalRecord(Base):
    """A running or lost record of one witness: a working row, replaced by any later record.

    It is not in the ledger.
    """

    __tablename__ = "provisional_records"
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )
    witness: Mapped[str] = mapped_column(String(1000), primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class Conflict(Base):
    """A second, different final record of one witness.

    Answered 409, kept as evidence, changing nothing.
    """

    __tablename__ = "conflicts"
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), index=True)
    witness: Mapped[str] = mapped_column(String(1000))
    sha256: Mapped[str] = mapped_column(DigestBytes)


class UnreadRecord(Base):
    """A record of a later schema version: kept, not indexed, until the service understands it."""

    __tablename__ = "unread_records"
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    job_uuid: Mapped[str] = mapped_column(String(36), index=True)
    sha256: Mapped[str] = mapped_column(DigestBytes)


class DeadLetter(Base):
    """A body that was authenticated but could not be decoded.

    It is kept, so that a bug in a hook loses nothing.
    """

    __tablename__ = "dead_letters"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    received_at: Mapped[datetime] = mapped_column(UtcInstant)
    job_id: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    task_id: Mapped[str | None] = mapped_column(Text)


class AwaitedBlob(Base):
    """A blob that a job's record names and its experiment does not possess yet."""

    __tablename__ = "awaited_blobs"
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )

    __table_args__ = (Index("ix_awaited_blobs_job_id", "job_id"), {"sqlite_with_rowid": False})
