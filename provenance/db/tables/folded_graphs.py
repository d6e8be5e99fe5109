"""Folded graphs of large campaigns, kept because counting them takes seconds.

They are not in the ledger, since they can be counted anew.
"""

from datetime import datetime

from sqlalchemy import Float, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, Key, NameText, UtcInstant


class FoldedGraphRow(Base):
    """What a campaign's folded graph was when it was last counted.

    `entry_id` is the newest ledger entry that was there then: while it still is, nothing can have
    changed. `seconds` is how long the counting took, which says how soon it may be done again.
    """

    __tablename__ = "folded_graphs"
    __table_args__ = ({"sqlite_with_rowid": False},)
    experiment_id: Mapped[int] = mapped_column(
        ForeignKey("experiments.id"), primary_key=True, autoincrement=False
    )
    campaign: Mapped[str] = mapped_column(NameText, primary_key=True)
    entry_id: Mapped[int] = mapped_column(Key)
    counted_at: Mapped[datetime] = mapped_column(UtcInstant)
    seconds: Mapped[float] = mapped_column(Float)
    document: Mapped[str] = mapped_column(Text)
