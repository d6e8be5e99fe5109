"""The ledger in the database: entries that wait to be sealed, and where the sealed ones lie.

And what was erased on purpose, and logs whose middle expired: derived from the ledger, but for how
far an experiment's logs were looked at.

Source: storage.md, "Ledger".
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, SmallInteger, String, text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.answers.trail import ACTS
from jobprov.provenance.db.tables.base import Base, DigestBytes, Key, key_of

IS_ACT = f"kind IN ({', '.join(repr(kind) for kind in ACTS)})"
"""As SQL: an index of some rows alone is used where its condition stands in the query as it is."""


class LedgerEntry(Base):
    """One final write; immutable.

    Its bytes are an `EntryBody` until it is sealed, then segment and position say where they are.

    What a job is made of, its records and their revisions (revision > 0), says whose it is:
    `job_id`, `witness`, `revision`. All other entries have none: conflicts, unread records,
    declarations. What the ledger says is not derived, whose record it is is: so `job_id` has no
    foreign key, and one would close a circle, from jobs over tasks to here. No two have the same
    three. No index sees to that, as one with the witness in it takes nearly twice the bytes:
    whoever writes holds the job while it decides (`take_jobs`) and has read what is there.
    """

    # PostgreSQL aligns: eight bytes first, then four, then two, then what varies in length
    __tablename__ = "ledger_entries"
    received_at: Mapped[datetime]
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    job_id: Mapped[int | None] = mapped_column(Key)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    segment: Mapped[int | None]
    position: Mapped[int | None]
    revision: Mapped[int | None] = mapped_column(SmallInteger)
    kind: Mapped[str] = mapped_column(String(20))
    submitter: Mapped[str | None] = mapped_column(String(200))
    witness: Mapped[str | None] = mapped_column(String(1000))

    __table_args__ = (
        Index(
            "ix_ledger_entries_unsealed",
            "experiment_id",
            "id",
            sqlite_where=text("segment IS NULL"),
            postgresql_where=text("segment IS NULL"),
        ),
        Index(
            "ix_ledger_entries_acts",
            "experiment_id",
            "id",
            sqlite_where=text(IS_ACT),
            postgresql_where=text(IS_ACT),
        ),
        # without the position PostgreSQL keeps a segment's entries together, in a quarter of the
        # bytes: ask for a segment at once
        Index("ix_ledger_entries_experiment_id_segment", "experiment_id", "segment"),
        Index(
            "ix_ledger_entries_job_id",
            "job_id",
            sqlite_where=text("job_id IS NOT NULL"),
            postgresql_where=text("job_id IS NOT NULL"),
        ),
    )


class EntryBody(Base):
    """Salt and exact bytes (zstd) of an entry that waits to be sealed.

    They have a table of their own, so that whole pages are free again after it.

    Of an entry that was erased before it was sealed both are empty, and `leaf` is what the head of
    its segment will say.
    """

    __tablename__ = "entry_bodies"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    salt: Mapped[bytes] = mapped_column(LargeBinary(16))
    body: Mapped[bytes]
    leaf: Mapped[str | None] = mapped_column(DigestBytes)


class ChainHead(Base):
    """The last segment of an experiment's chain that this database knows."""

    __tablename__ = "chain_heads"
    experiment_id: Mapped[int] = key_of("experiments.id")
    segment: Mapped[int]
    head_sha256: Mapped[str] = mapped_column(DigestBytes)


class Possession(Base):
    """An experiment uploaded this blob, and so may name, read and bundle it.

    This is entered in the ledger when sealed.
    """

    __tablename__ = "possessions"
    experiment_id: Mapped[int] = key_of("experiments.id")
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    is_entered: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        Index(
            "ix_possessions_not_entered",
            "experiment_id",
            sqlite_where=text("NOT is_entered"),
            postgresql_where=text("NOT is_entered"),
        ),
        {"sqlite_with_rowid": False},
    )


class ErasedEntry(Base):
    """A ledger entry whose bytes are gone.

    `erasure_id` is the entry that says who erased it, and why.
    """

    __tablename__ = "erased_entries"
    entry_id: Mapped[int] = key_of("ledger_entries.id")
    erasure_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class ErasedBytes(Base):
    """Bytes that an experiment does not want back, by digest.

    They are those of a record, a blob, or the plan of a bundle that held either.
    """

    __tablename__ = "erased_bytes"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = key_of("experiments.id")
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    erasure_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class ExpiredLog(Base):
    """A log whose beginning and end alone are kept, in a blob of their own.

    Its digest stays in the records.
    """

    __tablename__ = "expired_logs"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = key_of("experiments.id")
    sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    kept_sha256: Mapped[str] = mapped_column(DigestBytes)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    entry_id: Mapped[int] = mapped_column(ForeignKey("ledger_entries.id"))


class LogExpiry(Base):
    """Up to which job the logs of an experiment were looked at."""

    __tablename__ = "log_expiries"
    experiment_id: Mapped[int] = key_of("experiments.id")
    job_id: Mapped[int] = mapped_column(Key)
