"""Which jobs are to be traced: the first of each kind, as their hooks ask before they run."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, DigestBytes, NameText, UtcInstant


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
    given_at: Mapped[datetime] = mapped_column(UtcInstant)
    traced_at: Mapped[datetime | None] = mapped_column(UtcInstant)
    traced_job: Mapped[str | None] = mapped_column(String(36))
    used: Mapped[str | None] = mapped_column(Text)


class AwaitedTrace(Base):
    """A job that was not traced and ended before the traced one of its kind."""

    __tablename__ = "awaited_traces"
    experiment: Mapped[str] = mapped_column(NameText, primary_key=True)
    key: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    job_id: Mapped[int] = mapped_column(
        ForeignKey("jobs.id"), primary_key=True, autoincrement=False
    )

    __table_args__ = (Index("ix_awaited_traces_job_id", "job_id"), {"sqlite_with_rowid": False})
