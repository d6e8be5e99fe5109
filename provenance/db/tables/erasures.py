"""What was erased on purpose, and logs whose middle expired.

All of it is derived from the ledger, but for how far an experiment's logs were looked at.
"""

from sqlalchemy import (
    BigInteger,
    ForeignKey,
)
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.tables.base import (
    Base,
    DigestBytes,
    Key,
)


class ErasedEntry(Base):
    """A ledger entry of which the bytes are gone.

    `erasure_id` is the entry that says who erased it, and why.
    """

    __tablename__ = "erased_entries"
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    erasure_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class ErasedBytes(Base):
    """Bytes that an experiment does not want back, by digest.

    They are those of a record, a blob, or the plan of a bundle that held either.
    """

    __tablename__ = "erased_bytes"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    erasure_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class ExpiredLog(Base):
    """A log of an experiment of which only beginning and end are kept, in a blob of their own.

    Its digest stays in the records.
    """

    __tablename__ = "expired_logs"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    kept_sha256: Mapped[str] = mapped_column(DigestBytes)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class LogExpiry(Base):
    """Up to which job the logs of an experiment were looked at."""

    __tablename__ = "log_expiries"
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    job_id: Mapped[int] = mapped_column(Key)
