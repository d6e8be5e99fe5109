"""Which jobs are to be traced: the first of each kind, as their hooks ask before they run.

They are working rows outside the ledger. Without them a kind of jobs is traced once more.
"""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from jobprov.provenance.db.base import Base, DigestBytes, NameText, UtcInstant


class TraceTurn(Base):
    """The job of a kind whose turn it is to be traced; `key` is what the hook made of its command.

    `traced_at` is when a record of it came. They are not derived.
    """

    __tablename__ = "trace_turns"
    experiment: Mapped[str] = mapped_column(NameText, primary_key=True)
    key: Mapped[str] = mapped_column(DigestBytes, primary_key=True)
    given_at: Mapped[datetime] = mapped_column(UtcInstant)
    traced_at: Mapped[datetime | None] = mapped_column(UtcInstant)
