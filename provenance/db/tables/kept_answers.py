"""Answers about many jobs, kept because counting takes a moment.

They are not in the ledger, since they can be counted anew.
"""

from datetime import datetime

from sqlalchemy import Float, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, Key, UtcInstant


class KeptAnswerRow(Base):
    """What the answer to a question was when it was last counted.

    The question is its words as JSON.

    `entry_id` is the newest ledger entry that was there then. `seconds` is how long the counting
    took, which says how soon it may be done again.
    """

    __tablename__ = "kept_answers"
    question: Mapped[str] = mapped_column(String(300), primary_key=True)
    entry_id: Mapped[int] = mapped_column(Key)
    counted_at: Mapped[datetime] = mapped_column(UtcInstant)
    seconds: Mapped[float] = mapped_column(Float)
    document: Mapped[str] = mapped_column(Text)
