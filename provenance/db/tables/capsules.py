"""Environment capsules that were registered, and the jobs that they serve.

All is derived: the documents are ledger entries.
"""

from sqlalchemy import BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, DigestBytes, NameText


class CapsuleRow(Base):
    """One registration: the blob that holds an environment.

    Where several serve a job, the newest counts.
    """

    __tablename__ = "capsules"
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"), index=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(10))
    sha256: Mapped[str] = mapped_column(DigestBytes)
    size_bytes: Mapped[int] = mapped_column(BigInteger)


class CapsuleUse(Base):
    """Which jobs a registration serves.

    These are the jobs with this software list in a stage of this name; an empty name means no
    stage.
    """

    __tablename__ = "capsule_uses"
    __table_args__ = ({"sqlite_with_rowid": False},)
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    software_set_sha256: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    stage: Mapped[str] = mapped_column(NameText, primary_key=True)
