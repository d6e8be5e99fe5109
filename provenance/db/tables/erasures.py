"""What was erased on purpose. All derived from the ledger's entries of kind `erasure`."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, DigestBytes


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
