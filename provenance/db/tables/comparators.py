"""How experiments declare their outputs to be compared.

All is derived: the documents are ledger entries.
"""

from sqlalchemy import ForeignKey, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base


class ComparatorSet(Base):
    """One version of an experiment's rules; the newest counts."""

    __tablename__ = "comparator_sets"
    __table_args__ = (UniqueConstraint("experiment_id", "version"),)
    entry_id: Mapped[int] = mapped_column(
        ForeignKey("ledger_entries.id"), primary_key=True, autoincrement=False
    )
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiments.id"))
    version: Mapped[int]
    document: Mapped[str] = mapped_column(Text)
